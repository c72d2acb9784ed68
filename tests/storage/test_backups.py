"""Copies of a database in use: whole or not there, private, and put back in one piece."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from storage.backups import back_up, inspect, put_back
from storage.clock import SystemClock
from storage.database import Database
from storage.errors import DatabaseBusyError, StorageError
from storage.ledger import Ledger
from storage.notes import Notes
from storage.tokens import TokenStore


async def test_a_backup_holds_what_was_committed_while_others_write(
    database: Database, path: Path, tmp_path: Path, ledger: Ledger
) -> None:
    copy = tmp_path / "copy.db"
    stop = asyncio.Event()

    async def write() -> int:
        count = 0
        while not stop.is_set():
            await ledger.charge("tok_a", limit=10**9)
            count += 1
        return count

    writing = asyncio.create_task(write())
    await ledger.charge("tok_a", limit=10**9)
    assert await asyncio.to_thread(back_up, path, copy) == copy.stat().st_size
    stop.set()
    charged = await writing + 1
    with closing(sqlite3.connect(copy)) as connection:
        ((calls, open_calls),) = connection.execute("SELECT calls, open_calls FROM daily_usage")
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert 1 <= calls == open_calls <= charged
    assert (await ledger.usage("tok_a")).used_today == charged
    assert copy.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["copy.db"]


async def test_a_backup_never_replaces_a_file(database: Database, path: Path, tmp_path: Path) -> None:
    del database
    taken = tmp_path / "taken"
    taken.write_text("mine")
    with pytest.raises(StorageError, match="is there already"):
        back_up(path, taken)
    assert taken.read_text() == "mine"


@pytest.mark.parametrize("where", ["missing/folder/copy.db", "data/parley.db/copy.db"])
async def test_a_backup_that_cannot_be_written_leaves_nothing(
    database: Database, path: Path, tmp_path: Path, where: str
) -> None:
    del database
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StorageError, match="cannot be written"):
        back_up(path, tmp_path / where)
    assert sorted(tmp_path.rglob("*")) == before


async def test_a_restore_is_seen_by_who_has_the_database_open(database: Database, path: Path, tmp_path: Path) -> None:
    tokens, notes = TokenStore(database, clock=SystemClock()), Notes(database)
    issued = await tokens.create("kept", daily_calls=5)
    await asyncio.to_thread(back_up, path, tmp_path / "copy.db")
    later = await tokens.create("made later", daily_calls=5)
    await notes.put("later", "x")
    await asyncio.to_thread(put_back, tmp_path / "copy.db", path)
    assert [token.id for token in await tokens.list()] == [issued.token.id]
    assert await notes.get("later") is None
    assert (await tokens.find(issued.secret)).id == issued.token.id
    again = await tokens.create("after", daily_calls=5)
    assert {token.id for token in await tokens.list()} == {issued.token.id, again.token.id} != {later.token.id}
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_restore_in_a_writers_way_changes_nothing(database: Database, path: Path, tmp_path: Path) -> None:
    notes = Notes(database)
    back_up(path, tmp_path / "copy.db")
    await notes.put("kept", "x")
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseBusyError, match="being written to"):
            put_back(tmp_path / "copy.db", path, timeout_seconds=0.1)
    assert await notes.get("kept") == "x"


async def test_what_cannot_be_put_back_is_told_apart(database: Database, path: Path, tmp_path: Path) -> None:
    del database
    text, foreign, newer, cut = (tmp_path / name for name in ("text", "foreign", "newer", "cut"))
    text.write_text("no database " * 1000)
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE recipes (name)")
    back_up(path, newer)
    cut.write_bytes(newer.read_bytes()[:-8192])
    with closing(sqlite3.connect(newer, isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    said = {
        tmp_path / "missing": "is not there",
        text: "is not an SQLite database",
        foreign: "is no database of Parley's",
        newer: "a newer Parley wrote",
        cut: "is damaged",
    }
    for file, words in said.items():
        with pytest.raises(StorageError, match=words):
            inspect(file)


async def test_words_that_were_deleted_are_in_no_backup(database: Database, path: Path, tmp_path: Path) -> None:
    notes = Notes(database)
    await notes.put("secret", "rhubarb")
    await notes.put("secret", "")
    back_up(path, tmp_path / "copy.db")
    assert b"rhubarb" not in (tmp_path / "copy.db").read_bytes()
