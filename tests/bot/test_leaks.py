"""Which parts of a text are looked up as API tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.leaks import lookalikes
from storage.tokens import generate_secret

SECRET = "parley_" + "a-B_9" * 8 + "xyz"
ENDING_IN_MARKUP = "parley_" + "a" * 41 + "_-"


@pytest.mark.parametrize("secret", [SECRET, ENDING_IN_MARKUP, "parley_" + "x" * 32, "parley_" + "x" * 128])
@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "my token is {}, thanks",
        "**{}**",
        "||{}||",
        "`{}`",
        "```sh\ncurl -H 'Authorization: Bearer {}'\n```",
        "https://example.org/?key={}&x=1",
        '{{"key": "{}"}}',
        "<{}>",
        "PARLEY_TOKEN={}\n",
        "{}.",
    ],
)
def test_a_token_is_found_whatever_stands_around_it(secret: str, around: str) -> None:
    assert secret in lookalikes([around.format(secret)])


@pytest.mark.parametrize("around", ["_{}_", "__{}__", "-{}-", "_{}_ and more", "{}_suffix", "{}--"])
def test_a_token_as_it_is_issued_is_found_though_markup_or_words_touch_it(around: str) -> None:
    for secret in (SECRET[:50], ENDING_IN_MARKUP):
        assert secret in lookalikes([around.format(secret)])


def test_tokens_that_touch_are_found_both() -> None:
    first, second = generate_secret(), generate_secret()
    assert {first, second} <= set(lookalikes([first + second]))


@pytest.mark.parametrize("text", ["", "parley_", "parley_short", "Parley is a bot", "tok_abcdefghjkmn", "x" * 4000])
def test_ordinary_text_is_not_looked_up(text: str) -> None:
    assert lookalikes([text]) == []


@given(st.text(), st.text())
def test_a_token_is_found_in_any_text(before: str, after: str) -> None:
    secret = SECRET[:50]
    assert secret in lookalikes([before + secret + after])
