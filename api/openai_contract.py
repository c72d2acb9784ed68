"""The wire of the OpenAI dialect: requests, replies, chunks and errors (`contract.md` section 6).

Imports pydantic and the native contract's shared types. Source of the form: OpenAI's OpenAPI document
(https://github.com/openai/openai-openapi), the chat completions in it.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from api.contract import MAX_MESSAGES, Stop, Stops, Strict, Text, Whole, one_stop_is_a_list
from api.lenient import allow_nulls, no_nulls, only, tuple_of

MAX_CHOICES = 8
MAX_TOOLS = 128

FUNCTION_NAME = r"^[a-zA-Z0-9_-]{1,64}$"


class TextPart(Strict):
    """One part of a content; other types than text are refused."""

    type: Literal["text"]
    text: Text


def _join_parts(value: object) -> object:
    """Take an array of text parts for the text they make up."""
    if not isinstance(value, list):
        return value
    return "".join(TextPart.model_validate(part).text for part in value)


Content = Annotated[Text, BeforeValidator(_join_parts, json_schema_input_type=Text | list[TextPart])]


class CalledFunction(Strict):
    """The function of a call; `arguments` is JSON as text."""

    name: Annotated[str, Field(pattern=FUNCTION_NAME)]
    arguments: Text


class ToolCallEntry(Strict):
    """One call in a message of the assistant."""

    id: Text
    type: Literal["function"] = "function"
    function: CalledFunction


class OpenAIMessage(Strict):
    """One message. `content` may be left out where there are `tool_calls`."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Content | None = None
    name: Annotated[Text | None, Field(description="has no effect")] = None
    refusal: Annotated[Text | None, Field(description="has no effect")] = None
    annotations: Annotated[Any, Field(description="has no effect")] = None
    audio: Annotated[Any, only()] = None
    function_call: Annotated[Any, only()] = None
    tool_calls: list[ToolCallEntry] | None = None
    tool_call_id: Text | None = None

    @model_validator(mode="after")
    def _has_something(self) -> Self:
        if self.content is None and not self.tool_calls:
            raise ValueError("content: give a string or an array of text parts")
        if self.tool_calls and self.role != "assistant":
            raise ValueError("tool_calls: only a message of the assistant may have them")
        if (self.tool_call_id is not None) != (self.role == "tool"):
            raise ValueError("tool_call_id: a message of the role tool has it, and no other")
        return self


_Several = Field(min_length=1, max_length=MAX_MESSAGES)


