"""The wire: every request, reply and error body of the native dialect, with defaults and ranges.

The one truth that the service, the bot, the OpenAPI document and the tests share. Imports pydantic and nothing
else of this project; holds no behaviour beyond validation.
"""

import math
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

MAX_MESSAGES = 1_000
MAX_STOPS = 16
MIN_CONTEXT_TOKENS = 64

TOKEN_PREFIX = "parley_"  # noqa: S105 - the recognisable start of every API token, not a secret

ON_BEHALF_OF_HEADER = "X-Parley-On-Behalf-Of"
"""With the service token: whom to charge, `discord:<server id>` or `discord:dm:<user id>`."""

TENANT_PATTERN = r"discord:(?:dm:)?[0-9]{1,20}"

PERSON_HEADER = "X-Parley-Person"
"""With the service token: the Discord user who asks, digits; the call is charged to whom the other header names."""

PERSON_PATTERN = r"[0-9]{1,20}"

CONVERSATION_HEADER = "X-Parley-Conversation"
"""With the service token: under which name the service may keep what the model computes for this conversation. The name
must be held in the database that bot and service share; what is kept goes when it no longer is."""

CONVERSATION_PATTERN = r"[0-9a-f]{32}"


def _reject_surrogates(text: str) -> str:
    """Refuse a lone surrogate: it cannot be encoded for the model, the database or the reply."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half of a surrogate pair, which is not valid Unicode") from None
    return text


def _take_whole_float(value: object) -> object:
    """JSON knows one kind of number, so 40.0 is an integer, but neither "40" nor true is."""
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return int(value)
    return value


Text = Annotated[str, AfterValidator(_reject_surrogates)]
Whole = BeforeValidator(_take_whole_float)
"""Stands after the `Field` of an integer: what stands after a validator, pydantic leaves out of the JSON Schema."""

Stop = Annotated[str, Field(min_length=1), AfterValidator(_reject_surrogates)]
Stops = Annotated[list[Stop], Field(max_length=MAX_STOPS)]


def _reject_zero(value: int) -> int:
    if value == 0:
        raise ValueError("0 asks for no reply; use 1 or more, -1 or -2")
    return value


NumPredict = Annotated[
    int,
    Field(
        ge=-2,
        description="tokens of reply at most; -1 = until the model stops, -2 = until the context is full",
        json_schema_extra={"not": {"const": 0}},
    ),
    Whole,
    AfterValidator(_reject_zero),
]
NumCtx = Annotated[
    int,
    Field(ge=MIN_CONTEXT_TOKENS, description="tokens of context considered; lowered to the server's maximum"),
    Whole,
]


def one_stop_is_a_list(value: object) -> object:
    """Take a single stop text for a list of one."""
    return [value] if isinstance(value, str) else value


def _parse_format(value: object) -> object:
    if isinstance(value, str) and value.lower() == "json":
        return "json"
    if isinstance(value, dict):
        return value
    raise ValueError('use "json" or a JSON Schema object')


class Strict(BaseModel):
    """A request: numbers are numbers, strings are strings, NaN is neither, and no field is unknown."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, extra="forbid")


class ChatMessage(Strict):
    """One role-tagged message."""

    role: Literal["system", "user", "assistant"]
    content: Text


class SamplingFields(Strict):
    """The sampling options. A default here is the default everywhere: bot and terminal read it from here."""

    mirostat: Annotated[int, Field(ge=0, le=2, description="0 off, 1 or 2 the version of Mirostat"), Whole] = 0
    mirostat_eta: Annotated[float, Field(ge=0, le=1, description="Mirostat's learning rate")] = 0.1
    mirostat_tau: Annotated[float, Field(ge=0, le=20, description="Mirostat's target surprise, nats")] = 5.0
    num_ctx: NumCtx = 2048
    repeat_last_n: Annotated[
        int, Field(ge=-1, description="tokens the repeat penalty looks back; -1 = num_ctx, 0 = off"), Whole
    ] = 64
    repeat_penalty: Annotated[
        float, Field(ge=0.1, le=5, description="above 1 makes tokens that were written less likely; 1 = off")
    ] = 1.1
    temperature: Annotated[
        float, Field(ge=0, le=5, description="higher is more surprising; 0 = greedy, the likeliest token each time")
    ] = 0.8
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1, description="0 or below = random"), Whole] = 0
    stop: Annotated[
        Stops | None,
        Field(description="texts that end the reply and are not part of it"),
        BeforeValidator(one_stop_is_a_list, json_schema_input_type=Stop | Stops | None),
    ] = None
    tfs_z: Annotated[float, Field(ge=0, description="tail-free sampling; 1 and above = off")] = 1.0
    num_predict: NumPredict = 128
    top_k: Annotated[int, Field(ge=0, description="how many of the likeliest tokens compete; 0 = off"), Whole] = 40
    top_p: Annotated[
        float, Field(ge=0, le=1, description="only the likeliest tokens that make up this probability compete; 1 = off")
    ] = 0.9
    min_p: Annotated[
        float,
        Field(ge=0, le=1, description="tokens below this share of the likeliest one's probability drop out; 0 = off"),
    ] = 0.0
    typical_p: Annotated[float, Field(ge=0, le=1, description="locally typical sampling; 1 = off")] = 1.0
    presence_penalty: Annotated[
        float, Field(ge=-2, le=2, description="above 0 makes tokens that were written less likely; 0 = off")
    ] = 0.0
    frequency_penalty: Annotated[
        float, Field(ge=-2, le=2, description="the same, more for each time they were written; 0 = off")
    ] = 0.0
    num_keep: Annotated[int, Field(description="accepted for compatibility"), Whole] = 0


