"""Whether a server is given requests: as long as it answers, and after failures one at a time at first.

Owns: the three states and what moves between them (Nygard, Release It!, 2007). Does not own: the checks of a server
that is out (`replica.py`), nor the requests.
"""

import enum
import random

FAILURES_TO_OPEN = 3
"""Replies that failed one after another, on a server that can be reached: a single one may be the request's fault."""

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 10.0
_JITTER = 0.25


class State(enum.Enum):
    """A circuit that is closed lets requests through."""

    CLOSED = enum.auto()
    OPEN = enum.auto()
    HALF_OPEN = enum.auto()


class Circuit:
    """One server's. `reason` says in a phrase why it is not closed."""

    def __init__(self) -> None:
        self.state = State.CLOSED
        self.reason = ""
        self._failures = 0
        self._openings = 0

    def succeed(self) -> None:
        """Note a reply that was made."""
        self.state = State.CLOSED
        self.reason = ""
        self._failures = self._openings = 0

    def fail(self, reason: str, *, is_gone: bool) -> None:
        """Note a failure; `is_gone` says that the server cannot be reached, which needs no second one."""
        self._failures += 1
        if is_gone or self.state is not State.CLOSED or self._failures >= FAILURES_TO_OPEN:
            self.open(reason)

    def open(self, reason: str) -> None:
        """Let no more requests through."""
        if self.state is not State.OPEN:
            self._openings += 1
        self.state = State.OPEN
        self.reason = reason

    def half_open(self) -> None:
        """Let one request through: the server answers its checks again."""
        if self.state is State.OPEN:
            self.state = State.HALF_OPEN

    def next_wait_seconds(self, checks: int) -> float:
        """Say how long until a server that is out is checked again, after so many checks in vain.

        A server that passed its checks and then failed again and again waits longer from the beginning.
        """
        doublings = min(checks + max(0, self._openings - 1), 10)
        return jittered(min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2**doublings))


def jittered(seconds: float) -> float:
    """Vary a wait, so that several services do not check one server in the same moment."""
    return seconds * random.uniform(1 - _JITTER, 1 + _JITTER)
