"""New databases for tests, migrated once for the whole run and copied from then on: migrating takes longer than a test.

Which kind stands with `use`, so that what runs on SQLite runs on PostgreSQL too. Does not own: whether the migrations
are right (`tests/storage/test_migrations.py`), or opening (`Database.open`).
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, get_args

import pytest
from sqlalchemy import create_engine

from storage.migrating import migrate
from tests.postgresql_server import running_server

Backend = Literal["sqlite", "postgresql"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)

_used: list[Backend] = ["sqlite"]
_names: dict[Path, str] = {}
"""The PostgreSQL databases that stand for files."""


def run_on_backends(
    metafunc: pytest.Metafunc, *, wanted: tuple[Backend, ...], scope: Literal["function", "module"] = "function"
) -> None:
    """Run a test that has `backend` on each kind that is wanted and that it is not marked against.

    The `scope` is that of the largest fixture that asks for it.
    """
    if "backend" not in metafunc.fixturenames:
        return
    marked = [kind for kind in BACKENDS if metafunc.definition.get_closest_marker(kind)]
    metafunc.parametrize("backend", marked or wanted, scope=scope)


@contextmanager
def use(backend: Backend) -> Iterator[None]:
    """Make new databases of this kind within the block; those on PostgreSQL go with it."""
    _used.append(backend)
    before = set(_names)
    try:
        yield
    finally:
        _used.pop()
        for path in set(_names) - before:
            running_server().drop(_names.pop(path))


def url_of_new(path: Path) -> str:
    """Put a new database at a path where there is none; returns its URL. On PostgreSQL the path is only its name."""
    if _used[-1] == "postgresql":
        if path not in _names:
            _names[path] = running_server().create()
        return running_server().url(_names[path])
    if not path.exists():
        path.write_bytes(_migrated())
    return f"sqlite:///{path}"


@asynccontextmanager
async def locked(path: Path) -> AsyncGenerator[None]:
    """Let nobody write to the database at a path, as another process would; reading goes on.

    Whoever is writing can end that first, also in this event loop.
    """
    with ExitStack() as stack:
        held = running_server().hold_writes(_names[path]) if path in _names else _hold_file(path)
        await asyncio.to_thread(stack.enter_context, held)
        yield


@contextmanager
def _hold_file(path: Path) -> Iterator[None]:
    other = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
    finally:
        other.close()


@cache
def _migrated() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "parley.db"
        engine = create_engine(f"sqlite:///{path}")
        with engine.begin() as connection:
            migrate(connection)
        engine.dispose()
        return path.read_bytes()
