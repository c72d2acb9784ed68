"""How long one call waited for what; collected while it runs, for the log and the metrics.

Owns: these values alone. Does not own: where they are told (`middleware.py`, `metrics.py`).
"""

from dataclasses import dataclass
from time import monotonic

from generation.engine import Finished

_NANOSECONDS = 1e9


class Timings:
    """One call's times. `began` is in seconds of the monotonic clock, the others count from it.

    `waited_seconds` is how long it took to get a slot, `first_token_seconds` until there was something of the reply;
    each is None until it has happened. `finished` is the end of the reply, of all choices together.
    """

    def __init__(self) -> None:
        self.began = monotonic()
        self.waited_seconds: float | None = None
        self.first_token_seconds: float | None = None
        self.finished: Finished | None = None

    def got_slot(self) -> None:
        """Note that the wait in line is over."""
        self.waited_seconds = monotonic() - self.began

    def got_token(self) -> None:
        """Note that there is something of the reply; only the first time counts."""
        if self.first_token_seconds is None:
            self.first_token_seconds = monotonic() - self.began

    @property
    def decoding(self) -> "Decoding | None":
        """Say how fast the reply was made; None while it is not whole, or when it took no time."""
        if self.finished is None or self.finished.completion_duration_ns <= 0:
            return None
        return Decoding(self.finished.completion_tokens, self.finished.completion_duration_ns / _NANOSECONDS)


@dataclass(frozen=True, slots=True)
class Decoding:
    """Tokens of a reply and the seconds their computing took."""

    tokens: int
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        """Give the speed of this one reply; with several at once each is slower."""
        return self.tokens / self.seconds
