"""One open database, whichever it is: what the rest of this room asks of it, and which kind a URL names.

Owns: whether writes are done, and that the operator hears of it once. Does not own: connections and transactions
(`sqlite_database.py`, `postgresql_database.py`), any table (`schema.py` names them), nor any question asked of them.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

from storage.batches import Work
from storage.errors import StorageError
from storage.guards import Guard
from storage.postgresql_url import is_postgresql
from storage.uninterrupted import LentConnection

logger = logging.getLogger(__name__)

T = TypeVar("T")

# How long one waits for another's write; seconds. Ours take milliseconds.
BUSY_TIMEOUT_SECONDS = 5.0


class Database(ABC):
    """An open database. Made by `open`; ended by `close`."""

    def __init__(self, label: str) -> None:
        self.label = label
        """Names it to people, without a password."""
        self._trouble: StorageError | None = None
        self._has_operator = False

    @staticmethod
    async def open(
        url: str, *, sole_service: bool = False, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS
    ) -> "Database":
        """Open the database a URL names, made (SQLite) and migrated as needed.

        `sqlite:///relative` and `sqlite:////absolute` are files; `postgres://user:password@host:port/name` is a
        PostgreSQL, with libpq's options. `sole_service` is for a process that serves the API: on SQLite it takes the
        lock that only one service per file can hold; on PostgreSQL there may be several. Short-lived commands leave
        it alone. Several processes may open at once. Raises `StorageError`, one line that says what to do.
        """
        if is_postgresql(url):
            from storage.postgresql_database import PostgresqlDatabase  # noqa: PLC0415 - loads its driver

            return await PostgresqlDatabase.open_url(
                url, is_service=sole_service, busy_timeout_seconds=busy_timeout_seconds
            )
        from storage.sqlite_database import SqliteDatabase  # noqa: PLC0415 - it is a `Database` itself

        return await SqliteDatabase.open_url(url, sole_service=sole_service, busy_timeout_seconds=busy_timeout_seconds)

    @property
    def takes_writes(self) -> bool:
        """Say whether the last write was done; a full disk or another process's lock is known from its failure."""
        return self._trouble is None

    @property
    def is_shared(self) -> bool:
        """Say whether several processes may serve from this database at the same time."""
        return False

    async def join(self) -> str:
        """Say from now on that this process is at work; returns its name. Only where the database `is_shared`."""
        raise NotImplementedError

    @abstractmethod
    def reading(self) -> AbstractAsyncContextManager[LentConnection]:
        """Lend a connection that sees what was committed, and cannot write. Not to be nested in itself.

        Raises `StorageError` after `close`, and in place of any database error inside the block.
        """

    @abstractmethod
    def writing(self, guard: Guard | None = None) -> AbstractAsyncContextManager[LentConnection]:
        """Lend a writing connection, in a transaction: committed at the end of the block, or rolled back.

        Callers wait for their turn, for a while. Nobody else writes under the same `guard` meanwhile; without one only
        the rows that are written are kept from others. A caller cancelled inside leaves nothing behind; one cancelled
        during the commit may have committed. Not to be nested. Raises `StorageError` as `reading` does.
        """

    @abstractmethod
    async def look(self, work: Work[T]) -> T:
        """Do a short piece of reading, together with whoever else asks: one trip serves many callers.

        Raises `StorageError` as `reading` does.
        """

    @abstractmethod
    async def change(self, work: Work[T], *, key: str | None = None) -> T:
        """Do a short piece of writing, in one transaction with whatever else is asked meanwhile.

        What fails for one caller does not fail for the others; a cancelled one leaves all of it behind or nothing.
        What is refused is better returned than raised, which costs the others a second try. `key` names the rows that
        are written, such as their tenant: every process writes in the order of the keys, so that none waits for another
        that waits for it. Raises `StorageError` as `reading` does.
        """

    @abstractmethod
    async def compact(self) -> None:
        """Let go of the room that deleted words took; what that means stands with each kind. Raises `StorageError`."""

    @abstractmethod
    async def checkpoint(self) -> bool:
        """Bring what was written into the database's own files; False when others were in the way.

        Raises `StorageError`.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let what runs finish, then close every connection. Safe to call twice."""

    @contextmanager
    def _noted(self) -> Generator[None]:
        """Remember whether a write was done, and tell the operator of a service once when that changes."""
        try:
            yield
        except StorageError as error:
            self._note_trouble(error)
            raise
        self._note_success()

    def _note_trouble(self, error: StorageError) -> None:
        if self._trouble is None and self._has_operator:
            logger.error("no writes: %s", error)
        self._trouble = error

    def _note_success(self) -> None:
        if self._trouble is not None and self._has_operator:
            logger.info("the database takes writes again")
        self._trouble = None
