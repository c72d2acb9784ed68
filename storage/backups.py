"""Copies of an SQLite database that is in use: made, looked at, and put back.

Owns: a copy is whole or not there, and one that is put back replaces everything at once or nothing. Does not own:
moving rows to another kind of database (`copying.py`).
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic

from alembic.script import ScriptDirectory

from storage.errors import DatabaseBusyError, StorageError
from storage.migrating import create_config
from storage.sqlite import prepare_file

BUSY_TIMEOUT_SECONDS = 30.0
"""How long a restore waits for writers of the database it replaces."""


def back_up(source: Path, target: Path) -> int:
    """Write what the database holds at this moment to a new file, readable by this user alone; returns its bytes.

    Others go on reading and writing meanwhile. Nothing that was deleted comes along: the file is written anew
    (https://www.sqlite.org/lang_vacuum.html#vacuum_with_an_into_clause). Blocks. Raises `StorageError`, also when
    the target is there already.
    """
    _require_file(source)
    if target.exists():
        raise StorageError(f"{target} is there already; give the backup another name, or move that file away")
    unfinished = target.with_name(f".{target.name}.unfinished")
    with _explained(source), _explained_file(target):
        create_private(unfinished)
        try:
            with closing(_open_reader(source)) as connection:
                connection.execute("VACUUM INTO ?", (str(unfinished),))
            inspect(unfinished)
            _sync(unfinished)
            # Fails where `rename` would replace what somebody else has put there meanwhile.
            os.link(unfinished, target)
        finally:
            unfinished.unlink(missing_ok=True)
        _sync(target.parent)
        return target.stat().st_size


def inspect(path: Path) -> str:
    """Check a copy from its first page to its last and return the revision of its schema; blocks.

    Raises `StorageError` when it is damaged, not Parley's, or from a newer Parley.
    """
    _require_file(path)
    with _explained(path), closing(_open_reader(path)) as connection:
        ((verdict,), *_) = connection.execute("PRAGMA integrity_check(1)")
        if verdict != "ok":
            raise StorageError(f"{path} is damaged; take another backup")
        try:
            ((revision,),) = connection.execute("SELECT version_num FROM alembic_version")
        except (sqlite3.OperationalError, ValueError):
            raise StorageError(f"{path} is no database of Parley's; give a file that parley db backup wrote") from None
    known = {script.revision for script in ScriptDirectory.from_config(create_config()).walk_revisions()}
    if revision not in known:
        raise StorageError(f"a newer Parley wrote {path} (schema {revision}); install that version first")
    return str(revision)


def put_back(source: Path, target: Path, *, timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> None:
    """Replace everything in a database by what a copy holds, in one transaction; blocks.

    Whoever has the database open sees the one or the other, never a mixture, and may go on. The copy has to have the
    schema that they expect. Raises `DatabaseBusyError` when others write for too long, else `StorageError`; nothing is
    changed then.
    """
    ends_at = monotonic() + timeout_seconds
    with _explained_file(target):
        prepare_file(target)

    def give_up_in_time(status: int, _remaining: int, _total: int) -> None:
        if status in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED} and monotonic() >= ends_at:
            raise DatabaseBusyError(f"database {target} is being written to; stop who does that, or try again")

    with (
        _explained(target),
        closing(_open_reader(source)) as copy,
        closing(sqlite3.connect(target, isolation_level=None)) as live,
    ):
        # A new file would otherwise get the copy's own kind of journal, beside which nobody reads while others write.
        live.execute("PRAGMA journal_mode = WAL")
        copy.backup(live, progress=give_up_in_time, sleep=0.05)


def _open_reader(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise StorageError(f"{path} is not there; give the path of a database file")


def create_private(path: Path) -> None:
    """Make an empty file for this user alone, in place of one that was left behind. Raises `OSError`."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _sync(path: Path) -> None:
    """Wait until the disk has a file, or a folder's names."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
        raise StorageError(f"{path} {_PROBLEMS.get(code, 'cannot be read or written as an SQLite database')}") from None


@contextmanager
def _explained_file(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise StorageError(f"{path} cannot be written ({reason}); give a file in a folder you may write to") from None


_PROBLEMS = {
    sqlite3.SQLITE_NOTADB: "is not an SQLite database; give a file that parley db backup wrote",
    sqlite3.SQLITE_FULL: "does not fit on the disk; free some space",
    sqlite3.SQLITE_CORRUPT: "is damaged; take another backup",
    sqlite3.SQLITE_BUSY: "is locked by another process; stop it, or try again",
}
