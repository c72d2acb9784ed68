"""The Anthropic dialect through the unmodified `anthropic` package: replies, streams, stops, typed exceptions."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anthropic
import pytest
import pytest_asyncio
from anthropic import AsyncAnthropic
from anthropic.types import Message

from api import keys
from generation.engine import Engine
from generation.errors import EngineUnavailableError
from tests.api.scripted_engine import ScriptedEngine
from tests.service import MODEL_NAME, Service, running_service
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

HELLO: Any = [{"role": "user", "content": "Hello!"}]
COUNT: Any = [{"role": "user", "content": "Count from 1 to 10."}]
GREEDY: Any = {"temperature": 0}


@pytest.fixture
def engine(demo_engine: Engine) -> ScriptedEngine:
    return ScriptedEngine(demo_engine)


@pytest_asyncio.fixture(loop_scope="session")
async def service(engine: ScriptedEngine, tmp_path: Path) -> AsyncIterator[Service]:
    async with running_service(engine, tmp_path, slots=1, max_waiting=1) as service:
        yield service


@pytest_asyncio.fixture(loop_scope="session")
async def client(service: Service) -> AsyncIterator[AsyncAnthropic]:
    async with connected(service) as client:
        yield client


def connected(service: Service, **changes: Any) -> AsyncAnthropic:
    fields = {"base_url": service.url, "api_key": service.secret, "max_retries": 0, **changes}
    return AsyncAnthropic(**fields)


async def ask(client: AsyncAnthropic, messages: Any = HELLO, **changes: Any) -> Message:
    fields = {"model": MODEL_NAME, "max_tokens": 128, "extra_body": GREEDY, **changes}
    reply = await client.messages.create(messages=messages, **fields)
    assert isinstance(reply, Message)
    return reply


def text_of(reply: Message) -> str:
    (block,) = reply.content
    assert block.type == "text"
    return block.text


async def test_a_plain_reply_has_text_a_reason_and_usage(client: AsyncAnthropic, service: Service) -> None:
    reply = await ask(client)
    assert (reply.type, reply.role, reply.model) == ("message", "assistant", MODEL_NAME)
    assert (reply.stop_reason, reply.stop_sequence) == ("end_turn", None)
    assert reply.id.startswith("msg_")
    assert text_of(reply)
    recorded = await service.ledger.usage(service.token.tenant_id)
    assert (recorded.used_today, recorded.prompt_tokens, recorded.completion_tokens) == (
        1,
        reply.usage.input_tokens,
        reply.usage.output_tokens,
    )


async def test_the_reply_is_openais_with_the_same_options(client: AsyncAnthropic, service: Service) -> None:
    reply = await ask(client, COUNT)
    body = {"model": MODEL_NAME, "messages": COUNT, "temperature": 0}
    _, openais, _ = await service.post("/v1/chat/completions", body)
    assert text_of(reply) == openais["choices"][0]["message"]["content"]
    assert reply.usage.input_tokens == openais["usage"]["prompt_tokens"]


async def test_a_stream_has_its_events_in_their_order(client: AsyncAnthropic) -> None:
    whole = await ask(client, COUNT)
    stream = await client.messages.create(
        model=MODEL_NAME, max_tokens=128, messages=COUNT, stream=True, extra_body=GREEDY
    )
    events = [event async for event in stream]
    kinds = [event.type for event in events]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(kinds[2:-3]) == {"content_block_delta"}
    assert len(kinds) > 6
    assert events[0].type == "message_start"
    assert events[0].message.usage.input_tokens == whole.usage.input_tokens
    assert (events[0].message.content, events[0].message.stop_reason) == ([], None)


async def test_the_stream_helper_puts_the_whole_reply_together(client: AsyncAnthropic) -> None:
    whole = await ask(client, COUNT)
    async with client.messages.stream(model=MODEL_NAME, max_tokens=128, messages=COUNT, extra_body=GREEDY) as stream:
        text = "".join([piece async for piece in stream.text_stream])
        final = await stream.get_final_message()
    assert text == text_of(final) == text_of(whole)
    assert final.usage == whole.usage
    assert (final.stop_reason, final.stop_sequence) == ("end_turn", None)


async def test_the_names_of_events_stand_beside_their_data(service: Service) -> None:
    body = {"model": MODEL_NAME, "max_tokens": 8, "messages": HELLO, "stream": True}
    headers = {"x-api-key": service.secret, "anthropic-version": "2023-06-01"}
    async with service.session.post(f"{service.url}/v1/messages", json=body, headers=headers) as response:
        assert response.content_type == "text/event-stream"
        events = (await response.text()).strip().split("\n\n")
    for event in events:
        name, data = event.split("\n")
        assert json.loads(data.removeprefix("data: "))["type"] == name.removeprefix("event: ")


async def test_a_system_prompt_is_a_string_or_blocks(client: AsyncAnthropic, engine: ScriptedEngine) -> None:
    said = "You are Mira, a grumpy lighthouse keeper."
    question = [{"role": "user", "content": "What is your name?"}]
    plain = await ask(client, question, system=said)
    assert "Mira" in text_of(plain)
    blocks = [{"type": "text", "text": said, "cache_control": {"type": "ephemeral"}}]
    assert text_of(await ask(client, question, system=blocks)) == text_of(plain)
    await ask(client, system=[*blocks, {"type": "text", "text": "Be brief."}])
    assert (engine.heard[0].role, engine.heard[0].content) == ("system", f"{said}\n\nBe brief.")


async def test_contents_are_strings_or_blocks_and_neighbours_of_one_role_one_turn(
    client: AsyncAnthropic, engine: ScriptedEngine
) -> None:
    blocks = [{"type": "text", "text": "Hello!"}]
    assert text_of(await ask(client, [{"role": "user", "content": blocks}])) == text_of(await ask(client))
    await ask(client, [*HELLO, *COUNT, {"role": "assistant", "content": "1"}])
    assert [(message.role, message.content) for message in engine.heard] == [
        ("user", "Hello!\n\nCount from 1 to 10."),
        ("assistant", "1"),
    ]


async def test_a_stop_sequence_is_named_and_not_part_of_the_reply(client: AsyncAnthropic) -> None:
    whole = text_of(await ask(client, COUNT))
    stop = whole[6:9]
    reply = await ask(client, COUNT, stop_sequences=["never said", stop])
    assert (reply.stop_reason, reply.stop_sequence) == ("stop_sequence", stop)
    assert text_of(reply) == whole[: whole.index(stop)]
    async with client.messages.stream(
        model=MODEL_NAME, max_tokens=128, messages=COUNT, stop_sequences=[stop], extra_body=GREEDY
    ) as stream:
        final = await stream.get_final_message()
    assert (final.stop_reason, final.stop_sequence) == ("stop_sequence", stop)
    assert text_of(final) == text_of(reply)


async def test_a_last_message_of_the_assistant_is_gone_on_with(client: AsyncAnthropic) -> None:
    whole = text_of(await ask(client, COUNT))
    rest = await ask(client, [*COUNT, {"role": "assistant", "content": whole[:6]}])
    assert whole[:6] + text_of(rest) == whole


async def test_a_limit_is_told_apart_from_the_end_of_the_context(demo_engine: Engine, tmp_path: Path) -> None:
    async with running_service(demo_engine, tmp_path, context_tokens=64) as service, connected(service) as client:
        assert (await ask(client, COUNT, max_tokens=3)).stop_reason == "max_tokens"
        long = [{"role": "user", "content": "Tell me a long story about a lighthouse and the sea and a ship."}]
        body = {**GREEDY, "output_config": {"format": {"type": "json_schema", "schema": LONG}}}
        reply = await ask(client, long, max_tokens=900, extra_body=body)
        assert reply.stop_reason == "model_context_window_exceeded"
        with pytest.raises(anthropic.BadRequestError, match="prompt is too long") as caught:
            await ask(client, [{"role": "user", "content": "word " * 90}])
        assert caught.value.type == "invalid_request_error"


LONG: Any = {"type": "array", "items": {"enum": ["again and again"]}, "minItems": 60}


async def test_a_schema_binds_the_reply(client: AsyncAnthropic) -> None:
    schema = {
        "type": "object",
        "properties": {"age": {"enum": [36]}},
        "required": ["age"],
        "additionalProperties": False,
    }
    reply = await ask(client, output_config={"format": {"type": "json_schema", "schema": schema}})
    assert json.loads(text_of(reply)) == {"age": 36}


async def test_tokens_are_counted_as_a_reply_would_and_cost_no_call(client: AsyncAnthropic, service: Service) -> None:
    counted = await client.messages.count_tokens(model=MODEL_NAME, messages=COUNT, system="Be brief.")
    assert await service.calls_used() == 0
    assert counted.input_tokens == (await ask(client, COUNT, system="Be brief.")).usage.input_tokens
    long: Any = [{"role": "user", "content": "word " * 9000}]
    assert (await client.messages.count_tokens(model=MODEL_NAME, messages=long)).input_tokens > 4096


async def test_both_headers_carry_the_token(service: Service) -> None:
    async with connected(service, api_key=None, auth_token=service.secret) as client:
        assert (await ask(client)).stop_reason == "end_turn"


async def test_replies_and_errors_carry_the_request_id_and_what_is_left_of_the_day(client: AsyncAnthropic) -> None:
    raw = await client.messages.with_raw_response.create(model=MODEL_NAME, max_tokens=4, messages=HELLO)
    assert raw.headers["request-id"] == raw.headers["x-request-id"]
    assert raw.headers["anthropic-ratelimit-requests-limit"] == "1000"
    assert raw.headers["anthropic-ratelimit-requests-remaining"] == "999"
    assert "T" in raw.headers["anthropic-ratelimit-requests-reset"]
    with pytest.raises(anthropic.NotFoundError) as caught:
        await ask(client, model="claude-9")
    body: Any = caught.value.body
    assert caught.value.request_id == body["request_id"]


async def test_an_unknown_model_is_not_found(client: AsyncAnthropic) -> None:
    for asking in (
        ask(client, model="claude-9"),
        client.messages.count_tokens(model="claude-9", messages=HELLO),
    ):
        with pytest.raises(anthropic.NotFoundError, match=MODEL_NAME) as caught:
            await asking
        assert caught.value.type == "not_found_error"


async def test_no_and_unknown_tokens_are_authentication_errors(service: Service) -> None:
    async with connected(service, api_key="parley_wrong") as client:
        with pytest.raises(anthropic.AuthenticationError, match="unknown") as caught:
            await ask(client)
        assert caught.value.type == "authentication_error"
    status, body, _ = await service.post("/v1/messages", {}, headers={})
    assert (status, body["error"]["type"]) == (401, "authentication_error")


async def test_a_spent_day_is_a_rate_limit_error_that_is_not_asked_again(
    engine: ScriptedEngine, tmp_path: Path
) -> None:
    async with (
        running_service(engine, tmp_path, daily_calls=1) as service,
        connected(service, max_retries=2) as client,
    ):
        await ask(client)
        with pytest.raises(anthropic.RateLimitError) as caught:
            await ask(client)
        assert caught.value.type == "rate_limit_error"
        assert (caught.value.response.headers["x-should-retry"], engine.asked) == ("false", 1)


async def test_a_spent_balance_is_a_billing_error(demo_engine: Engine, tmp_path: Path) -> None:
    async with running_service(demo_engine, tmp_path, llm_balance=1) as service, connected(service) as client:
        await ask(client)
        with pytest.raises(anthropic.PaymentRequiredError) as caught:
            await ask(client)
        assert caught.value.type == "billing_error"


async def test_a_lost_engine_is_an_internal_server_error(
    client: AsyncAnthropic, service: Service, engine: ScriptedEngine
) -> None:
    engine.pieces_before_failure = 0
    with pytest.raises(anthropic.ServiceUnavailableError) as caught:
        await ask(client)
    assert (caught.value.type, caught.value.response.headers["retry-after"]) == ("api_error", "1")
    engine.error = ZeroDivisionError("the secret is swordfish")
    with pytest.raises(anthropic.InternalServerError) as unforeseen:
        await ask(client)
    assert (unforeseen.value.status_code, "swordfish" in unforeseen.value.message) == (500, False)
    assert await service.calls_used() == 0


async def test_an_error_midway_is_raised_from_the_stream(
    client: AsyncAnthropic, service: Service, engine: ScriptedEngine
) -> None:
    engine.pieces_before_failure = 2
    engine.error = EngineUnavailableError("lost", retry_after_seconds=1)
    stream = await client.messages.create(model=MODEL_NAME, max_tokens=99, messages=COUNT, stream=True)
    assert (await anext(aiter(stream))).type == "message_start"
    with pytest.raises(anthropic.APIStatusError) as caught:
        _ = [event async for event in stream]
    assert caught.value.type == "api_error"
    await eventually(lambda: not service.app[keys.ALLOWANCE].open)
    assert await service.calls_used() == 0


async def test_a_full_queue_is_an_overloaded_error_and_a_stream_that_waits_is_not_silent(
    client: AsyncAnthropic, service: Service, engine: ScriptedEngine
) -> None:
    engine.may_go_on.clear()
    first = asyncio.ensure_future(ask(client))
    await eventually(lambda: engine.asked > 0)
    body = {"model": MODEL_NAME, "max_tokens": 8, "messages": HELLO, "stream": True}
    async with service.session.post(f"{service.url}/v1/messages", json=body, headers=service.headers) as waiting:
        assert (await waiting.content.readline()) == b": waiting in line, place 1\n"
        with pytest.raises(anthropic.OverloadedError) as caught:
            await ask(client)
        assert caught.value.type == "overloaded_error"
        assert int(caught.value.response.headers["retry-after"]) >= 1
        engine.may_go_on.set()
        assert (await waiting.text()).rstrip().endswith('data: {"type":"message_stop"}')
    assert (await first).stop_reason == "end_turn"


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": None}, "max_tokens"),
        ({"temperature": 1.1}, "temperature"),
        ({"top_k": -1}, "top_k"),
        ({"stop_sequences": [""]}, "stop_sequences.0"),
        ({"stop_sequences": "x"}, "stop_sequences"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]}, "messages.0.content.0.type"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"tools": [{"name": "weather", "input_schema": {"type": "object"}}]}, "tools"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking"),
        ({"output_config": {"effort": "low"}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "json_schema", "schema": {"type": "x"}}}}, "output_config.format"),
        ({"container": "c"}, "container"),
        ({"model": None}, "model"),
    ],
)
async def test_a_bad_field_is_a_400_that_names_it(service: Service, asked: dict[str, Any], field: str) -> None:
    body = {"model": MODEL_NAME, "max_tokens": 8, "messages": HELLO, **asked}
    status, reply, _ = await service.post("/v1/messages", body)
    assert status == 400
    assert (reply["type"], reply["error"]["type"]) == ("error", "invalid_request_error")
    assert reply["error"]["message"].startswith(f"{field}: ")


async def test_what_asks_for_nothing_is_taken(client: AsyncAnthropic) -> None:
    asked: Any = {
        "metadata": {"user_id": "u"},
        "service_tier": "auto",
        "thinking": {"type": "disabled"},
        "tools": [],
        "tool_choice": {"type": "auto"},
        "inference_geo": None,
        "cache_control": {"type": "ephemeral"},
    }
    assert text_of(await ask(client, **asked)) == text_of(await ask(client))


@pytest.mark.parametrize(
    ("path", "asked", "field", "route"),
    [
        ("/v1/messages", {"options": {}}, "options", "/api/chat"),
        ("/v1/messages", {"response_format": {"type": "text"}}, "response_format", "/v1/chat/completions"),
        ("/v1/messages", {"n": 2}, "n", "/v1/chat/completions"),
        ("/v1/messages", {"num_predict": 5}, "num_predict", "/ai/chat"),
        ("/v1/messages", {"prompt": "x"}, "prompt", "/api/generate"),
        ("/v1/chat/completions", {"system": "x"}, "system", "/v1/messages"),
        ("/v1/chat/completions", {"stop_sequences": ["x"]}, "stop_sequences", "/v1/messages"),
        ("/ai/chat", {"stop_sequences": ["x"]}, "stop_sequences", "/v1/messages"),
    ],
)
async def test_another_dialects_body_is_told_the_right_route(
    service: Service, path: str, asked: dict[str, Any], field: str, route: str
) -> None:
    status, body, _ = await service.post(path, {"model": MODEL_NAME, "messages": HELLO, **asked})
    text = json.dumps(body)
    assert status == 400
    assert f"{field}: unknown field here; it belongs to" in text
    assert route in text


async def test_the_document_says_where_the_token_goes_and_what_529_means(service: Service) -> None:
    _, document, _ = await service.get("/openapi.json")
    operation = document["paths"]["/v1/messages"]["post"]
    assert operation["security"] == [{"key": []}, {"bearer": []}]
    assert document["components"]["securitySchemes"]["key"]["name"] == "x-api-key"
    assert operation["responses"]["529"]["description"] == "Overloaded"
    assert "Retry-After" in operation["responses"]["529"]["headers"]


async def test_what_lies_beside_the_routes_is_answered_in_the_same_form(service: Service) -> None:
    for method, path, status, kind in (
        ("GET", "/v1/messages", 405, "invalid_request_error"),
        ("POST", "/v1/messages/batches", 404, "not_found_error"),
    ):
        async with service.session.request(method, service.url + path, headers=service.headers) as response:
            body = await response.json()
            assert (response.status, body["type"], body["error"]["type"]) == (status, "error", kind)
    large = io.BytesIO(b'{"messages": "' + b"x" * 2**21 + b'"}')
    headers = {**service.headers, "Content-Type": "application/json"}
    async with service.session.post(f"{service.url}/v1/messages", data=large, headers=headers) as response:
        body = await response.json()
        assert (response.status, body["error"]["type"]) == (413, "request_too_large")