def _strings_are_messages(value: object) -> object:
    """Take one string, or strings in the array, for messages of the user."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        return value
    return [{"role": "user", "content": each} if isinstance(each, str) else each for each in value]


class StreamOptions(Strict):
    """`include_usage` adds a last chunk with the usage of all choices."""

    include_usage: bool = False
    include_obfuscation: Annotated[bool, Field(description="has no effect")] = False


class FormatText(Strict):
    """Free text."""

    type: Literal["text"]


class FormatJsonObject(Strict):
    """Any JSON object."""

    type: Literal["json_object"]


class NamedSchema(Strict):
    """A JSON Schema; it binds whether or not `strict` says so."""

    name: Annotated[str, Field(pattern=FUNCTION_NAME)]
    description: Text | None = None
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
    strict: bool | None = None


class FormatJsonSchema(Strict):
    """JSON of this schema."""

    type: Literal["json_schema"]
    json_schema: NamedSchema


ResponseFormat = Annotated[FormatText | FormatJsonObject | FormatJsonSchema, Field(discriminator="type")]


class FunctionDefinition(Strict):
    """A function that the model may call; `parameters` is the JSON Schema of an object."""

    name: Annotated[str, Field(pattern=FUNCTION_NAME)]
    description: Text | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ToolDefinition(Strict):
    """One tool."""

    type: Literal["function"]
    function: FunctionDefinition


class FunctionName(Strict):
    """Which function."""

    name: Text


class NamedToolChoice(Strict):
    """Demands a call of this function."""

    type: Literal["function"]
    function: FunctionName


def _name_or_object(value: object) -> object:
    """Refuse what is neither, in one sentence instead of one for each."""
    if isinstance(value, dict):
        return NamedToolChoice.model_validate(value)
    if value not in ("none", "auto", "required"):
        raise ValueError('use "none", "auto", "required" or {"type": "function", "function": {"name": …}}')
    return value


class ChatCompletionRequest(Strict):
    """Body of `POST /v1/chat/completions`. A field that is null counts as left out."""

    model_config = ConfigDict(json_schema_extra=allow_nulls)

    model: Annotated[Text, Field(description="a name from GET /v1/models")]
    messages: Annotated[
        Annotated[list[OpenAIMessage], _Several],
        Field(description="nothing is left out: what does not fit is a 400; a string counts as a message of the user"),
        BeforeValidator(
            _strings_are_messages,
            json_schema_input_type=Text | Annotated[list[Text | OpenAIMessage], _Several],
        ),
    ]
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] = 0.0
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] = 0.0
    ignore_eos: Annotated[bool, Field(description="generate on to max_tokens")] = False
    max_tokens: Annotated[int, Field(ge=1, description="tokens of a reply at most; 256 when left out"), Whole] = 256
    max_completion_tokens: Annotated[int | None, Field(ge=1, description="the same as max_tokens"), Whole] = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES, description="replies to the same messages"), Whole] = 1
    stream: Annotated[bool, Field(description="true: server-sent events")] = False
    stream_options: StreamOptions = StreamOptions()
    temperature: Annotated[float, Field(ge=0, le=2)] = 1.0
    top_p: Annotated[float, Field(ge=0, le=1)] = 1.0
    stop: Annotated[
        Stops | None,
        Field(description="texts that end the reply and are not part of it"),
        BeforeValidator(one_stop_is_a_list, json_schema_input_type=Stop | Stops),
    ] = None
    seed: Annotated[int | None, Field(ge=-(2**63), le=2**63 - 1, description="random when left out"), Whole] = None
    logprobs: bool = False
    top_logprobs: Annotated[int, Field(ge=0, le=20, description="alternatives per token; needs logprobs"), Whole] = 0
    response_format: ResponseFormat = FormatText(type="text")
    tools: Annotated[
        tuple[ToolDefinition, ...],
        Field(max_length=MAX_TOOLS, description="400 where the model's template knows none"),
        BeforeValidator(tuple_of, json_schema_input_type=list[ToolDefinition]),
    ] = ()
    tool_choice: Annotated[Literal["none", "auto", "required"] | NamedToolChoice, BeforeValidator(_name_or_object)] = (
        "auto"
    )
    parallel_tool_calls: Annotated[bool, Field(description="false: one call at most")] = True

    user: Annotated[Any, Field(description="has no effect, like all below it")] = None
    safety_identifier: Any = None
    store: Any = None
    metadata: Any = None
    service_tier: Any = None
    prediction: Any = None
    prompt_cache_key: Any = None
    prompt_cache_options: Any = None
    prompt_cache_retention: Any = None
    modalities: Annotated[Any, only(["text"])] = None
    logit_bias: Annotated[Any, only({})] = None
    reasoning_effort: Annotated[Any, only("none")] = None
    verbosity: Annotated[Any, only("medium")] = None
    audio: Annotated[Any, only()] = None
    web_search_options: Annotated[Any, only()] = None
    moderation: Annotated[Any, only()] = None
    functions: Annotated[Any, only([])] = None
    function_call: Annotated[Any, only("none")] = None

    _drop_nulls = model_validator(mode="before")(no_nulls)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        limits = {self.max_tokens, self.max_completion_tokens}
        if {"max_tokens", "max_completion_tokens"} <= self.model_fields_set and len(limits) > 1:
            raise ValueError("max_tokens: given twice with two values, also as max_completion_tokens; keep one")
        if self.top_logprobs and not self.logprobs:
            raise ValueError("top_logprobs: needs logprobs to be true")
        if self.tools and self.tool_choice != "none" and self.response_format.type != "text":
            raise ValueError("response_format: cannot be combined with tools here; leave one of them out")
        names = {tool.function.name for tool in self.tools}
        if isinstance(self.tool_choice, NamedToolChoice) and self.tool_choice.function.name not in names:
            raise ValueError("tool_choice: names a function that is not among the tools")
        if self.tool_choice == "required" and not names:
            raise ValueError("tool_choice: needs tools")
        return self

    @property
    def reply_tokens(self) -> int:
        """Tokens of a reply at most."""
        return self.max_completion_tokens or self.max_tokens


class TopLogprob(BaseModel):
    """A token that might have come; `bytes` tell parts of a character apart."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprobEntry(TopLogprob):
    """A token of the reply. A character of several tokens is one entry, with the last one's log-probability."""

    top_logprobs: list[TopLogprob]


class ChoiceLogprobs(BaseModel):
    """The tokens of a choice, or of a chunk of it."""

    content: list[TokenLogprobEntry]
    refusal: None = None


class AssistantMessage(BaseModel):
    """A whole reply; `content` is null where there are calls alone."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: None = None
    tool_calls: Annotated[list[ToolCallEntry] | None, Field(exclude_if=lambda calls: calls is None)] = None


FinishReason = Literal["stop", "length", "tool_calls"]


class CompletionChoice(BaseModel):
    """One of the replies."""

    index: int
    message: AssistantMessage
    finish_reason: FinishReason
    logprobs: ChoiceLogprobs | None


class PromptTokensDetails(BaseModel):
    """Tokens of the prompt that did not have to be computed again."""

    cached_tokens: int


class CompletionUsage(BaseModel):
    """LLM tokens: of the prompt once, of all choices together."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails


class ChatCompletion(BaseModel):
    """Whole reply of `POST /v1/chat/completions`."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: CompletionUsage


class DeltaToolCall(ToolCallEntry):
    """A call in a chunk, whole."""

    index: int


class Delta(BaseModel):
    """What is new of a choice; only what there is."""

    role: Annotated[Literal["assistant"] | None, Field(exclude_if=lambda role: role is None)] = None
    content: Annotated[str | None, Field(exclude_if=lambda content: content is None)] = None
    tool_calls: Annotated[list[DeltaToolCall] | None, Field(exclude_if=lambda calls: calls is None)] = None


class ChunkChoice(BaseModel):
    """What is new of one of the replies; `finish_reason` stands in its last chunk."""

    index: int
    delta: Delta
    finish_reason: FinishReason | None = None
    logprobs: ChoiceLogprobs | None = None


class ChatCompletionChunk(BaseModel):
    """One event of a stream. `usage` is there only when it was asked for, and null in all but the last chunk."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: CompletionUsage | None = None


class OpenAIProblem(BaseModel):
    """What went wrong; `param` is the first bad field."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIError(BaseModel):
    """Every error of the OpenAI dialect, also as the last event of a stream that failed midway."""

    error: OpenAIProblem
