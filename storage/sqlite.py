"""The SQLite file: where it lies, how a connection to it is set up, and what its errors mean to an operator.

The only module with SQL that another database would not understand.
"""

import errno
import os
import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from storage.errors import DatabaseBusyError, StorageError

# Every connection. NORMAL in WAL mode writes to the log without waiting for the disk: whatever was committed survives
# the death of the process (`kill -9` included), because the operating system holds it; a power cut or a crash of the
# system may lose the last commits before the next checkpoint, and never leaves the file inconsistent
# (https://www.sqlite.org/pragma.html#pragma_synchronous). Waiting for the disk on each call would protect seconds of
# counting at many times the cost.
# secure_delete overwrites deleted rows with zeros, so that words people asked to forget leave the file.
_PRAGMAS = ("foreign_keys = ON", "synchronous = NORMAL", "secure_delete = ON")
_READER_PRAGMAS = (*_PRAGMAS, "query_only = ON")
_WRITER_PRAGMAS = ("journal_mode = WAL", *_PRAGMAS)

_CHECKPOINT_TIMEOUT_MILLISECONDS = 500


def parse_path(url: str) -> Path:
    """Return the file that `sqlite:///relative` or `sqlite:////absolute` names; raises `StorageError`."""
    try:
        parsed = sa.make_url(url)
    except ArgumentError:
        raise StorageError("DATABASE_URL: not a URL; use sqlite:///data/parley.db") from None
    if parsed.get_backend_name() != "sqlite":
        raise StorageError("DATABASE_URL: only SQLite is supported; use sqlite:///data/parley.db")
    if not parsed.database or parsed.database == ":memory:" or "\0" in url or parsed.query or parsed.host:
        raise StorageError("DATABASE_URL: give the path of a file, such as sqlite:///data/parley.db")
    return Path(parsed.database)


