"""Which part of a long conversation is sent."""

import itertools

import pytest

from api.contract import MAX_MESSAGES, ChatMessage, ChatRequest
from bot.window import BLOCK_MESSAGES, fit

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


def test_a_short_conversation_is_sent_whole() -> None:
    messages = _conversation(20)
    assert fit(_SYSTEM, messages, _LAST, max_body_bytes=_MIB) == [_SYSTEM, *messages, _LAST]


@pytest.mark.parametrize("turns", [499, 500, 600, 2000])
def test_a_long_conversation_stays_within_the_apis_message_count(turns: int) -> None:
    sent = fit(_SYSTEM, _conversation(turns), _LAST, max_body_bytes=_MIB)
    assert len(sent) <= MAX_MESSAGES
    assert len(sent) > MAX_MESSAGES - BLOCK_MESSAGES - 2
    assert sent[0] == _SYSTEM
    assert sent[1].role == "user"
    assert sent[-1] == _LAST


@pytest.mark.parametrize("size", [500, 3000, 20_000])
def test_a_heavy_conversation_stays_within_the_body_limit(size: int) -> None:
    sent = fit(_SYSTEM, _conversation(480, size=size), _LAST, max_body_bytes=_MIB // 2)
    body = ChatRequest(messages=sent).model_dump_json(exclude_unset=True).encode()
    assert len(body) <= _MIB // 2
    assert len(body) > _MIB // 6
    assert sent[1].role == "user"


@pytest.mark.parametrize("size", [10, 3000])
def test_the_first_message_sent_changes_rarely(size: int) -> None:
    whole = _conversation(600, size=size)
    starts = [fit(_SYSTEM, whole[: 2 * turns], _LAST, max_body_bytes=_MIB)[1].content for turns in range(480, 600)]
    changes = sum(before != after for before, after in itertools.pairwise(starts))
    assert 1 <= changes <= len(starts) // 20


def test_the_question_is_sent_even_if_it_is_too_heavy() -> None:
    heavy = ChatMessage(role="user", content="x" * 10_000)
    assert fit(_SYSTEM, _conversation(3), heavy, max_body_bytes=8000) == [_SYSTEM, heavy]
