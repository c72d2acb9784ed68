"""Turns a conversation into the token ids that the model reads.

Owns: the order of the steps (mark, render, cut, tokenize) and what to try when a chat template refuses an order of
roles. Does not own: the engine's HTTP interface, which it is given as a `Tokenizer`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Protocol

from generation.engine import Message
from generation.errors import TemplateRefusedError
from generation.neutralise import ControlTexts, MarkedPrompt, choose_marks, cut, mark, mark_outside, unmark

_GUARD = "\n"
"""Starts a fragment whose tokens must not begin with a space of the tokenizer's own; taken off again afterwards."""


class Tokenizer(Protocol):
    """The model's template and vocabulary, as the engine offers them."""

    async def render(self, messages: Sequence[Message]) -> str:
        """Apply the chat template; raises `TemplateRefusedError` when it does not take these roles."""

    async def tokenize(
        self, content: str | Sequence[str | int], *, add_special: bool = False, parse_special: bool = False
    ) -> list[int]:
        """Tokenize a text, or texts apart from each other with ready token ids between them."""


class PromptEncoder:
    """Encodes conversations and plain texts for one loaded model.

    `separator` is the id and text of a control token, for vocabularies whose tokenizer begins every text with a space
    of its own (SentencePiece's dummy prefix); None where the tokenizer adds nothing.
    """

    def __init__(
        self, tokenizer: Tokenizer, control_texts: ControlTexts, *, separators: Sequence[tuple[int, str]] = ()
    ) -> None:
        self._tokenizer = tokenizer
        self._control_texts = control_texts
        self._separators = separators
        self._guard: list[int] | None = None

    async def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """Render and tokenize a conversation; control tokens written in contents stay text.

        Raises `TemplateRefusedError`.
        """
        prompt = await self._render(messages)
        return await self._encode(cut(prompt, self._control_texts), add_special=True)

    async def encode_text(self, text: str) -> list[int]:
        """Tokenize plain text."""
        return await self._encode(cut(MarkedPrompt(text, ((0, len(text)),)), self._control_texts), add_special=False)

    async def _render(self, messages: Sequence[Message]) -> MarkedPrompt:
        refusal: TemplateRefusedError | None = None
        for attempt in _role_orders(messages):
            try:
                return await self._render_marked(attempt)
            except TemplateRefusedError as error:
                refusal = refusal or error
        raise refusal or TemplateRefusedError

    async def _render_marked(self, messages: Sequence[Message]) -> MarkedPrompt:
        marks = choose_marks([message.content for message in messages])
        prompt = unmark(await self._tokenizer.render(mark(messages, marks)), marks)
        if prompt is None:
            prompt = unmark(await self._tokenizer.render(mark_outside(messages, marks)), marks)
        if prompt is None:
            raise TemplateRefusedError("the template changes contents in a way that cannot be followed")
        return prompt

    async def _encode(self, fragments: Sequence[str], *, add_special: bool) -> list[int]:
        if len(fragments) == 1:
            return await self._tokenizer.tokenize(fragments[0], add_special=add_special, parse_special=add_special)
        if not self._separators:
            return await self._tokenizer.tokenize(fragments, add_special=add_special, parse_special=add_special)
        return await self._encode_guarded(fragments, add_special=add_special)

    async def _encode_guarded(self, fragments: Sequence[str], *, add_special: bool) -> list[int]:
        ...


def _role_orders(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """Yield the conversation as it is, then in forms that stricter templates take."""
    yield messages
    merged = _merge_neighbours(messages)
    if len(merged) < len(messages):
        yield merged
    if any(message.role == "system" for message in messages):
        yield _fold_system(messages)


def _merge_neighbours(messages: Sequence[Message]) -> list[Message]:
    """Join messages of one role that follow each other, with a blank line between."""
    return [
        Message(role, "\n\n".join(message.content for message in group))
        for role, group in groupby(messages, key=lambda message: message.role)
    ]


def _fold_system(messages: Sequence[Message]) -> list[Message]:
    """Put system texts before the first user message, for templates that know no system role."""
    system = [message for message in messages if message.role == "system"]
    others = _merge_neighbours([message for message in messages if message.role != "system"])
    first_user = next((at for at, message in enumerate(others) if message.role == "user"), None)
    text = "\n\n".join(message.content for message in system)
    if first_user is None:
        return [Message("user", text), *others]
    ...
