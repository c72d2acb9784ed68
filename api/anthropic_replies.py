"""Renders the common events as Anthropic's message, or as its events.

Does not own: the models of either (`anthropic_contract.py`), sending (`replying.py`).
"""

import secrets

from pydantic import BaseModel

from api.allowance import Call
from api.anthropic_contract import (
    AnthropicEvent,
    AnthropicReply,
    AnthropicReplyText,
    AnthropicUsage,
    ContentBlockDelta,
    ContentBlockStart,
    ContentBlockStop,
    Ending,
    MessageDelta,
    MessageStart,
    MessageStop,
    Ping,
    StopReason,
    TextDelta,
)
from api.job import Done, Ended, Event, Piece, Queued, Whole
from api.replying import SSE, Renderer, comment, server_sent, waiting
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

    def whole(self, reply: Whole) -> AnthropicReply:
        """Render the message."""
        choice = reply.choices[0]
        ending = self._ending(choice.finished)
        return AnthropicReply(
            id=self._id,
            model=self._model,
            content=[AnthropicReplyText(text=choice.text)] if choice.text else [],
            stop_reason=ending.stop_reason,
            stop_sequence=ending.stop_sequence,
            usage=_usage(choice.finished),
        )

    def event(self, event: Event) -> bytes:
        """Render an event, or a sign of life while nothing comes: a comment as long as the message has not begun."""
        match event:
            case Queued():
                return waiting(event)
            case Piece(text) if text:
                return self._begin() + _sent(ContentBlockDelta(delta=TextDelta(text=text)))
            case Piece():
                return _sent(Ping()) if self._is_begun else comment("working")
            case Ended(finished=finished):
                last = MessageDelta(delta=self._ending(finished), usage=_usage(finished))
                return self._begin() + _sent(ContentBlockStop()) + _sent(last)
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
        block = ContentBlockStart(content_block=AnthropicReplyText(text=""))
        return _sent(MessageStart(message=message)) + _sent(block) + _sent(Ping())

    def _ending(self, finished: Finished) -> Ending:
        reason: StopReason = "end_turn"
        if finished.stop_text is not None:
            reason = "stop_sequence"
        elif finished.reason == "length":
            is_wanted = finished.completion_tokens >= self._wanted_tokens
            reason = "max_tokens" if is_wanted else "model_context_window_exceeded"
        return Ending(stop_reason=reason, stop_sequence=finished.stop_text)


def _sent(event: AnthropicEvent) -> bytes:
    return server_sent(event, event=event.type)


def _usage(finished: Finished) -> AnthropicUsage:
    return AnthropicUsage(input_tokens=finished.prompt_tokens, output_tokens=finished.completion_tokens)
