"""The OpenAI dialect when the service fails: typed exceptions for 5xx, errors midway, callers who hang up, waiting."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
import pytest_asyncio
from openai import AsyncOpenAI

from api import keys
from generation.engine import Engine
from tests.api.scripted_engine import ScriptedEngine
from tests.service import MODEL_NAME, Service, running_service
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

HELLO: Any = [{"role": "user", "content": "Hello!"}]


@pytest.fixture
def engine(demo_engine: Engine) -> ScriptedEngine:
    return ScriptedEngine(demo_engine)


@pytest_asyncio.fixture(loop_scope="session")
async def service(engine: ScriptedEngine, tmp_path: Path) -> AsyncIterator[Service]:
    async with running_service(engine, tmp_path, slots=1, max_waiting=1) as service:
        yield service


@pytest_asyncio.fixture(loop_scope="session")
async def client(service: Service) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{service.url}/v1", api_key=service.secret, max_retries=0) as client:
        yield client


async def create(client: AsyncOpenAI, **fields: Any) -> Any:
    return await client.chat.completions.create(model=MODEL_NAME, messages=HELLO, **fields)


async def test_a_lost_engine_is_an_internal_server_error_and_the_call_is_given_back(
    client: AsyncOpenAI, service: Service, engine: ScriptedEngine
) -> None:
    engine.pieces_before_failure = 0
    with pytest.raises(openai.InternalServerError) as caught:
        await create(client)
    assert (caught.value.status_code, caught.value.code, caught.value.type) == (
        503,
        "model_unavailable",
        "server_error",
    )
    assert caught.value.response.headers["retry-after-ms"] == "1000"
    assert await service.calls_used() == 0


async def test_an_unforeseen_fault_says_nothing_of_itself(client: AsyncOpenAI, engine: ScriptedEngine) -> None:
    engine.pieces_before_failure = 0
    engine.error = ZeroDivisionError("the secret is 42")
    with pytest.raises(openai.InternalServerError) as caught:
        await create(client)
    assert (caught.value.status_code, caught.value.code) == (500, "internal_error")
    assert "42" not in caught.value.message


async def test_the_client_tries_again_when_the_engine_is_back(service: Service, engine: ScriptedEngine) -> None:
    engine.pieces_before_failure = 0
    async with AsyncOpenAI(base_url=f"{service.url}/v1", api_key=service.secret, max_retries=2) as client:
        asking = asyncio.ensure_future(create(client))
        await eventually(lambda: engine.asked > 0, within_seconds=20)
        engine.pieces_before_failure = None
        assert (await asking).choices[0].message.content


async def test_an_error_midway_is_raised_from_the_stream(
    client: AsyncOpenAI, service: Service, engine: ScriptedEngine
) -> None:
    engine.pieces_before_failure = 2
    stream = await create(client, stream=True)
    assert (await anext(stream)).choices[0].delta.role == "assistant"
    with pytest.raises(openai.APIError) as caught:
        _ = [chunk async for chunk in stream]
    assert caught.value.code == "model_unavailable"
    # The call is given back after the last words are sent.
    await eventually(lambda: not service.app[keys.ALLOWANCE].open, within_seconds=20)
    assert await service.calls_used() == 0


async def test_a_failing_choice_ends_them_all(client: AsyncOpenAI, service: Service, engine: ScriptedEngine) -> None:
    engine.pieces_before_failure = 1
    with pytest.raises(openai.InternalServerError):
        await create(client, n=3)
    assert await service.calls_used() == 0
    engine.pieces_before_failure = None
    assert len((await create(client, n=2)).choices) == 2


async def test_a_full_queue_is_an_internal_server_error_with_a_time_to_come_back(
    client: AsyncOpenAI, service: Service, engine: ScriptedEngine
) -> None:
    engine.may_go_on.clear()
    waiting = [asyncio.ensure_future(create(client)) for _ in range(2)]
    queue = service.app[keys.PIPELINE].queue
    await eventually(lambda: (queue.running, queue.waiting) == (1, 1), within_seconds=20)
    with pytest.raises(openai.InternalServerError) as caught:
        await create(client)
    assert (caught.value.status_code, caught.value.code) == (503, "overloaded")
    assert int(caught.value.response.headers["retry-after"]) >= 1
    engine.may_go_on.set()
    for each in await asyncio.gather(*waiting):
        assert each.choices[0].message.content


async def test_a_stream_that_waits_is_kept_alive_with_comments(
    client: AsyncOpenAI, service: Service, engine: ScriptedEngine
) -> None:
    engine.may_go_on.clear()
    first = asyncio.ensure_future(create(client))
    await eventually(lambda: engine.asked > 0, within_seconds=20)
    body = {"model": MODEL_NAME, "messages": HELLO, "stream": True}
    async with service.session.post(
        f"{service.url}/v1/chat/completions", json=body, headers=service.headers
    ) as response:
        assert response.content_type == "text/event-stream"
        assert (await response.content.readline()) == b": waiting in line, place 1\n"
        engine.may_go_on.set()
        rest = (await response.content.read()).decode()
    assert rest.endswith("data: [DONE]\n\n")
    assert all(line == "" or line.startswith(("data: ", ": ")) for line in rest.splitlines())
    await first


async def test_hanging_up_ends_every_choice(client: AsyncOpenAI, service: Service, engine: ScriptedEngine) -> None:
    stream = await create(client, stream=True, n=3, max_tokens=2000, extra_body={"ignore_eos": True})
    async for _ in stream:
        break
    await stream.close()
    queue = service.app[keys.PIPELINE].queue
    await eventually(lambda: not (queue.running or queue.waiting), within_seconds=20)
    assert await service.calls_used() == 1
