"""The Ollama dialect through the unmodified `langchain-ollama` package."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_ollama import ChatOllama
from ollama import ResponseError
from pydantic import BaseModel

from tests.service import MODEL_NAME, Service

pytestmark = pytest.mark.asyncio(loop_scope="session")

Make = Callable[..., ChatOllama]


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


@pytest_asyncio.fixture(loop_scope="session")
async def make(service: Service) -> AsyncIterator[Make]:
    made: list[ChatOllama] = []

    def make(**changes: Any) -> ChatOllama:
        fields = {"model": MODEL_NAME, "temperature": 0, "client_kwargs": {"headers": service.headers}, **changes}
        made.append(ChatOllama(base_url=service.url, **fields))
        return made[-1]

    yield make
    for model in made:
        # langchain leaves both to the garbage collector.
        await model._async_client.close()  # type: ignore[no-untyped-call]
        model._client.close()  # type: ignore[no-untyped-call]


async def test_a_conversation_is_answered_with_its_usage(make: Make) -> None:
    reply = await make().ainvoke(
        [
            SystemMessage("You are Mira, a grumpy lighthouse keeper."),
            HumanMessage("Hi, my name is Torvin."),
            AIMessage("Nice to meet you, Torvin!"),
            HumanMessage("What is your name?"),
        ]
    )
    assert "Mira" in str(reply.content)
    assert reply.response_metadata["done_reason"] == "stop"
    assert reply.usage_metadata is not None
    assert reply.usage_metadata["total_tokens"] > 0


async def test_a_stream_joins_to_the_whole_reply(make: Make) -> None:
    whole = await make().ainvoke("Count from 1 to 10.")
    pieces = [str(piece.content) async for piece in make().astream("Count from 1 to 10.")]
    assert len(pieces) > 3
    assert "".join(pieces) == whole.content


async def test_structured_output_is_a_pydantic_model(make: Make) -> None:
    held = make().with_structured_output(Person, method="json_schema")
    assert await held.ainvoke("Give me JSON with name Ada and age 36.") == Person(name="Ada", age=36)


async def test_options_and_stops_arrive(make: Make) -> None:
    model = make(num_predict=3, top_k=20, top_p=0.5, num_ctx=256, seed=3, repeat_penalty=1.0, keep_alive="1m")
    reply = await model.ainvoke("Count from 1 to 10.")
    assert reply.usage_metadata is not None
    assert reply.usage_metadata["output_tokens"] == 3
    whole = str((await make().ainvoke("Count from 1 to 10.")).content)
    stopped = await make().ainvoke("Count from 1 to 10.", stop=[whole[5:8]])
    assert stopped.content == whole[: whole.index(whole[5:8])]


async def test_errors_are_the_ollama_packages(make: Make, service: Service) -> None:
    spent = await service.tokens.create("spent", daily_calls=1)
    await service.ledger.keep(await service.ledger.charge(spent.token.tenant_id, limit=1))
    for changes, text, status in (
        ({"model": "llama9"}, "Hello!", 404),
        ({"client_kwargs": {"headers": {"Authorization": "Bearer parley_wrong"}}}, "Hello!", 401),
        ({"client_kwargs": {"headers": {"Authorization": spent.secret}}}, "Hello!", 429),
        ({"temperature": 9}, "Hello!", 400),
        ({"reasoning": True}, "Hello!", 400),
        ({}, "hello " * 5000, 400),
    ):
        with pytest.raises(ResponseError) as caught:
            await make(**changes).ainvoke(text)
        assert caught.value.status_code == status


async def test_the_model_is_found_in_the_list(make: Make) -> None:
    # Asks synchronously for the list, from a thread, for the service runs in this one.
    model = await asyncio.to_thread(make, validate_model_on_init=True)
    assert model.model == MODEL_NAME
