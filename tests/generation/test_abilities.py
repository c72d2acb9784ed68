from dataclasses import fields

import pytest

from generation.abilities import ABILITIES, LLAMA_CPP, NEUTRAL, Abilities, Unable, find_unable
from generation.engine import SamplingOptions
from tests.generation.asking import options

NAMES = {field.name for field in fields(SamplingOptions)}
SCHEMA = {"type": "object"}


def test_every_table_and_the_neutral_values_name_real_options() -> None:
    assert set(NEUTRAL) <= NAMES
    for engine, table in ABILITIES.items():
        assert table.engine == engine
        assert table.options <= NAMES
        assert set(table.notes) <= table.options
        assert all(group <= table.options for group in table.apart)


def test_both_local_engines_support_every_option_but_one_has_no_adapters() -> None:
    """The evidence for each stands in test_sampling_evidence.py and test_random_options.py."""
    assert {engine: table.options for engine, table in ABILITIES.items()} == {
        "llama.cpp": NAMES,
        "ctransformers": NAMES - {"adapter"},
    }


def test_an_option_that_is_off_is_never_refused() -> None:
    nothing = Abilities(engine="none", options=frozenset())
    off = options(**NEUTRAL)
    assert list(find_unable(off, nothing)) == []
    assert list(find_unable(options(**{**NEUTRAL, "tfs_z": 1.5}), nothing)) == []


@pytest.mark.parametrize(
    ("name", "value"), [("top_k", 3), ("tfs_z", 0.9), ("mirostat", 2), ("stop", ("x",)), ("json_schema", SCHEMA)]
)
def test_an_option_that_is_not_in_the_table_is_named(name: str, value: object) -> None:
    table = Abilities(engine="some", options=frozenset(NAMES - {name}))
    assert list(find_unable(options(**{**NEUTRAL, name: value}), table)) == [Unable(name)]


def test_options_that_do_not_go_together_are_named_together() -> None:
    both = options(tfs_z=0.9, json_schema=SCHEMA)
    assert list(find_unable(both, LLAMA_CPP)) == [Unable("tfs_z", frozenset({"json_schema"}))]
    assert list(find_unable(options(tfs_z=0.9), LLAMA_CPP)) == []
    assert list(find_unable(options(json_schema=SCHEMA), LLAMA_CPP)) == []
    assert list(find_unable(options(tfs_z=0.9, json_schema=SCHEMA, mirostat=1), LLAMA_CPP)) == []
