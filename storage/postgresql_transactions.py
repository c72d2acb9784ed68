"""Transactions on PostgreSQL: begun, done again when others were in the way, and committed exactly once.

A connection may be lost at any moment. Before the commit that undoes everything, so it is simply done again. During the
commit nobody knows: the answer was lost, not necessarily the commit. So every transaction that has written notes its
number, and its fate is asked for over another connection (`pg_xact_status`), however long that takes. Owns: that. Does
not own: whose turn it is (`postgresql_database.py`).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.errors import DatabaseLostError, StorageError
from storage.guards import Guard
from storage.postgresql import DRIVER_ERRORS, is_lost, is_worth_another_try

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Tries of a transaction that others, or a lost connection, have undone; and the pause before the n-th, seconds.
TRIES = 5
_PAUSE_SECONDS = 0.02

# Between two questions what became of a commit; seconds.
_ASK_SECONDS = 0.25

# Text, because the driver has no type for it.
_NUMBER = text("SELECT CAST(pg_current_xact_id_if_assigned() AS text)")
_FATE = text("SELECT pg_xact_status(CAST(CAST(:number AS text) AS xid8))")

_GUARD_ONE = text("SELECT pg_advisory_xact_lock_shared(:domain), pg_advisory_xact_lock(:key)")
_GUARD_ALL = text("SELECT pg_advisory_xact_lock(:domain)")


class CommitUnknownError(Exception, Generic[T]):
    """The connection was lost during the commit of the transaction of this number; `value` is what it returned."""

    def __init__(self, number: str, value: T) -> None:
        super().__init__(number)
        self.number = number
        self.value = value


class Transactions:
    """The transactions of one engine. `label` names the database in errors."""

    def __init__(self, engine: AsyncEngine, label: str) -> None:
        self._engine = engine
        # One moment for all that a block reads, and nothing written by mistake.
        self._reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._label = label
        self.is_closing = False

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Do some reading in a transaction of its own; tried again when the connection is lost meanwhile."""

        async def attempt() -> T:
            return await self._read_once(work)

        return await _again(attempt)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Do some writing in a transaction of its own; tried again as long as nothing of it is committed.

        Raises `CommitUnknownError`.
        """

        async def attempt() -> T:
            return await self._write_once(work)

        return await _again(attempt)

    def reader(self) -> AsyncConnection:
        """Return a connection whose transactions only read, not begun."""
        return self._reader.connect()

    def writer(self) -> AsyncConnection:
        """Return a connection whose transactions may write, not begun."""
        return self._engine.connect()

    async def commit(self, connection: AsyncConnection, value: T) -> T:
        """Commit, give the connection back and return the value. Raises `CommitUnknownError` with it."""
        number = None
        try:
            number = await connection.scalar(_NUMBER)
            await connection.commit()
        except BaseException as error:
            await discard(connection, error)
            if number is not None and is_lost(error):
                raise CommitUnknownError(number, value) from None
            raise
        await discard(connection)
        return value

    async def find_out(self, unknown: CommitUnknownError[T]) -> T:
        """Return what a transaction returned, once it is known to be committed; raises `StorageError` if it is not.

        Waits for a database that cannot be reached, until `is_closing`.
        """
        logger.warning("the connection was lost during a commit; asking what became of it")
        while not self.is_closing:
            try:
                fate = await self.read(lambda connection: connection.scalar(_FATE, {"number": unknown.number}))
            except DRIVER_ERRORS:
                fate = "in progress"
            if fate == "committed":
                return unknown.value
            if fate != "in progress":
                raise DatabaseLostError(f"database {self._label} has lost the connection; nothing was changed")
            await asyncio.sleep(_ASK_SECONDS)
        raise StorageError(f"database {self._label} is closed")

    async def _read_once(self, work: Callable[[Connection], T]) -> T:
        connection = self.reader()
        value = await _run(connection, work)
        await discard(connection)
        return value

    async def _write_once(self, work: Callable[[Connection], T]) -> T:
        connection = self.writer()
        value = await _run(connection, work)
        return await self.commit(connection, value)


async def begin(connection: AsyncConnection, guard: Guard | None = None) -> None:
    """Begin a transaction, and hold the guard in it."""
    await connection.start()
    await connection.begin()
    if guard is None:
        return
    if guard.key is None:
        await connection.execute(_GUARD_ALL, {"domain": guard.domain_id})
    else:
        await connection.execute(_GUARD_ONE, {"domain": guard.domain_id, "key": guard.key_id})


async def _run(connection: AsyncConnection, work: Callable[[Connection], T]) -> T:
    try:
        await begin(connection)
        return await connection.run_sync(work)
    except BaseException as error:
        await discard(connection, error)
        raise


async def _again(attempt: Callable[[], Awaitable[T]]) -> T:
    for number in range(1, TRIES):
        try:
            return await attempt()
        except DRIVER_ERRORS as error:
            if not is_worth_another_try(error) or _is_refused(error):
                raise
            await asyncio.sleep(_PAUSE_SECONDS * number)
    return await attempt()


async def discard(connection: AsyncConnection, error: BaseException | None = None) -> None:
    """Give a connection back after an error, if any; what was not committed is rolled back."""
    if connection.sync_connection is None:
        return
    try:
        if error is not None and is_lost(error):
            # A rollback would wait for a server that does not answer.
            await connection.invalidate()
        await connection.close()
    except DRIVER_ERRORS:
        await connection.invalidate()
        await connection.close()


def _is_refused(error: BaseException) -> bool:
    """Say whether no connection could be made at all: asking again at once changes nothing."""
    return isinstance(error, OSError)