JsonSchema = dict[str, Any]
Format = Annotated[Literal["json"] | JsonSchema, BeforeValidator(_parse_format)]


class ChatOptions(SamplingFields):
    """Ollama's `options` object: any sampling option, here instead of at the top."""


class ChatRequest(SamplingFields):
    """Body of `POST /ai/chat`."""

    messages: Annotated[
        list[ChatMessage],
        Field(
            min_length=1,
            max_length=MAX_MESSAGES,
            description="a last one by the assistant is the beginning of its reply, which then holds the rest alone",
        ),
    ]
    format: Annotated[Format | None, Field(description='"json", or a JSON Schema object: the reply is that JSON')] = (
        None
    )
    model: Annotated[Text | None, Field(description="a name from GET /v1/models; default: the loaded one")] = None
    stream: Annotated[bool, Field(description="true: newline-delimited JSON")] = False
    options: Annotated[
        ChatOptions | None,
        Field(description="Ollama's form: any sampling option; given here and above with two values, a 400"),
    ] = None

    @model_validator(mode="after")
    def _merge_options(self) -> Self:
        """Lift `options` to the top, so that readers know one place."""
        if self.options is None:
            return self
        for name in sorted(self.options.model_fields_set):
            value = getattr(self.options, name)
            if name in self.model_fields_set and getattr(self, name) != value:
                raise ValueError(f"{name}: given twice with two values, at the top and in options; keep one")
            setattr(self, name, value)
        return self


class ReplyMessage(BaseModel):
    """The assistant's words."""

    role: Literal["assistant"] = "assistant"
    content: str


class Usage(BaseModel):
    """What this call cost, and what is left."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int
    calls_remaining: int
    llm_tokens_remaining: int | None
    resets_at: datetime


class ChatReply(BaseModel):
    """Whole reply of `POST /ai/chat`, and the last line of a stream. Durations are nanoseconds."""

    model: str
    created_at: datetime
    message: ReplyMessage
    done: Literal[True] = True
    done_reason: Literal["stop", "length"]
    total_duration: int
    load_duration: int
    prompt_eval_count: int
    prompt_eval_duration: int
    eval_count: int
    eval_duration: int
    usage: Usage
    seed: int
    dropped_messages: int
    warnings: list[str]


class QueuePlace(BaseModel):
    """Where a request that waits for a slot stands: `position` 1 is next.

    `wait_seconds` is an estimate from measured service times, null while none was measured.
    """

    position: int
    wait_seconds: int | None


class ChatPiece(BaseModel):
    """One line of a stream before the last: new text only.

    A request that waits gets lines with an empty text and its place in `queue`, before any other, and one without
    `queue` when it waits no more; elsewhere there is no `queue`.
    """

    model: str
    created_at: datetime
    message: ReplyMessage
    done: Literal[False] = False
    queue: Annotated[QueuePlace | None, Field(exclude_if=lambda place: place is None)] = None


class CallUsage(BaseModel):
    """The day's calls."""

    used: int
    limit: int
    remaining: int


class LlmTokenUsage(BaseModel):
    """LLM tokens charged so far; `balance` is null where none is kept."""

    prompt: int
    completion: int
    balance: int | None


class DayUsage(BaseModel):
    """One day in the configured zone."""

    date: date
    calls: int
    prompt_tokens: int
    completion_tokens: int


class UsageReply(BaseModel):
    """Reply of `GET /ai/usage`; `days` are the last 30 that saw a call, newest first."""

    id: str
    name: str
    calls: CallUsage
    llm_tokens: LlmTokenUsage
    resets_at: datetime
    mature: bool
    days: list[DayUsage]


class TokenizeRequest(Strict):
    """Body of `POST /ai/tokenize`: either a text, or messages with the context they should fit."""

    text: Text | None = None
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MAX_MESSAGES)] | None = None
    num_ctx: NumCtx = 2048
    num_predict: NumPredict = 128

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.text is None) == (self.messages is None):
            raise ValueError("text: give either text or messages")
        return self


class TokenizeReply(BaseModel):
    """Reply of `POST /ai/tokenize`."""

    tokens: int
    dropped_messages: int


class ModelCard(BaseModel):
    """One entry of `GET /v1/models`."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "parley"


class ModelList(BaseModel):
    """Reply of `GET /v1/models`."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


class Forgotten(BaseModel):
    """Reply of `POST /ai/conversations/forgotten`: nothing is kept any more of conversations that are gone."""

    status: Literal["ok"] = "ok"


class Health(BaseModel):
    """Reply of `GET /healthz` and `GET /readyz`; `reason` says what is amiss. `degraded` still answers, with a 200."""

    status: Literal["ok", "degraded", "unavailable"]
    reason: str = ""


class FieldProblem(BaseModel):
    """One bad field; `field` is a path such as `messages.0.role`."""

    field: str
    problem: str


class ErrorReply(BaseModel):
    """Every error of the native dialect."""

    error: str
    code: int
    message: str
    request_id: str
    details: list[FieldProblem] = []
