"""The wire of the Ollama dialect: requests, replies, lines of a stream and errors (`contract.md` section 7).

Imports pydantic and the contracts whose types it shares: the options are the native ones, the tools OpenAI's. Source of
the form: https://github.com/ollama/ollama/blob/main/docs/openapi.yaml and docs/api.md beside it.
"""

import re
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from api.contract import MAX_MESSAGES, Format, QueuePlace, SamplingFields, Strict, Text, Whole
from api.lenient import allow_nulls, no_nulls, only, tuple_of
from api.openai_contract import MAX_TOOLS, ToolDefinition

_NO_TIME = re.compile(r"0+(?:ns|us|µs|ms|s|m|h)?")


class _Lenient(Strict):
    """An object in which null counts as left out."""

    model_config = ConfigDict(json_schema_extra=allow_nulls)

    _drop_nulls = model_validator(mode="before")(no_nulls)


class OllamaOptions(SamplingFields, _Lenient):
    """The `options` object: the sampling options of the native dialect, with its ranges and defaults."""

    num_batch: Annotated[Any, Field(description="has no effect, like all below it: it is about loading a model")] = None
    num_gpu: Any = None
    main_gpu: Any = None
    num_thread: Any = None
    numa: Any = None
    use_mmap: Any = None
    use_mlock: Any = None
    low_vram: Any = None
    f16_kv: Any = None
    vocab_only: Any = None
    logits_all: Any = None
    embedding_only: Any = None
    penalize_newline: Any = None
    draft_num_predict: Any = None


class OllamaFunctionCall(_Lenient):
    """The function of a call and its arguments."""

    name: Annotated[Text, Field(min_length=1)]
    arguments: dict[str, Any]
    index: Annotated[Any, Field(description="has no effect")] = None
    description: Annotated[Any, Field(description="has no effect")] = None


class OllamaToolCall(_Lenient):
    """One call in a message of the assistant."""

    id: Text | None = None
    type: Annotated[Any, Field(description="has no effect")] = None
    function: OllamaFunctionCall


class OllamaMessage(_Lenient):
    """One message."""

    role: Literal["system", "user", "assistant", "tool"]
    content: Text = ""
    thinking: Annotated[Text | None, Field(description="has no effect: earlier thoughts are not read again")] = None
    images: Annotated[Any, only([])] = None
    tool_calls: list[OllamaToolCall] | None = None
    tool_name: Annotated[Text | None, Field(description="has no effect")] = None
    tool_call_id: Text | None = None

    @model_validator(mode="after")
    def _is_the_assistants(self) -> Self:
        if self.tool_calls and self.role != "assistant":
            raise ValueError("tool_calls: only a message of the assistant may have them")
        return self


def _check_duration(value: object) -> object:
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        return value
    raise ValueError("give seconds, or a duration such as 10m")


def _empty_is_left_out(value: object) -> object:
    return None if value == "" else value


class OllamaRequest(_Lenient):
    """What both generating routes take."""

    model: Annotated[Text, Field(min_length=1, description="a name from GET /api/tags, with or without :latest")]
    stream: Annotated[bool, Field(description="false: one JSON object")] = True
    format: Annotated[
        Format | None,
        Field(description='"json", or a JSON Schema object: the reply is that JSON'),
        BeforeValidator(_empty_is_left_out, json_schema_input_type=Format | Literal[""] | None),
    ] = None
    options: OllamaOptions = OllamaOptions()
    keep_alive: Annotated[
        Any,
        Field(description="has no effect: the model always stays loaded"),
        BeforeValidator(_check_duration, json_schema_input_type=float | str | None),
    ] = None
    truncate: Annotated[bool, Field(description="false: what does not fit is a 400, nothing is left out")] = True
    shift: Annotated[Any, Field(description="has no effect: a reply ends where the context does")] = None
    think: Annotated[Any, only(False)] = None  # noqa: FBT003 - a value of the wire
    logprobs: bool = False
    top_logprobs: Annotated[int, Field(ge=0, le=20, description="alternatives per token; needs logprobs"), Whole] = 0

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.top_logprobs and not self.logprobs:
            raise ValueError("top_logprobs: needs logprobs to be true")
        return self

    @property
    def is_farewell(self) -> bool:
        """Say whether `keep_alive` asks to unload the model at once."""
        if isinstance(self.keep_alive, str):
            return _NO_TIME.fullmatch(self.keep_alive) is not None
        return bool(self.keep_alive == 0)


