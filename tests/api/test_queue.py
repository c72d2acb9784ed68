"""Places in line: their order, their bound and the estimate."""

import asyncio
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import ApiError
from api.queue import Place, RequestQueue


class Clock:
    """Seconds that a test turns forward."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Holder:
    """Somebody with a place, until `leave`."""

    def __init__(self, queue: RequestQueue) -> None:
        self._stack = ExitStack()
        self.place: Place = self._stack.enter_context(queue.place())

    def leave(self) -> None:
        self._stack.close()

    def fail(self) -> None:
        error = RuntimeError()
        assert not self._stack.__exit__(type(error), error, None)


@given(leaving=st.lists(st.integers(0, 9), max_size=30), slots=st.integers(1, 4))
def test_positions_are_those_of_a_plain_line(leaving: list[int], slots: int) -> None:
    queue = RequestQueue(slots=slots, max_waiting=100)
    line: list[Holder] = []
    for number in leaving:
        line += [Holder(queue), Holder(queue)]
        if number < len(line):
            line.pop(number).leave()
        assert [holder.place.position for holder in line] == [max(0, at + 1 - slots) for at in range(len(line))]
        assert (queue.running, queue.waiting) == (min(slots, len(line)), max(0, len(line) - slots))


async def test_a_turn_comes_when_a_slot_is_left_and_not_before() -> None:
    queue = RequestQueue(slots=1, max_waiting=10)
    first, second, third = (Holder(queue) for _ in range(3))
    assert await first.place.turn(within_seconds=0)
    assert not await second.place.turn(within_seconds=0)
    waiting = asyncio.create_task(third.place.turn(within_seconds=20))
    second.leave()
    first.leave()
    assert await waiting


def test_a_full_line_is_refused_and_changes_nothing() -> None:
    queue = RequestQueue(slots=1, max_waiting=1)
    holders = [Holder(queue), Holder(queue)]
    with pytest.raises(ApiError) as refused:
        Holder(queue)
    assert (refused.value.status, refused.value.title) == (503, "Busy")
    assert int(refused.value.headers["Retry-After"]) >= 1
    assert (queue.running, queue.waiting) == (1, 1)
    for holder in holders:
        holder.leave()
    assert (queue.running, queue.waiting) == (0, 0)


def test_the_estimate_plays_the_measured_times_forward() -> None:
    clock = Clock()
    queue = RequestQueue(slots=2, max_waiting=10, now=clock)
    measured = [Holder(queue), Holder(queue), Holder(queue)]
    assert [holder.place.wait_seconds for holder in measured[2:]] == [None]
    clock.seconds = 10
    for holder in measured[:2]:
        holder.leave()
    measured[2].fail()
    running = [Holder(queue), Holder(queue)]
    waiting = [Holder(queue), Holder(queue), Holder(queue)]
    assert [holder.place.wait_seconds for holder in waiting] == [10, 10, 20]
    clock.seconds = 14
    assert [holder.place.wait_seconds for holder in waiting] == [6, 6, 16]
    # What takes longer than the mean may end any moment.
    clock.seconds = 25
    assert [holder.place.wait_seconds for holder in waiting] == [1, 1, 10]
    running[0].leave()
    # Three times were measured now, 10, 10 and 15 s; the one that failed was none.
    clock.seconds = 27
    assert [holder.place.wait_seconds for holder in waiting[1:]] == [1, 10]
