"""The present moment, as a shape that tests can stand in for, and whether it can be believed."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Protocol

TOLERATED_JUMP = timedelta(minutes=10)
"""What looks old after it has been old for almost as long."""


class Clock(Protocol):
    """Whatever knows the time."""

    def now(self) -> datetime:
        """Return the present instant, aware and in UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present instant, aware and in UTC."""
        return datetime.now(UTC)


class JumpWatch:
    """Notices that the clock has jumped ahead of the time that passed.

    For whoever deletes what is old: after a jump everything looks old, and what a wrong clock deletes does not come
    back. A machine that slept looks the same; deleting an hour later costs nothing.
    """

    def __init__(
        self, clock: Clock, *, tolerated: timedelta = TOLERATED_JUMP, steady: Callable[[], float] = monotonic
    ) -> None:
        self._clock = clock
        self._tolerated = tolerated
        self._steady = steady
        self._seen = clock.now(), steady()

    def has_jumped(self) -> bool:
        """Say whether it has jumped since it was last asked, or made."""
        (now_before, steady_before), self._seen = self._seen, (self._clock.now(), self._steady())
        now, steady = self._seen
        return now - now_before - timedelta(seconds=steady - steady_before) > self._tolerated
