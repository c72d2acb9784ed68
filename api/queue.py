"""Who waits for a slot of the engine, in which order, and how many may wait.

Owns: the bound and first-come order. Does not own: the slots themselves, which are the engine's.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

from api.errors import busy

SMOOTHING = 0.2
"""Weight of the newest service time in the running mean; some ten requests settle it."""


class RequestQueue:
    """At most `slots` requests run, at most `max_waiting` wait; more are refused at once."""

    def __init__(self, *, slots: int, max_waiting: int) -> None:
        self._slots = slots
        self._max_waiting = max_waiting
        self._free = asyncio.Semaphore(slots)
        self._mean_service_seconds = 1.0
        self.waiting = 0
        self.running = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a slot and hold it for the block; raises the 503 of a full queue."""
        if self._free.locked() and self.waiting >= self._max_waiting:
            raise busy(self.waiting, self._estimate_seconds())
        self.waiting += 1
        try:
            await self._free.acquire()
        finally:
            self.waiting -= 1
        self.running += 1
        started = monotonic()
        try:
            yield
        finally:
            self.running -= 1
            self._free.release()
            self._mean_service_seconds += SMOOTHING * (monotonic() - started - self._mean_service_seconds)

    def _estimate_seconds(self) -> int:
        """Estimate when a newcomer would find room, in whole seconds."""
        return max(1, round(self._mean_service_seconds * (self.waiting + 1) / self._slots))
