"""An event loop whose clock leaps to the next timer instead of waiting, for tests of what takes long.

Nothing that runs in it may wait for a socket, a thread or a child process.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")


class _Leaps(selectors.DefaultSelector):
    """Passes the time that it is asked to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        assert timeout is not None, "everything waits for something that will never happen"
        # As the selectors do: not before the time.
        self.now += max(timeout, 0.0)
        return []


class _LeapingLoop(asyncio.SelectorEventLoop):
    def __init__(self, leaps: _Leaps) -> None:
        super().__init__(leaps)
        self._leaps = leaps

    def time(self) -> float:
        return self._leaps.now


def leap(scene: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine to its end without waiting; what it started must have ended, too."""
    leaps = _Leaps()
    loop = _LeapingLoop(leaps)
    try:
        result = loop.run_until_complete(scene)
        assert not asyncio.all_tasks(loop), "tasks were left behind"
        return result
    finally:
        loop.close()
