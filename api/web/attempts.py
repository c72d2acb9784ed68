"""How often somebody may try to log in.

By address. Behind a proxy all visitors have the proxy's: then the bound is one for all of them together, which is meant
for who guesses, and is far above what people do.
"""

from collections import deque

from aiohttp import web

from api.errors import ApiError, Kind
from storage.clock import Clock

MOST = 20
WITHIN_SECONDS = 60.0
MOST_ADDRESSES = 10_000


class Attempts:
    """The latest attempts of each address."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_address: dict[str, deque[float]] = {}

    def admit(self, request: web.Request) -> None:
        """Note an attempt; raises the 429 when there were too many within a minute."""
        now = self._clock.now().timestamp()
        if len(self._by_address) >= MOST_ADDRESSES:
            self._forget_old(now)
        latest = self._by_address.setdefault(request.remote or "", deque(maxlen=MOST))
        if len(latest) == MOST and now - latest[0] < WITHIN_SECONDS:
            seconds = int(WITHIN_SECONDS - (now - latest[0])) + 1
            message = f"There were {MOST} attempts to log in within a minute; try again in {seconds} s."
            headers = {"Retry-After": str(seconds)}
            raise ApiError(429, "Too many requests", message, kind=Kind.FORBIDDEN, headers=headers)
        latest.append(now)

    def _forget_old(self, now: float) -> None:
        self._by_address = {
            address: latest for address, latest in self._by_address.items() if now - latest[-1] < WITHIN_SECONDS
        }
