"""Places in line."""

import asyncio
from contextlib import ExitStack
from time import monotonic

import pytest

from bot.errors import LaneFullError, ShuttingDownError, StoppedError
from bot.lanes import Lanes


async def _use(lanes: Lanes, key: str, name: str, log: list[str], go_on: asyncio.Event) -> None:
    with lanes.place(key) as place:
        async with place.turn():
            log.append(f"{name} begins")
            await go_on.wait()
            log.append(f"{name} ends")


async def _settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_at_a_time_in_order_and_lanes_do_not_wait_for_each_other() -> None:
    lanes, log, go_on = Lanes(), list[str](), asyncio.Event()
    tasks = [asyncio.create_task(_use(lanes, key, name, log, go_on)) for key, name in ("xa", "xb", "yc", "xd")]
    await _settle()
    assert log == ["a begins", "c begins"]
    go_on.set()
    await asyncio.gather(*tasks)
    assert [entry for entry in log if "c" not in entry.split()[0]] == [
        "a begins",
        "a ends",
        "b begins",
        "b ends",
        "d begins",
        "d ends",
    ]
    assert len(lanes) == 0


async def test_who_leaves_the_line_is_skipped_and_an_error_passes_the_turn_on() -> None:
    lanes, log, go_on = Lanes(), list[str](), asyncio.Event()
    first = asyncio.create_task(_use(lanes, "x", "first", log, go_on))
    leaver = asyncio.create_task(_use(lanes, "x", "leaver", log, go_on))
    last = asyncio.create_task(_use(lanes, "x", "last", log, go_on))
    await _settle()
    leaver.cancel()
    first.cancel()
    go_on.set()
    await last
    assert log == ["first begins", "last begins", "last ends"]
    assert len(lanes) == 0


async def test_a_lane_takes_a_bounded_number() -> None:
    lanes, log, never = Lanes(max_waiting=1), list[str](), asyncio.Event()
    tasks = [asyncio.create_task(_use(lanes, "x", name, log, never)) for name in "ab"]
    await _settle()
    with pytest.raises(LaneFullError), lanes.place("x"):
        pass
    with lanes.place("y"):
        assert len(lanes) == 2
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert len(lanes) == 0


async def test_closing_lets_turns_finish_and_takes_nobody_new() -> None:
    lanes, log, go_on = Lanes(), list[str](), asyncio.Event()
    task = asyncio.create_task(_use(lanes, "x", "a", log, go_on))
    await _settle()
    closing = asyncio.create_task(lanes.close(drain_seconds=20))
    await _settle()
    with pytest.raises(ShuttingDownError), lanes.place("y"):
        pass
    go_on.set()
    await asyncio.gather(task, closing)
    assert log == ["a begins", "a ends"]


async def test_closing_ends_the_turns_that_take_too_long_begun_or_waiting() -> None:
    lanes, log, never = Lanes(), list[str](), asyncio.Event()
    tasks = [asyncio.create_task(_use(lanes, "x", name, log, never)) for name in "ab"]
    await _settle()
    await lanes.close(drain_seconds=0.01)
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ShuttingDownError, ShuttingDownError]
    assert log == ["a begins"]
    assert len(lanes) == 0


async def test_a_place_ended_before_its_turn_was_asked_for_gets_none() -> None:
    lanes = Lanes()
    with lanes.place("x") as place:
        place.end(ShuttingDownError())
        with pytest.raises(ShuttingDownError):
            async with place.turn():
                pytest.fail("no turn is left")


async def test_a_timeout_of_the_work_itself_is_not_taken_for_a_shutdown() -> None:
    lanes = Lanes()
    with lanes.place("x") as place, pytest.raises(TimeoutError):
        async with place.turn():
            raise TimeoutError


async def test_what_hangs_after_its_end_was_said_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.lanes.SECONDS_TO_SAY_SO", 0.01)
    lanes = Lanes()

    async def never_done() -> None:
        with lanes.place("x"):
            await asyncio.Event().wait()

    task = asyncio.create_task(never_done())
    await _settle()
    await lanes.close(drain_seconds=0.01)
    assert task.cancelled()
    assert len(lanes) == 0


async def test_places_are_told_as_they_move_and_no_more_when_the_turn_has_come() -> None:
    lanes, told = Lanes(), {name: list[int]() for name in "abcd"}
    with ExitStack() as first, ExitStack() as second, ExitStack() as others:
        for name, holder in zip("abcd", (first, second, others, others), strict=True):
            holder.enter_context(lanes.place("x", on_move=told[name].append))
        second.close()
        first.close()
        assert told == {"a": [], "b": [1], "c": [2, 1], "d": [3, 2, 1]}


async def test_an_end_is_said_once_and_holds_for_whatever_is_begun_afterwards() -> None:
    lanes = Lanes()
    with lanes.place("x") as place:
        place.end(StoppedError())
        place.end(ShuttingDownError())
        for block in (place.turn(), place.interruptible()):
            with pytest.raises(StoppedError):
                await block.__aenter__()


async def test_the_mean_of_turns_follows_the_newest() -> None:
    lanes = Lanes()
    assert lanes.mean_turn_seconds is None
    lanes.note_turn(monotonic() - 10)
    assert lanes.mean_turn_seconds == pytest.approx(10, abs=1)
    lanes.note_turn(monotonic() - 20)
    assert lanes.mean_turn_seconds == pytest.approx(12, abs=1)