def prepare_file(path: Path) -> None:
    """Make the folder, and the file if it is new, for this user alone; raises `OSError` when SQLite could not open it.

    SQLite gives its `-wal` and `-shm` files the mode of the database.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        # Only looked at: closing a file drops every lock this process holds on it (fcntl(2)), SQLite's included.
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)) from None
        if not os.access(path, os.R_OK | os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None


def create_reader(path: Path, *, connections: int, busy_timeout_seconds: float) -> AsyncEngine:
    """Return an engine of so many connections that can only read."""
    engine = _create_engine(path, connections, busy_timeout_seconds)
    _prepare_connections(engine.sync_engine, _READER_PRAGMAS)
    return engine


def create_batch_reader(path: Path, *, busy_timeout_seconds: float) -> sa.Engine:
    """Return a synchronous engine of one connection that can only read, for a thread of its own."""
    engine = sa.create_engine(**_engine_options("sqlite+pysqlite", path, 1, busy_timeout_seconds))
    _prepare_connections(engine, _READER_PRAGMAS)
    return engine


def create_writer(path: Path, *, busy_timeout_seconds: float) -> AsyncEngine:
    """Return an engine of one connection, each transaction of which owns the write lock from its first moment.

    A transaction that starts reading and turns to writing can fail at once with "locked", whatever the timeout.
    """
    engine = _create_engine(path, 1, busy_timeout_seconds)
    _prepare_writer(engine.sync_engine)
    return engine


def create_batch_writer(path: Path, *, busy_timeout_seconds: float) -> sa.Engine:
    """Return a synchronous engine of one connection with such transactions, for a thread of its own."""
    engine = sa.create_engine(**_engine_options("sqlite+pysqlite", path, 1, busy_timeout_seconds))
    _prepare_writer(engine)
    return engine


def _create_engine(path: Path, connections: int, busy_timeout_seconds: float) -> AsyncEngine:
    return create_async_engine(**_engine_options("sqlite+aiosqlite", path, connections, busy_timeout_seconds))


def _engine_options(driver: str, path: Path, connections: int, busy_timeout_seconds: float) -> dict[str, Any]:
    return {
        "url": sa.URL.create(driver, database=str(path)),
        # isolation_level None: the driver never opens a transaction by itself. Threads may hand a connection on.
        "connect_args": {"timeout": busy_timeout_seconds, "isolation_level": None, "check_same_thread": False},
        "pool_size": connections,
        "max_overflow": 0,
        # `Database` ends every transaction itself, and a reader outside one has nothing to roll back.
        "pool_reset_on_return": None,
        # What people wrote must not reach a log through an exception.
        "hide_parameters": True,
    }


def _prepare_writer(engine: sa.Engine) -> None:
    _prepare_connections(engine, _WRITER_PRAGMAS)

    @event.listens_for(engine, "begin")
    def _begin_immediate(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _prepare_connections(engine: sa.Engine, pragmas: tuple[str, ...]) -> None:
    @event.listens_for(engine, "connect", insert=True)
    def _set_pragmas(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        try:
            cursor = connection.cursor()
            for pragma in pragmas:
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()
        except BaseException:
            # The pool forgets a connection whose preparation fails; its thread would stay.
            connection.close()
            raise


async def truncate_log(connection: AsyncConnection) -> bool:
    """Move the write-ahead log into the file and cut it to nothing, on a connection outside a transaction.

    False when a reader or another writer was in the way for longer than half a second: nobody can write meanwhile
    (https://www.sqlite.org/pragma.html#pragma_wal_checkpoint; the first column says so).
    """
    ((busy_timeout,),) = await _execute(connection, "PRAGMA busy_timeout")
    await _execute(connection, f"PRAGMA busy_timeout = {_CHECKPOINT_TIMEOUT_MILLISECONDS}")
    try:
        ((is_blocked, _, _),) = await _execute(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        await _execute(connection, f"PRAGMA busy_timeout = {busy_timeout}")
    return not is_blocked


async def rewrite(connection: AsyncConnection) -> None:
    """Write the whole database into fresh pages, on a connection outside a transaction.

    secure_delete overwrites a row where it stands. When SQLite has moved it from another page, to balance its trees, a
    copy can be left between the cells there, which nothing overwrites: a byte scan found one deleted word in a few
    thousand (SQLite 3.40). VACUUM takes along only what is live (https://www.sqlite.org/lang_vacuum.html).
    """
    await _execute(connection, "VACUUM")


async def _execute(connection: AsyncConnection, statement: str) -> list[Any]:
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None
    return list(await driver.execute_fetchall(statement))


def translate(error: DBAPIError, path: Path) -> StorageError:
    """Return the error that tells the operator what is wrong with the file and what to do."""
    # The primary of SQLite's result codes (https://www.sqlite.org/rescode.html); 0 when the driver gives none.
    code = int(getattr(error.orig, "sqlite_errorcode", 0)) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return DatabaseBusyError(f"database {path} is locked by another process; stop it, or wait until it is done")
    return StorageError(f"database {path} {_PROBLEMS.get(code, 'failed; the log holds the cause')}")


def translate_os_error(error: OSError, path: Path) -> StorageError:
    """Return the same for a folder or file that the operating system refuses."""
    reason = (error.strerror or type(error).__name__).lower()
    return StorageError(f"database {path} cannot be opened ({reason}); {_CURE}")


_CURE = "make it a file in a folder that Parley may write to, or set DATABASE_URL"

_PROBLEMS = {
    sqlite3.SQLITE_NOTADB: "is not an SQLite database; move the file away, or set DATABASE_URL",
    sqlite3.SQLITE_CANTOPEN: f"cannot be opened; {_CURE}",
    sqlite3.SQLITE_PERM: f"cannot be opened; {_CURE}",
    sqlite3.SQLITE_READONLY: "cannot be written; make the file, its folder and the disk writable",
    sqlite3.SQLITE_FULL: "cannot grow, the disk is full; free some space",
    sqlite3.SQLITE_IOERR: "cannot be read or written, the disk reports an error; check the disk",
    sqlite3.SQLITE_CORRUPT: "is damaged; restore it from a backup, or move the file away",
}
