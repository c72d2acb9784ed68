"""Numbers that people choose: calls, LLM tokens."""

# The largest allowance a column of every database holds with room to count.
MAX_COUNT = 2**53


def check_count(what: str, value: int) -> int:
    """Return the number; raises `ValueError`, with a message for people, for one that cannot be counted with."""
    if not 0 <= value <= MAX_COUNT:
        raise ValueError(f"{what}: give a number from 0 to {MAX_COUNT}")
    return value
