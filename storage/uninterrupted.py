"""Database work that a cancelled caller does not tear.

A statement runs in its connection's thread, which a cancelled `await` leaves alone. SQLAlchemy answers by closing the
connection, but SQLite keeps a closed connection's transaction, and with it the write lock, until the last cursor on it
is collected. So each step runs in a task of its own, and a cancellation is raised when the step is done.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, Executable
from sqlalchemy.ext.asyncio import AsyncConnection

logger = logging.getLogger(__name__)

T = TypeVar("T")


async def run_to_the_end(step: Coroutine[Any, Any, T]) -> T:
    """Await a step that must not stop halfway; a cancellation meanwhile is raised afterwards."""
    task = asyncio.ensure_future(step)
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancellation = error
    if cancellation is None:
        return task.result()
    if not task.cancelled() and (failure := task.exception()) is not None:
        logger.warning("a database step failed after its caller was cancelled: %s", type(failure).__name__)
    raise cancellation


class LentConnection:
    """A connection inside a transaction that `Database` begins and ends. Each statement runs to its end."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    @property
    def dialect_name(self) -> str:
        """Say which database this is: `sqlite` or `postgresql`."""
        return self._connection.dialect.name

    async def execute(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> CursorResult[Any]:
        """Run a statement; its rows are in memory when this returns."""
        return await run_to_the_end(self._connection.execute(statement, parameters))

    async def scalar(self, statement: Executable) -> Any:
        """Run a statement and return the first column of its first row, None when there is no row."""
        return await run_to_the_end(self._connection.scalar(statement))

    async def run_sync(self, work: Callable[[Connection], T]) -> T:
        """Run a function that takes SQLAlchemy's synchronous connection, such as a migration."""
        return await run_to_the_end(self._connection.run_sync(work))
