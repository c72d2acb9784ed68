"""The OpenAI dialect by curl, as the documentation of Empower and uncensored.chat shows its calls."""

import asyncio
import json
from typing import Any

import pytest

from tests.service import MODEL_NAME, Service

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def curl(*arguments: str) -> tuple[int, str]:
    """Run curl and return the status and the body."""
    program = await asyncio.create_subprocess_exec(
        *("curl", "--silent", "--no-buffer", "--max-time", "60", "--write-out", "\n%{http_code}", *arguments),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await program.communicate()
    body, _, status = said.decode().rpartition("\n")
    return int(status), body


def as_json(service: Service, body: dict[str, Any]) -> list[str]:
    return [
        *("--header", f"Authorization: Bearer {service.secret}"),
        *("--header", "Content-Type: application/json"),
        *("--data", json.dumps(body)),
    ]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/v1/chat/completions", "/chat/completions"])
async def test_empowers_call_is_answered(service: Service, path: str) -> None:
    body = {
        "model": MODEL_NAME,
        "messages": [{"role": "user", "content": "Say hello to me."}],
        "frequency_penalty": 0,
        "ignore_eos": False,
        "max_tokens": 256,
        "n": 1,
        "presence_penalty": 0,
        "temperature": 0.7,
        "top_p": 1,
    }
    status, said = await curl(f"{service.url}{path}", *as_json(service, body))
    assert status == 200
    reply = json.loads(said)
    assert set(reply) == {"id", "object", "created", "model", "choices", "usage"}
    assert reply["choices"][0]["message"]["content"]
    assert set(reply["choices"][0]) == {"index", "message", "finish_reason", "logprobs"}


async def test_uncensored_chats_call_is_answered(service: Service) -> None:
    body = {
        "model": MODEL_NAME,
        "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "Hello!"},
        ],
        "max_tokens": 100,
        "stream": False,
    }
    status, said = await curl(f"{service.url}/api/v1/chat/completions", *as_json(service, body))
    assert (status, json.loads(said)["object"]) == (200, "chat.completion")


async def test_a_stream_is_server_sent_events_up_to_done(service: Service) -> None:
    body = {"model": MODEL_NAME, "messages": "Hello!", "stream": True}
    status, said = await curl(f"{service.url}/v1/chat/completions", *as_json(service, body))
    assert status == 200
    events = [line for line in said.splitlines() if line.startswith("data: ")]
    assert events[-1] == "data: [DONE]"
    assert all(json.loads(event[6:])["object"] == "chat.completion.chunk" for event in events[:-1])


async def test_models_are_listed(service: Service) -> None:
    status, said = await curl(f"{service.url}/v1/models", "--header", f"Authorization: Bearer {service.secret}")
    assert (status, json.loads(said)["data"][0]["id"]) == (200, MODEL_NAME)


async def test_a_wrong_token_is_said_in_openais_form(service: Service) -> None:
    status, said = await curl(f"{service.url}/v1/models", "--header", "Authorization: Bearer parley_wrong")
    assert (status, json.loads(said)["error"]["code"]) == (401, "invalid_api_key")
