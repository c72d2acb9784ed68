"""The OpenAI dialect through the unmodified `langchain-openai` package."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import openai
import pytest
import pytest_asyncio
from langchain_core.exceptions import (
    ContextOverflowError,
    ModelAuthenticationError,
    ModelInvalidRequestError,
    ModelNotFoundError,
    ModelRateLimitError,
)
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from tests.service import MODEL_NAME, Service

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


@pytest_asyncio.fixture(loop_scope="session")
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as http:
        yield http


@pytest_asyncio.fixture(loop_scope="session")
async def model(service: Service, http: httpx.AsyncClient) -> ChatOpenAI:
    return make_model(service, http)


def make_model(service: Service, http: httpx.AsyncClient, **changes: Any) -> ChatOpenAI:
    fields: dict[str, Any] = {
        "model": MODEL_NAME,
        "base_url": f"{service.url}/v1",
        "api_key": SecretStr(service.secret),
        "temperature": 0,
        "max_retries": 0,
        "http_async_client": http,
        **changes,
    }
    return ChatOpenAI(**fields)


async def test_a_conversation_is_answered_with_its_usage(model: ChatOpenAI) -> None:
    reply = await model.ainvoke(
        [
            SystemMessage("You are Mira, a grumpy lighthouse keeper."),
            HumanMessage("Hi, my name is Torvin."),
            AIMessage("Nice to meet you, Torvin!"),
            HumanMessage("What is your name?"),
        ]
    )
    assert "Mira" in str(reply.content)
    assert reply.response_metadata["finish_reason"] == "stop"
    assert reply.usage_metadata is not None
    assert reply.usage_metadata["total_tokens"] > 0


async def test_a_stream_joins_to_the_whole_reply(model: ChatOpenAI) -> None:
    whole = await model.ainvoke("Count from 1 to 10.")
    pieces = [str(piece.content) async for piece in model.astream("Count from 1 to 10.")]
    assert len(pieces) > 3
    assert "".join(pieces) == whole.content


async def test_structured_output_is_a_pydantic_model(model: ChatOpenAI) -> None:
    found = await model.with_structured_output(Person, method="json_schema").ainvoke(
        "Give me JSON with name Ada and age 36."
    )
    assert found == Person(name="Ada", age=36)


async def test_tools_are_refused_by_name_where_the_template_knows_none(model: ChatOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="tools"):
        await model.bind_tools([Person]).ainvoke("Hello!")


async def test_errors_are_the_openai_packages_and_langchains_own(service: Service, http: httpx.AsyncClient) -> None:
    spent, poor = [await service.tokens.create("case", daily_calls=1, llm_balance=balance) for balance in (None, 0)]
    await service.ledger.keep(await service.ledger.charge(spent.token.tenant_id, limit=1))
    for changes, text, error, own in (
        ({"model": "gpt-9"}, "Hello!", openai.NotFoundError, ModelNotFoundError),
        ({"api_key": SecretStr("parley_wrong")}, "Hello!", openai.AuthenticationError, ModelAuthenticationError),
        ({"temperature": 3}, "Hello!", openai.BadRequestError, ModelInvalidRequestError),
        ({}, "hello " * 5000, openai.BadRequestError, ContextOverflowError),
        ({"api_key": SecretStr(spent.secret)}, "Hello!", openai.RateLimitError, ModelRateLimitError),
        ({"api_key": SecretStr(poor.secret)}, "Hello!", openai.RateLimitError, ModelRateLimitError),
    ):
        with pytest.raises(error) as caught:
            await make_model(service, http, **changes).ainvoke(text)
        assert isinstance(caught.value, own)
