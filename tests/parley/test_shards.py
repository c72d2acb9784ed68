"""`SHARD_IDS` and `SHARD_COUNT` as they are written."""

import pytest

from parley.shards import read_shard_ids, require_fitting


@pytest.mark.parametrize(
    ("written", "ids"),
    [
        (None, None),
        ("0", (0,)),
        ("0-3,7", (0, 1, 2, 3, 7)),
        (" 7 , 0 - 3 ", (0, 1, 2, 3, 7)),
        ("5-5", (5,)),
    ],
)
def test_numbers_and_ranges_are_read(written: str | None, ids: tuple[int, ...] | None) -> None:
    assert read_shard_ids(written) == ids


@pytest.mark.parametrize("written", ["", "all", "1,", "-1", "1.5", "3-1", "0-99999", "1;2", "\u0661"])
def test_anything_else_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="must be numbers"):
        read_shard_ids(written)


def test_a_shard_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        read_shard_ids("0-3,3")


def test_ids_have_to_fit_the_count() -> None:
    require_fitting(None, None)
    require_fitting(None, 4)
    require_fitting((0, 3), 4)
    with pytest.raises(ValueError, match="needs SHARD_COUNT"):
        require_fitting((0,), None)
    with pytest.raises(ValueError, match="no shard 4 of SHARD_COUNT=4"):
        require_fitting((3, 4), 4)
