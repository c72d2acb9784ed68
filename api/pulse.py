"""The service's pulse: how late its event loop wakes, and since when the engine has kept running.

Owns: measuring both, a few times a second, while the service runs. Does not own: what follows from it (`readiness.py`).
The loop also carries Discord's heartbeat when the bot runs in the same process: a loop that lags loses the connection.
"""

import asyncio
from collections import deque

from api.metrics import Metrics
from generation.engine import Engine

BEAT_SECONDS = 0.1
REMEMBERED_BEATS = 300
"""Half a minute."""


class Pulse:
    """What the beats have told. Times are seconds of the loop's clock."""

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics
        self._lags: deque[float] = deque(maxlen=REMEMBERED_BEATS)
        self._restarts = engine.status.restarts
        self._restarted_at: float | None = None

    @property
    def worst_lag_seconds(self) -> float:
        """Give the longest that the loop was late, of the last half minute."""
        return max(self._lags, default=0.0)

    @property
    def since_restart_seconds(self) -> float | None:
        """Say how long ago the engine had to be restarted; None when it never was."""
        return None if self._restarted_at is None else asyncio.get_running_loop().time() - self._restarted_at

    async def beat(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await asyncio.sleep(BEAT_SECONDS)
            self._note(now=loop.time(), lag_seconds=max(0.0, loop.time() - began - BEAT_SECONDS))

    def _note(self, *, now: float, lag_seconds: float) -> None:
        self._lags.append(lag_seconds)
        self._metrics.loop_lag.observe(lag_seconds)
        restarts = self._engine.status.restarts
        if restarts > self._restarts:
            self._restarted_at = now
        self._restarts = restarts
