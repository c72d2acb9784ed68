"""Work of many callers done together: exact for each, whatever becomes of the others."""

import asyncio
import threading
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, event, insert, select, text

from storage.database import Database
from storage.errors import StorageError
from storage.schema import notes
from storage.sqlite_database import SqliteDatabase
from tests.waiting import eventually

Put = Callable[[Connection], str]


def put(key: str) -> Put:
    def work(connection: Connection) -> str:
        connection.execute(insert(notes), {"key": key, "value": "x"})
        return key

    return work


def put_and_fail(key: str) -> Put:
    def work(connection: Connection) -> str:
        put(key)(connection)
        raise LookupError(key)

    return work


async def keys(database: Database) -> set[str]:
    return set(await database.look(lambda connection: connection.scalars(select(notes.c.key)).all()))


async def test_everyone_gets_their_own_result(database: Database) -> None:
    names = [str(number) for number in range(200)]
    assert await asyncio.gather(*(database.change(put(name)) for name in names)) == names
    assert await keys(database) == set(names)


@pytest.mark.sqlite
async def test_callers_that_come_together_share_a_transaction(database: Database) -> None:
    begun: list[Connection] = []
    assert isinstance(database, SqliteDatabase)
    event.listen(database._changing.engine, "begin", begun.append)
    async with database.writing():
        waiting = [asyncio.create_task(database.change(put(str(number)))) for number in range(20)]
        await asyncio.sleep(0.01)
    await asyncio.gather(*waiting)
    assert len(begun) == 1


async def test_what_fails_for_one_is_undone_and_costs_the_others_nothing(database: Database) -> None:
    works = [put("a"), put_and_fail("b"), put("c"), put("a"), put("d")]
    outcomes = await asyncio.gather(*(database.change(work) for work in works), return_exceptions=True)
    assert [outcome if isinstance(outcome, str) else type(outcome) for outcome in outcomes] == [
        "a",
        LookupError,
        "c",
        StorageError,
        "d",
    ]
    assert await keys(database) == {"a", "c", "d"}


@pytest.mark.sqlite
async def test_a_caller_that_leaves_before_the_batch_begins_leaves_nothing_behind(database: Database) -> None:
    async with database.writing():
        waiting = [asyncio.create_task(database.change(put(key))) for key in ("a", "b")]
        await asyncio.sleep(0.01)
        waiting[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting[0]
    assert await waiting[1] == "b"
    assert await keys(database) == {"b"}


async def test_a_look_cannot_write(database: Database) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        await database.look(put("a"))


@pytest.mark.sqlite
async def test_closing_waits_for_what_runs_and_refuses_what_waits(database: Database) -> None:
    async with database.writing():
        waiting = asyncio.create_task(database.change(put("late")))
        await asyncio.sleep(0.01)
        closing = asyncio.create_task(database.close())
        await asyncio.sleep(0.01)
        assert not closing.done()
    await closing
    with pytest.raises(StorageError, match="is closed"):
        await waiting
    with pytest.raises(StorageError, match="is closed"):
        await database.look(put("later"))


@pytest.mark.sqlite
async def test_every_batch_connection_is_set_up(database: Database) -> None:
    expected = {"journal_mode": "wal", "busy_timeout": 5000, "foreign_keys": 1, "synchronous": 1, "secure_delete": 1}

    def look_up(connection: Connection) -> dict[str, object]:
        return {name: connection.scalar(text(f"PRAGMA {name}")) for name in expected}

    assert await database.look(look_up) == expected
    assert await database.change(look_up) == expected


@pytest.mark.sqlite
async def test_a_caller_that_leaves_while_its_batch_runs_is_let_go_when_it_has_ended(database: Database) -> None:
    entered, may_end = threading.Event(), threading.Event()

    def put_slowly(connection: Connection) -> str:
        entered.set()
        may_end.wait(timeout=30)
        return put("a")(connection)

    task = asyncio.create_task(database.change(put_slowly))
    await eventually(entered.is_set)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await keys(database) == {"a"}


@pytest.mark.sqlite
async def test_what_fails_after_its_caller_left_is_logged_without_its_words(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    entered, may_end = threading.Event(), threading.Event()

    def fail_slowly(connection: Connection) -> None:
        entered.set()
        may_end.wait(timeout=30)
        raise LookupError("private words")

    task = asyncio.create_task(database.change(fail_slowly))
    await eventually(entered.is_set)
    task.cancel()
    await asyncio.sleep(0)
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "LookupError" in caplog.text
    assert "private words" not in caplog.text


@pytest.mark.sqlite
def test_a_loop_that_is_shut_down_while_a_batch_runs_ends(url: str) -> None:
    async def leave_halfway() -> None:
        database = await Database.open(url)
        entered = threading.Event()

        def put_slowly(connection: Connection) -> str:
            entered.set()
            return put("a")(connection)

        tasks = [asyncio.create_task(database.change(work)) for work in (put_slowly, put("b"))]
        await eventually(entered.is_set)
        tasks.append(asyncio.create_task(database.change(put("c"))))
        await asyncio.sleep(0)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        async with asyncio.timeout(60):
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} <= {asyncio.CancelledError, str}
        await database.close()

    asyncio.run(leave_halfway())
