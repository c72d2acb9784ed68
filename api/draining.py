"""The requests being handled, so that a stop can wait for them and then end them.

Owns: knowing them, the wait and its bound. Does not own: the socket (`parley/http_service.py`), or what an ended
request costs (`allowance.py`).
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Draining:
    """Every running request of one service."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[object]] = set()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self.is_stopping = False

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count the current task as a running request for the block."""
        task = asyncio.current_task()
        assert task is not None, "handlers run in tasks"
        self._running.add(task)
        self._is_idle.clear()
        try:
            yield
        finally:
            self._running.discard(task)
            if not self._running:
                self._is_idle.set()

    async def wait(self, seconds: float, *, hurry: asyncio.Event | None = None) -> None:
        """Return when no request runs any more, when the time is up, or when `hurry` is set."""
        self.is_stopping = True
        waits = [asyncio.ensure_future(self._is_idle.wait())]
        if hurry is not None:
            waits.append(asyncio.ensure_future(hurry.wait()))
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    def cancel(self) -> None:
        """End what still runs."""
        for task in list(self._running):
            task.cancel()
