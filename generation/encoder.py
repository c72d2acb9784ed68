"""Turns a conversation into the token ids that the model reads.

Owns: the order of the steps (mark, render, cut, tokenize), how a reply that was begun is gone on with, and what to try
when a chat template refuses an order of roles. Does not own: the engine's HTTP interface, which it is given as a
`Tokenizer`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Protocol

from generation.engine import Message
from generation.errors import TemplateRefusedError, ToolsRefusedError
from generation.neutralise import (
    ControlTexts,
    MarkedPrompt,
    all_from_people,
    choose_marks,
    cut,
    mark,
    mark_outside,
    unmark,
)
from generation.tools import knows_tools, texts_of

_BLANK_LINE = "\n\n"
"""Stands between messages that a template takes only as one."""

_GUARD = "\n"
"""Starts a fragment whose tokens must not begin with a space of the tokenizer's own; taken off again afterwards."""


class Tokenizer(Protocol):
    """The model's template and vocabulary, as the engine offers them."""

    async def render(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> str:
        """Apply the chat template, up to where the assistant speaks; the last message, if any, is not the assistant's.

        Raises `TemplateRefusedError` when it does not take these roles.
        """

    async def tokenize(
        self, content: str | Sequence[str | int], *, add_special: bool = False, parse_special: bool = False
    ) -> list[int]:
        """Tokenize a text, or texts apart from each other with ready token ids between them."""


class PromptEncoder:
    """Encodes conversations and plain texts for one loaded model.

    `separators` are ids and texts of control tokens, for vocabularies whose tokenizer begins every text with a space of
    its own (SentencePiece's dummy prefix); None where the tokenizer adds nothing.
    """

    def __init__(
        self, tokenizer: Tokenizer, control_texts: ControlTexts, *, separators: Sequence[tuple[int, str]] | None = None
    ) -> None:
        self._tokenizer = tokenizer
        self._control_texts = control_texts
        self._separators = separators
        self._knows_tools: bool | None = None

    async def encode_chat(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> list[int]:
        """Render and tokenize a conversation; control tokens written in contents stay text.

        A last message of the assistant is the beginning of its reply: the conversation before it is encoded as it was
        when the reply was begun, and the text follows, every blank kept, in tokens apart as when the model wrote it.
        Raises `TemplateRefusedError`, `ToolsRefusedError`.
        """
        if tools or any(map(_is_about_tools, messages)):
            await self._require_tools(messages, tools)
        asked, begun = _split_begun(messages)
        fragments = cut(await self._render(asked, tools), self._control_texts)
        if begun:
            fragments += cut(all_from_people(begun), self._control_texts)
        return await self._encode(fragments, is_prompt=True)

    async def encode_text(self, text: str) -> list[int]:
        """Tokenize plain text."""
        return await self._encode(cut(all_from_people(text), self._control_texts), is_prompt=False)

    async def _require_tools(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> None:
        """Refuse what the template would leave out in silence, and control tokens where contents cannot be marked."""
        if self._knows_tools is None:
            self._knows_tools = await knows_tools(self._tokenizer)
        if not self._knows_tools:
            raise ToolsRefusedError("this model's chat template knows no tools; leave out tools and their messages")
        called = [message.tool_calls for message in messages]
        if any(True for text in texts_of([tools, called]) for _ in self._control_texts.find(text)):
            raise ToolsRefusedError("a text holds one of the model's control tokens; write it differently")

    async def _render(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> MarkedPrompt:
        refusal: TemplateRefusedError | None = None
        for attempt in _role_orders(messages):
            try:
                return await self._render_marked(attempt, tools)
            except TemplateRefusedError as error:
                refusal = refusal or error
        raise refusal or TemplateRefusedError

    async def _render_marked(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> MarkedPrompt:
        marks = choose_marks([message.content for message in messages])
        prompt = unmark(await self._tokenizer.render(mark(messages, marks), tools), marks)
        if prompt is None:
            prompt = unmark(await self._tokenizer.render(mark_outside(messages, marks), tools), marks)
        if prompt is None:
            raise TemplateRefusedError("the template changes contents in a way that cannot be followed")
        return prompt

    async def _encode(self, fragments: Sequence[str], *, is_prompt: bool) -> list[int]:
        if len(fragments) == 1 or self._separators is None:
            content = fragments[0] if len(fragments) == 1 else fragments
            return await self._tokenizer.tokenize(content, add_special=is_prompt, parse_special=is_prompt)
        return await self._encode_guarded(fragments, is_prompt=is_prompt)

    async def _encode_guarded(self, fragments: Sequence[str], *, is_prompt: bool) -> list[int]:
        """Tokenize fragments without the space that would begin each but the first."""
        first, *others = fragments
        tokens = await self._tokenizer.tokenize(first, add_special=is_prompt, parse_special=is_prompt)
        guard = await self._tokenizer.tokenize(_GUARD)
        for part in await self._tokenize_apart([_GUARD + other for other in others], is_prompt=is_prompt):
            tokens += _without_guard(part, guard)
        return tokens

    async def _tokenize_apart(self, fragments: Sequence[str], *, is_prompt: bool) -> list[list[int]]:
        """Tokenize each of several texts: in one call with a control token between, that none of them can contain."""
        text = "".join(fragments)
        separator = next((token for token, written in self._separators or () if written not in text), None)
        if separator is not None:
            content = [part for fragment in fragments for part in (separator, fragment)]
            parts = _split(await self._tokenizer.tokenize(content, parse_special=is_prompt), separator)
            if len(parts) == len(fragments):
                return parts
        return [await self._tokenizer.tokenize(fragment, parse_special=is_prompt) for fragment in fragments]


def _split_begun(messages: Sequence[Message]) -> tuple[Sequence[Message], str]:
    """Take the reply that was begun off the end. Several messages of the assistant there are one."""
    end = len(messages)
    while end and messages[end - 1].role == "assistant" and not messages[end - 1].tool_calls:
        end -= 1
    return messages[:end], _BLANK_LINE.join(message.content for message in messages[end:])


def _split(tokens: Sequence[int], separator: int) -> list[list[int]]:
    parts: list[list[int]] = []
    for token in tokens:
        if token == separator:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _without_guard(tokens: list[int], guard: list[int]) -> list[int]:
    """Take the guard off; one that a vocabulary joins with what follows stays, as a line end more."""
    return tokens[len(guard) :] if tokens[: len(guard)] == guard else tokens


def _role_orders(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """Yield the conversation as it is, then in forms that stricter templates take."""
    yield messages
    merged = _merge_neighbours(messages)
    if len(merged) < len(messages):
        yield merged
    if any(message.role == "system" for message in messages):
        yield _fold_system(messages)


def _is_about_tools(message: Message) -> bool:
    return message.role == "tool" or bool(message.tool_calls)


def _merge_neighbours(messages: Sequence[Message]) -> list[Message]:
    """Join messages of one role that follow each other, with a blank line between."""
    merged: list[Message] = []
    for (role, is_about_tools), group in groupby(
        messages, key=lambda message: (message.role, _is_about_tools(message))
    ):
        if is_about_tools:
            merged += group
        else:
            merged.append(Message(role, _BLANK_LINE.join(message.content for message in group)))
    return merged


def _fold_system(messages: Sequence[Message]) -> list[Message]:
    """Put system texts before the first user message, for templates that know no system role."""
    system = [message for message in messages if message.role == "system"]
    others = _merge_neighbours([message for message in messages if message.role != "system"])
    text = _BLANK_LINE.join(message.content for message in system)
    for at, message in enumerate(others):
        if message.role == "user":
            others[at] = replace(message, content=f"{text}{_BLANK_LINE}{message.content}")
            return others
    return [Message("user", text), *others]
