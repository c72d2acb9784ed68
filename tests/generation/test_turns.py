"""Taking turns: one adapter at a time, in the order of asking, whoever gives up."""

import asyncio
from contextlib import suppress

from generation.turns import Turns


class Visitor:
    """A request that holds its turn until it is told to leave."""

    def __init__(self, turns: Turns, adapter: str | None) -> None:
        self.is_in = False
        self.leave = asyncio.Event()
        self.task = asyncio.create_task(self._visit(turns, adapter))

    async def _visit(self, turns: Turns, adapter: str | None) -> None:
        async with turns.take(adapter):
            self.is_in = True
            await self.leave.wait()
        self.is_in = False


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def visit(turns: Turns, *adapters: str | None) -> list[Visitor]:
    visitors = [Visitor(turns, adapter) for adapter in adapters]
    await settle()
    return visitors


async def end(*visitors: Visitor) -> None:
    for visitor in visitors:
        visitor.leave.set()
    await settle()


async def test_who_wants_the_same_never_waits() -> None:
    turns = Turns()
    visitors = await visit(turns, "a", "a", "a")
    assert [each.is_in for each in visitors] == [True, True, True]
    await end(*visitors)


async def test_another_adapter_waits_for_all_before_it_and_goes_before_all_behind_it() -> None:
    turns = Turns()
    first, second, other, late = visitors = await visit(turns, None, None, "a", None)
    assert [each.is_in for each in visitors] == [True, True, False, False]
    await end(first)
    assert not other.is_in
    await end(second)
    assert (other.is_in, late.is_in) == (True, False)
    await end(other)
    assert late.is_in
    await end(late)


async def test_those_who_wait_for_the_same_go_together() -> None:
    turns = Turns()
    first, *others = await visit(turns, None, "a", "a", "b", "a")
    await end(first)
    assert [each.is_in for each in others] == [True, True, False, False]
    await end(*others[:2])
    assert [each.is_in for each in others[2:]] == [True, False]
    await end(*others[2:])


async def test_who_gives_up_while_waiting_holds_nobody_up() -> None:
    turns = Turns()
    first, gone, late = await visit(turns, None, "a", None)
    gone.task.cancel()
    await settle()
    assert late.is_in
    await end(first, late)
    assert (await visit(turns, "b"))[0].is_in


async def test_who_gives_up_as_its_turn_comes_gives_the_turn_back() -> None:
    turns = Turns()
    first, gone, late = await visit(turns, None, "a", "b")
    first.leave.set()
    while not first.task.done():  # noqa: ASYNC110 - the very moment matters
        await asyncio.sleep(0)
    gone.task.cancel()
    with suppress(asyncio.CancelledError):
        await gone.task
    await settle()
    assert late.is_in
    await end(late)
