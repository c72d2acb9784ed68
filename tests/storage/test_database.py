import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text

from storage.conversations import Conversations, NewMessage
from storage.database import Database
from storage.errors import StorageError
from storage.notes import Notes
from storage.schema import notes
from storage.sqlite_database import READERS
from tests.storage.conftest import ManualClock

ROOT = Path(__file__).parents[2]
NOBODY = 65534


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


@pytest.mark.sqlite
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
        "postgres://user:secret@db",
        "postgres://user:secret@db:port/parley",
        "mysql://user:secret@db/parley",
        "http://[",
    ],
)
async def test_a_url_that_names_no_database_is_refused_without_repeating_it(url: str) -> None:
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
    with pytest.raises(StorageError, match=r"cannot be opened \(is a directory\); make it a file"):
        await Database.open(url)


async def test_a_path_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"cannot be opened \(.*\); make it a file in a folder"):
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
    modes = {parent: parent.stat().st_mode for parent in (base, *base.parents[:2]) if parent.owner() == folder.owner()}
    for parent, mode in modes.items():
        parent.chmod(mode | 0o011)
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    for parent, mode in modes.items():
        parent.chmod(mode)


async def test_a_folder_that_cannot_be_written_is_refused(reachable: Path) -> None:
    reachable.chmod(0o555)
    with unprivileged(), pytest.raises(StorageError, match=r"cannot be opened \(permission denied\)"):
        await Database.open(f"sqlite:///{reachable}/parley.db")


@pytest.mark.parametrize(
    ("file_mode", "folder_mode", "problem"),
    [
        pytest.param(0o444, 0o777, r"cannot be opened \(permission denied\)", id="file"),
        pytest.param(0o000, 0o777, r"cannot be opened \(permission denied\)", id="secret file"),
        pytest.param(0o666, 0o555, r"cannot be (written|opened);", id="folder, where the log would go"),
    ],
)
async def test_a_database_that_cannot_be_written_is_refused(
    reachable: Path, file_mode: int, folder_mode: int, problem: str
) -> None:
    url = f"sqlite:///{reachable}/parley.db"
    await (await Database.open(url)).close()
    (reachable / "parley.db").chmod(file_mode)
    reachable.chmod(folder_mode)
    with unprivileged(), pytest.raises(StorageError, match=problem):
        await Database.open(url)


def test_a_failed_open_writes_nothing_to_the_terminal(tmp_path: Path) -> None:
    script = "import asyncio, sys\nfrom storage.database import Database\nasyncio.run(Database.open(sys.argv[1]))"
    (tmp_path / "text.db").write_text("no database " * 1_000)
    for url in (f"sqlite:///{tmp_path}", f"sqlite:///{tmp_path}/text.db"):
        command = [sys.executable, "-X", "dev", "-c", script, url]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert done.stderr.count("Traceback") == done.stderr.count("direct cause") + 1
        assert "Thread" not in done.stderr
        assert "Warning" not in done.stderr
        assert done.stderr.splitlines()[-1].startswith("storage.errors.StorageError: database ")


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
    with pytest.raises(StorageError, match="cannot be written; "):
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


@pytest.mark.sqlite
async def test_a_full_disk_is_said_so_and_costs_only_that_write(database: Database, clock: ManualClock) -> None:
    kept = Conversations(database, clock=clock)
    async with database.writing() as connection:
        pages = await connection.scalar(text("PRAGMA page_count"))
        await connection.execute(text(f"PRAGMA max_page_count = {pages + 5}"))
    with pytest.raises(StorageError, match="cannot grow, the disk is full; free some space"):
        await kept.append("tenant", NewMessage(role="user", content="x" * 1_000_000))
    assert await kept.read("tenant") == []
    await kept.append("tenant", NewMessage(role="user", content="short"))
    assert [message.content for message in await kept.read("tenant")] == ["short"]


async def test_more_readers_than_connections_take_turns(database: Database) -> None:
    await asyncio.gather(*(Notes(database).get(str(number)) for number in range(READERS * 10)))


async def test_an_emptied_log_is_said_to_be_empty(database: Database, path: Path) -> None:
    await Notes(database).put("a", "b")
    assert path.with_name("parley.db-wal").stat().st_size > 0
    assert await database.checkpoint()
    assert path.with_name("parley.db-wal").stat().st_size == 0


async def test_a_log_that_is_being_read_is_said_not_to_be_empty(database: Database, path: Path) -> None:
    await Notes(database).put("a", "b")
    reader = sqlite3.connect(path, isolation_level=None)
    try:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM notes").fetchall()
        await Notes(database).put("a", "c")
        assert not await database.checkpoint()
    finally:
        reader.close()
    assert await database.checkpoint()
    async with database.writing() as writer:
        assert await writer.scalar(text("PRAGMA busy_timeout")) == 5_000


async def test_compacting_gives_back_what_is_not_used(database: Database, path: Path) -> None:
    await Notes(database).put("a", "x" * 1_000_000)
    await Notes(database).put("a", "b")
    await database.checkpoint()
    before = path.stat().st_size
    await database.compact()
    await database.checkpoint()
    assert path.stat().st_size < before - 900_000
    assert await Notes(database).get("a") == "b"


# Closing


async def test_closing_twice_is_fine_and_use_afterwards_is_refused(database: Database) -> None:
    await database.close()
    await database.close()
    for use in (Notes(database).get("a"), Notes(database).put("a", "b"), database.checkpoint(), database.compact()):
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
