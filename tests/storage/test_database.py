import asyncio
import os
import sqlite3
import stat
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text

from storage.conversations import Conversations, NewMessage
from storage.database import READERS, Database
from storage.days import DayZone
from storage.errors import StorageError
from storage.ledger import Ledger
from storage.notes import Notes
from storage.schema import notes
from tests.storage.conftest import ManualClock

NOBODY = 65534
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


# Opening


async def test_a_new_database_is_for_this_user_only(url: str, path: Path) -> None:
    database = await Database.open(url, sole_service=True)
    try:
        await Notes(database).put("a", "b")
        assert {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {
            "parley.db": 0o600,
            "parley.db-wal": 0o600,
            "parley.db-shm": 0o600,
            "parley.db.lock": 0o600,
        }
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    finally:
        await database.close()


async def test_the_mode_an_operator_has_chosen_is_left_alone(url: str, path: Path) -> None:
    await (await Database.open(url)).close()
    path.chmod(0o640)
    await (await Database.open(url)).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


async def test_a_relative_path_is_taken_from_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await (await Database.open("sqlite:///data/parley.db")).close()
    assert (tmp_path / "data" / "parley.db").stat().st_size > 0


async def test_every_connection_is_set_up(database: Database) -> None:
    expected = {"journal_mode": "wal", "busy_timeout": 5000, "foreign_keys": 1, "synchronous": 1, "secure_delete": 1}
    async with database.writing() as writer, database.reading() as reader:
        for connection in (writer, reader):
            found = {name: await connection.scalar(text(f"PRAGMA {name}")) for name in expected}
            assert found == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "parley.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite://data/parley.db",
        "sqlite:///data/parley.db?mode=ro",
        "sqlite:///a\0b",
        "postgres://user:secret@db/parley",
        "mysql://user:secret@db/parley",
        "http://[",
    ],
)
async def test_a_url_that_names_no_file_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(StorageError, match="DATABASE_URL: ") as caught:
        await Database.open(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_file_that_is_no_database_is_refused_and_left_alone(url: str, text_file: Path) -> None:
    before = text_file.read_bytes()
    with pytest.raises(StorageError) as caught:
        await Database.open(url)
    assert str(caught.value) == (
        f"database {text_file} is not an SQLite database; move the file away, or set DATABASE_URL"
    )
    assert text_file.read_bytes() == before


async def test_a_damaged_database_is_refused(url: str, path: Path) -> None:
    await (await Database.open(url)).close()
    content = bytearray(path.read_bytes())
    content[100:] = b"\xff" * (len(content) - 100)
    path.write_bytes(content)
    with pytest.raises(StorageError, match="is damaged"):
        await Database.open(url)


async def test_a_folder_in_the_place_of_the_file_is_refused(url: str, path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(StorageError, match="cannot be opened; it must be a file"):
        await Database.open(url)


async def test_a_path_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"cannot be created .*; make its folder writable"):
        await Database.open(f"sqlite:///{tmp_path}/file/data/parley.db", sole_service=True)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Go without root's right to write everywhere."""
    privileged = os.geteuid() == 0
    if privileged:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if privileged:
            os.seteuid(0)


@pytest.fixture
def reachable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make a folder that a user without privileges can look into, and nobody but root can write to."""
    folder = tmp_path_factory.mktemp("reachable")
    base = tmp_path_factory.getbasetemp()
    modes = {parent: parent.stat().st_mode for parent in (base, base.parent) if parent.owner() == folder.owner()}
    for parent, mode in modes.items():
        parent.chmod(mode | 0o011)
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    for parent, mode in modes.items():
        parent.chmod(mode)


async def test_a_folder_that_cannot_be_written_is_refused(reachable: Path) -> None:
    reachable.chmod(0o555)
    with unprivileged(), pytest.raises(StorageError, match=r"cannot be created \(permission denied\)"):
        await Database.open(f"sqlite:///{reachable}/parley.db")


async def test_a_database_that_cannot_be_written_is_refused(reachable: Path) -> None:
    url = f"sqlite:///{reachable}/parley.db"
    await (await Database.open(url)).close()
    (reachable / "parley.db").chmod(0o444)
    reachable.chmod(0o555)
    with unprivileged(), pytest.raises(StorageError, match=r"cannot be (written|opened)"):
        await Database.open(url)


# Reading and writing


async def test_a_failed_block_is_rolled_back(database: Database) -> None:
    async def fail_halfway() -> None:
        async with database.writing() as connection:
            await connection.execute(insert(notes).values(key="a", value="b"))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        await fail_halfway()
    assert await Notes(database).get("a") is None


async def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(StorageError, match="cannot be written; make the file"):
        async with database.reading() as connection:
            await connection.execute(insert(notes).values(key="a", value="b"))
    assert await Notes(database).get("a") is None


async def test_a_reader_sees_only_what_was_committed(database: Database) -> None:
    async with database.writing() as writer:
        await writer.execute(insert(notes).values(key="a", value="b"))
        assert await Notes(database).get("a") is None
    assert await Notes(database).get("a") == "b"


async def test_a_database_error_hides_what_was_being_stored(database: Database) -> None:
    async def store_twice() -> None:
        async with database.writing() as connection:
            for _ in range(2):
                await connection.execute(insert(notes).values(key="a", value="private words"))

    with pytest.raises(StorageError) as caught:
        await store_twice()
    told = f"{caught.value} {caught.value.__cause__}"
    assert "private words" not in told


async def test_more_readers_than_connections_take_turns(database: Database) -> None:
    await asyncio.gather(*(Notes(database).get(str(number)) for number in range(READERS * 10)))


# Cancelling


Act = Callable[[Database, ManualClock], Awaitable[object]]


async def charge(database: Database, clock: ManualClock) -> None:
    await Ledger(database, zone=DayZone("UTC"), clock=clock).charge("tenant", limit=10**6)


async def append(database: Database, clock: ManualClock) -> None:
    messages = [NewMessage(role="user", content=word) for word in ("one", "two")]
    await Conversations(database, clock=clock).append("tenant", *messages)


async def read(database: Database, clock: ManualClock) -> None:
    await Conversations(database, clock=clock).read("tenant")


@pytest.mark.parametrize("act", [charge, append, read])
async def test_a_caller_cancelled_at_any_moment_leaves_the_database_usable(
    database: Database, path: Path, clock: ManualClock, act: Act
) -> None:
    cancelled = 0
    for steps in range(80):
        task = asyncio.ensure_future(act(database, clock))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        outcome = (await asyncio.gather(task, return_exceptions=True))[0]
        assert outcome is None or isinstance(outcome, asyncio.CancelledError)
        cancelled += outcome is not None
        assert is_free_to_write(path)
    assert cancelled > 10
    contents = [message.content for message in await Conversations(database, clock=clock).read("tenant")]
    assert contents == ["one", "two"] * (len(contents) // 2)
    await asyncio.wait_for(charge(database, clock), timeout=30)


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


# Closing


async def test_closing_twice_is_fine_and_use_afterwards_is_refused(database: Database) -> None:
    await database.close()
    await database.close()
    for use in (Notes(database).get("a"), Notes(database).put("a", "b"), database.checkpoint()):
        with pytest.raises(StorageError, match="is closed"):
            await use


async def test_closing_waits_for_what_runs_and_refuses_what_waits(database: Database, url: str) -> None:
    async with database.writing() as connection:
        closing = asyncio.create_task(database.close())
        waiting = asyncio.create_task(Notes(database).put("late", "x"))
        await asyncio.sleep(0.01)
        assert not closing.done()
        await connection.execute(insert(notes).values(key="a", value="b"))
    await closing
    with pytest.raises(StorageError, match="is closed"):
        await waiting
    again = await Database.open(url)
    try:
        assert await Notes(again).get("a") == "b"
        assert await Notes(again).get("late") is None
    finally:
        await again.close()


async def test_closing_waits_for_readers(database: Database) -> None:
    async with database.reading() as connection:
        closing = asyncio.create_task(database.close())
        await asyncio.sleep(0.01)
        assert not closing.done()
        assert (await connection.execute(select(notes))).all() == []
    await closing


async def test_a_cancelled_close_still_closes(database: Database, path: Path) -> None:
    await asyncio.gather(*(Notes(database).get("a") for _ in range(READERS)))
    closing = asyncio.create_task(database.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert not path.with_name("parley.db-wal").exists()


async def test_the_log_is_folded_into_the_file_at_the_end(database: Database, path: Path) -> None:
    await Notes(database).put("a", "b")
    await Notes(database).get("a")
    await database.close()
    assert [file.name for file in path.parent.iterdir()] == ["parley.db"]
