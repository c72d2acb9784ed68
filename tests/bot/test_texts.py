"""The words people read, with the largest values they can carry, in every language."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from bot import texts
from bot.language import DISCORD_LOCALES, speak
from bot.splitting import MAX_CHARACTERS
from bot.texts import forms, refusals

_FAR = datetime(2999, 12, 31, tzinfo=UTC)
_EXTREME: dict[str, list[Any]] = {
    "int": [1, 0, 2, 119, 120, 10**9, 10**15],
    "str": ["n" * 64, "👍🏽" * 8, "x"],
    "datetime": [_FAR, datetime(1970, 1, 1, tzinfo=UTC)],
    "bool": [True, False],
    "float": [0.0, 1.5],
    "Sequence[str]": [["a" * 32] * 8, ["x"], []],
    "Collection[str]": [["a" * 32] * 8, ["x"], []],
}
_LONGEST = {"api_url": "https://" + "a" * 250 + ".example", "secret": "parley_" + "s" * 64}
"""Parameters with an extreme of their own."""

_EXAMPLE = '{"messages": [{"role": "user", "content": "Hello! What can you do?"}]}'
_PARTS = ("charts", "forms")
"""Modules of parts of sentences, which the sentences carry, and of words with places for numbers drawn later."""


def _sentences() -> list[Any]:
    modules = [
        importlib.import_module(f"bot.texts.{found.name}")
        for found in pkgutil.iter_modules(texts.__path__)
        if found.name not in _PARTS
    ]
    return [
        pytest.param(function, id=f"{module.__name__}.{name}")
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    ]


def _values(name: str, annotation: str) -> list[Any]:
    if name in _LONGEST:
        return [_LONGEST[name]]
    kinds = [kind.strip() for kind in annotation.split("|")]
    return [value for kind in kinds for value in ([None] if kind == "None" else _EXTREME[kind.rpartition(".")[2]])]


def _annotation(parameter: inspect.Parameter) -> str:
    return parameter.annotation.__name__ if isinstance(parameter.annotation, type) else str(parameter.annotation)


@pytest.mark.parametrize("locale", ["en-US", *DISCORD_LOCALES])
@pytest.mark.parametrize("function", _sentences())
def test_a_sentence_fits_a_message_pings_nobody_in_bulk_and_leaves_no_braces(
    function: Callable[..., str], locale: str
) -> None:
    speak(locale)
    parameters = inspect.signature(function).parameters
    choices = {name: _values(name, _annotation(parameter)) for name, parameter in parameters.items()}
    for choice in range(max((len(values) for values in choices.values()), default=1)):
        text = function(**{name: values[choice % len(values)] for name, values in choices.items()})
        assert 1 <= len(text) < MAX_CHARACTERS
        assert text.strip() == text
        assert "@everyone" not in text
        assert "@here" not in text
        assert "None" not in text
        assert not {"{", "}"} & set(text.replace(_EXAMPLE, ""))


def test_every_module_of_words_is_rendered() -> None:
    assert len(_sentences()) > 25


def test_counts_agree_with_their_nouns() -> None:
    speak("en-US")
    assert [forms.calls(count) for count in (0, 1, 2, 1000)] == ["0 calls", "1 call", "2 calls", "1,000 calls"]


def test_a_reset_is_a_timestamp_in_the_readers_own_zone() -> None:
    speak("en-US")
    moment = datetime(2026, 11, 21, tzinfo=UTC)
    assert f"<t:{int(moment.timestamp())}:R>" in refusals.allowance_used(limit=5, resets_at=moment)
