"""The Ollama dialect while a caller waits, and a model that calls functions; errors are in `test_ollama_errors.py`."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from ollama import AsyncClient, ResponseError

from generation.engine import Engine
from tests.api.scripted_engine import ScriptedEngine
from tests.service import MODEL_NAME, Service, running_service
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

HELLO: Any = [{"role": "user", "content": "Hello!"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tell the weather.",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
    },
}


@pytest.fixture
def engine(demo_engine: Engine) -> ScriptedEngine:
    return ScriptedEngine(demo_engine)


@pytest_asyncio.fixture(loop_scope="session")
async def service(engine: ScriptedEngine, tmp_path: Path) -> AsyncIterator[Service]:
    async with running_service(engine, tmp_path, slots=1, max_waiting=1) as service:
        yield service


@pytest_asyncio.fixture(loop_scope="session")
async def client(service: Service) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(host=service.url, headers=service.headers) as client:
        yield client


async def chat(client: AsyncClient, **fields: Any) -> Any:
    return await client.chat(model=MODEL_NAME, messages=HELLO, **fields)


async def test_a_stream_that_waits_is_kept_alive_with_empty_lines_of_the_reply(
    client: AsyncClient, service: Service, engine: ScriptedEngine
) -> None:
    engine.may_go_on.clear()
    first = asyncio.ensure_future(chat(client))
    await eventually(lambda: engine.asked > 0)
    stream = await client.generate(model=MODEL_NAME, prompt="Hello!", stream=True)
    sign = await anext(aiter(stream))
    assert (sign.response, sign.done) == ("", False)
    engine.may_go_on.set()
    assert [part.done async for part in stream][-1] is True
    assert (await first).done


async def test_a_stream_that_waits_tells_its_place_in_a_field_that_clients_skip(
    client: AsyncClient, service: Service, engine: ScriptedEngine
) -> None:
    engine.may_go_on.clear()
    first = asyncio.ensure_future(chat(client))
    await eventually(lambda: engine.asked > 0)
    body = {"model": MODEL_NAME, "prompt": "Hello!"}
    async with service.session.post(f"{service.url}/api/generate", json=body, headers=service.headers) as response:
        told = json.loads(await response.content.readline())
        engine.may_go_on.set()
        rest = [json.loads(line) async for line in response.content]
    assert told["queue"] == {"position": 1, "wait_seconds": None}
    assert set(told) == {"model", "created_at", "response", "done", "queue"}
    assert all("queue" not in each for each in rest)
    await first


async def test_a_call_comes_with_its_arguments_as_an_object(client: AsyncClient, engine: ScriptedEngine) -> None:
    engine.says = ["<tool_call>", '{"name": "weather", "arg', 'uments": {"place": "Rome"}}', "</tool_call>"]
    reply = await chat(client, tools=[WEATHER])
    (call,) = reply.message.tool_calls
    assert (call.function.name, call.function.arguments) == ("weather", {"place": "Rome"})
    assert (reply.message.content, reply.done_reason) == ("", "stop")
    parts = [part async for part in await chat(client, tools=[WEATHER], stream=True)]
    (streamed,) = [part.message.tool_calls for part in parts if part.message.tool_calls]
    assert streamed[0].function == call.function
    assert (await client.show(MODEL_NAME)).capabilities == ["completion", "tools"]


async def test_arguments_that_are_no_object_are_kept(client: AsyncClient, engine: ScriptedEngine) -> None:
    engine.says = ['{"name": "weather", "arguments": "Rome"}']
    (call,) = (await chat(client, tools=[WEATHER])).message.tool_calls
    assert call.function.arguments == {"arguments": "Rome"}


async def test_an_answered_call_reaches_the_model_with_the_id_of_its_call(
    client: AsyncClient, engine: ScriptedEngine
) -> None:
    engine.says = ["Sunny."]
    calls = [{"function": {"name": "weather", "arguments": {"place": place}}} for place in ("Rome", "Oslo")]
    messages = [
        *HELLO,
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool", "tool_name": "weather", "content": "sunny"},
        {"role": "tool", "tool_name": "weather", "content": "rain"},
    ]
    reply = await client.chat(model=MODEL_NAME, messages=messages, tools=[WEATHER])
    assert reply.message.content == "Sunny."
    asked = engine.heard[1]
    assert [json.loads(call["function"]["arguments"]) for call in asked.tool_calls] == [
        {"place": "Rome"},
        {"place": "Oslo"},
    ]
    assert [message.tool_call_id for message in engine.heard[2:]] == [call["id"] for call in asked.tool_calls]
    assert asked.tool_calls[0]["id"] != asked.tool_calls[1]["id"]


async def test_a_model_whose_template_knows_no_tools_says_so(client: AsyncClient) -> None:
    with pytest.raises(ResponseError) as caught:
        await chat(client, tools=[WEATHER])
    assert caught.value.status_code == 400
    assert caught.value.error.startswith("tools: ")
    assert (await client.show(MODEL_NAME)).capabilities == ["completion"]
