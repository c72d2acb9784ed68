"""One open SQLite database: readers side by side, one writer at a time, an orderly end.

Owns: connections, transactions, the file's life. Does not own: what the file is (`sqlite.py`), or any table.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Self, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage import sqlite
from storage.batches import Batches, ThreadedExecutor, Work
from storage.database import Database
from storage.errors import DatabaseBusyError, StorageError
from storage.guards import Guard
from storage.instance_lock import InstanceLock
from storage.migrating import migrate
from storage.uninterrupted import LentConnection, run_to_the_end

T = TypeVar("T")

# Each costs one thread; reads here take well below a millisecond, so few serve many callers.
READERS = 4

# How many times as long a writer waits for the writers before it. Behind a lock that lasts, each of them takes its own
# timeout; whoever came last would wait for the sum.
_TURN_TIMEOUTS = 2

# Between two tries to open while another process is switching the journal; SQLite does not wait there by itself.
_OPEN_RETRY_SECONDS = 0.02


class SqliteDatabase(Database):
    """An open SQLite file."""

    def __init__(self, path: Path, *, busy_timeout_seconds: float, instance_lock: InstanceLock | None) -> None:
        super().__init__(f"sqlite:///{path}")
        self.path = path
        self._turn_seconds = _TURN_TIMEOUTS * busy_timeout_seconds
        self._instance_lock = instance_lock
        self._reading_turns = asyncio.Semaphore(READERS)
        self._writing_turn = asyncio.Semaphore(1)
        self._is_closing = False
        timeout = busy_timeout_seconds
        self._reader = sqlite.create_reader(path, connections=READERS, busy_timeout_seconds=timeout)
        self._writer = sqlite.create_writer(path, busy_timeout_seconds=timeout)
        self._looking = ThreadedExecutor(sqlite.create_batch_reader(path, busy_timeout_seconds=timeout))
        self._changing = ThreadedExecutor(sqlite.create_batch_writer(path, busy_timeout_seconds=timeout))
        self._looks = Batches(self._looking.execute, turn=lambda: self._turn(self._reading_turns))
        self._changes = Batches(self._changing.execute, turn=self._writers_turn)

    @classmethod
    async def open_url(cls, url: str, *, sole_service: bool, busy_timeout_seconds: float) -> Self:
        """Open a file, as `Database.open` says."""
        path = sqlite.parse_path(url)
        lock = _claim_file(path, sole_service=sole_service)
        database = cls(path, busy_timeout_seconds=busy_timeout_seconds, instance_lock=lock)
        try:
            await database._migrate(timeout_seconds=busy_timeout_seconds)
        except BaseException:
            await database.close()
            raise
        # A command says its failure itself, and so does a start.
        database._has_operator = sole_service
        return database

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[LentConnection]:
        """See `Database.reading`."""
        async with self._turn(self._reading_turns), self._transaction(self._reader) as connection:
            yield connection

    @asynccontextmanager
    async def writing(self, guard: Guard | None = None) -> AsyncGenerator[LentConnection]:  # noqa: ARG002 - one writer
        """See `Database.writing`. There is one writing connection, so every writer has all to itself."""
        async with self._writers_turn():
            with self._noted():
                async with self._transaction(self._writer) as connection:
                    yield connection

    async def look(self, work: Work[T]) -> T:
        """See `Database.look`. One trip to a thread serves many callers."""
        with self._explained():
            return await self._looks.do(work)

    async def change(self, work: Work[T], *, key: str | None = None) -> T:
        """See `Database.change`."""
        with self._noted(), self._explained():
            return await self._changes.do(work, key=key)

    async def checkpoint(self) -> bool:
        """Move the write-ahead log into the file and empty it, so that deleted words are in neither.

        False when others were in the way and the log could not be emptied; raises `StorageError`. Copies of words that
        SQLite moved within the file before they were deleted need `compact` first.
        """
        async with self._turn(self._writing_turn):
            with self._explained():
                return await run_to_the_end(self._outside_transaction(sqlite.truncate_log))

    async def compact(self) -> None:
        """Write everything that is kept into fresh pages; what is not comes along in none of them.

        Writers wait meanwhile, about 8 ms per megabyte on two cores; readers do not. Takes the file's size again on
        the disk. The old pages leave the file with the next `checkpoint`. Raises `StorageError`.
        """
        async with self._turn(self._writing_turn):
            with self._explained():
                await run_to_the_end(self._outside_transaction(sqlite.rewrite))

    async def close(self) -> None:
        """See `Database.close`."""
        self._is_closing = True
        await run_to_the_end(self._close_when_idle())

    async def _close_when_idle(self) -> None:
        async with self._writing_turn, contextlib.AsyncExitStack() as turns:
            for _ in range(READERS):
                await turns.enter_async_context(self._reading_turns)
            # Readers first: the last connection that closes folds the log into the file, and only a writer can.
            await self._reader.dispose()
            await asyncio.to_thread(self._looking.dispose)
            await asyncio.to_thread(self._changing.dispose)
            await self._writer.dispose()
            if self._instance_lock is not None:
                self._instance_lock.release()

    async def _migrate(self, *, timeout_seconds: float) -> None:
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        while True:
            try:
                async with self.writing() as connection:
                    await connection.run_sync(migrate)
            except DatabaseBusyError:
                if asyncio.get_running_loop().time() >= deadline:
                    raise
                await asyncio.sleep(_OPEN_RETRY_SECONDS)
            else:
                return

    @asynccontextmanager
    async def _transaction(self, engine: AsyncEngine) -> AsyncGenerator[LentConnection]:
        connection = engine.connect()
        with self._explained():
            try:
                await run_to_the_end(_begin(connection))
                yield LentConnection(connection)
            except BaseException:
                await run_to_the_end(_close(connection))
                raise
            await run_to_the_end(_commit(connection))

    async def _outside_transaction(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        connection = self._writer.connect()
        try:
            await connection.start()
            return await work(connection)
        finally:
            await _close(connection)

    @asynccontextmanager
    async def _turn(self, turns: asyncio.Lock | asyncio.Semaphore) -> AsyncGenerator[None]:
        async with turns:
            self._check_open()
            yield

    @asynccontextmanager
    async def _writers_turn(self) -> AsyncGenerator[None]:
        """Wait for the turn to write, as long as that is worth while."""
        try:
            if self._writing_turn.locked():
                async with asyncio.timeout(self._turn_seconds):
                    await self._writing_turn.acquire()
            else:
                # Without a timer, which costs more than a turn that is free.
                await self._writing_turn.acquire()
        except TimeoutError:
            raise DatabaseBusyError(f"database {self.path} is busy; too many wait to write to it") from None
        try:
            self._check_open()
            yield
        finally:
            self._writing_turn.release()

    def _check_open(self) -> None:
        if self._is_closing:
            raise StorageError(f"database {self.path} is closed")

    @contextmanager
    def _explained(self) -> Generator[None]:
        try:
            yield
        except DBAPIError as error:
            raise sqlite.translate(error, self.path) from error


def _claim_file(path: Path, *, sole_service: bool) -> InstanceLock | None:
    try:
        sqlite.prepare_file(path)
        return InstanceLock.take(path) if sole_service else None
    except OSError as error:
        raise sqlite.translate_os_error(error, path) from error


async def _begin(connection: AsyncConnection) -> None:
    await connection.start()
    await connection.begin()


async def _commit(connection: AsyncConnection) -> None:
    try:
        await connection.commit()
    finally:
        await _close(connection)


async def _close(connection: AsyncConnection) -> None:
    """Give the connection back; what was not committed is rolled back."""
    if connection.sync_connection is not None:
        await connection.close()
