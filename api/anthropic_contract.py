"""What the Anthropic dialect takes: requests with their messages, blocks and tools (`contract.md` section 7a).

Imports pydantic and the contracts whose types it shares. Does not own: replies, events and errors
(`anthropic_events.py`). Source of the form: https://docs.claude.com/en/api/messages.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from api.contract import MAX_MESSAGES, JsonSchema, Stops, Strict, Text, Whole
from api.lenient import allow_nulls, no_nulls, only, tuple_of
from api.openai_contract import FUNCTION_NAME, MAX_TOOLS

_KEPT_ANYWAY = Field(description="has no effect: what is computed is kept anyway")


class _Lenient(Strict):
    """An object in which null counts as left out."""

    model_config = ConfigDict(json_schema_extra=allow_nulls)

    _drop_nulls = model_validator(mode="before")(no_nulls)


def _only_text(value: object) -> object:
    if isinstance(value, str) and value != "text":
        raise ValueError(
            f"blocks of the type {value[:40]!r} are not supported here; send text, tool_use or tool_result"
        )
    return value


class AnthropicText(_Lenient):
    """A block of text; the blocks of one content are joined by a blank line."""

    type: Annotated[Literal["text"], BeforeValidator(_only_text, json_schema_input_type=Literal["text"])]
    text: Text
    cache_control: Annotated[Any, _KEPT_ANYWAY] = None
    citations: Annotated[Any, only([])] = None


def _string_is_a_block(value: object) -> object:
    """Take a string for one block, for which it is short."""
    return [{"type": "text", "text": value}] if isinstance(value, str) else value


Texts = Annotated[
    list[AnthropicText], BeforeValidator(_string_is_a_block, json_schema_input_type=Text | list[AnthropicText])
]


class AnthropicToolUse(_Lenient):
    """A call that the assistant made."""

    type: Literal["tool_use"]
    id: Annotated[Text, Field(min_length=1)]
    name: Annotated[str, Field(pattern=FUNCTION_NAME)]
    input: dict[str, Any]
    caller: Annotated[Any, only({"type": "direct"})] = None
    toolset_name: Annotated[Any, only()] = None
    cache_control: Annotated[Any, _KEPT_ANYWAY] = None


class AnthropicToolResult(_Lenient):
    """What a call gave; the model reads `Error: ` before the content of one that failed."""

    type: Literal["tool_result"]
    tool_use_id: Annotated[Text, Field(min_length=1, description="the id of a tool_use before it")]
    content: Annotated[Texts, Field(default_factory=list)]
    is_error: bool = False
    toolset_name: Annotated[Any, only()] = None
    cache_control: Annotated[Any, _KEPT_ANYWAY] = None


def _choose_block(value: object) -> object:
    """Judge a block as what it says to be, in one sentence instead of one for each type."""
    kind = value.get("type") if isinstance(value, dict) else None
    match kind:
        case "tool_use":
            return AnthropicToolUse.model_validate(value)
        case "tool_result":
            return AnthropicToolResult.model_validate(value)
    return AnthropicText.model_validate(value)


Block = Annotated[AnthropicText | AnthropicToolUse | AnthropicToolResult, BeforeValidator(_choose_block)]
Blocks = Annotated[list[Block], BeforeValidator(_string_is_a_block, json_schema_input_type=Text | list[Block])]


class AnthropicMessage(_Lenient):
    """One message; neighbours of one role are one turn."""

    role: Literal["user", "assistant", "system"]
    content: Blocks

    @model_validator(mode="after")
    def _blocks_of_its_role(self) -> Self:
        kinds = {block.type for block in self.content}
        if "tool_use" in kinds and self.role != "assistant":
            raise ValueError("content: only a message of the assistant may have tool_use blocks")
        if "tool_result" in kinds and self.role != "user":
            raise ValueError("content: only a message of the user may have tool_result blocks")
        return self


def _only_custom(value: object) -> object:
    if isinstance(value, str) and value != "custom":
        raise ValueError(f"tools of the type {value[:40]!r} are not supported here; describe one of your own")
    return value


class AnthropicTool(_Lenient):
    """A tool that the model may use; `input_schema` is the JSON Schema of an object."""

    name: Annotated[str, Field(pattern=FUNCTION_NAME)]
    description: Text | None = None
    input_schema: dict[str, Any]
    type: Annotated[
        Literal["custom"] | None, BeforeValidator(_only_custom, json_schema_input_type=Literal["custom"] | None)
    ] = None
    strict: Annotated[Any, Field(description="has no effect: a tool that must be used always gets valid input")] = None
    eager_input_streaming: Annotated[Any, Field(description="has no effect: input is streamed whole")] = None
    cache_control: Annotated[Any, _KEPT_ANYWAY] = None
    defer_loading: Annotated[Any, only(False)] = None  # noqa: FBT003 - a value of the wire
    allowed_callers: Annotated[Any, only(["direct"])] = None
    input_examples: Annotated[Any, only([])] = None


class AnthropicToolChoice(_Lenient):
    """Whether a tool is used: as the model likes, one of them certainly, or none."""

    type: Literal["auto", "any", "none"]
    disable_parallel_tool_use: Annotated[bool, Field(description="true: one at most")] = False


class AnthropicNamedTool(_Lenient):
    """Demands the use of this tool."""

    type: Literal["tool"]
    name: Text
    disable_parallel_tool_use: Annotated[bool, Field(description="has no effect: it is used once")] = False


def _choose_choice(value: object) -> object:
    """Judge a choice as what it says to be, in one sentence instead of one for each type."""
    if isinstance(value, dict) and value.get("type") == "tool":
        return AnthropicNamedTool.model_validate(value)
    return AnthropicToolChoice.model_validate(value)


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
    system: Annotated[Texts | None, Field(description="comes before the messages")] = None
    output_config: AnthropicOutput = AnthropicOutput()
    thinking: Annotated[Any, only({"type": "disabled"})] = None
    tools: Annotated[
        tuple[AnthropicTool, ...],
        Field(max_length=MAX_TOOLS, description="400 where the model's template knows none"),
        BeforeValidator(tuple_of, json_schema_input_type=list[AnthropicTool]),
    ] = ()
    tool_choice: Annotated[AnthropicToolChoice | AnthropicNamedTool, BeforeValidator(_choose_choice)] = (
        AnthropicToolChoice(type="auto")
    )
    mcp_servers: Annotated[Any, only([])] = None
    cache_control: Annotated[Any, _KEPT_ANYWAY] = None
    speed: Annotated[Any, only("standard")] = None
    user_profile_id: Annotated[Any, Field(description="has no effect")] = None

    def _lost_result(self) -> str | None:
        """Find the id of a result whose call is not among the messages before it."""
        called: set[str] = set()
        for block in (block for message in self.messages for block in message.content):
            if isinstance(block, AnthropicToolUse):
                called.add(block.id)
            elif isinstance(block, AnthropicToolResult) and block.tool_use_id not in called:
                return block.tool_use_id
        return None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        names = {tool.name for tool in self.tools}
        match self.tool_choice:
            case AnthropicNamedTool(name=name) if name not in names:
                raise ValueError("tool_choice: names a tool that is not among the tools")
            case AnthropicToolChoice(type="any") if not names:
                raise ValueError("tool_choice: needs tools")
        if lost := self._lost_result():
            raise ValueError(f"messages: the tool_result for {lost[:80]!r} has no tool_use before it")
        if names and self.tool_choice.type != "none" and self.output_config.format is not None:
            raise ValueError("output_config: format cannot be combined with tools here; leave one of them out")
        return self


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


class AnthropicPage(BaseModel):
    """Query of `GET /v1/models` from Anthropic's clients: which page of the list."""

    limit: Annotated[int, Field(ge=1, le=1000, description="models on the page, 1 to 1000; 20 when left out")] = 20
    after_id: Annotated[str | None, Field(description="the page after this model")] = None
    before_id: Annotated[str | None, Field(description="the page before this model")] = None
