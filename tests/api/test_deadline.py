"""The time a run may take, over all of its steps."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from api.deadline import Deadline

SOON = 0.02


async def numbers(may_go_on: asyncio.Event) -> AsyncGenerator[int, None]:
    """Yield 0, then 1 when it may go on."""
    yield 0
    await may_go_on.wait()
    yield 1


async def test_steps_in_time_are_taken_to_the_end() -> None:
    may_go_on = asyncio.Event()
    may_go_on.set()
    with Deadline(60) as deadline:
        steps = numbers(may_go_on)
        assert [await deadline.step(steps), await deadline.step(steps)] == [0, 1]
        with pytest.raises(StopAsyncIteration):
            await deadline.step(steps)


async def test_a_step_that_takes_too_long_is_ended_and_its_task_goes_on() -> None:
    async with aclosing(numbers(asyncio.Event())) as steps:
        with Deadline(SOON) as deadline:
            await deadline.step(steps)
            with pytest.raises(TimeoutError):
                await deadline.step(steps)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_between_two_steps_nothing_is_cut_short_and_the_next_is_refused() -> None:
    may_go_on = asyncio.Event()
    async with aclosing(numbers(may_go_on)) as steps:
        with Deadline(SOON) as deadline:
            await deadline.step(steps)
            await asyncio.sleep(2 * SOON)
            may_go_on.set()
            with pytest.raises(TimeoutError):
                await deadline.step(steps)


async def test_a_cancellation_by_someone_else_stays_one() -> None:
    entered = asyncio.Event()

    async def wait() -> None:
        async with aclosing(numbers(asyncio.Event())) as steps:
            with Deadline(60) as deadline:
                await deadline.step(steps)
                entered.set()
                await deadline.step(steps)

    task = asyncio.create_task(wait())
    await entered.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_block_that_has_ended_cancels_nobody() -> None:
    with Deadline(SOON):
        pass
    await asyncio.sleep(2 * SOON)
