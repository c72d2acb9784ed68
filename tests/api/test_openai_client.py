"""The OpenAI dialect through the unmodified `openai` package: replies, streams, choices, bad fields."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
import pytest_asyncio
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion
from pydantic import BaseModel

from generation.engine import Engine
from tests.service import MODEL_NAME, Service, running_service

pytestmark = pytest.mark.asyncio(loop_scope="session")

HELLO: Any = [{"role": "user", "content": "Hello!"}]
COUNT: Any = [{"role": "user", "content": "Count from 1 to 10."}]


class Person(BaseModel):
    """What the model shall answer with."""

    name: str
    age: int


@pytest_asyncio.fixture(loop_scope="session")
async def client(service: Service) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{service.url}/v1", api_key=service.secret, max_retries=0) as client:
        yield client


async def ask(client: AsyncOpenAI, **changes: Any) -> ChatCompletion:
    fields = {"model": MODEL_NAME, "messages": HELLO, "temperature": 0, **changes}
    reply = await client.chat.completions.create(**fields)
    assert isinstance(reply, ChatCompletion)
    return reply


async def test_a_plain_reply_has_a_message_a_reason_and_usage(client: AsyncOpenAI, service: Service) -> None:
    reply = await ask(client)
    assert reply.object == "chat.completion"
    assert reply.model == MODEL_NAME
    assert reply.id.startswith("chatcmpl-")
    (choice,) = reply.choices
    assert (choice.index, choice.finish_reason, choice.logprobs) == (0, "stop", None)
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.message.tool_calls is None
    assert reply.usage is not None
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    recorded = await service.ledger.usage(service.token.tenant_id)
    assert (recorded.used_today, recorded.prompt_tokens, recorded.completion_tokens) == (
        1,
        reply.usage.prompt_tokens,
        reply.usage.completion_tokens,
    )


async def test_a_stream_joins_to_the_whole_reply_and_ends_with_its_usage(client: AsyncOpenAI) -> None:
    whole = await ask(client, messages=COUNT)
    stream = await client.chat.completions.create(
        model=MODEL_NAME, messages=COUNT, temperature=0, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    *pieces, last = chunks
    assert len({chunk.id for chunk in chunks}) == 1
    assert pieces[0].choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in pieces)
    assert text == whole.choices[0].message.content
    assert len(pieces) > 1
    assert [chunk.choices[0].finish_reason for chunk in pieces[:-1]] == [None] * (len(pieces) - 1)
    assert pieces[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in pieces)
    assert last.choices == []
    assert last.usage is not None
    assert whole.usage is not None
    assert last.usage.completion_tokens == whole.usage.completion_tokens


async def test_usage_comes_in_a_stream_only_when_asked_for(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(model=MODEL_NAME, messages=HELLO, stream=True)
    chunks = [chunk async for chunk in stream]
    assert all("usage" not in chunk.model_fields_set for chunk in chunks)
    assert all(chunk.choices for chunk in chunks)


async def test_three_choices_cost_one_call_and_usage_counts_them_all(client: AsyncOpenAI, service: Service) -> None:
    one = await ask(client, temperature=2, seed=5, max_tokens=12, extra_body={"ignore_eos": True})
    three = await ask(client, temperature=2, seed=5, max_tokens=12, n=3, extra_body={"ignore_eos": True})
    assert [choice.index for choice in three.choices] == [0, 1, 2]
    texts = [choice.message.content for choice in three.choices]
    assert len(set(texts)) == 3
    assert one.usage is not None
    assert three.usage is not None
    assert three.usage.completion_tokens == 36
    assert three.usage.prompt_tokens == one.usage.prompt_tokens
    recorded = await service.ledger.usage(service.token.tenant_id)
    assert (recorded.used_today, recorded.completion_tokens) == (2, 48)


async def test_streamed_choices_keep_apart(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model=MODEL_NAME, messages=COUNT, temperature=0, stream=True, n=3, stream_options={"include_usage": True}
    )
    texts, reasons = {0: "", 1: "", 2: ""}, {}
    async for chunk in stream:
        for choice in chunk.choices:
            assert choice.index not in reasons
            texts[choice.index] += choice.delta.content or ""
            if choice.finish_reason is not None:
                reasons[choice.index] = choice.finish_reason
    assert reasons == {0: "stop", 1: "stop", 2: "stop"}
    # Greedy: all are the same reply.
    assert len(set(texts.values())) == 1
    assert texts[0]


async def test_more_choices_than_slots_are_all_answered(demo_engine: Engine, tmp_path: Path) -> None:
    async with (
        running_service(demo_engine, tmp_path, slots=1, max_waiting=0) as service,
        AsyncOpenAI(base_url=f"{service.url}/v1", api_key=service.secret, max_retries=0) as client,
    ):
        reply = await ask(client, n=8, max_tokens=4)
        assert len(reply.choices) == 8


async def test_logprobs_say_every_token_with_its_bytes_and_alternatives(client: AsyncOpenAI) -> None:
    reply = await ask(client, logprobs=True, top_logprobs=3, messages=COUNT)
    (choice,) = reply.choices
    assert choice.logprobs is not None
    tokens = choice.logprobs.content
    assert tokens
    data = b"".join(bytes(token.bytes or ()) for token in tokens)
    assert data.decode() == choice.message.content
    for token in tokens:
        assert -9999 <= token.logprob <= 0
        assert len(token.top_logprobs) == 3
        assert token.top_logprobs == sorted(token.top_logprobs, key=lambda each: -each.logprob)
    # Greedy: what was drawn is the likeliest.
    assert all(token.logprob == token.top_logprobs[0].logprob for token in tokens)


async def test_logprobs_without_alternatives_name_the_tokens_alone(client: AsyncOpenAI) -> None:
    reply = await ask(client, logprobs=True)
    assert reply.choices[0].logprobs is not None
    assert reply.choices[0].logprobs.content
    assert all(token.top_logprobs == [] for token in reply.choices[0].logprobs.content)


async def test_streamed_logprobs_are_those_of_the_whole_reply(client: AsyncOpenAI) -> None:
    whole = await ask(client, logprobs=True, top_logprobs=1, messages=COUNT)
    stream = await client.chat.completions.create(
        model=MODEL_NAME, messages=COUNT, temperature=0, stream=True, logprobs=True, top_logprobs=1
    )
    found = [
        entry.token
        async for chunk in stream
        for choice in chunk.choices
        if choice.logprobs
        for entry in choice.logprobs.content or ()
    ]
    assert whole.choices[0].logprobs is not None
    assert found == [entry.token for entry in whole.choices[0].logprobs.content or ()]


async def test_the_parse_helper_gives_a_pydantic_model(client: AsyncOpenAI) -> None:
    reply = await client.chat.completions.parse(
        model=MODEL_NAME,
        messages=[{"role": "user", "content": "Give me JSON with name Ada and age 36."}],
        temperature=0,
        response_format=Person,
    )
    assert reply.choices[0].message.parsed == Person(name="Ada", age=36)


async def test_json_object_gives_an_object(client: AsyncOpenAI) -> None:
    messages = [{"role": "user", "content": "Give me JSON with name Ada and age 36."}]
    reply = await ask(client, messages=messages, response_format={"type": "json_object"})
    assert isinstance(json.loads(reply.choices[0].message.content or ""), dict)


async def test_ignore_eos_goes_on_to_max_tokens(client: AsyncOpenAI) -> None:
    reply = await ask(client, max_tokens=40, extra_body={"ignore_eos": True})
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 40


async def test_the_same_seed_gives_the_same_reply_zero_included(client: AsyncOpenAI) -> None:
    for seed in (0, -3, 2**62):
        texts = {
            (await ask(client, temperature=2, seed=seed, max_tokens=20)).choices[0].message.content for _ in range(2)
        }
        assert len(texts) == 1


async def test_both_names_of_the_limit_are_taken(client: AsyncOpenAI) -> None:
    for name in ("max_tokens", "max_completion_tokens"):
        reply = await ask(client, messages=COUNT, **{name: 3})
        assert reply.usage is not None
        assert reply.usage.completion_tokens == 3


async def test_other_forms_of_messages_are_taken(client: AsyncOpenAI) -> None:
    expected = (await ask(client)).choices[0].message.content
    parts = [{"role": "user", "content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo!"}]}]
    for messages in ("Hello!", ["Hello!"], parts):
        assert (await ask(client, messages=messages)).choices[0].message.content == expected
    named = [{"role": "developer", "content": "You are Mira."}, {"role": "user", "content": "What is your name?"}]
    assert "Mira" in ((await ask(client, messages=named)).choices[0].message.content or "")


async def test_a_reply_can_be_sent_back_as_it_came(client: AsyncOpenAI) -> None:
    first = await ask(client)
    dumped = first.choices[0].message.model_dump()
    reply = await ask(client, messages=[*HELLO, dumped, {"role": "user", "content": "Thanks!"}])
    assert reply.choices[0].message.content


async def test_harmless_fields_are_taken(client: AsyncOpenAI) -> None:
    reply = await ask(
        client,
        user="ada",
        store=True,
        metadata={"a": "b"},
        service_tier="auto",
        parallel_tool_calls=False,
        logit_bias={},
        modalities=["text"],
        prompt_cache_key="x",
        stop=None,
        tools=[],
    )
    assert reply.choices[0].message.content


async def test_models_are_listed_and_found(client: AsyncOpenAI) -> None:
    names = [model.id async for model in client.models.list()]
    assert names == [MODEL_NAME]
    found = await client.models.retrieve(MODEL_NAME)
    assert (found.id, found.object, found.owned_by) == (MODEL_NAME, "model", "parley")
    with pytest.raises(openai.NotFoundError) as caught:
        await client.models.retrieve("gpt-9")
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize("base", ["/v1", "/api/v1", ""])
async def test_every_alias_answers(service: Service, base: str) -> None:
    async with AsyncOpenAI(base_url=f"{service.url}{base}", api_key=service.secret, max_retries=0) as client:
        assert (await ask(client)).choices[0].message.content
        if base:
            assert (await client.models.list()).data


@pytest.mark.parametrize(
    ("changes", "error", "code", "param"),
    [
        ({"model": "gpt-9"}, openai.NotFoundError, "model_not_found", "model"),
        ({"temperature": 2.1}, openai.BadRequestError, "invalid_value", "temperature"),
        ({"n": 9}, openai.BadRequestError, "invalid_value", "n"),
        ({"max_tokens": 0}, openai.BadRequestError, "invalid_value", "max_tokens"),
        ({"max_tokens": 1, "max_completion_tokens": 2}, openai.BadRequestError, "invalid_value", "max_tokens"),
        ({"top_logprobs": 2}, openai.BadRequestError, "invalid_value", "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, openai.BadRequestError, "invalid_value", "top_logprobs"),
        ({"messages": []}, openai.BadRequestError, "invalid_value", "messages"),
        ({"messages": [{"role": "pope", "content": ""}]}, openai.BadRequestError, "invalid_value", "messages.0.role"),
        ({"logit_bias": {"50256": -100}}, openai.BadRequestError, "invalid_value", "logit_bias"),
        ({"modalities": ["audio"]}, openai.BadRequestError, "invalid_value", "modalities"),
        ({"reasoning_effort": "high"}, openai.BadRequestError, "invalid_value", "reasoning_effort"),
        ({"functions": [{"name": "f"}]}, openai.BadRequestError, "invalid_value", "functions"),
        ({"tool_choice": "required"}, openai.BadRequestError, "invalid_value", "tool_choice"),
        (
            {"tools": [{"type": "function", "function": {"name": "f"}}]},
            openai.BadRequestError,
            "invalid_value",
            "tools",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "x"}}}},
            openai.BadRequestError,
            "invalid_value",
            "response_format",
        ),
        (
            {"messages": [{"role": "user", "content": "hello " * 5000}]},
            openai.BadRequestError,
            "context_length_exceeded",
            "messages",
        ),
    ],
)
async def test_a_bad_request_raises_the_clients_own_exception(
    client: AsyncOpenAI, changes: dict[str, Any], error: type[openai.APIStatusError], code: str, param: str
) -> None:
    with pytest.raises(error) as caught:
        await ask(client, **changes)
    assert type(caught.value) is error
    assert (caught.value.code, caught.value.param) == (code, param)
    assert caught.value.type == "invalid_request_error"
    assert isinstance(caught.value.body, dict)
    assert set(caught.value.body) == {"message", "type", "param", "code"}
    assert caught.value.request_id


async def test_a_history_that_does_not_fit_is_refused_whole(client: AsyncOpenAI) -> None:
    turns = [{"role": role, "content": "hello " * 100} for _ in range(30) for role in ("user", "assistant")]
    with pytest.raises(openai.BadRequestError) as caught:
        await ask(client, messages=[*turns, *HELLO])
    assert caught.value.code == "context_length_exceeded"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/v1/embeddings", 404), ("GET", "/v1/chat/completions", 405), ("DELETE", "/v1/models/x", 405)],
)
async def test_what_no_handler_sees_is_answered_in_openais_form(
    service: Service, method: str, path: str, status: int
) -> None:
    async with service.session.request(method, service.url + path, headers=service.headers) as response:
        assert response.status == status
        assert set((await response.json())["error"]) == {"message", "type", "param", "code"}


async def test_every_reply_says_what_is_left_of_the_day(client: AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(model=MODEL_NAME, messages=HELLO)
    assert raw.headers["x-ratelimit-limit-requests"] == "1000"
    assert raw.headers["x-ratelimit-remaining-requests"] == "999"
    assert raw.headers["x-ratelimit-reset-requests"].endswith("s")
    assert raw.headers["x-request-id"]


async def test_several_problems_are_all_said(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await ask(client, temperature=9, n=0, tool_choice="perhaps")
    assert all(name in caught.value.message for name in ("temperature: ", "n: ", "tool_choice: "))
    assert "details" not in caught.value.message
