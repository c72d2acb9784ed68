"""The list of models on the path that OpenAI's and Anthropic's clients share, through both packages."""

from collections.abc import AsyncIterator
from pathlib import Path

import anthropic
import pytest
import pytest_asyncio
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from generation.engine import Engine
from tests.service import MODEL_NAME, Service, running_service

pytestmark = pytest.mark.asyncio(loop_scope="session")

NAMES = [MODEL_NAME, "pirate", "poet", "pilot"]


@pytest_asyncio.fixture(loop_scope="session")
async def service(demo_engine: Engine, tmp_path: Path) -> AsyncIterator[Service]:
    async with running_service(demo_engine, tmp_path, adapter_names=tuple(NAMES[1:])) as service:
        yield service


@pytest_asyncio.fixture(loop_scope="session")
async def client(service: Service) -> AsyncIterator[AsyncAnthropic]:
    async with AsyncAnthropic(base_url=service.url, api_key=service.secret, max_retries=0) as client:
        yield client


async def test_each_client_reads_the_list_in_its_own_form(client: AsyncAnthropic, service: Service) -> None:
    page = await client.models.list()
    assert [(model.type, model.id, model.display_name) for model in page.data] == [("model", n, n) for n in NAMES]
    assert page.data[0].max_input_tokens == 4096
    assert (page.has_more, page.first_id, page.last_id) == (False, NAMES[0], NAMES[-1])
    async with AsyncOpenAI(base_url=f"{service.url}/v1", api_key=service.secret) as openai:
        assert [model.id async for model in openai.models.list()] == NAMES
    assert await service.calls_used() == 0


async def test_pages_hold_every_model_once(client: AsyncAnthropic) -> None:
    for limit in range(1, 6):
        assert [model.id async for model in client.models.list(limit=limit)] == NAMES
    back = await client.models.list(limit=2, before_id=NAMES[3])
    assert ([model.id for model in back.data], back.has_more) == (NAMES[1:3], True)
    assert (await client.models.list(before_id=NAMES[0])).data == []
    between = await client.models.list(after_id=NAMES[0], before_id=NAMES[2])
    assert [model.id for model in between.data] == [NAMES[1]]


async def test_one_model_is_described_or_not_found(client: AsyncAnthropic) -> None:
    assert (await client.models.retrieve("poet")).id == "poet"
    with pytest.raises(anthropic.NotFoundError, match=MODEL_NAME) as caught:
        await client.models.retrieve("claude-9")
    assert caught.value.type == "not_found_error"


async def test_errors_are_in_the_form_of_whoever_asks(client: AsyncAnthropic, service: Service) -> None:
    with pytest.raises(anthropic.BadRequestError, match="after_id: ") as lost:
        await client.models.list(after_id="claude-9")
    assert lost.value.type == "invalid_request_error"
    with pytest.raises(anthropic.BadRequestError, match="limit: "):
        await client.models.list(limit=0)
    unknown = client.with_options(api_key="parley_wrong")
    with pytest.raises(anthropic.AuthenticationError) as caught:
        await unknown.models.list()
    assert caught.value.type == "authentication_error"
    status, body, _ = await service.get("/v1/models", headers={})
    assert (status, body["error"]["code"]) == (401, "invalid_api_key")


async def test_the_document_shows_both_forms(service: Service) -> None:
    _, document, _ = await service.get("/openapi.json")
    operation = document["paths"]["/v1/models"]["get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert [each["$ref"].rpartition("/")[2] for each in schema["anyOf"]] == ["ModelList", "AnthropicModelList"]
    assert [each["name"] for each in operation["parameters"]] == ["anthropic-version", "limit", "after_id", "before_id"]
