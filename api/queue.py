"""Who waits for a slot of the engine, in which order, how many may wait, and about how long that will take.

Owns: the bound, first-come order, places in line and the estimate. Does not own: the slots themselves, which are the
engine's, or what a waiting caller is told (`pipeline.py`).
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import fmean
from time import monotonic

from api.errors import busy

MEASURED = 32
"""The newest so many service times make the estimate."""

UNMEASURED_SECONDS = 1.0
"""The service time that a refusal counts with while none was measured."""


class Place:
    """One request's place, as `RequestQueue.place` gives it."""

    def __init__(self, queue: "RequestQueue") -> None:
        self._queue = queue
        self._is_called = asyncio.Event()

    @property
    def position(self) -> int:
        """Places up to the slot: 1 is next, 0 holds it."""
        return self._queue.position_of(self)

    @property
    def wait_seconds(self) -> int | None:
        """Estimate how long the slot is away, in whole seconds; None while no service time was measured."""
        return self._queue.estimate_seconds(self.position)

    async def turn(self, *, within_seconds: float) -> bool:
        """Wait so long for the slot, and say whether it is held; may be asked again and again."""
        if self._is_called.is_set():
            return True
        try:
            async with asyncio.timeout(within_seconds):
                await self._is_called.wait()
        except TimeoutError:
            # It may have been called in the same moment.
            return self._is_called.is_set()
        return True

    def call(self) -> None:
        """Let the holder of this place go on: the slot is theirs."""
        self._is_called.set()


class RequestQueue:
    """At most `slots` requests run, at most `max_waiting` wait; more are refused at once. `now` gives seconds."""

    def __init__(self, *, slots: int, max_waiting: int, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._slots = slots
        self._max_waiting = max_waiting
        self._waiting: deque[Place] = deque()
        self._started: dict[Place, float] = {}
        self._service_seconds: deque[float] = deque(maxlen=MEASURED)

    @property
    def waiting(self) -> int:
        """Count the requests that wait."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Count the requests that hold a slot."""
        return len(self._started)

    def check_room(self) -> None:
        """Raise the 503 when a request that came now would be refused."""
        if self.running >= self._slots and self.waiting >= self._max_waiting:
            raise busy(self.waiting, self._foresee(self.waiting + 1, self._mean_seconds() or UNMEASURED_SECONDS))

    @contextmanager
    def place(self) -> Iterator[Place]:
        """Take the last place, and leave it at the end of the block, waiting or holding a slot.

        Taking it awaits nothing, so the order of calls is the order of turns. Raises the 503 of a full queue.
        """
        self.check_room()
        place = Place(self)
        self._waiting.append(place)
        self._fill_slots()
        is_measured = True
        try:
            yield place
        except Exception:
            # What failed does not say how long a slot is held; a reply that its caller gave up does.
            is_measured = False
            raise
        finally:
            self._leave(place, is_measured=is_measured)

    def position_of(self, place: Place) -> int:
        """Count the places up to the slot: 1 is next, 0 holds it."""
        return 0 if place in self._started else self._waiting.index(place) + 1

    def estimate_seconds(self, position: int) -> int | None:
        """Estimate how long a position waits, in whole seconds; None while no service time was measured."""
        mean_seconds = self._mean_seconds()
        return None if mean_seconds is None else self._foresee(position, mean_seconds)

    def _fill_slots(self) -> None:
        while self._waiting and self.running < self._slots:
            place = self._waiting.popleft()
            self._started[place] = self._now()
            place.call()

    def _leave(self, place: Place, *, is_measured: bool) -> None:
        started = self._started.pop(place, None)
        if started is None:
            self._waiting.remove(place)
            return
        if is_measured:
            self._service_seconds.append(self._now() - started)
        self._fill_slots()

    def _mean_seconds(self) -> float | None:
        return fmean(self._service_seconds) if self._service_seconds else None

    def _foresee(self, position: int, mean_seconds: float) -> int:
        """Play the line forward, each request taking the mean time; what has taken longer already ends any moment."""
        now = self._now()
        frees_at = [max(now, started + mean_seconds) for started in self._started.values()]
        heapq.heapify(frees_at)
        turn_at = now
        for _ in range(position):
            turn_at = heapq.heapreplace(frees_at, frees_at[0] + mean_seconds)
        return max(1, round(turn_at - now))
