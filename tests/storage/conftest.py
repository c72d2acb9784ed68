"""A clock the tests set, a real database file, and a look for what was left behind."""

import gc
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from storage.database import Database
from storage.days import DayZone
from storage.ledger import Ledger
from tests.new_database import BACKENDS, Backend, run_on_backends
from tests.postgresql_server import running_server


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what uses a database on each kind; what looks at a file, on SQLite."""
    run_on_backends(metafunc, wanted=("sqlite",) if "path" in metafunc.fixturenames else BACKENDS)


class ManualClock:
    """A clock that stands still until it is told to move."""

    def __init__(self, instant: datetime) -> None:
        self.instant = instant

    def now(self) -> datetime:
        return self.instant

    def advance(self, step: timedelta) -> None:
        self.instant += step


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 11, 20, 12, 0, tzinfo=UTC))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "parley.db"


@pytest.fixture
def url(backend: Backend, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a new database; every test that asks for it runs on SQLite and on PostgreSQL.

    Not one that looks at the file (`path`) or is marked `sqlite` or `postgresql`.
    """
    if backend == "sqlite":
        yield f"sqlite:///{request.getfixturevalue('path')}"
        return
    server = running_server()
    with server.new_database() as name:
        yield server.url(name)


@pytest.fixture
def blank_url(backend: Backend, request: pytest.FixtureRequest) -> Iterator[str]:
    """The same for a database without any tables."""
    if backend == "sqlite":
        yield f"sqlite:///{request.getfixturevalue('path')}"
        return
    server = running_server()
    with server.new_database(template="template1") as name:
        yield server.url(name)


@pytest.fixture
def text_file(path: Path) -> Path:
    """Put something that is no database in the database's place."""
    path.parent.mkdir()
    path.write_bytes(b"not a database, but long enough to look at " * 100)
    return path


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = await Database.open(url)
    yield database
    await database.close()


@pytest.fixture
def ledger(database: Database, clock: ManualClock) -> Ledger:
    return Ledger(database, zone=DayZone("Europe/London"), clock=clock)


@pytest.fixture(scope="package", autouse=True)
def _only_new_objects_are_looked_at() -> Iterator[None]:
    """Spare each collection below the objects of imports and of other tests: those take longer than most tests here."""
    gc.collect()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _nothing_stays_behind() -> Iterator[None]:
    """Fail a test that leaves a connection's thread running; the collection brings out unclosed connections."""
    before = set(threading.enumerate())
    gc.freeze()
    yield
    gc.collect()
    left = [thread for thread in set(threading.enumerate()) - before if "_connection_worker" in thread.name]
    for thread in left:
        thread.join(timeout=10)
    assert not [thread for thread in left if thread.is_alive()]


def bytes_on_disk(path: Path) -> bytes:
    """Return everything in the database's folder: the file, its log, its index."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()))
