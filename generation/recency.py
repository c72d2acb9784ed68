"""Guesses which conversations the engine still has in its memory; it does not say.

Owns: the guess. The last conversation of each slot is there, and those before it as far as the engine's cache of
conversations reaches. A wrong guess costs time and nothing else. Does not own: what follows from it (`warmth.py`).
"""

from collections import OrderedDict
from collections.abc import Hashable


class Recency:
    """The sequences of tokens that were computed last, in an engine of so many slots and `cache_tokens` beside them."""

    def __init__(self, *, slots: int, cache_tokens: int) -> None:
        self._slots = slots
        self._cache_tokens = cache_tokens
        # Least recent first: what each sequence has come to, and the slot it was computed in.
        self._sequences: OrderedDict[Hashable, tuple[int, int | None]] = OrderedDict()

    def __contains__(self, name: Hashable) -> bool:
        return name in self._sequences

    def note(self, name: Hashable, *, tokens: int, slot: int | None) -> None:
        """Note that a sequence was computed; what no longer has room behind it is taken for forgotten."""
        self._sequences.pop(name, None)
        self._sequences[name] = tokens, slot
        beside = 0
        for place, other in enumerate(reversed(tuple(self._sequences))):
            if place >= self._slots:
                beside += self._sequences[other][0]
                if beside > self._cache_tokens:
                    del self._sequences[other]

    def overwrite(self, slot: int) -> None:
        """Note that what a slot holds was replaced behind the engine's back, so that it did not put it by."""
        # One that was in this slot before others has been put by.
        last = next((name for name, (_, of) in reversed(self._sequences.items()) if of == slot), None)
        if last is not None:
            del self._sequences[last]
