"""The options of `/settings set`: the contract's ranges, narrower where Discord or this bot has to be."""

import pytest

from api.contract import MAX_STOPS, SamplingFields
from bot.errors import RefusedError
from bot.option_values import (
    DESCRIPTIONS,
    MAX_DISCORD_INTEGER,
    MAX_REPLY_TOKENS,
    MAX_STOP_CHARACTERS,
    MIROSTAT_CHOICES,
    STOP,
    Bounds,
    checked,
    contract_bounds,
    number_bounds,
    written,
)
from bot.profile_errors import BadOptionError, BadStopError
from bot.profiles import MODEL

BOUNDS = number_bounds(context_tokens=4096)


def test_every_option_of_the_contract_that_has_an_effect_is_offered() -> None:
    assert set(DESCRIPTIONS) - {MODEL} == SamplingFields.model_fields.keys() - {"num_keep"}
    assert all(1 <= len(text) <= 100 for text in DESCRIPTIONS.values())


def test_bounds_are_those_of_the_contract_but_for_the_narrower_ones() -> None:
    narrower = {
        "num_predict": Bounds(kind=int, minimum=1, maximum=MAX_REPLY_TOKENS),
        "num_ctx": Bounds(kind=int, minimum=64, maximum=4096),
        "seed": Bounds(kind=int, minimum=-MAX_DISCORD_INTEGER, maximum=MAX_DISCORD_INTEGER),
    }
    assert {name: bounds for name, bounds in BOUNDS.items() if bounds != contract_bounds(name)} == narrower
    for name, bounds in narrower.items():
        assert contract_bounds(name).hold(bounds.minimum)
        assert contract_bounds(name).hold(bounds.maximum)


@pytest.mark.parametrize("name", BOUNDS)
def test_the_contract_takes_both_ends_of_every_range_and_nothing_beyond_its_own(name: str) -> None:
    bounds = BOUNDS[name]
    for end in (bounds.minimum, bounds.maximum):
        if end is not None:
            assert checked({name: end}, BOUNDS) == {name: end}
    for beyond in (contract_bounds(name).minimum, contract_bounds(name).maximum):
        if beyond is not None:
            step = 1 if beyond == contract_bounds(name).maximum else -1
            with pytest.raises(BadOptionError):
                checked({name: bounds.kind(beyond + step)}, BOUNDS)


def test_the_choices_of_mirostat_are_its_whole_range() -> None:
    assert (min(MIROSTAT_CHOICES.values()), max(MIROSTAT_CHOICES.values())) == (0, 2)
    assert BOUNDS["mirostat"] == Bounds(kind=int, minimum=0, maximum=2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("temperature", "0.5"),
        ("temperature", True),
        ("top_k", 1.5),
        ("top_k", "40"),
        ("num_predict", 0),
        ("num_predict", -1),
        ("num_predict", MAX_REPLY_TOKENS + 1),
        ("num_ctx", 4097),
        ("seed", 2**53),
    ],
)
def test_what_only_a_forged_interaction_can_send_is_refused(name: str, value: object) -> None:
    with pytest.raises(BadOptionError) as refusal:
        checked({name: value}, BOUNDS)
    assert f"`{name}`" in refusal.value.sentence()


def test_a_refusal_names_the_bounds() -> None:
    for name, sentence in {
        "temperature": "`temperature` takes a number from 0 to 5.",
        "top_k": "`top_k` takes a number from 0 up.",
        "repeat_penalty": "`repeat_penalty` takes a number from 0.1 to 5.",
    }.items():
        with pytest.raises(RefusedError) as refusal:
            checked({name: -1.5}, BOUNDS)
        assert refusal.value.sentence() == sentence


@pytest.mark.parametrize(
    ("typed", "stops"),
    [
        ("User:", ["User:"]),
        ("User:|Bot:", ["User:", "Bot:"]),
        (" User: | Bot: ||", ["User:", "Bot:"]),
        ("\\n", ["\n"]),
        ("a\\nb", ["a\nb"]),
        ("\x00end\x07", ["end"]),
        ("|".join("x" * MAX_STOPS), ["x"] * MAX_STOPS),
    ],
)
def test_stop_texts_are_separated_and_cleaned(typed: str, stops: list[str]) -> None:
    assert checked({STOP: typed}, BOUNDS) == {STOP: stops}
    assert SamplingFields.model_validate({STOP: stops}).stop == stops


@pytest.mark.parametrize("typed", ["|", " ", "\x00", "x|" * (MAX_STOPS + 1), "x" * (MAX_STOP_CHARACTERS + 1)])
def test_no_stop_text_too_many_or_too_long_ones_are_refused(typed: str) -> None:
    with pytest.raises(BadStopError) as refusal:
        checked({STOP: typed}, BOUNDS)
    assert str(MAX_STOPS) in refusal.value.sentence()


def test_values_are_written_plainly_and_cannot_end_a_code_block() -> None:
    assert [written(value) for value in (0.8, 5.0, 40, -1, None)] == ["0.8", "5", "40", "-1", "–"]
    assert written(["User:", "\n"]) == "User: | \\n"
    assert "`" not in written(["```", "a`b"])
