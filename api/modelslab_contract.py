"""The wire of the ModelsLab dialect: `POST /api/v6/llm/chat`, as `contract.md` section 8 says.

Source: https://docs.modelslab.com/llm/chat. Imports the native dialect's kinds of values; holds no behaviour beyond
validation.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, RootModel

from api.contract import Strict, Text, Whole

MAX_TRACK_ID_LENGTH = 1_000

YesNo = Literal["yes", "no"]


def _parse_flag(value: object) -> object:
    """Take the words that clients of the original send, too."""
    words = {"yes": True, "true": True, "no": False, "false": False}
    return words.get(value.lower(), value) if isinstance(value, str) else value


def _empty_is_none(value: object) -> object:
    return None if value == "" else value


def _bound_top_p(value: object) -> object:
    return min(value, 1.0) if isinstance(value, int | float) and not isinstance(value, bool) else value


Flag = Annotated[
    bool,
    BeforeValidator(_parse_flag, json_schema_input_type=bool | Literal["yes", "no", "true", "false"]),
]
EmptyIsNone = BeforeValidator(_empty_is_none)


class ModelsLabRequest(Strict):
    """Body of `POST /api/v6/llm/chat`."""

    key: Annotated[Text | None, Field(description="your API token; the Authorization header is taken, too")] = None
    model_id: Annotated[
        Text | None, Field(description="a name from GET /v1/models; default: the loaded one"), EmptyIsNone
    ] = None
    chat_id: Annotated[Text | None, Field(description="continue that conversation"), EmptyIsNone] = None
    system_prompt: Annotated[
        Text | None, Field(description="used when a conversation starts or is reset; default: the server's persona")
    ] = None
    prompt: Annotated[Text, Field(min_length=1, description="the user's turn")]
    max_new_tokens: Annotated[int, Field(ge=1, le=1024), Whole] = 128
    do_sample: Annotated[Flag, Field(description="false = greedy")] = True
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.3
    top_k: Annotated[int, Field(ge=0, le=128, description="0 = off"), Whole] = 50
    top_p: Annotated[
        float,
        Field(ge=0, description="above 1 is taken as 1"),
        BeforeValidator(_bound_top_p, json_schema_input_type=Annotated[float, Field(ge=0)]),
    ] = 0.95
    no_repeat_ngram_size: Annotated[
        int,
        Field(ge=0, le=1024, description="no run of this many tokens occurs twice in a text reply; 0 = off"),
        Whole,
    ] = 5
    seed: Annotated[int | None, Field(ge=-(2**63), le=2**63 - 1, description="null = random"), Whole] = None
    temp: Annotated[Flag, Field(description="echoed in meta as yes or no")] = False
    generator_type: Literal["text", "json", "choices", "format"] = "text"
    generator_choices: Annotated[
        dict[str, Any] | list[Any] | Text | None,
        Field(description="json: a JSON Schema; choices: a list; format: a data type such as integer or date"),
    ] = None
    reset: Annotated[Flag, Field(description="forget the conversation and start with the given system prompt")] = False
    uncensored_system_prompt: Annotated[
        Flag, Field(description="start with the operator's alternative system prompt, which goes before system_prompt")
    ] = False
    webhook: Annotated[
        Text | None, Field(description="https address to which the reply is sent when it is done"), EmptyIsNone
    ] = None
    track_id: Annotated[
        Annotated[Text, Field(max_length=MAX_TRACK_ID_LENGTH)] | int | None,
        Field(description="repeated in what is sent to the webhook"),
        EmptyIsNone,
    ] = None


class ModelsLabMeta(BaseModel):
    """What a reply was made with."""

    chat_id: str
    created_at: datetime
    do_sample: YesNo
    max_new_tokens: int
    model_id: str
    no_repeat_ngram_size: int
    num_return_sequences: Literal[1] = 1
    pipeline_tag: Literal["text-generation"] = "text-generation"
    prompt: str
    seed: int
    temp: YesNo
    temperature: float
    top_k: int
    top_p: float
    updated_at: datetime


class ModelsLabReply(BaseModel):
    """A reply; `output` holds the address of the transcript as JSON, good for a day."""

    status: Literal["success"] = "success"
    output: list[str]
    message: str
    chat_id: str
    meta: ModelsLabMeta


class ModelsLabProcessing(BaseModel):
    """The reply will be sent to the webhook, and is to be had at `fetch_result` for a day."""

    status: Literal["processing"] = "processing"
    id: str
    fetch_result: str


class ModelsLabError(BaseModel):
    """Every error of the ModelsLab dialect."""

    status: Literal["error"] = "error"
    message: str


class ModelsLabAnswer(RootModel[ModelsLabReply | ModelsLabProcessing]):
    """What the route answers."""


class ModelsLabFetched(RootModel[ModelsLabReply | ModelsLabProcessing | ModelsLabError]):
    """What is found at `fetch_result`; when done it has the webhook's `id` and `track_id`, too."""


class TranscriptMessage(BaseModel):
    """One message of a transcript."""

    role: Literal["user", "assistant"]
    content: str


class Transcript(BaseModel):
    """A conversation as it was after one of its replies."""

    chat_id: str
    created_at: datetime
    messages: list[TranscriptMessage]
