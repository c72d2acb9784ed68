"""What was foreseen of a queue, and when it is foreseen anew: at once in a small room, in slices in a large one.

Owns: the latest forecast, how old it may be, and that making it stops nothing else. Does not own: the playing
(`forecast.py`), or how long a request lasts, which the queue says.
"""

import asyncio
import gc
import math
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

from api.expectations import Arrivals
from api.fairness import FairScheduler, Request
from api.forecast import Forecast, Newcomers, Steps, foresee, play

AGE_SECONDS = 0.005
"""How old a forecast may be, for each request that waits; making it takes about a hundredth of that."""

UNKNOWN_SHARE = 5
"""In a large room a forecast is made anew at a fifth of that age for a request that is not in it."""

PLAYED_AT_ONCE = 64
"""With more requests waiting, a forecast is made in slices between which everything else goes on."""

SLICE_SECONDS = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Lasting:
    """What the queue says of requests: which run, and how many seconds one will hold its slot, or go on holding it.

    The seconds are those in a share of all cases at most; none for a request that has left.
    """

    running: Callable[[], Collection[Request]]
    seconds_left: Callable[[Request, float], float]


class Foresight:
    """The forecast of one scheduler's requests. `now` gives seconds."""

    def __init__(
        self,
        scheduler: FairScheduler,
        *,
        slots: int,
        lasting: Lasting,
        newcomers: Arrivals,
        now: Callable[[], float],
    ) -> None:
        self.scheduler = scheduler
        self._slots = slots
        self._lasting = lasting
        self._newcomers = newcomers
        self._now = now
        self._is_playing = False
        self._forecast = Forecast(made_at=-math.inf, room_at=-math.inf)

    def at_once(self, request: Request | None = None) -> Forecast:
        """Give a forecast that is not too old, and has `request` in it where one is named."""
        is_known = request is None or request in self._forecast.starts
        if not is_known or self._age_seconds >= self._oldest_seconds:
            forecast = foresee(self._play())
            assert forecast is not None, "nothing has stopped it"
            self._forecast = forecast
        return self._forecast

    async def by_and_by(self, request: Request) -> Forecast:
        """Do the same without ever taking long at once: in a large room it may be older, and `request` not be in it."""
        if self._is_small:
            return self.at_once(request)
        oldest_seconds = self._oldest_seconds / (1 if request in self._forecast.starts else UNKNOWN_SHARE)
        if self._age_seconds >= oldest_seconds and not self._is_playing:
            await self._play_in_slices()
        return self._forecast

    def at_hand(self) -> Forecast | None:
        """Do the same without waiting for anything; None where a large room filled since the last one."""
        if self._is_small:
            return self.at_once()
        return self._forecast if self._age_seconds < self._oldest_seconds else None

    @property
    def _is_small(self) -> bool:
        return self.scheduler.waiting <= PLAYED_AT_ONCE

    @property
    def _age_seconds(self) -> float:
        return self._now() - self._forecast.made_at

    @property
    def _oldest_seconds(self) -> float:
        return AGE_SECONDS * self.scheduler.waiting

    async def _play_in_slices(self) -> None:
        """Play, and let everything else go on every few milliseconds."""
        self._is_playing = True
        try:
            with _collector_at_rest():
                forecast = await _in_slices(self._play())
            if forecast.made_at > self._forecast.made_at:
                self._forecast = forecast
        finally:
            self._is_playing = False

    def _play(self) -> Steps:
        now, lasting = self._now(), self._lasting
        running = lasting.running()
        return play(
            self.scheduler,
            slots=self._slots,
            ends_at={
                request: now + lasting.seconds_left(request, (number + 0.5) / len(running))
                for number, request in enumerate(running)
            },
            lasts=lasting.seconds_left,
            newcomers=self._expect_newcomers(now),
            now=now,
        )

    def _expect_newcomers(self, now: float) -> Newcomers | None:
        expected = self._newcomers.expect(now)
        if expected is None:
            return None
        seconds_apart, cost_tokens, service_seconds = expected
        return Newcomers(seconds_apart, round(cost_tokens), service_seconds)


async def _in_slices(steps: Steps) -> Forecast:
    forecast = None
    while forecast is None:
        ends_at = perf_counter() + SLICE_SECONDS
        forecast = foresee(steps, until=lambda ends_at=ends_at: perf_counter() >= ends_at)  # type: ignore[misc]
        await asyncio.sleep(0)
    return forecast


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Keep Python's collector from looking through what a play makes, which takes it longer than a slice.

    A play has no cycles: all of it goes by itself at the end. Whatever else is made meanwhile is looked at later.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
