"""Renders the common events as Ollama's reply, or as its lines.

Does not own: the models of either (`ollama_contract.py`), sending (`replying.py`).
"""

from abc import abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel

from api.contract import QueuePlace
from api.job import Done, Ended, Event, Piece, Queued, ToolCall, Whole
from api.ollama_contract import (
    OllamaChatReply,
    OllamaGenerateReply,
    OllamaLogprob,
    OllamaReply,
    OllamaReplyCall,
    OllamaReplyFunction,
    OllamaReplyMessage,
    OllamaTokenLogprob,
)
from api.replying import NDJSON, Renderer, line
from api.tool_calls import as_object
from generation.engine import TokenLogprob


class OllamaRenderer(Renderer):
    """Renders one reply. `model` is its name as the request wrote it, which Ollama repeats."""

    content_type = NDJSON

    def __init__(self, model: str, *, has_logprobs: bool) -> None:
        self._model = model
        self._has_logprobs = has_logprobs

    @abstractmethod
    def _say(self, text: str, calls: Sequence[ToolCall], fields: dict[str, Any]) -> OllamaReply:
        """Put the text and the calls where this route has them, beside the fields of both routes."""

    def without_reply(self, reason: Literal["load", "unload"]) -> OllamaReply:
        """Answer a request that asks for no reply, only for the model to be loaded."""
        return self._say("", (), self._fields() | {"done": True, "done_reason": reason})

    def whole(self, reply: Whole) -> OllamaReply:
        """Render the reply as one object."""
        choice = reply.choices[0]
        return self._say(choice.text, choice.tool_calls, self._fields(choice.logprobs) | _ending(reply.done))

    def event(self, event: Event) -> bytes:
        """Render a line; an empty one while nothing comes, as Ollama's clients take it."""
        match event:
            case Done():
                return line(self._say("", (), self._fields() | _ending(event)))
            case Piece(text, logprobs=logprobs, tool_calls=calls):
                return line(self._say(text, calls, self._fields(logprobs)))
            case Queued(position, wait_seconds):
                place = QueuePlace(position=position, wait_seconds=wait_seconds)
                return line(self._say("", (), self._fields() | {"queue": place}))
            case Ended():
                return b""

    def error(self, body: BaseModel) -> bytes:
        """Render what went wrong midway; the client raises on it."""
        return line(body)

    def _fields(self, logprobs: Sequence[TokenLogprob] = ()) -> dict[str, Any]:
        entries = [_entry(token) for token in logprobs] if self._has_logprobs and logprobs else None
        return {"model": self._model, "created_at": datetime.now(UTC), "done": False, "logprobs": entries}


class ChatRenderer(OllamaRenderer):
    """Renders `POST /api/chat`."""

    def _say(self, text: str, calls: Sequence[ToolCall], fields: dict[str, Any]) -> OllamaChatReply:
        called = [_call(index, call) for index, call in enumerate(calls)]
        return OllamaChatReply(message=OllamaReplyMessage(content=text, tool_calls=called or None), **fields)


class GenerateRenderer(OllamaRenderer):
    """Renders `POST /api/generate`, which offers no tools."""

    def _say(self, text: str, calls: Sequence[ToolCall], fields: dict[str, Any]) -> OllamaGenerateReply:
        del calls
        return OllamaGenerateReply(response=text, **fields)


def _ending(done: Done) -> dict[str, Any]:
    finished = done.finished
    return {
        "done": True,
        "done_reason": finished.reason,
        "total_duration": done.total_duration_ns,
        "load_duration": 0,
        "prompt_eval_count": finished.prompt_tokens,
        "prompt_eval_duration": finished.prompt_duration_ns,
        "eval_count": finished.completion_tokens,
        "eval_duration": finished.completion_duration_ns,
    }


def _call(index: int, call: ToolCall) -> OllamaReplyCall:
    function = OllamaReplyFunction(index=index, name=call.name, arguments=as_object(call.arguments))
    return OllamaReplyCall(id=call.id, function=function)


def _entry(token: TokenLogprob) -> OllamaLogprob:
    alternatives = [
        OllamaTokenLogprob(token=each.text, logprob=each.logprob, bytes=list(each.data)) for each in token.alternatives
    ]
    return OllamaLogprob(token=token.text, logprob=token.logprob, bytes=list(token.data), top_logprobs=alternatives)
