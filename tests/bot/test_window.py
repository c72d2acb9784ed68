"""Which part of a long conversation is sent."""

import itertools

import pytest

from api.contract import MAX_MESSAGES, ChatMessage, ChatRequest
from bot.window import BLOCK_MESSAGES, Window, count_to_skip, fit

_SYSTEM = ChatMessage(role="system", content="You are Parley.")
_MIB = 1_048_576


_LAST = ChatMessage(role="user", content="last")


def _conversation(turns: int, *, size: int = 10) -> list[ChatMessage]:
    """Return user and assistant in turn."""
    messages = []
    for turn in range(turns):
        messages.append(ChatMessage(role="user", content=f"{turn}: " + "é" * size))
        messages.append(ChatMessage(role="assistant", content=f"{turn}: " + "a" * size))
    return messages


def _fit(stored: list[ChatMessage], asked: ChatMessage, *, max_body_bytes: int) -> Window:
    """Fit as the bot does: without what need not even be read."""
    skipped = count_to_skip(len(stored))
    return fit(_SYSTEM, stored[skipped:], [asked], skipped=skipped, max_body_bytes=max_body_bytes)


def test_a_short_conversation_is_sent_whole() -> None:
    messages = _conversation(20)
    assert _fit(messages, _LAST, max_body_bytes=_MIB) == Window([_SYSTEM, *messages, _LAST], 0)


def test_a_conversation_that_begins_with_the_bots_own_words_keeps_them() -> None:
    begun = [ChatMessage(role="assistant", content="The thread began with this."), *_conversation(2)]
    assert _fit(begun, _LAST, max_body_bytes=_MIB) == Window([_SYSTEM, *begun, _LAST], 0)


@pytest.mark.parametrize(("turns", "size"), [(600, 10), (480, 20_000)])
def test_what_is_not_sent_is_counted(turns: int, size: int) -> None:
    stored = _conversation(turns, size=size)
    window = _fit(stored, _LAST, max_body_bytes=_MIB)
    assert window.dropped > 0
    assert window.messages == [_SYSTEM, *stored[window.dropped :], _LAST]


@pytest.mark.parametrize("turns", [499, 500, 600, 2000])
def test_a_long_conversation_stays_within_the_apis_message_count(turns: int) -> None:
    sent = _fit(_conversation(turns), _LAST, max_body_bytes=_MIB).messages
    assert len(sent) <= MAX_MESSAGES
    assert len(sent) > MAX_MESSAGES - BLOCK_MESSAGES - 2
    assert sent[0] == _SYSTEM
    assert sent[1].role == "user"
    assert sent[-1] == _LAST


@pytest.mark.parametrize("size", [500, 3000, 20_000])
def test_a_heavy_conversation_stays_within_the_body_limit(size: int) -> None:
    sent = _fit(_conversation(480, size=size), _LAST, max_body_bytes=_MIB // 2).messages
    body = ChatRequest(messages=sent).model_dump_json(exclude_unset=True).encode()
    assert len(body) <= _MIB // 2
    assert len(body) > _MIB // 6
    assert sent[1].role == "user"


@pytest.mark.parametrize("size", [10, 3000])
def test_the_first_message_sent_changes_rarely(size: int) -> None:
    whole = _conversation(600, size=size)
    windows = [_fit(whole[: 2 * turns], _LAST, max_body_bytes=_MIB) for turns in range(480, 600)]
    starts = [window.messages[1].content for window in windows]
    changes = sum(before != after for before, after in itertools.pairwise(starts))
    assert 1 <= changes <= len(starts) // 20


def test_the_question_is_sent_even_if_it_is_too_heavy() -> None:
    heavy = ChatMessage(role="user", content="x" * 10_000)
    assert _fit(_conversation(3), heavy, max_body_bytes=8000) == Window([_SYSTEM, heavy], 6)
