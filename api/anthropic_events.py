"""What the Anthropic dialect answers: replies, a stream's events, counts, models and errors (`contract.md` section 7a).

Imports pydantic alone. Does not own: requests (`anthropic_contract.py`). Source of the form:
https://docs.claude.com/en/api/messages, /en/api/messages-streaming, /en/api/models-list and /en/api/errors.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field


class AnthropicUsage(BaseModel):
    """LLM tokens. `input_tokens` counts all of the prompt, also what did not have to be computed again."""

    input_tokens: int
    output_tokens: int


class AnthropicReplyText(BaseModel):
    """The reply's text."""

    type: Literal["text"] = "text"
    text: str


class AnthropicReplyToolUse(BaseModel):
    """A tool that the model uses."""

    type: Literal["tool_use"] = "tool_use"
    id: str
    name: str
    input: dict[str, Any]


StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "model_context_window_exceeded"]


class AnthropicReply(BaseModel):
    """Whole reply of `POST /v1/messages`; in a stream's first event without content and reason."""

    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    model: str
    content: list[AnthropicReplyText | AnthropicReplyToolUse]
    stop_reason: StopReason | None
    stop_sequence: str | None
    usage: AnthropicUsage


class MessageStart(BaseModel):
    """First event of a stream; its `output_tokens` are not yet known."""

    type: Literal["message_start"] = "message_start"
    message: AnthropicReply


class ContentBlockStart(BaseModel):
    """A block begins; the input of a tool is empty until its delta."""

    type: Literal["content_block_start"] = "content_block_start"
    index: int
    content_block: AnthropicReplyText | AnthropicReplyToolUse


class Ping(BaseModel):
    """A sign of life."""

    type: Literal["ping"] = "ping"


class TextDelta(BaseModel):
    """New text."""

    type: Literal["text_delta"] = "text_delta"
    text: str


class InputJsonDelta(BaseModel):
    """The input of a tool, whole."""

    type: Literal["input_json_delta"] = "input_json_delta"
    partial_json: str


class ContentBlockDelta(BaseModel):
    """A block grows."""

    type: Literal["content_block_delta"] = "content_block_delta"
    index: int
    delta: TextDelta | InputJsonDelta


class ContentBlockStop(BaseModel):
    """A block is whole."""

    type: Literal["content_block_stop"] = "content_block_stop"
    index: int


class Ending(BaseModel):
    """Why the reply ended."""

    stop_reason: StopReason
    stop_sequence: str | None


class MessageDelta(BaseModel):
    """The reason and the usage."""

    type: Literal["message_delta"] = "message_delta"
    delta: Ending
    usage: AnthropicUsage


class MessageStop(BaseModel):
    """Last event of a stream."""

    type: Literal["message_stop"] = "message_stop"


AnthropicEvent = (
    MessageStart | ContentBlockStart | Ping | ContentBlockDelta | ContentBlockStop | MessageDelta | MessageStop
)
EVENTS: tuple[type[BaseModel], ...] = (
    MessageStart,
    ContentBlockStart,
    Ping,
    ContentBlockDelta,
    ContentBlockStop,
    MessageDelta,
    MessageStop,
)


class AnthropicCount(BaseModel):
    """Reply of `POST /v1/messages/count_tokens`."""

    input_tokens: int


class AnthropicModel(BaseModel):
    """One entry of `GET /v1/models` for Anthropic's clients; `created_at` is when the service started."""

    type: Literal["model"] = "model"
    id: str
    display_name: str
    created_at: datetime
    lifecycle: Literal["active"] = "active"
    max_input_tokens: Annotated[int, Field(description="tokens of prompt and reply together")]
    max_tokens: int


class AnthropicModelList(BaseModel):
    """Reply of `GET /v1/models` for Anthropic's clients: a page of it."""

    data: list[AnthropicModel]
    has_more: bool
    first_id: str | None
    last_id: str | None


class AnthropicProblem(BaseModel):
    """What went wrong."""

    type: str
    message: str


class AnthropicError(BaseModel):
    """Every error of the Anthropic dialect, also as the last event of a stream that failed midway."""

    type: Literal["error"] = "error"
    error: AnthropicProblem
    request_id: str
