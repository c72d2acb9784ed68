"""The README says what the code does, where it can be held against it."""

import re
from pathlib import Path

from api.contract import SamplingFields
from api.examples.catalogue import ADDRESS, CURL, MODEL, NATIVE, read_example
from api.routes import ROUTES
from parley.cli import main
from parley.example import with_table

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


def test_the_engine_table_is_that_of_the_code() -> None:
    assert with_table("README.md", README) == README, "run: python -m parley.example"


def test_every_command_is_named() -> None:
    assert [name for name in main.commands if not re.search(rf"`parley (\w+ )*{name}|`parley {name}", README)] == []


def test_every_sampling_option_is_named() -> None:
    assert [name for name in SamplingFields.model_fields if f"`{name}`" not in README and name != "num_keep"] == []


def test_every_route_for_programs_is_named() -> None:
    watched = {"/healthz", "/readyz", "/metrics"}
    shown = [route.path for route in ROUTES if route.tag == "Native" or route.path in watched]
    assert [path for path in shown if path not in README] == []


def test_the_first_request_is_the_first_example() -> None:
    assert read_example(NATIVE, NATIVE.examples[0], CURL, address=ADDRESS, model=MODEL) in README
