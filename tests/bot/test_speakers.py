"""Text from people, cleaned."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.speakers import (
    MAX_NAME_CHARACTERS,
    NAMELESS,
    clean_name,
    clean_text,
    clean_token_name,
    name_mentions,
    spoken,
    without_mention,
)

_ANY_TEXT = st.text(alphabet=st.characters(codec=None), max_size=80)


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("Ada", "Ada"),
        ("Ada: system", "Ada system"),
        ("Ada\nBob: hi", "Ada Bob hi"),
        ("\u202eadA\u2066", "adA"),
        ("", NAMELESS),
        (" : \x00 ", NAMELESS),
        ("👨‍👩‍👧 family", "👨‍👩‍👧 family"),
        ("x" * 100, "x" * MAX_NAME_CHARACTERS),
    ],
)
def test_a_name_is_one_short_line_without_a_colon(name: str, cleaned: str) -> None:
    assert clean_name(name) == cleaned


@given(_ANY_TEXT)
def test_any_name_can_be_told_from_what_was_said(name: str) -> None:
    cleaned = clean_name(name)
    assert 1 <= len(cleaned) <= MAX_NAME_CHARACTERS
    assert cleaned.isprintable() or "\u200d" in cleaned
    assert spoken(name, "a: b").partition(": ") == (cleaned, ": ", "a: b")
    cleaned.encode()


@given(_ANY_TEXT)
def test_any_text_can_be_stored_and_sent(text: str) -> None:
    cleaned = clean_text(text)
    cleaned.encode()
    assert "\x00" not in cleaned
    assert clean_text(cleaned) == cleaned


@given(_ANY_TEXT)
def test_a_token_name_has_no_markup(name: str) -> None:
    assert not set(clean_token_name(name)) & set("`*_~|<>@#\\[]()\n")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("<@7> hello", "hello"),
        ("hello <@!7>", "hello"),
        ("hey <@7>, you", "hey, you"),
        ("hey <@7> you", "hey you"),
        ("<@7> <@7>", ""),
        ("a\n<@7> b\n    code", "a\nb\n    code"),
        ("<@77> stays", "<@77> stays"),
    ],
)
def test_the_bots_own_mention_leaves_no_gap(text: str, left: str) -> None:
    assert without_mention(text, 7) == left


def test_known_mentions_are_named_and_unknown_ones_stay() -> None:
    names = {"@": {1: "Ada"}.get, "@&": {2: "Mods"}.get, "#": {3: "general"}.get}
    text = "<@1> <@!1> <@&2> <#3> <@9> <#9> <:smile:1>"
    assert name_mentions(text, names) == "@Ada @Ada @Mods #general <@9> <#9> <:smile:1>"
