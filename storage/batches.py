"""Short database work of many callers, done together: one trip to a thread, and one transaction, for all that wait.

A trip to a thread and a transaction each cost more than a statement does, and many calls come at once. So whoever comes
while a batch runs joins the next one. Owns: who waits, and that what fails for one does not fail for the others. Does
not own: whose turn it is (`Database`), transactions on PostgreSQL (`postgresql_transactions.py`), or any work.

Work is a function of SQLAlchemy's synchronous connection. It may be run again after a rollback, so it changes nothing
but the database.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from storage.errors import StorageError

logger = logging.getLogger(__name__)

T = TypeVar("T")

Work = Callable[[Connection], T]

MOST_TOGETHER = 64
"""Works of one transaction. Others wait for it to end, here some 10 ms at most."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one work."""

    value: Any = None
    error: Exception | None = None


@dataclass(slots=True, eq=False)
class Asked:
    """One work that somebody waits for. `key` names what it writes, where that is known."""

    work: Work[Any]
    key: str | None
    done: asyncio.Future[Any]
    """Told the outcome. Another one takes its place when the caller's cancellation has ended it."""
    is_ended: bool = False


Execute = Callable[[Sequence[Asked]], Awaitable[None]]
"""Does the works of a batch and tells each its outcome (`tell`), at once or when it is known."""


class Batches:
    """Work that is done together by `execute`. `turn` is entered for as long as a batch runs."""

    def __init__(self, execute: Execute, *, turn: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        self._execute = execute
        self._turn = turn
        self._waiting: deque[Asked] = deque()
        self._running: asyncio.Task[None] | None = None

    async def do(self, work: Work[T], *, key: str | None = None) -> T:
        """Do some work and return what it returns; raises what it raises, and what entering the turn raises.

        A caller cancelled before its batch has begun leaves nothing behind. One cancelled later is told when the work
        is done.
        """
        loop = asyncio.get_running_loop()
        asked = Asked(work, key, loop.create_future())
        self._waiting.append(asked)
        if self._running is None:
            self._running = loop.create_task(self._run())
        try:
            value: T = await asked.done
        except asyncio.CancelledError:
            if asked in self._waiting:
                self._waiting.remove(asked)
            elif not asked.is_ended:
                asked.done = loop.create_future()
                await _see_out(asked.done)
            raise
        return value

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._run_one()
        finally:
            self._running = None
            abandon(self._waiting)
            self._waiting.clear()

    async def _run_one(self) -> None:
        try:
            async with self._turn():
                if batch := self._take():
                    await self._carry_out(batch)
        except StorageError as refusal:
            while batch := self._take():
                tell(batch, [Outcome(error=refusal)] * len(batch))

    async def _carry_out(self, batch: Sequence[Asked]) -> None:
        try:
            await self._execute(batch)
        except BaseException:
            # Only a loop that is being shut down gets here; nobody is left waiting for what nobody does any more.
            abandon(batch)
            raise

    def _take(self) -> Sequence[Asked]:
        return [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_TOGETHER))]


class ThreadedExecutor:
    """Does batches on one connection of a synchronous engine, in a thread of its own."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batch_connection_worker")
        # Kept from batch to batch: the pool's hand-over takes longer than a statement. One that saw a failure goes.
        self._connection: Connection | None = None

    async def execute(self, batch: Sequence[Asked]) -> None:
        """Do the works of a batch in one transaction, and tell each its outcome."""
        works = [asked.work for asked in batch]
        loop = asyncio.get_running_loop()
        tell(batch, await loop.run_in_executor(self._thread, self._do_together, works))

    def dispose(self) -> None:
        """Close the connection and end its thread; nothing runs any more. Blocks."""
        self._let_go()
        self.engine.dispose()
        self._thread.shutdown()

    def _do_together(self, works: Sequence[Work[Any]]) -> list[Outcome]:
        """Do the works in one transaction, or each in one of its own when any of them fails."""
        is_begun = False
        try:
            if self._connection is None:
                self._connection = self.engine.connect()
            with self._connection.begin():
                is_begun = True
                return [Outcome(work(self._connection)) for work in works]
        except Exception as error:  # noqa: BLE001 - it is raised where the work was asked for
            self._let_go()
            if len(works) > 1 and is_begun:
                return [outcome for work in works for outcome in self._do_together([work])]
            return [Outcome(error=error)] * len(works)

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


async def _see_out(done: asyncio.Future[Any]) -> None:
    while not done.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({done})
    if not done.cancelled():
        _note_failure(done.exception())


def tell(batch: Sequence[Asked], outcomes: Sequence[Outcome]) -> None:
    """Tell whoever asked for the works what became of them."""
    for asked, outcome in zip(batch, outcomes, strict=True):
        asked.is_ended = True
        if asked.done.done():
            # Its caller was cancelled in this very moment.
            _note_failure(outcome.error)
        elif outcome.error is None:
            asked.done.set_result(outcome.value)
        else:
            asked.done.set_exception(outcome.error)


def abandon(batch: Iterable[Asked]) -> None:
    """Leave callers without an outcome: only a loop that is being shut down does that."""
    for asked in batch:
        asked.is_ended = True
        asked.done.cancel()


def _note_failure(error: BaseException | None) -> None:
    if error is not None:
        logger.warning("a database step failed after its caller was cancelled: %s", type(error).__name__)
