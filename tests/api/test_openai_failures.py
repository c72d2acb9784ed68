"""The OpenAI dialect while a caller waits, and when it hangs up; errors are in `test_typed_errors.py`."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

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


async def test_a_stream_that_waits_is_kept_alive_with_comments(
    client: AsyncOpenAI, service: Service, engine: ScriptedEngine
) -> None:
    engine.may_go_on.clear()
    first = asyncio.ensure_future(create(client))
    await eventually(lambda: engine.asked > 0)
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
    await eventually(lambda: not (queue.running or queue.waiting))
    assert await service.calls_used() == 1
