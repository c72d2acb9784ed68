"""The runs of tokens that a reply has said already, and what would say one of them again.

Owns: the memory of one reply's runs, for `no_repeat_ngram_size`. Does not own: the draw, or how a token is forbidden.
The prompt's runs do not count (docs/decisions/0016-modelslab.md says why).
"""

from collections import defaultdict, deque
from collections.abc import Set as AbstractSet


class SaidRuns:
    """The runs of `length` tokens of one reply; with length 0 nothing is remembered."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._followers: defaultdict[tuple[int, ...], set[int]] = defaultdict(set)
        self._last: deque[int] = deque(maxlen=max(0, length - 1))

    def add(self, token: int) -> None:
        """Remember the reply's next token."""
        if not self._length:
            return
        if len(self._last) == self._length - 1:
            self._followers[tuple(self._last)].add(token)
        self._last.append(token)

    def repeating(self) -> AbstractSet[int]:
        """Return the tokens that would now complete a run the reply has said before."""
        if len(self._last) < self._length - 1:
            return frozenset()
        return self._followers.get(tuple(self._last), frozenset())
