"""Cancellation at any moment: nothing torn, nothing stuck."""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from storage.conversations import Conversations, NewMessage
from storage.database import Database
from storage.days import DayZone
from storage.ledger import Ledger
from storage.notes import Notes
from storage.schema import notes
from storage.sqlite_database import READERS
from storage.uninterrupted import run_to_the_end
from tests.storage.conftest import ManualClock

# Counts to three million inside SQLite: long enough to be interrupted, and no timer.
SLOW = text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) SELECT max(i) FROM n")


def is_free_to_write(path: Path) -> bool:
    """Say whether nobody holds the write lock at this moment."""
    connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return True


Act = Callable[[Database, ManualClock], Awaitable[object]]


async def charge(database: Database, clock: ManualClock) -> None:
    await Ledger(database, zone=DayZone("UTC"), clock=clock).charge("tenant", limit=10**6)


async def append(database: Database, clock: ManualClock) -> None:
    messages = [NewMessage(role="user", content=word) for word in ("one", "two")]
    await Conversations(database, clock=clock).append("tenant", *messages)


async def read(database: Database, clock: ManualClock) -> None:
    await Conversations(database, clock=clock).read("tenant")


@pytest.mark.parametrize("between", [(), (0,), (1, 0), (3, 1)], ids=["once", "twice", "thrice", "slowly"])
@pytest.mark.parametrize("act", [charge, append, read])
async def test_a_caller_cancelled_at_any_moment_leaves_the_database_usable(
    database: Database, path: Path, clock: ManualClock, act: Act, between: tuple[int, ...]
) -> None:
    cancelled = 0
    for before in range(80):
        task = asyncio.ensure_future(act(database, clock))
        for steps in (before, *between):
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
        outcome = (await asyncio.gather(task, return_exceptions=True))[0]
        assert outcome is None or isinstance(outcome, asyncio.CancelledError)
        cancelled += outcome is not None
        assert is_free_to_write(path)
    assert cancelled > 4
    contents = [message.content for message in await Conversations(database, clock=clock).read("tenant")]
    assert contents == ["one", "two"] * (len(contents) // 2)
    async with asyncio.timeout(30):
        await asyncio.gather(charge(database, clock), *(read(database, clock) for _ in range(READERS)))


@pytest.mark.parametrize("act", [charge, read])
async def test_many_callers_cancelled_among_others_cost_the_others_nothing(
    database: Database, path: Path, clock: ManualClock, act: Act
) -> None:
    tasks = [asyncio.ensure_future(act(database, clock)) for _ in range(60)]
    await asyncio.sleep(0.02)
    for task in tasks[::2]:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert outcomes[1::2] == [None] * 30
    assert is_free_to_write(path)


async def test_a_statement_running_when_its_caller_is_cancelled_is_undone_before_the_next_writer(
    database: Database, path: Path
) -> None:
    entered = asyncio.Event()

    async def write_slowly() -> None:
        async with database.writing() as connection:
            await connection.execute(insert(notes).values(key="a", value="b"))
            entered.set()
            await connection.execute(SLOW)

    task = asyncio.create_task(write_slowly())
    await entered.wait()
    await asyncio.sleep(0)
    task.cancel()
    await Notes(database).put("next", "c")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await Notes(database).get("a") is None
    assert await Notes(database).get("next") == "c"
    assert is_free_to_write(path)


async def test_a_timeout_around_a_write_is_a_timeout(database: Database) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), database.writing() as connection:
            await connection.execute(SLOW)
    await Notes(database).put("a", "b")


async def test_a_step_goes_on_to_its_end_before_the_cancellation_is_raised() -> None:
    may_end, ended = asyncio.Event(), asyncio.Event()

    async def step() -> None:
        await may_end.wait()
        ended.set()

    task = asyncio.create_task(run_to_the_end(step()))
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_a_step_hands_on_its_result_and_its_error() -> None:
    assert await run_to_the_end(asyncio.sleep(0, "done")) == "done"
    with pytest.raises(TimeoutError):
        await run_to_the_end(asyncio.wait_for(asyncio.Event().wait(), timeout=0))


async def test_the_failure_of_a_step_nobody_waits_for_is_logged_without_its_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    may_end = asyncio.Event()

    async def step() -> None:
        await may_end.wait()
        raise ValueError("private words")

    task = asyncio.create_task(run_to_the_end(step()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    may_end.set()
    with caplog.at_level(logging.WARNING), pytest.raises(asyncio.CancelledError):
        await task
    assert "ValueError" in caplog.text
    assert "private words" not in caplog.text
