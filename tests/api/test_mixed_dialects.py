"""A body of each dialect on each other dialect's route: the field that gives it away, and the route for it."""

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import pytest_asyncio

from api.fields import BODIES
from api.route import GENERATING
from api.routes import ROUTES
from generation.engine import Engine
from tests.service import MODEL_NAME, Service, running_service

pytestmark = pytest.mark.asyncio(loop_scope="session")

NATIVE, OPENAI, ANTHROPIC = "/ai/chat", "/v1/chat/completions", "/v1/messages"
CHAT, GENERATE, MODELSLAB = "/api/chat", "/api/generate", "/api/v6/llm/chat"

HELLO: Any = [{"role": "user", "content": "Hello!"}]

SENT: Mapping[str, dict[str, Any]] = {
    NATIVE: {"messages": HELLO, "num_predict": 4, "num_ctx": 512, "repeat_penalty": 1.1, "seed": 7},
    OPENAI: {"model": MODEL_NAME, "messages": HELLO, "max_tokens": 4, "n": 1, "response_format": {"type": "text"}},
    CHAT: {"model": MODEL_NAME, "messages": HELLO, "options": {"num_predict": 4}, "keep_alive": "5m", "stream": False},
    GENERATE: {"model": MODEL_NAME, "prompt": "Hello!", "system": "Be brief.", "options": {"num_predict": 4}},
    ANTHROPIC: {
        "model": MODEL_NAME,
        "max_tokens": 4,
        "system": "Be brief.",
        "messages": HELLO,
        "stop_sequences": ["x"],
    },
    MODELSLAB: {"key": "", "prompt": "Hello!", "max_new_tokens": 4, "do_sample": True, "no_repeat_ngram_size": 5},
}
"""What clients send, by the route it is meant for. ModelsLab's `key` is filled in."""

VALID = "valid there, too"

MATRIX: Mapping[str, Mapping[str, str]] = {
    NATIVE: {
        OPENAI: "num_predict",
        CHAT: "num_predict",
        GENERATE: "messages",
        ANTHROPIC: "num_predict",
        MODELSLAB: "messages",
    },
    OPENAI: {
        NATIVE: "max_tokens",
        CHAT: "max_tokens",
        GENERATE: "messages",
        ANTHROPIC: "n",
        MODELSLAB: "model",
    },
    CHAT: {
        # Its options are Ollama's, and what is about loading a model is taken with a warning.
        NATIVE: VALID,
        OPENAI: "options",
        GENERATE: "messages",
        ANTHROPIC: "options",
        MODELSLAB: "model",
    },
    GENERATE: {
        NATIVE: "prompt",
        OPENAI: "prompt",
        CHAT: "prompt",
        ANTHROPIC: "prompt",
        MODELSLAB: "model",
    },
    ANTHROPIC: {
        NATIVE: "max_tokens",
        OPENAI: "system",
        CHAT: "max_tokens",
        GENERATE: "max_tokens",
        MODELSLAB: "model",
    },
    MODELSLAB: {
        NATIVE: "key",
        OPENAI: "key",
        CHAT: "key",
        GENERATE: "key",
        ANTHROPIC: "key",
    },
}
"""By the route a body is meant for, and the one it goes to: the field that the refusal names first."""


@dataclass(frozen=True)
class Said:
    """A refusal, read out of a dialect's own body. `field` is None where the body has no place for it."""

    message: str
    field: str | None = None


READ: Mapping[str, Callable[[Any], Said]] = {
    NATIVE: lambda body: Said(body["message"], body["details"][0]["field"]),
    OPENAI: lambda body: Said(body["error"]["message"], body["error"]["param"]),
    CHAT: lambda body: Said(body["error"]),
    GENERATE: lambda body: Said(body["error"]),
    ANTHROPIC: lambda body: Said(body["error"]["message"]),
    MODELSLAB: lambda body: Said(body["message"]),
}


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def service(demo_engine: Engine) -> AsyncIterator[Service]:
    with TemporaryDirectory() as folder:
        async with running_service(demo_engine, Path(folder)) as running:
            yield running


async def refused(service: Service, route: str, body: dict[str, Any]) -> Said:
    status, reply, _ = await service.post(route, body)
    assert status == 400, reply
    return READ[route](reply)


async def test_every_generating_route_is_in_the_matrix_and_knows_the_others() -> None:
    generating = {route.path: route.body for route in ROUTES if set(GENERATING) <= set(route.errors)}
    assert set(generating) == set(SENT) == set(MATRIX) == set(READ)
    assert {name.rpartition(" ")[2]: body for name, body in BODIES.items()} == generating
    for meant, row in MATRIX.items():
        assert set(row) == set(generating) - {meant}


