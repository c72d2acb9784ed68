import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.reply_text import ReplyText


def say(*parts: bytes, stop: tuple[str, ...] = ()) -> tuple[list[str], bool]:
    """What is shown after each part, and at the end; and whether a stop text ended it."""
    text = ReplyText(stop)
    shown = []
    for part in parts:
        shown.append(text.add(part))
        if text.is_stopped:
            break
    return [*shown, text.finish()], text.is_stopped


def test_text_is_shown_as_it_comes() -> None:
    assert say(b"a", b"bc") == (["a", "bc", ""], False)


def test_a_character_is_shown_when_it_is_whole() -> None:
    assert say(b"\xf0\x9f", b"\x98", b"\x80!") == (["", "", "\U0001f600!", ""], False)


def test_half_a_character_at_the_end_is_left_out() -> None:
    assert say(b"a\xf0\x9f\x98") == (["a", ""], False)


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert say(b"a\xff", b"b\xc3", b"c")[0] == ["a\ufffd", "b", "\ufffdc", ""]


def test_a_stop_text_ends_the_reply_before_itself() -> None:
    assert say(b"one STOP two", b"never", stop=("STOP",)) == (["one ", ""], True)


def test_a_stop_text_may_lie_across_tokens() -> None:
    assert say(b"one S", b"TO", b"P two", stop=("STOP",)) == (["one ", "", "", ""], True)


def test_what_only_began_like_a_stop_text_is_shown_later() -> None:
    assert say(b"one S", b"TO", b"Y", b"S", stop=("STOP",)) == (["one ", "", "STOY", "", "S"], False)


def test_the_earliest_of_several_stop_texts_counts() -> None:
    assert say(b"abcdef", stop=("de", "bc", "cd")) == (["a", ""], True)


def test_a_stop_text_may_end_inside_of_an_emojis_tokens() -> None:
    grinning = "\U0001f600".encode()
    assert say(b"a" + grinning[:1], grinning[1:3], grinning[3:] + b"b", stop=("\U0001f600",)) == (
        ["a", "", "", ""],
        True,
    )


def test_a_stop_text_that_overlaps_itself_is_found() -> None:
    assert say(b"a", b"a", b"b", b"a", b"a", b"c", stop=("aac",)) == (["", "", "aab", "", "", "", ""], True)


@given(text=st.text(alphabet="ab\U0001f600ñ", max_size=30), seed=st.integers(0, 1000))
def test_any_cut_into_tokens_gives_what_the_whole_gives(text: str, seed: int) -> None:
    draw = random.Random(seed)
    stop = ("\U0001f600a", "bb", "ñ\U0001f600")
    data = text.encode()
    cuts = [0, *sorted(draw.choices(range(len(data) + 1), k=5)), len(data)]
    shown, is_stopped = say(*(data[a:b] for a, b in itertools.pairwise(cuts)), stop=stop)
    ends = [at for at in (text.find(mark) for mark in stop) if at >= 0]
    assert is_stopped == bool(ends)
    assert "".join(shown) == (text[: min(ends)] if ends else text)


@pytest.mark.parametrize("stop", [(), ("x",)])
def test_nothing_said_is_nothing_shown(stop: tuple[str, ...]) -> None:
    assert say(stop=stop) == ([""], False)
