"""One open PostgreSQL: a bounded pool, several readers and writers at a time, several processes on one database.

Owns: turns, migrations at the start, an orderly end. Does not own: what a connection is (`postgresql.py`), how a
transaction ends when its connection does (`postgresql_transactions.py`), or any table.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import processes
from storage.batches import Asked, Batches, Outcome, Work, tell
from storage.database import Database
from storage.errors import DatabaseBusyError, DatabaseLostError, StorageError
from storage.guards import Guard
from storage.migrating import is_current, migrate
from storage.postgresql import (
    DRIVER_ERRORS,
    OLDEST_VERSION,
    create_engine,
    create_patient_engine,
    is_lost,
    is_unkeepable,
    translate,
)
from storage.postgresql_transactions import CommitUnknownError, Transactions, begin, discard
from storage.postgresql_url import Address, parse_url
from storage.processes import new_process_id
from storage.uninterrupted import LentConnection, run_to_the_end

T = TypeVar("T")

# Connections of one process: few, because the smallest plans of hosts have 20. One each for batches of reading and of
# writing, for saying that it is at work, and for asking what became of a commit.
READERS = 3
WRITERS = 2
CONNECTIONS = READERS + WRITERS + 4

# How many times as long as for a lock one waits for a turn.
_TURN_TIMEOUTS = 2
_SHORTEST_TURN_SECONDS = 1.0

_MIGRATING = Guard("migrations")
_LOCK_MIGRATIONS = text("SELECT pg_advisory_xact_lock(:domain)")
_VERSION = text("SELECT CAST(current_setting('server_version_num') AS integer) / 10000")

# Tables whose rows hold what people wrote.
_WORDS = "conversations, conversation_messages, computed_conversations, posted_messages, chats, chat_turns, webhooks"


class PostgresqlDatabase(Database):
    """An open PostgreSQL."""

    def __init__(self, address: Address, *, busy_timeout_seconds: float) -> None:
        super().__init__(address.label)
        self._turn_seconds = max(_TURN_TIMEOUTS * busy_timeout_seconds, _SHORTEST_TURN_SECONDS)
        self._is_closing = False
        self._reading_turns = asyncio.Semaphore(READERS)
        self._writing_turns = asyncio.Semaphore(WRITERS)
        self._looking_turn = asyncio.Semaphore(1)
        self._changing_turn = asyncio.Semaphore(1)
        self._finding_out = asyncio.Lock()
        self._engine = create_engine(address, connections=CONNECTIONS, busy_timeout_seconds=busy_timeout_seconds)
        self._patient = create_patient_engine(address, busy_timeout_seconds=busy_timeout_seconds)
        self._transactions = Transactions(self._engine, address.label)
        self._looks = Batches(self._look_together, turn=lambda: self._turn(self._looking_turn))
        self._changes = Batches(self._change_together, turn=lambda: self._turn(self._changing_turn))
        self._tasks: set[asyncio.Task[None]] = set()
        self._process_id = new_process_id()
        self._joining = asyncio.Lock()
        self._beating: asyncio.Task[None] | None = None

    @classmethod
    async def open_url(cls, url: str, *, is_service: bool, busy_timeout_seconds: float) -> Self:
        """Open what a URL names, as `Database.open` says."""
        database = cls(parse_url(url), busy_timeout_seconds=busy_timeout_seconds)
        try:
            await database._migrate()
            if is_service:
                await database.join()
        except BaseException:
            await database.close()
            raise
        database._has_operator = is_service
        return database

    @property
    def is_shared(self) -> bool:
        """See `Database.is_shared`."""
        return True

    async def join(self) -> str:
        """See `Database.join`."""
        if self._beating is None:
            async with self._joining:
                if self._beating is None:
                    self._check_open()
                    with self._noted():
                        await run_to_the_end(self._explained(self._beat()))
                    self._beating = asyncio.create_task(self._go_on_beating())
        return self._process_id

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[LentConnection]:
        """See `Database.reading`. The block sees one moment."""
        async with self._turn(self._reading_turns):
            connection = self._transactions.reader()
            async with self._lent(connection) as lent:
                yield lent
            await run_to_the_end(discard(connection))

    @asynccontextmanager
    async def writing(self, guard: Guard | None = None) -> AsyncGenerator[LentConnection]:
        """See `Database.writing`."""
        with self._noted():
            async with self._turn(self._writing_turns):
                connection = self._transactions.writer()
                async with self._lent(connection, guard) as lent:
                    yield lent
                try:
                    await run_to_the_end(self._explained(self._transactions.commit(connection, None)))
                except CommitUnknownError as error:
                    unknown = error
                else:
                    return
            await run_to_the_end(self._find_out(unknown))

    async def look(self, work: Work[T]) -> T:
        """See `Database.look`."""
        return await self._looks.do(work)

    async def change(self, work: Work[T], *, key: str | None = None) -> T:
        """See `Database.change`."""
        with self._noted():
            return await self._changes.do(work, key=key)

    async def checkpoint(self) -> bool:
        """Do nothing, and say so with True: when PostgreSQL writes what where is its operator's business."""
        self._check_open()
        return True

    async def compact(self) -> None:
        """Take deleted rows out of the tables that hold words, so that no query finds them and their room is reused.

        That is VACUUM (https://www.postgresql.org/docs/current/sql-vacuum.html). It overwrites nothing: bytes may stay
        in free room of a page, in the write-ahead log and in backups until those are reused or removed. Nobody waits.
        """
        async with self._turn(self._writing_turns):
            await run_to_the_end(self._explained(self._vacuum()))

    async def close(self) -> None:
        """See `Database.close`. Whoever asks what became of a commit is not waited for."""
        self._is_closing = self._transactions.is_closing = True
        # Whoever is refused from now on is refused for that.
        self._has_operator = False
        await run_to_the_end(self._close_when_idle())

    async def _close_when_idle(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
            with contextlib.suppress(*DRIVER_ERRORS, CommitUnknownError):
                await self._transactions.write(lambda connection: processes.leave(connection, self._process_id))
        async with contextlib.AsyncExitStack() as turns:
            for semaphore, count in (
                (self._changing_turn, 1),
                (self._looking_turn, 1),
                (self._writing_turns, WRITERS),
                (self._reading_turns, READERS),
            ):
                for _ in range(count):
                    await turns.enter_async_context(semaphore)
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._engine.dispose()
            await self._patient.dispose()

    async def _migrate(self) -> None:
        """Bring the schema up to date; of several processes that start together one does, and the others wait."""

        def migrate_alone(connection: Connection) -> None:
            connection.execute(_LOCK_MIGRATIONS, {"domain": _MIGRATING.domain_id})
            migrate(connection)

        async def bring_up_to_date() -> None:
            connection = self._patient.connect()
            try:
                await connection.start()
                await connection.begin()
                if await connection.scalar(_VERSION) < OLDEST_VERSION:
                    raise StorageError(f"database {self.label} is too old; Parley needs PostgreSQL {OLDEST_VERSION}")
                if not await connection.run_sync(is_current):
                    await connection.run_sync(migrate_alone)
                    await connection.commit()
            finally:
                await discard(connection)

        await run_to_the_end(self._explained(bring_up_to_date()))

    async def _vacuum(self) -> None:
        connection = self._patient.connect()
        try:
            await connection.start()
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text(f"VACUUM (SKIP_LOCKED) {_WORDS}"))
        finally:
            await discard(connection)

    # Being there

    async def _beat(self) -> None:
        with contextlib.suppress(CommitUnknownError):
            await self._transactions.write(lambda connection: processes.beat(connection, self._process_id))

    async def _go_on_beating(self) -> None:
        """Say that this process is at work. Whether that can be written is known from it, too, when nobody writes."""
        while True:
            await asyncio.sleep(processes.BEAT_SECONDS)
            with contextlib.suppress(StorageError), self._noted():
                await run_to_the_end(self._explained(self._beat()))

    # Batches

    async def _look_together(self, batch: Sequence[Asked]) -> None:
        await self._do(batch, self._transactions.read)

    async def _change_together(self, batch: Sequence[Asked]) -> None:
        """Write in the order of the keys, which every process keeps to; what names no key waits for nobody's."""
        keyed = sorted((asked for asked in batch if asked.key is not None), key=lambda asked: asked.key or "")
        if keyed:
            await self._do(keyed, self._transactions.write)
        for asked in batch:
            if asked.key is None:
                await self._do([asked], self._transactions.write)

    async def _do(
        self, batch: Sequence[Asked], transact: Callable[[Work[list[Outcome]]], Coroutine[Any, Any, list[Outcome]]]
    ) -> None:
        def together(connection: Connection) -> list[Outcome]:
            return [Outcome(asked.work(connection)) for asked in batch]

        try:
            outcomes = await transact(together)
        except CommitUnknownError as unknown:
            self._start(self._tell_when_known(unknown, batch))
            return
        except Exception as error:  # noqa: BLE001 - it is raised where the work was asked for
            if len(batch) > 1 and not is_lost(error):
                for asked in batch:
                    await self._do([asked], transact)
                return
            outcomes = [Outcome(error=self._translated(error))] * len(batch)
        tell(batch, outcomes)

    async def _tell_when_known(self, unknown: CommitUnknownError[list[Outcome]], batch: Sequence[Asked]) -> None:
        try:
            outcomes = await self._find_out(unknown)
        except StorageError as error:
            outcomes = [Outcome(error=error)] * len(batch)
        tell(batch, outcomes)

    async def _find_out(self, unknown: CommitUnknownError[T]) -> T:
        async with self._finding_out:
            return await self._transactions.find_out(unknown)

    def _start(self, steps: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(steps)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Turns and errors

    @asynccontextmanager
    async def _turn(self, turns: asyncio.Semaphore) -> AsyncGenerator[None]:
        """Wait for a turn, as long as that is worth while."""
        try:
            async with asyncio.timeout(self._turn_seconds):
                await turns.acquire()
        except TimeoutError:
            raise DatabaseBusyError(f"database {self.label} is busy; too many wait for it") from None
        try:
            self._check_open()
            yield
        finally:
            turns.release()

    @asynccontextmanager
    async def _lent(self, connection: AsyncConnection, guard: Guard | None = None) -> AsyncGenerator[LentConnection]:
        """Begin a transaction for a block; after an error the connection is given back, and what was done undone."""
        try:
            await run_to_the_end(begin(connection, guard))
            yield LentConnection(connection)
        except BaseException as error:
            await run_to_the_end(discard(connection, error))
            if isinstance(error, DRIVER_ERRORS):
                raise self._translated(error) from None
            raise

    async def _explained(self, step: Coroutine[Any, Any, T]) -> T:
        try:
            return await step
        except DRIVER_ERRORS as error:
            raise self._translated(error) from None

    def _translated(self, error: Exception) -> Exception:
        """Return what is told of an error; the driver's own words quote what was being stored."""
        if is_unkeepable(error):
            # As SQLite's driver says it.
            return ValueError("a number beyond 64 bits, or a text with surrogates, cannot be kept")
        if not isinstance(error, DRIVER_ERRORS):
            return error
        translated = translate(error, self.label)
        if isinstance(translated, DatabaseLostError):
            # Whoever only reads has seen it, too.
            self._note_trouble(translated)
        return translated

    def _check_open(self) -> None:
        if self._is_closing:
            raise StorageError(f"database {self.label} is closed")
