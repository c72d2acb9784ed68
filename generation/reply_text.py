"""Turns the bytes of tokens into text that may be shown at once.

Owns: whole characters only, and stop texts, which may lie across tokens and inside of characters that do. Does not own:
which token comes next (`reference_sampler.py`), nor the model's own end.
"""

import codecs
from collections.abc import Sequence


class ReplyText:
    """The text of one reply as it grows; `stop` are non-empty texts that end it and are not part of it."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = tuple(stop)
        # A model may say bytes that are no text; U+FFFD stands for them.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.stopped_by: str | None = None

    @property
    def is_stopped(self) -> bool:
        """Whether a stop text, `stopped_by`, has ended the reply."""
        return self.stopped_by is not None

    def add(self, data: bytes) -> str:
        """Take one token's bytes and return the text that is now certain: empty while a stop text may be coming."""
        self._held += self._decoder.decode(data)
        ends = [(at, stop) for stop in self._stop if (at := self._held.find(stop)) >= 0]
        if ends:
            at, self.stopped_by = min(ends)
            return self._take(at)
        return self._take(len(self._held) - self._count_held_back())

    def finish(self) -> str:
        """Return what was held back, when no more tokens follow; half a character is left out."""
        return "" if self.is_stopped else self._take(len(self._held))

    def _take(self, count: int) -> str:
        text, self._held = self._held[:count], self._held[count:]
        return text

    def _count_held_back(self) -> int:
        """Count the last characters that begin a stop text."""
        longest = max((len(stop) for stop in self._stop), default=0)
        for count in range(min(longest - 1, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-count:]) for stop in self._stop):
                return count
        return 0