@pytest.mark.parametrize("meant", list(SENT))
async def test_each_body_is_answered_on_its_own_route(service: Service, meant: str) -> None:
    body = SENT[meant] | ({"key": service.secret} if meant == MODELSLAB else {})
    async with service.session.post(service.url + meant, json=body, headers=service.headers) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("meant", "to", "field"),
    [(meant, to, field) for meant, row in MATRIX.items() for to, field in row.items()],
)
async def test_a_body_on_another_dialects_route_is_told_the_field_and_the_right_route(
    service: Service, meant: str, to: str, field: str
) -> None:
    if field == VALID:
        assert (await service.post(to, SENT[meant]))[0] == 200
        return
    said = await refused(service, to, SENT[meant])
    assert said.message.startswith(f"{field}: unknown field here; ")
    assert said.field in {field, None}
    _, where, *_ = said.message.split("; ")
    assert re.findall(r"POST (\S+)", where) == [meant]


@pytest.mark.parametrize("to", [NATIVE, OPENAI, CHAT])
async def test_a_plain_conversation_is_valid_for_every_dialect_of_chats_that_needs_no_more(
    service: Service, to: str
) -> None:
    body = {"model": MODEL_NAME, "messages": HELLO}
    async with service.session.post(service.url + to, json=body, headers=service.headers) as response:
        assert response.status == 200


async def test_where_more_is_needed_a_plain_conversation_is_told_what(service: Service) -> None:
    said = await refused(service, ANTHROPIC, {"model": MODEL_NAME, "messages": HELLO})
    assert said.message == "max_tokens: Field required"


async def test_the_least_that_anthropic_takes_is_valid_for_openai(service: Service) -> None:
    body = {"model": MODEL_NAME, "max_tokens": 4, "messages": HELLO}
    assert (await service.post(OPENAI, body))[0] == 200
    said = await refused(service, NATIVE, body)
    assert said.message == (
        "max_tokens: unknown field here; it belongs to "
        "OpenAI's POST /v1/chat/completions or Anthropic's POST /v1/messages"
    )


@pytest.mark.parametrize("to", [GENERATE, MODELSLAB])
async def test_a_plain_conversation_where_there_is_one_prompt_is_told_every_route_that_takes_it(
    service: Service, to: str
) -> None:
    said = await refused(service, to, {"model": MODEL_NAME, "messages": HELLO})
    for route in (NATIVE, OPENAI, CHAT, ANTHROPIC):
        assert f"POST {route}" in said.message
    assert "messages: unknown field here" in said.message


@pytest.mark.parametrize(
    ("to", "sent", "said"),
    [
        (CHAT, {"temperature": 1}, "temperature: unknown field here; put it into options, or send the body to "),
        (CHAT, {"options": {"temprature": 1}}, "options.temprature: unknown field; did you mean temperature?"),
        (CHAT, {"options": {"logprobs": 3}}, "options.logprobs: unknown option; here it stands beside options"),
        (NATIVE, {"options": {"max_tokens": 3}}, "options.max_tokens: unknown field here; it belongs to OpenAI's "),
        (OPENAI, {"top_k": 3}, "top_k: unknown field here; it belongs to Parley's own POST /ai/chat or Anthropic's "),
        (OPENAI, {"temprature": 1}, "temprature: unknown field; did you mean temperature?"),
        (OPENAI, {"max_tokns": 1, "n": 1}, "max_tokns: unknown field; did you mean max_tokens?"),
        (
            MODELSLAB,
            {"prompt": "Hi", "key": "", "model": "x"},
            "model: unknown field here; it belongs to Ollama's POST",
        ),
        (MODELSLAB, {"prompt": "Hi", "reset": False, "do_sample": True, "model": "x"}, "did you mean model_id?"),
    ],
)
async def test_a_slip_is_told_from_a_foreign_field(service: Service, to: str, sent: dict[str, Any], said: str) -> None:
    body = sent if to == MODELSLAB else {"model": MODEL_NAME, "messages": HELLO, **sent}
    assert said in (await refused(service, to, body)).message


@pytest.mark.parametrize(
    ("to", "message", "field", "home"),
    [
        (OPENAI, {"images": ["aGVsbG8="]}, "images", CHAT),
        (ANTHROPIC, {"tool_calls": []}, "tool_calls", OPENAI),
        (NATIVE, {"name": "Ada"}, "name", OPENAI),
        (CHAT, {"refusal": None, "name": "Ada"}, "name", OPENAI),
        (NATIVE, {"thinking": "…"}, "thinking", CHAT),
    ],
)
async def test_a_foreign_field_of_a_message_is_told_its_route(
    service: Service, to: str, message: dict[str, Any], field: str, home: str
) -> None:
    body = {"model": MODEL_NAME, "messages": [HELLO[0] | message]} | ({"max_tokens": 4} if to == ANTHROPIC else {})
    said = await refused(service, to, body)
    assert said.message.startswith(f"messages.0.{field}: unknown field here; it belongs to ")
    assert f"POST {home}" in said.message


async def test_a_token_in_the_body_is_told_the_header_before_anything_of_the_body_is_read(service: Service) -> None:
    # Charging comes before reading: nobody is known who could be told of a field.
    for to in SENT:
        if to != MODELSLAB:
            status, body, _ = await service.post(to, SENT[MODELSLAB] | {"key": service.secret}, headers={})
            assert (status, "Authorization: Bearer" in json.dumps(body)) == (401, True)
