"""`SHARD_IDS` and `SHARD_COUNT`: which part of the bot's Discord servers a process is for.

Owns: reading them. Does not own: what a shard is, or when it connects (`bot/sharding.py`).
"""

import re
from collections.abc import Iterator

MAX_SHARDS = 16_384
"""Far above what Discord asks for: one shard for about a thousand servers."""


def read_shard_ids(value: str | None) -> tuple[int, ...] | None:
    """Read numbers and ranges such as `0-3,7`, sorted; None where nothing is set. Raises `ValueError`."""
    if value is None:
        return None
    ids = sorted(number for part in value.split(",") for number in _numbers(part.strip()))
    if len(set(ids)) < len(ids):
        raise ValueError("names a shard twice; write each once, for example 0-3,7")
    return tuple(ids)


def require_fitting(ids: tuple[int, ...] | None, count: int | None) -> None:
    """Raise `ValueError` where the two do not go together."""
    if ids is None:
        return
    if count is None:
        raise ValueError("SHARD_IDS needs SHARD_COUNT, the number of shards of all processes together; set both")
    if ids[-1] >= count:
        raise ValueError(f"SHARD_IDS: there is no shard {ids[-1]} of SHARD_COUNT={count}; they are counted from 0")


def _numbers(part: str) -> Iterator[int]:
    found = re.fullmatch(r"([0-9]{1,5})(?:\s*-\s*([0-9]{1,5}))?", part)
    if found is None:
        raise ValueError("must be numbers and ranges, for example 0-3,7")
    first, last = int(found[1]), int(found[2] or found[1])
    if last < first or last >= MAX_SHARDS:
        raise ValueError(f"must be numbers below {MAX_SHARDS:,} and ranges that go up, for example 0-3,7")
    yield from range(first, last + 1)
