"""Long lists in pieces: a statement takes only so many values (https://www.sqlite.org/limits.html, item 9)."""

from collections.abc import Collection, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

# Far below what any database takes.
CHUNK_SIZE = 500


def in_chunks(values: Collection[T]) -> Iterator[list[T]]:
    """Yield the values in their order, at most `CHUNK_SIZE` at a time."""
    remaining = iter(values)
    while chunk := list(islice(remaining, CHUNK_SIZE)):
        yield chunk
