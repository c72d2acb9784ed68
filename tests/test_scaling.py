"""docs/scaling.md says what the code does, where it can be held against it."""

import re
from pathlib import Path

from generation.remote.chat import BYTES_PER_TOKEN, TOKENS_AROUND_MESSAGE
from generation.remote.circuit import FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS
from generation.remote.replica import Watching
from generation.remote.wire import Patience, RemoteClient
from parley.example import with_table

TEXT = (Path(__file__).parents[1] / "docs/scaling.md").read_text("utf-8")
FLAT = " ".join(TEXT.split())


def test_the_table_of_servers_is_that_of_the_code() -> None:
    assert with_table("docs/scaling.md", TEXT) == TEXT, "run: python -m parley.example"


def test_the_numbers_are_those_of_the_code() -> None:
    patience, watching = Patience(), Watching()
    assert f"{patience.first_piece / 60:.0f} minutes to the first token, and then {patience.next_piece:.0f} s" in FLAT
    assert f"every {watching.every:.0f} s, or {watching.list_every:.0f} s where there is only a list" in FLAT
    assert f"{watching.answer_within:.0f} s for an answer, twice" in FLAT
    assert watching.slow_checks == 2
    assert f"one for {BYTES_PER_TOKEN} bytes, and {TOKENS_AROUND_MESSAGE} a message" in FLAT
    assert f"up to every {LONGEST_WAIT_SECONDS:.0f} s" in FLAT
    assert FIRST_WAIT_SECONDS == 0.5
    assert f"lines of over {RemoteClient.most_bytes >> 20} MiB" in FLAT


def test_every_metric_that_is_named_exists() -> None:
    source = Path("api/replica_metrics.py").read_text("utf-8")
    for name in re.findall(r"`(?:parley_replica)?_(up|running|replies|failures)(?:_total)?`", TEXT):
        assert f"parley_replica_{name}" in source
