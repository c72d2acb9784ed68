"""Replies cut into messages."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.graphemes import is_boundary
from bot.splitting import FENCE, MAX_CHARACTERS, MIN_LIMIT, pieces, split

_WHOLE = (
    "<:parley:123456789012345678>",
    "<@123456789012345678>",
    "<t:1700000000:R>",
    "https://example.org/a/b?c=d",
    "[a link](https://example.org/path)",
    "👨‍👩‍👧‍👦",
    "🇩🇪",
    "👍🏽",
    "❤️",
    "e\u0301",
    "각",
)
_WORDS = st.sampled_from(
    (
        *_WHOLE,
        "word ",
        "Sentence. ",
        "完了。",
        "line\n",
        "paragraph\n\n",
        "```py\n",
        "```",
        "``",
        "\n",
        "    ",
        "x" * 40,
    )
)
_TEXTS = st.one_of(st.text(max_size=600), st.lists(_WORDS, max_size=120).map("".join))


@given(_TEXTS, st.integers(MIN_LIMIT, 400))
def test_what_people_read_joined_is_what_the_model_wrote(text: str, limit: int) -> None:
    cut = pieces(text, limit=limit)
    assert "".join(piece.body for piece in cut) == text
    assert all(1 <= len(str(piece)) <= limit for piece in cut)


@given(_TEXTS, st.integers(MIN_LIMIT, 400))
def test_only_fences_are_added(text: str, limit: int) -> None:
    for piece in pieces(text, limit=limit):
        assert re.fullmatch(r"(```[\w+\-.#]{0,20}\n)?", piece.opening)
        assert piece.closing in ("", FENCE, f"\n{FENCE}")


@given(_TEXTS, st.integers(MIN_LIMIT, 400))
def test_no_message_is_blank_or_too_long(text: str, limit: int) -> None:
    parts = split(text, limit=limit)
    assert all(part.strip() and len(part) <= limit for part in parts)
    assert bool(parts) == bool(text.strip())


@given(st.lists(st.sampled_from((*_WHOLE, "word ", "Sentence. ", "line\n")), min_size=1, max_size=200))
def test_nothing_that_means_something_only_when_whole_is_cut(words: list[str]) -> None:
    text = " ".join(words)
    ends, position = set(), 0
    for piece in pieces(text, limit=120):
        position += len(piece.body)
        ends.add(position)
    for match in re.finditer("|".join(map(re.escape, _WHOLE)), text):
        assert not any(match.start() < end < match.end() for end in ends)


@given(st.text(alphabet=st.sampled_from("ab \n`e\u0301👍🏽🇩🇪\u200d❤\ufe0f"), max_size=500))
def test_characters_as_people_see_them_are_never_cut(text: str) -> None:
    position = 0
    for piece in pieces(text, limit=MIN_LIMIT)[:-1]:
        position += len(piece.body)
        # Only a cluster that is longer than a message may be cut at all; these have at most 30 parts or so.
        around = range(max(0, position - 60), position)
        assert is_boundary(text, position) or not any(is_boundary(text, each) for each in around)


def test_a_text_that_fits_is_left_alone() -> None:
    text = "x" * MAX_CHARACTERS
    assert split(text) == [text]
    assert split("") == split(" \n ") == []


def test_cuts_prefer_paragraphs_then_lines_then_sentences_then_words() -> None:
    filler = "word " * 16
    for end in ("Over.\n\n", "Over.\n", "Over. "):
        text = filler + end + filler
        assert split(text, limit=120)[0] == filler + end
    assert split("word " * 40, limit=120)[0] == "word " * 24


def test_a_short_paragraph_does_not_become_a_message_of_its_own() -> None:
    text = "Hi.\n\n" + "A long line of text. " * 10
    assert len(split(text, limit=150)[0]) > 100


def test_code_is_closed_and_opened_again_with_its_language() -> None:
    code = "".join(f"line {number:02}\n" for number in range(30))
    parts = split(f"Look:\n```python\n{code}```\nThat was it.", limit=120)
    assert all(part.count(FENCE) == 2 for part in parts[:-1])
    assert all(part.startswith("```python\n") for part in parts[1:-1])
    joined = "".join(parts).replace("```python\n", "").replace(FENCE, "")
    assert joined == f"Look:\n{code}\nThat was it."


_BLOCKS = st.lists(
    st.one_of(
        st.integers(1, 60).map(lambda count: "word " * count + "\n"),
        st.integers(1, 40).map(lambda count: "```py\n" + "x = 1\n" * count + "```\n"),
        st.integers(1, 40).map(lambda count: "```\n" + "code\n\n" * count + "```\n\n"),
    ),
    max_size=8,
)


@given(_BLOCKS.map("".join), st.integers(MIN_LIMIT, 300))
def test_code_looks_like_code_in_every_message(text: str, limit: int) -> None:
    code = "".join(re.findall(r"```(?:py)?\n(.*?)```", text, re.DOTALL))
    parts = split(text, limit=limit)
    assert all(part.count(FENCE) % 2 == 0 for part in parts)
    shown = "".join("".join(re.findall(r"```(?:py)?\n(.*?)```", part, re.DOTALL)) for part in parts)
    assert shown.split() == code.split()


def test_code_that_fits_in_one_message_is_not_torn_apart() -> None:
    code = "```py\n" + "value = 1\n" * 8 + "```"
    parts = split("Some words before. " * 4 + "\n" + code + "\nSome words after. ", limit=130)
    assert any(code in part for part in parts)


def test_no_empty_code_block_is_left_before_a_cut() -> None:
    parts = split("w" * 29 + "\n```py\n" + "x" * 200 + "\n```", limit=100)
    assert not any(re.search(r"```py\s*```", part) for part in parts)


def test_unfinished_code_is_closed() -> None:
    assert split("So:\n```py\nprint(1)") == ["So:\n```py\nprint(1)\n```"]


def test_three_backticks_in_a_sentence_are_no_code() -> None:
    assert split("Write ``` to begin code.") == ["Write ``` to begin code."]


def test_what_is_longer_than_a_message_is_cut_all_the_same() -> None:
    for text in ("https://example.org/" + "a" * 5000, "z" + "\u0301" * 5000, " " * 5000 + "end", "👍" * 5000):
        parts = pieces(text)
        assert "".join(piece.body for piece in parts) == text
        assert all(len(str(piece)) <= MAX_CHARACTERS for piece in parts)


def test_a_limit_without_room_for_fences_is_refused() -> None:
    with pytest.raises(ValueError, match="limit"):
        pieces("text", limit=MIN_LIMIT - 1)
