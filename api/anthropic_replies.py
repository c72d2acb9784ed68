"""Renders the common events as Anthropic's message, or as its events.

Does not own: the models of either (`anthropic_events.py`), sending (`replying.py`).
"""

import json
import secrets
from typing import Any

from pydantic import BaseModel

from api.allowance import Call
from api.anthropic_events import (
    AnthropicEvent,
    AnthropicReply,
    AnthropicReplyText,
    AnthropicReplyToolUse,
    AnthropicUsage,
    ContentBlockDelta,
    ContentBlockStart,
    ContentBlockStop,
    Ending,
    InputJsonDelta,
    MessageDelta,
    MessageStart,
    MessageStop,
    Ping,
    StopReason,
    TextDelta,
)
from api.job import Done, Ended, Event, Piece, Queued, ToolCall, Whole
from api.replying import SSE, Renderer, comment, server_sent, waiting
from api.tool_calls import as_object
from generation.engine import Finished


class AnthropicRenderer(Renderer):
    """Renders one reply. `call` knows the prompt's tokens, which stand in the first event already.

    `wanted_tokens` is the request's `max_tokens`: a reply that ended before was ended by the context.
    """

    content_type = SSE

    def __init__(self, call: Call, *, model: str, wanted_tokens: int) -> None:
        self._call = call
        self._model = model
        self._wanted_tokens = wanted_tokens
        self._id = f"msg_{secrets.token_hex(12)}"
        self._is_begun = False
        self._is_text_open = False
        self._blocks = 0
        self._is_tool_used = False

    def whole(self, reply: Whole) -> AnthropicReply:
        """Render the message."""
        choice = reply.choices[0]
        ending = self._ending(choice.finished, is_tool_used=bool(choice.tool_calls))
        texts = [AnthropicReplyText(text=choice.text)] if choice.text else []
        return AnthropicReply(
            id=self._id,
            model=self._model,
            content=[*texts, *(_tool_use(call, as_object(call.arguments)) for call in choice.tool_calls)],
            stop_reason=ending.stop_reason,
            stop_sequence=ending.stop_sequence,
            usage=_usage(choice.finished),
        )

    def event(self, event: Event) -> bytes:
        """Render an event, or a sign of life while nothing comes: a comment as long as the message has not begun."""
        match event:
            case Queued():
                return waiting(event)
            case Piece(text, tool_calls=calls) if text or calls:
                return self._begin() + self._text(text) + b"".join(map(self._use, calls))
            case Piece():
                return _sent(Ping()) if self._is_begun else comment("working")
            case Ended(finished=finished):
                ending = self._ending(finished, is_tool_used=self._is_tool_used)
                return self._begin() + self._close_text() + _sent(MessageDelta(delta=ending, usage=_usage(finished)))
            case Done():
                return _sent(MessageStop())

    def error(self, body: BaseModel) -> bytes:
        """Render what went wrong midway; the client raises on it."""
        return server_sent(body, event="error")

    def _begin(self) -> bytes:
        """Say what comes before the first text."""
        if self._is_begun:
            return b""
        self._is_begun = True
        message = AnthropicReply(
            id=self._id,
            model=self._model,
            content=[],
            stop_reason=None,
            stop_sequence=None,
            usage=AnthropicUsage(input_tokens=self._call.prompt_tokens, output_tokens=0),
        )
        return _sent(MessageStart(message=message)) + _sent(Ping())

    def _text(self, text: str) -> bytes:
        """Say new text, in a block that is opened for the first of it."""
        if not text:
            return b""
        opening = b""
        if not self._is_text_open:
            self._is_text_open = True
            opening = _sent(ContentBlockStart(index=self._blocks, content_block=AnthropicReplyText(text="")))
        return opening + _sent(ContentBlockDelta(index=self._blocks, delta=TextDelta(text=text)))

    def _close_text(self) -> bytes:
        if not self._is_text_open:
            return b""
        self._is_text_open = False
        return self._close_block()

    def _use(self, call: ToolCall) -> bytes:
        """Say the use of a tool, a whole block at once."""
        self._is_tool_used = True
        before = self._close_text()
        given = json.dumps(as_object(call.arguments), ensure_ascii=False)
        start = ContentBlockStart(index=self._blocks, content_block=_tool_use(call, {}))
        delta = ContentBlockDelta(index=self._blocks, delta=InputJsonDelta(partial_json=given))
        return before + _sent(start) + _sent(delta) + self._close_block()

    def _close_block(self) -> bytes:
        closing = _sent(ContentBlockStop(index=self._blocks))
        self._blocks += 1
        return closing

    def _ending(self, finished: Finished, *, is_tool_used: bool) -> Ending:
        reason: StopReason = "end_turn"
        if is_tool_used:
            reason = "tool_use"
        elif finished.stop_text is not None:
            reason = "stop_sequence"
        elif finished.reason == "length":
            is_wanted = finished.completion_tokens >= self._wanted_tokens
            reason = "max_tokens" if is_wanted else "model_context_window_exceeded"
        return Ending(stop_reason=reason, stop_sequence=None if is_tool_used else finished.stop_text)


def _tool_use(call: ToolCall, given: dict[str, Any]) -> AnthropicReplyToolUse:
    return AnthropicReplyToolUse(id=call.id, name=call.name, input=given)


def _sent(event: AnthropicEvent) -> bytes:
    return server_sent(event, event=event.type)


def _usage(finished: Finished) -> AnthropicUsage:
    return AnthropicUsage(input_tokens=finished.prompt_tokens, output_tokens=finished.completion_tokens)
