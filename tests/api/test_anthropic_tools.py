"""Tools through the unmodified `anthropic` package: demanded, chosen, answered, refused."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anthropic
import pytest
import pytest_asyncio
from anthropic import AsyncAnthropic

from generation.engine import Engine
from tests.api.scripted_engine import ScriptedEngine
from tests.service import MODEL_NAME, Service, running_service

pytestmark = pytest.mark.asyncio(loop_scope="session")

WEATHER: Any = {
    "name": "weather",
    "description": "Tell the weather.",
    "input_schema": {
        "type": "object",
        "properties": {"place": {"enum": ["Rome", "Oslo"]}, "days": {"$ref": "#/$defs/Days"}},
        "required": ["place", "days"],
        "additionalProperties": False,
        "$defs": {"Days": {"enum": [1, 2, 3]}},
    },
}
# Closed: weights drawn at random would fill an open object until the reply's length limit.
CLOCK: Any = {
    "type": "custom",
    "name": "clock",
    "input_schema": {"type": "object", "properties": {}, "additionalProperties": False},
}
QUESTION: Any = [{"role": "user", "content": "How is the weather?"}]
TOOLS: Any = [WEATHER, CLOCK]

HISTORY: Any = [
    *QUESTION,
    {
        "role": "assistant",
        "content": [
            {"type": "text", "text": "Let me look."},
            {"type": "tool_use", "id": "a", "name": "weather", "input": {"place": "Rome", "days": 1}},
            {"type": "tool_use", "id": "b", "name": "clock", "input": {}},
        ],
    },
    {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "Sunny."}]},
            {"type": "tool_result", "tool_use_id": "b", "is_error": True, "content": "it stands still"},
            {"type": "text", "text": "Well?"},
        ],
    },
]


@pytest_asyncio.fixture(loop_scope="session")
async def demanding(tools_service: Service) -> AsyncIterator[AsyncAnthropic]:
    """A client of a model that is held to what is demanded of it."""
    async with connected(tools_service) as client:
        yield client


@pytest.fixture
def engine(demo_engine: Engine) -> ScriptedEngine:
    return ScriptedEngine(demo_engine)


@pytest_asyncio.fixture(loop_scope="session")
async def client(engine: ScriptedEngine, tmp_path: Path) -> AsyncIterator[AsyncAnthropic]:
    """A client of a model that says what the test has it say."""
    async with running_service(engine, tmp_path) as service, connected(service) as client:
        yield client


def connected(service: Service) -> AsyncAnthropic:
    return AsyncAnthropic(base_url=service.url, api_key=service.secret, max_retries=0)


async def ask(client: AsyncAnthropic, **fields: Any) -> Any:
    asked = {"model": MODEL_NAME, "messages": QUESTION, "max_tokens": 200, "tools": TOOLS, **fields}
    return await client.messages.create(**asked)


def is_weather(given: Any) -> bool:
    return set(given) == {"place", "days"} and given["place"] in {"Rome", "Oslo"} and given["days"] in {1, 2, 3}


async def test_a_demanded_tool_is_used_with_valid_input(demanding: AsyncAnthropic) -> None:
    reply = await ask(demanding, model="tiny", tool_choice={"type": "tool", "name": "weather"})
    (block,) = reply.content
    assert (reply.stop_reason, reply.stop_sequence) == ("tool_use", None)
    assert (block.type, block.name) == ("tool_use", "weather")
    assert is_weather(block.input)
    assert block.id


async def test_one_of_the_tools_is_used_when_any_is_demanded(demanding: AsyncAnthropic) -> None:
    reply = await ask(demanding, model="tiny", tool_choice={"type": "any"})
    (block,) = reply.content
    assert block.name in {"weather", "clock"}


async def test_a_streamed_use_is_put_together_by_the_helper(demanding: AsyncAnthropic) -> None:
    async with demanding.messages.stream(
        model="tiny", max_tokens=200, messages=QUESTION, tools=TOOLS, tool_choice={"type": "tool", "name": "weather"}
    ) as stream:
        kinds = [event.type async for event in stream if event.type not in {"input_json", "text"}]
        reply = await stream.get_final_message()
    assert kinds == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    (block,) = reply.content
    assert block.type == "tool_use"
    assert is_weather(block.input)
    assert reply.stop_reason == "tool_use"


async def test_the_template_is_told_of_tools_and_results(demanding: AsyncAnthropic) -> None:
    async def count(messages: Any = QUESTION, **fields: Any) -> int:
        return (await demanding.messages.count_tokens(model="tiny", messages=messages, **fields)).input_tokens

    told = await count(tools=TOOLS)
    assert told > await count() + 50
    assert await count(tools=TOOLS, tool_choice={"type": "none"}) == await count()
    assert await count(HISTORY, tools=TOOLS) > told + 50


async def test_text_before_a_use_is_a_block_of_its_own(client: AsyncAnthropic, engine: ScriptedEngine) -> None:
    call = json.dumps({"name": "weather", "arguments": {"place": "Łódź"}})
    engine.says = ["Let me ", "look.", "<tool_call>", call, "</tool_call><tool_call>", call, "</tool_call>"]
    reply = await ask(client)
    assert [block.type for block in reply.content] == ["text", "tool_use", "tool_use"]
    assert reply.content[0].text == "Let me look."
    assert [block.input for block in reply.content[1:]] == [{"place": "Łódź"}] * 2
    assert len({block.id for block in reply.content[1:]}) == 2
    async with client.messages.stream(model=MODEL_NAME, max_tokens=99, messages=QUESTION, tools=TOOLS) as stream:
        streamed = await stream.get_final_message()
    said: Any = streamed.content
    assert [block.type for block in said] == ["text", "tool_use", "tool_use"]
    assert (said[0].text, said[1].input, said[2].input) == ("Let me look.", {"place": "Łódź"}, {"place": "Łódź"})
    assert (reply.stop_reason, streamed.stop_reason) == ("tool_use", "tool_use")
    assert reply.usage == streamed.usage


async def test_one_use_at_most_where_the_client_wants_no_more(client: AsyncAnthropic, engine: ScriptedEngine) -> None:
    call = json.dumps({"name": "clock", "arguments": {}})
    engine.says = ["<tool_call>", call, "</tool_call>", "<tool_call>", call, "</tool_call>"]
    assert len((await ask(client)).content) == 2
    (block,) = (await ask(client, tool_choice={"type": "auto", "disable_parallel_tool_use": True})).content
    assert block.name == "clock"


async def test_input_that_is_no_object_is_not_lost(client: AsyncAnthropic, engine: ScriptedEngine) -> None:
    engine.says = ["<tool_call>", json.dumps({"name": "weather", "arguments": "Rome"}), "</tool_call>"]
    (block,) = (await ask(client)).content
    assert block.input == {"arguments": "Rome"}


async def test_a_reply_without_a_use_ends_its_turn(client: AsyncAnthropic, engine: ScriptedEngine) -> None:
    engine.says = ["It is ", "sunny."]
    reply = await ask(client)
    assert (reply.stop_reason, reply.content[0].text) == ("end_turn", "It is sunny.")


async def test_uses_and_results_reach_the_model_in_their_order(client: AsyncAnthropic, engine: ScriptedEngine) -> None:
    engine.says = ["It is sunny."]
    await ask(client, messages=HISTORY)
    _, assistant, sunny, failed, user = engine.heard
    assert (assistant.role, assistant.content) == ("assistant", "Let me look.")
    assert [call["id"] for call in assistant.tool_calls] == ["a", "b"]
    assert json.loads(assistant.tool_calls[0]["function"]["arguments"]) == {"place": "Rome", "days": 1}
    assert (sunny.role, sunny.content, sunny.tool_call_id) == ("tool", "Sunny.", "a")
    assert (failed.role, failed.content, failed.tool_call_id) == ("tool", "Error: it stands still", "b")
    assert (user.role, user.content) == ("user", "Well?")


async def test_a_model_whose_template_knows_no_tools_says_so(client: AsyncAnthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match="tools: ") as caught:
        await ask(client)
    assert caught.value.type == "invalid_request_error"


USE: Any = {"type": "tool_use", "id": "a", "name": "weather", "input": {}}
RESULT: Any = {"type": "tool_result", "tool_use_id": "a", "content": "Sunny."}


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"tools": [{**WEATHER, "name": "no spaces"}]}, "tools.0.name"),
        ({"tools": [{"name": "weather"}]}, "tools.0.input_schema"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools.0"),
        ({"tools": [{**WEATHER, "defer_loading": True}]}, "tools.0.defer_loading"),
        ({"tools": [WEATHER] * 129}, "tools"),
        ({"tool_choice": {"type": "tool", "name": "stocks"}}, "tool_choice"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"tool_choice": "auto"}, "tool_choice"),
        (
            {
                "tools": [{"name": "f", "input_schema": {"type": "nonsense"}}],
                "tool_choice": {"type": "any"},
            },
            "tools",
        ),
        ({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}, "output_config"),
        ({"messages": [{"role": "user", "content": [USE]}]}, "messages.0"),
        ({"messages": [*QUESTION, {"role": "assistant", "content": [USE, RESULT]}]}, "messages.1"),
        ({"messages": [{"role": "user", "content": [RESULT]}]}, "messages"),
        (
            {"messages": [*QUESTION, {"role": "assistant", "content": [{**USE, "input": "{}"}]}]},
            "messages.1.content.0.input",
        ),
    ],
)
async def test_what_is_wrong_with_tools_is_named(service: Service, asked: dict[str, Any], field: str) -> None:
    body = {"model": MODEL_NAME, "max_tokens": 8, "messages": QUESTION, "tools": TOOLS, **asked}
    status, reply, _ = await service.post("/v1/messages", body)
    assert status == 400
    assert reply["error"]["message"].startswith(field)
    assert reply["error"]["type"] == "invalid_request_error"
