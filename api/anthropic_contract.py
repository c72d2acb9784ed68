"""The wire of the Anthropic dialect: requests, replies, events of a stream and errors (`contract.md` section 7a).

Imports pydantic and the native contract's shared types. Source of the form:
https://docs.claude.com/en/api/messages, /en/api/messages-streaming and /en/api/errors.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from api.contract import MAX_MESSAGES, JsonSchema, Stops, Strict, Text, Whole
from api.lenient import allow_nulls, no_nulls, only


class _Lenient(Strict):
    """An object in which null counts as left out."""

    model_config = ConfigDict(json_schema_extra=allow_nulls)

    _drop_nulls = model_validator(mode="before")(no_nulls)


def _only_text(value: object) -> object:
    if isinstance(value, str) and value != "text":
        raise ValueError(f"blocks of the type {value[:40]!r} are not supported here; send text")
    return value


class AnthropicText(_Lenient):
    """A block of text; the blocks of one content are joined by a blank line."""

    type: Annotated[Literal["text"], BeforeValidator(_only_text, json_schema_input_type=Literal["text"])]
    text: Text
    cache_control: Annotated[Any, Field(description="has no effect: what is computed is kept anyway")] = None
    citations: Annotated[Any, only([])] = None


def _string_is_a_block(value: object) -> object:
    """Take a string for one block, for which it is short."""
    return [{"type": "text", "text": value}] if isinstance(value, str) else value


Blocks = Annotated[
    list[AnthropicText], BeforeValidator(_string_is_a_block, json_schema_input_type=Text | list[AnthropicText])
]


class AnthropicMessage(_Lenient):
    """One message; neighbours of one role are one turn."""

    role: Literal["user", "assistant", "system"]
    content: Blocks


class AnthropicJsonFormat(_Lenient):
    """JSON of this schema."""

    type: Literal["json_schema"]
    schema_: Annotated[JsonSchema, Field(alias="schema")]


class AnthropicOutput(_Lenient):
    """How the reply shall be."""

    effort: Annotated[Any, only("high")] = None
    format: AnthropicJsonFormat | None = None


class AnthropicPrompt(_Lenient):
    """Body of `POST /v1/messages/count_tokens`, and what a request for a reply shares with it."""

    model: Annotated[Text, Field(description="a name from GET /v1/models")]
    messages: Annotated[
        list[AnthropicMessage],
        Field(
            min_length=1,
            max_length=MAX_MESSAGES,
            description="nothing is left out: what does not fit is a 400; a last one by the assistant is the beginning"
            " of its reply, which then holds the rest alone",
        ),
    ]
    system: Annotated[Blocks | None, Field(description="comes before the messages")] = None
    output_config: AnthropicOutput = AnthropicOutput()
    thinking: Annotated[Any, only({"type": "disabled"})] = None
    tools: Annotated[Any, only([])] = None
    tool_choice: Annotated[Any, only({"type": "auto"}, {"type": "none"})] = None
    mcp_servers: Annotated[Any, only([])] = None
    cache_control: Annotated[Any, Field(description="has no effect: what is computed is kept anyway")] = None
    speed: Annotated[Any, only("standard")] = None
    user_profile_id: Annotated[Any, Field(description="has no effect")] = None


class AnthropicRequest(AnthropicPrompt):
    """Body of `POST /v1/messages`."""

    max_tokens: Annotated[int, Field(ge=1, description="tokens of the reply at most"), Whole]
    stop_sequences: Annotated[Stops | None, Field(description="texts that end the reply and are not part of it")] = None
    temperature: Annotated[float, Field(ge=0, le=1, description="0 = greedy")] = 1.0
    top_k: Annotated[int, Field(ge=0, description="0 = off"), Whole] = 0
    top_p: Annotated[float, Field(ge=0, le=1)] = 1.0
    stream: Annotated[bool, Field(description="true: server-sent events")] = False

    metadata: Annotated[Any, Field(description="has no effect, like the next two")] = None
    service_tier: Any = None
    inference_geo: Any = None
    container: Annotated[Any, only()] = None
    context_management: Annotated[Any, only()] = None
    diagnostics: Annotated[Any, only()] = None


class AnthropicUsage(BaseModel):
    """LLM tokens. `input_tokens` counts all of the prompt, also what did not have to be computed again."""

    input_tokens: int
    output_tokens: int


class AnthropicReplyText(BaseModel):
    """The reply's text."""

    type: Literal["text"] = "text"
    text: str


StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "model_context_window_exceeded"]


class AnthropicReply(BaseModel):
    """Whole reply of `POST /v1/messages`; in a stream's first event without content and reason."""

    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    model: str
    content: list[AnthropicReplyText]
    stop_reason: StopReason | None
    stop_sequence: str | None
    usage: AnthropicUsage


class MessageStart(BaseModel):
    """First event of a stream; its `output_tokens` are not yet known."""

    type: Literal["message_start"] = "message_start"
    message: AnthropicReply


class ContentBlockStart(BaseModel):
    """The one block begins."""

    type: Literal["content_block_start"] = "content_block_start"
    index: int = 0
    content_block: AnthropicReplyText


class Ping(BaseModel):
    """A sign of life."""

    type: Literal["ping"] = "ping"


class TextDelta(BaseModel):
    """New text."""

    type: Literal["text_delta"] = "text_delta"
    text: str


class ContentBlockDelta(BaseModel):
    """The block grows."""

    type: Literal["content_block_delta"] = "content_block_delta"
    index: int = 0
    delta: TextDelta


class ContentBlockStop(BaseModel):
    """The block is whole."""

    type: Literal["content_block_stop"] = "content_block_stop"
    index: int = 0


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


class AnthropicProblem(BaseModel):
    """What went wrong."""

    type: str
    message: str


class AnthropicError(BaseModel):
    """Every error of the Anthropic dialect, also as the last event of a stream that failed midway."""

    type: Literal["error"] = "error"
    error: AnthropicProblem
    request_id: str
