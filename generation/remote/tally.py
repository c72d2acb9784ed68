"""What one reply over OpenAI's routes has come to: text, tokens, times, and why it ended.

Owns: the `Finished` at the end. Does not own: a route's events (`completions.py`, `chat.py`), or a bound on them
(`bounds.py`).
"""

import io
import math
from collections.abc import Mapping, Sequence
from time import monotonic_ns
from typing import Any

from generation.constraint import require_json
from generation.engine import Finished, FinishReason, Piece, TokenLogprob
from generation.errors import EngineUnavailableError
from generation.served_engine import LEAST_LOGPROB

_BROKEN_OFF = frozenset({"abort", "error", "cancelled"})
"""Ends that are none: vLLM says so of replies that it gave up."""


def bound_logprob(value: object) -> float:
    """Read a log-probability; JSON has no infinity, and some servers write one all the same."""
    number = float(value) if isinstance(value, int | float) else -math.inf
    return max(number, LEAST_LOGPROB) if math.isfinite(number) else LEAST_LOGPROB


class Tally:
    """One reply; a server that counts nothing is counted by its events.

    Of the prompt, what was counted here holds: it is what the caller was told, and charged.
    """

    def __init__(self, *, prompt_tokens: int, most_tokens: int, stop: Sequence[str]) -> None:
        self._prompt_tokens = prompt_tokens
        self._most_tokens = most_tokens
        self._stop = stop
        self._began_ns = monotonic_ns()
        self._first_ns: int | None = None
        self._text = io.StringIO()
        self._events = 0
        self._usage: Mapping[str, Any] = {}
        self._reason: FinishReason | None = None
        self._stop_text: str | None = None

    @property
    def completion_tokens(self) -> int:
        """Tokens so far: what the server says, or one an event, though never more than were allowed."""
        said = int(self._usage.get("completion_tokens") or 0)
        return said if said > 0 else min(self._events, self._most_tokens)

    def note_usage(self, usage: object) -> None:
        """Take in the counts of an event, if it has any."""
        if isinstance(usage, Mapping):
            self._usage = usage

    def say(self, text: str, logprobs: Sequence[TokenLogprob] = ()) -> Piece:
        """Take in new text."""
        if self._first_ns is None:
            self._first_ns = monotonic_ns()
        self._events += 1
        self._text.write(text)
        return Piece(text, self.completion_tokens, logprobs)

    def note_end(self, choice: Mapping[str, Any]) -> None:
        """Take in why the reply ended, where an event says so."""
        reason = choice.get("finish_reason")
        if reason is None or reason in _BROKEN_OFF:
            return
        self._reason = "length" if reason == "length" else "stop"
        stopped_by = choice.get("stop_reason")
        if isinstance(stopped_by, str) and stopped_by in self._stop:
            self._stop_text = stopped_by

    def finish(self, *, is_json: bool) -> Finished:
        """Say how it ended; raises `EngineUnavailableError` for a stream that just stopped, `FormatRefusedError`."""
        if self._reason is None:
            raise EngineUnavailableError("the reply broke off")
        if is_json and self._reason == "stop":
            require_json(self._text.getvalue())
        now = monotonic_ns()
        first_ns = now if self._first_ns is None else self._first_ns
        details = self._usage.get("prompt_tokens_details")
        cached = details.get("cached_tokens") if isinstance(details, Mapping) else 0
        return Finished(
            reason=self._reason,
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self.completion_tokens,
            cached_tokens=max(0, min(int(cached or 0), self._prompt_tokens)),
            prompt_duration_ns=first_ns - self._began_ns,
            completion_duration_ns=now - first_ns,
            stop_text=self._stop_text,
        )
