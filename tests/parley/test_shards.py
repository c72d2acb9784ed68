"""`SHARD_IDS` and `SHARD_COUNT` as they are written."""

from pathlib import Path

import pytest

from bot.addresses import GatewayAdvice
from parley.doctor import describe_shards
from parley.settings import known_names, load_settings
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


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "this process is for all of 3 shards"),
        (["SHARD_COUNT=8"], "this process is for all of 8 shards"),
        (["SHARD_COUNT=8", "SHARD_IDS=0-3,7"], "this process is for 5 of 8 shards (0-3,7)"),
    ],
    ids=["none", "count", "ids"],
)
def test_the_doctor_says_which_a_process_is_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str], said: str
) -> None:
    for name in known_names():
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".env").write_text("\n".join(lines), "utf-8")
    advice = GatewayAdvice(shards=3, max_concurrency=2)
    told = describe_shards(load_settings(tmp_path / ".env"), advice)
    assert told == f"{said}; Discord recommends 3 and lets 2 identify every 5 s"


def test_ids_have_to_fit_the_count() -> None:
    require_fitting(None, None)
    require_fitting(None, 4)
    require_fitting((0, 3), 4)
    with pytest.raises(ValueError, match="needs SHARD_COUNT"):
        require_fitting((0,), None)
    with pytest.raises(ValueError, match="no shard 4 of SHARD_COUNT=4"):
        require_fitting((3, 4), 4)