class OllamaChatRequest(OllamaRequest):
    """Body of `POST /api/chat`. Without messages it asks whether the model is loaded."""

    messages: Annotated[
        list[OllamaMessage] | None,
        Field(
            max_length=MAX_MESSAGES,
            description="a last one by the assistant is the beginning of its reply, which then holds the rest alone",
        ),
    ] = None
    tools: Annotated[
        tuple[ToolDefinition, ...],
        Field(max_length=MAX_TOOLS, description="400 where the model's template knows none"),
        BeforeValidator(tuple_of, json_schema_input_type=list[ToolDefinition]),
    ] = ()

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.tools and self.format is not None:
            raise ValueError("format: cannot be combined with tools here; leave one of them out")
        return self


class OllamaGenerateRequest(OllamaRequest):
    """Body of `POST /api/generate`. Without a prompt it asks whether the model is loaded."""

    prompt: Text = ""
    system: Annotated[Text, Field(description="the system message, if any")] = ""
    suffix: Annotated[Any, only("")] = None
    template: Annotated[Any, only("")] = None
    context: Annotated[Any, only([])] = None
    raw: Annotated[Any, only(False)] = None  # noqa: FBT003 - a value of the wire
    images: Annotated[Any, only([])] = None
    width: Annotated[Any, only(0)] = None
    height: Annotated[Any, only(0)] = None
    steps: Annotated[Any, only(0)] = None


def _absent(value: object) -> bool:
    return value is None


class OllamaTokenLogprob(BaseModel):
    """A token that might have come."""

    token: str
    logprob: float
    bytes: list[int]


class OllamaLogprob(OllamaTokenLogprob):
    """A token of the reply. A character of several tokens is one entry, with the last one's log-probability."""

    top_logprobs: list[OllamaTokenLogprob]


class OllamaReply(BaseModel):
    """What replies and lines of both routes share. Counts and `done_reason` stand in the last line alone."""

    model: str
    created_at: datetime
    done: bool
    done_reason: Annotated[Literal["stop", "length", "load", "unload"] | None, Field(exclude_if=_absent)] = None
    total_duration: Annotated[int | None, Field(exclude_if=_absent, description="nanoseconds, like all here")] = None
    load_duration: Annotated[int | None, Field(exclude_if=_absent)] = None
    prompt_eval_count: Annotated[int | None, Field(exclude_if=_absent)] = None
    prompt_eval_duration: Annotated[int | None, Field(exclude_if=_absent)] = None
    eval_count: Annotated[int | None, Field(exclude_if=_absent)] = None
    eval_duration: Annotated[int | None, Field(exclude_if=_absent)] = None
    logprobs: Annotated[list[OllamaLogprob] | None, Field(exclude_if=_absent)] = None
    queue: Annotated[
        QueuePlace | None,
        Field(exclude_if=_absent, description="the place in line, while there is no slot; Ollama's clients skip it"),
    ] = None


class OllamaReplyFunction(BaseModel):
    """A function that the model calls."""

    index: int
    name: str
    arguments: dict[str, Any]


class OllamaReplyCall(BaseModel):
    """One call."""

    id: str
    function: OllamaReplyFunction


class OllamaReplyMessage(BaseModel):
    """The assistant's words, or what is new of them."""

    role: Literal["assistant"] = "assistant"
    content: str
    tool_calls: Annotated[list[OllamaReplyCall] | None, Field(exclude_if=_absent)] = None


class OllamaChatReply(OllamaReply):
    """Reply of `POST /api/chat`, whole or a line of it."""

    message: OllamaReplyMessage


class OllamaGenerateReply(OllamaReply):
    """Reply of `POST /api/generate`, whole or a line of it."""

    response: str


class OllamaError(BaseModel):
    """Every error of the Ollama dialect, also as the last line of a stream that failed midway."""

    error: str
