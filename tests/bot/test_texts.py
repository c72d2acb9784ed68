"""The words people read, with the largest values they can carry."""

import inspect
from datetime import UTC, datetime
from typing import Any

import pytest

from bot import texts
from bot.splitting import MAX_CHARACTERS

_EXTREME: dict[str, list[Any]] = {
    "limit": [1, 10**15, None],
    "resets_at": [datetime(2999, 12, 31, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC), None],
    "retry_after_seconds": [1, 119, 120, 10**9, None],
    "prompt_tokens": [1, 10**15, None],
    "waiting": [1, 10**9],
    "request_id": ["", "r" * 64],
    "permission": ["Manage Server"],
    "messages": [0, 1, 10**9],
    "name": ["n" * 32, "👍🏽" * 8],
    "token_id": ["t" * 64],
    "secret": ["parley_" + "s" * 64],
    "daily_calls": [1, 10**6],
    "api_url": ["https://" + "a" * 250 + ".example"],
    "created_by": [2**63, None],
    "created_at": [datetime(2999, 12, 31, tzinfo=UTC)],
    "calls": [0, 1, 10**9],
    "tokens_today": [0, 1, 10**15],
    "tokens_month": [0, 1, 10**15],
    "calls_month": [0, 1, 10**9],
}
_NOT_SENTENCES = ("plural", "relative_time")


def _sentences() -> list[str]:
    functions = inspect.getmembers(texts, inspect.isfunction)
    own = [name for name, function in functions if function.__module__ == texts.__name__]
    return [name for name in own if not name.startswith("_") and name not in _NOT_SENTENCES]


def _takes_none(parameter: inspect.Parameter) -> bool:
    return "None" in str(parameter.annotation)


@pytest.mark.parametrize("name", _sentences())
def test_a_sentence_fits_a_message_pings_nobody_in_bulk_and_leaves_no_braces(name: str) -> None:
    function = getattr(texts, name)
    parameters = inspect.signature(function).parameters
    longest = max((len(_EXTREME[parameter]) for parameter in parameters), default=1)
    for choice in range(longest):
        values = {}
        for parameter, described in parameters.items():
            options = [each for each in _EXTREME[parameter] if each is not None or _takes_none(described)]
            values[parameter] = options[choice % len(options)]
        text = function(**values)
        assert 1 <= len(text) < MAX_CHARACTERS
        assert text.strip() == text
        assert "@everyone" not in text
        assert "@here" not in text
        assert "None" not in text
        without_example = text.replace('{"messages": [{"role": "user", "content": "Hello!"}]}', "")
        assert "{" not in without_example
        assert "}" not in without_example


def test_every_sentence_is_rendered() -> None:
    assert len(_sentences()) > 20


def test_counts_agree_with_their_nouns() -> None:
    assert [texts.plural(count, "call") for count in (0, 1, 2, 1000)] == ["0 calls", "1 call", "2 calls", "1,000 calls"]


def test_a_reset_is_a_timestamp_in_the_readers_own_zone() -> None:
    moment = datetime(2026, 11, 21, tzinfo=UTC)
    assert f"<t:{int(moment.timestamp())}:R>" in texts.allowance_used(limit=5, resets_at=moment)
