"""Fits a conversation into the model's context.

Owns: what is dropped when a history outgrows the context. Leading system messages and the last turn, with a reply that
was begun, always stay; whole leading turns go, in blocks of half a window. A prompt that begins like the one before it
is not computed again, and prompt processing is the cost on a CPU: dropping one turn at a time changes the beginning on
every turn, dropping a block changes it once in half a window. Cut points depend on the messages alone, so that the next
turns choose the same one.

Does not own: the template and the tokenizer (the engine's `encode_chat` and `encode_text`).
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, Protocol

from generation.engine import Message
from generation.errors import PromptTooLongError

_REMEMBERED_COUNTS = 20_000
"""Messages whose token count is kept, by digest of the content: about 2 MB."""

_TOKENS_AROUND_CONTENT = 8
"""What a chat template typically adds to a message. Only places cut points; every prompt is encoded exactly."""

_COUNTED_AT_ONCE = 8

_LONG_CHARACTERS_PER_TOKEN = 3
"""Below, a conversation is encoded without counting first: it may fit, and cannot cost much. Prose has 4 to 5."""

_SURELY_TOO_LONG = 1.25
"""So many times the room in contents alone is not worth an encoding: of a conversation of ten windows that took longer
than computing the turn that was new. The margin is for templates that leave out some of the contents."""

Tools = Sequence[Mapping[str, Any]]


class Encoder(Protocol):
    """What fitting needs of an engine."""

    async def encode_chat(self, messages: Sequence[Message], tools: Tools = ()) -> list[int]:
        """Render and tokenize a conversation."""

    async def encode_text(self, text: str) -> list[int]:
        """Tokenize plain text."""


@dataclass(frozen=True, slots=True)
class FittedPrompt:
    """A prompt that fits, and how many leading messages it leaves out."""

    prompt: list[int]
    dropped_messages: int


class ContextFitter:
    """Fits conversations for one loaded model; remembers what messages cost, not what they say."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._counts: OrderedDict[bytes, int] = OrderedDict()

    async def fit_whole(self, messages: Sequence[Message], *, context_tokens: int, tools: Tools = ()) -> FittedPrompt:
        """Encode all of a conversation; the reply gets what is left of the context.

        Raises `PromptTooLongError` when not one token is left, `TemplateRefusedError`, `ToolsRefusedError`.
        """
        prompt = await self._encoder.encode_chat(messages, tools)
        if len(prompt) >= context_tokens:
            raise PromptTooLongError(prompt_tokens=len(prompt), limit_tokens=context_tokens - 1, is_whole=True)
        return FittedPrompt(prompt, 0)

    async def fit(
        self, messages: Sequence[Message], *, context_tokens: int, reply_tokens: int, tools: Tools = ()
    ) -> FittedPrompt:
        """Encode as much of a conversation as leaves room for the reply.

        `context_tokens` holds prompt and reply together; `reply_tokens` is how many the reply wants, of which up to
        half the context is set aside. When the system messages and the last turn alone need more than the rest, the
        reply gets what is left.
        Raises `PromptTooLongError` when not one token is left, `TemplateRefusedError`, `ToolsRefusedError`.
        """
        budget = context_tokens - min(reply_tokens, context_tokens // 2)
        counts = await self._count(messages) if _is_long(messages, budget) else None
        if counts is None or sum(counts) - _TOKENS_AROUND_CONTENT * len(counts) <= _SURELY_TOO_LONG * budget:
            prompt = await self._encoder.encode_chat(messages, tools)
            if len(prompt) <= budget:
                return FittedPrompt(prompt, 0)
        system, rest = _split_system(messages)
        for dropped in _find_cuts(rest, counts or await self._count(messages), budget):
            prompt = await self._encoder.encode_chat([*system, *rest[dropped:]], tools)
            if len(prompt) <= budget:
                return FittedPrompt(prompt, dropped)
        if len(prompt) >= context_tokens:
            raise PromptTooLongError(prompt_tokens=len(prompt), limit_tokens=context_tokens - 1)
        return FittedPrompt(prompt, dropped)

    async def _count(self, messages: Sequence[Message]) -> list[int]:
        """Estimate the tokens of each message."""
        keys = [hashlib.blake2b(message.content.encode(), digest_size=16).digest() for message in messages]
        # Kept apart from the memory while others run: they may make it forget.
        counts = {key: self._counts[key] for key in keys if key in self._counts}
        new = list({key: message for key, message in zip(keys, messages, strict=True) if key not in counts}.items())
        for at in range(0, len(new), _COUNTED_AT_ONCE):
            some = new[at : at + _COUNTED_AT_ONCE]
            encoded = await asyncio.gather(*(self._encoder.encode_text(message.content) for _, message in some))
            for (key, _), tokens in zip(some, encoded, strict=True):
                counts[key] = len(tokens) + _TOKENS_AROUND_CONTENT
        self._remember(counts)
        return [counts[key] for key in keys]

    def _remember(self, counts: dict[bytes, int]) -> None:
        self._counts.update(counts)
        for key in counts:
            self._counts.move_to_end(key)
        while len(self._counts) > _REMEMBERED_COUNTS:
            self._counts.popitem(last=False)


def _is_long(messages: Sequence[Message], budget: int) -> bool:
    """Say whether it is worth counting before encoding: it is with conversations that have outgrown the room."""
    return sum(len(message.content) for message in messages) > _LONG_CHARACTERS_PER_TOKEN * budget


def _find_cuts(rest: Sequence[Message], counts: Sequence[int], budget: int) -> list[int]:
    """List how many messages to drop, fewest first: at block borders, and at last all but the last turn.

    `counts` are the tokens of the system messages and of the `rest`.
    """
    system_tokens = sum(counts[: len(counts) - len(rest)])
    before = [0, *accumulate(counts[len(counts) - len(rest) :])]
    starts = _turn_starts(rest)
    block = max(1, (budget - system_tokens) // 2)
    cuts = [start for previous, start in pairwise(starts) if before[start] // block > before[previous] // block]
    # A cut that by the estimate still leaves too much is not worth an exact encoding.
    likely = [cut for cut in cuts if system_tokens + before[-1] - before[cut] <= budget and cut != starts[-1]]
    return [*likely, starts[-1]]


def _split_system(messages: Sequence[Message]) -> tuple[Sequence[Message], Sequence[Message]]:
    first = next((at for at, message in enumerate(messages) if message.role != "system"), len(messages))
    return messages[:first], messages[first:]


def _turn_starts(messages: Sequence[Message]) -> list[int]:
    """List where turns begin: at each user message and at the first; at every message if there is no user."""
    starts = [at for at, message in enumerate(messages) if message.role == "user"] or list(range(len(messages)))
    return starts if starts[:1] == [0] else [0, *starts]
