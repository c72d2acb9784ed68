"""Short database work of many callers, done together: one trip to a thread, and one transaction, for all that wait.

A trip to a thread and a transaction each cost more than a statement does, and many calls come at once. So whoever comes
while a batch runs joins the next one. Owns: who waits, and that what fails for one does not fail for the others. Does
not own: the connection's engine, whose turn it is (`database.py`), or any work.

Work is a function of SQLAlchemy's synchronous connection. It may be run again after a rollback, so it changes nothing
but the database.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from storage.errors import StorageError
from storage.uninterrupted import run_to_the_end

logger = logging.getLogger(__name__)

T = TypeVar("T")

Work = Callable[[Connection], T]

MOST_TOGETHER = 64
"""Works of one transaction. Others wait for it to end, here some 10 ms at most."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    value: Any = None
    error: Exception | None = None


@dataclass(slots=True, eq=False)
class _Asked:
    work: Work[Any]
    done: asyncio.Future[Any]
    """Told the outcome. Another one takes its place when the caller's cancellation has ended it."""
    is_ended: bool = False


class Batches:
    """Work for one connection, done in a thread of its own. `turn` is entered for as long as a batch runs."""

    def __init__(self, engine: Engine, *, turn: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        self._engine = engine
        self._turn = turn
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batch_connection_worker")
        self._waiting: deque[_Asked] = deque()
        self._running: asyncio.Task[None] | None = None

    async def do(self, work: Work[T]) -> T:
        """Do some work and return what it returns; raises what it raises, and what entering the turn raises.

        A caller cancelled before its batch has begun leaves nothing behind. One cancelled later is told when the work
        is done.
        """
        loop = asyncio.get_running_loop()
        asked = _Asked(work, loop.create_future())
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

    def dispose(self) -> None:
        """Close the connection and end its thread; nothing runs any more. Blocks."""
        self._engine.dispose()
        self._thread.shutdown()

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._run_one()
        finally:
            self._running = None
            _abandon(self._waiting)
            self._waiting.clear()

    async def _run_one(self) -> None:
        try:
            async with self._turn():
                if batch := self._take():
                    await run_to_the_end(self._carry_out(batch))
        except StorageError as refusal:
            while batch := self._take():
                _tell(batch, [_Outcome(error=refusal)] * len(batch))

    async def _carry_out(self, batch: Sequence[_Asked]) -> None:
        works = [asked.work for asked in batch]
        loop = asyncio.get_running_loop()
        try:
            outcomes = await loop.run_in_executor(self._thread, execute_together, self._engine, works)
        except asyncio.CancelledError:
            _abandon(batch)
            raise
        _tell(batch, outcomes)

    def _take(self) -> Sequence[_Asked]:
        return [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_TOGETHER))]


def execute_together(engine: Engine, works: Sequence[Work[Any]]) -> list[_Outcome]:
    """Do the works in one transaction, or each in one of its own when any of them fails."""
    is_begun = False
    try:
        with engine.begin() as connection:
            is_begun = True
            return [_Outcome(work(connection)) for work in works]
    except Exception as error:  # noqa: BLE001 - it is raised where the work was asked for
        if len(works) > 1 and is_begun:
            return [outcome for work in works for outcome in execute_together(engine, [work])]
        return [_Outcome(error=error)] * len(works)


async def _see_out(done: asyncio.Future[Any]) -> None:
    while not done.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({done})
    if not done.cancelled():
        _note_failure(done.exception())


def _tell(batch: Sequence[_Asked], outcomes: Sequence[_Outcome]) -> None:
    for asked, outcome in zip(batch, outcomes, strict=True):
        asked.is_ended = True
        if asked.done.done():
            # Its caller was cancelled in this very moment.
            _note_failure(outcome.error)
        elif outcome.error is None:
            asked.done.set_result(outcome.value)
        else:
            asked.done.set_exception(outcome.error)


def _abandon(batch: Iterable[_Asked]) -> None:
    """Leave callers without an outcome: only a loop that is being shut down does that."""
    for asked in batch:
        asked.is_ended = True
        asked.done.cancel()


def _note_failure(error: BaseException | None) -> None:
    if error is not None:
        logger.warning("a database step failed after its caller was cancelled: %s", type(error).__name__)
