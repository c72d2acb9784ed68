"""Completes JSON that was cut off, so that it satisfies its schema after all.

A reply may end at its length limit in the middle of a value. What is missing is then chosen here, byte by byte, among
what the schema allows: what closes comes first, so that little is added. Owns: that choice. Does not own: what a schema
allows (`constrained.py`).
"""

import json
import random
import string
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from generation.constrained import Constrainer, Constraint, SchemaUnusableError, make_byte_constrainer

MOST_BYTES: Final = 16_384
"""Of one try: no schema that is taken forces much more. Each byte takes some 10 microseconds."""

TRIES: Final = 10

_END: Final = 256
_OUTSIDE: Final[list[int]] = [*b'"}],:', *b"15", *b"0", *b"tfn"]
_INSIDE: Final[list[int]] = [*b'"@.-:/150', *string.ascii_letters.encode()]
"""What comes first outside of and inside a string. 0 comes late: 0.000... can go on for ever where a number must be
above 0."""


class CannotFinishError(Exception):
    """No way to satisfy the schema was found; a reply with more room might have."""


class Finisher:
    """Completes texts. Computes for milliseconds, with large schemas for longer: call it in a thread."""

    def __init__(self) -> None:
        self._constrainer: Constrainer = make_byte_constrainer()

    def finish(self, schema: Mapping[str, Any], text: str) -> str:
        """Return the text, whole and valid; one that is already is returned as it is.

        Raises `SchemaUnusableError` for a schema that cannot be used, `CannotFinishError`.
        """
        for attempt in range(TRIES):
            constraint = self._constrainer.start(schema)
            written = _accept(constraint, text)
            try:
                tail = _close(constraint, written, random.Random(attempt) if attempt else None)
                whole = (written + tail).decode()
                json.loads(whole)
            except (CannotFinishError, SchemaUnusableError, ValueError):
                continue
            return whole
        raise CannotFinishError


def _accept(constraint: Constraint, text: str) -> bytes:
    """Take in the text as far as the schema allows it: a cut inside of a character leaves a mark that it may not."""
    taken = bytearray()
    for byte in text.encode():
        if constraint.is_complete or not constraint.allowed()[byte]:
            break
        constraint.accept(byte)
        taken.append(byte)
    return bytes(taken)


def _close(constraint: Constraint, before: bytes, chance: random.Random | None) -> bytes:
    """Choose the rest: what closes where it may, else in a fixed order, or at random where that order went astray."""
    written = bytearray()
    quotes = _Quotes(before)
    while not constraint.is_complete:
        allowed = constraint.allowed()
        if allowed[_END]:
            break
        if len(written) >= MOST_BYTES:
            raise CannotFinishError
        byte = _choose(allowed, quotes, chance)
        constraint.accept(byte)
        quotes.add(byte)
        written.append(byte)
    return bytes(written)


class _Quotes:
    """Knows whether JSON stands inside a string."""

    def __init__(self, before: bytes) -> None:
        self.are_open = False
        self._is_escaped = False
        for byte in before:
            self.add(byte)

    def add(self, byte: int) -> None:
        """Take in the next byte."""
        if self._is_escaped:
            self._is_escaped = False
        elif byte == ord("\\"):
            self._is_escaped = self.are_open
        elif byte == ord('"'):
            self.are_open = not self.are_open


def _choose(allowed: NDArray[np.bool_], quotes: _Quotes, chance: random.Random | None) -> int:
    order = _INSIDE if quotes.are_open else _OUTSIDE
    closing = order[:1] if quotes.are_open else order[:5]
    first = next((byte for byte in (closing if chance else order) if allowed[byte]), None)
    if first is not None:
        return first
    # Outside of a string white space could go on for ever; inside, an escape leads to nothing that is needed.
    last = b"\\" if quotes.are_open else b" \t\n\r"
    rest = [byte for byte in range(_END) if allowed[byte] and byte not in last]
    rest = rest or [byte for byte in last if allowed[byte]]
    if not rest:
        raise CannotFinishError
    return int(chance.choice(rest)) if chance else rest[0]
