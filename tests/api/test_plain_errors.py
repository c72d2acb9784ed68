"""Every kind of error of the two dialects without a client package: the exact body, the headers and the cost."""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import aiohttp
import pytest

from api.errors import Kind
from tests.api.failing import (
    CAUSES,
    COSTS,
    HELLO,
    MIDWAY,
    RETRY_SECONDS,
    TOKEN_ADVICE,
    TOO_LARGE_TEXT,
    TOO_LONG_TEXT,
    Scene,
    Stage,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

NATIVE, MODELSLAB = "/ai/chat", "/api/v6/llm/chat"


class Row(NamedTuple):
    """What the native dialect says of a kind; numbers in the message read N, and `field` is the bad one."""

    status: int
    title: str
    message: str
    field: str | None = None
    headers: Mapping[str, str] = {}


ROWS: Mapping[Kind, Row] = {
    Kind.INVALID: Row(400, "Invalid request", "temperature: Input should be less than or equal to N", "temperature"),
    Kind.TOO_LONG: Row(
        400,
        "Invalid request",
        "messages: the system message and the last message take N tokens, the limit is N; "
        "shorten them or raise num_ctx",
        "messages",
    ),
    Kind.UNAUTHORIZED: Row(401, "Unauthorized", "", headers={"WWW-Authenticate": 'Bearer realm="parley"'}),
    Kind.FORBIDDEN: Row(403, "Forbidden", "Only the service token may send X-Parley-On-Behalf-Of; leave it out."),
    Kind.BALANCE_SPENT: Row(403, "Forbidden", "The LLM-token balance of this API token is spent; ask for more."),
    Kind.UNKNOWN_MODEL: Row(404, "Not found", "There is no model 'mira' here; use 'parley-demo'."),
    Kind.UNKNOWN_ROUTE: Row(404, "Not found", "There is no such route; GET /docs lists them."),
    Kind.WRONG_METHOD: Row(405, "Method not allowed", "This route takes POST.", headers={"Allow": "POST"}),
    Kind.TOO_LARGE: Row(413, "Body too large", "The body is larger than this server takes (PARLEY_MAX_BODY)."),
    Kind.NOT_JSON: Row(415, "Unsupported media type", "Send JSON with the header Content-Type: application/json."),
    Kind.CALLS_USED: Row(
        429,
        "Too many requests",
        "All N calls of today are used; the next day starts at N-N-NTN:N:N+N:N.",
        headers={"Retry-After": str(12 * 3600)},
    ),
    Kind.INTERNAL: Row(500, "Internal error", "Something went wrong here; please report the request_id."),
    Kind.BUSY: Row(503, "Busy", "N requests are waiting already; try again in N s."),
    Kind.UNAVAILABLE: Row(
        503,
        "Model unavailable",
        "The model is not available right now; try again in N s.",
        headers={"Retry-After": str(RETRY_SECONDS)},
    ),
    Kind.TIMED_OUT: Row(
        504,
        "Timeout",
        "There was no whole reply within N s; ask for fewer tokens or try again later.",
    ),
}

MODELSLABS_WORDS: Mapping[Kind, str] = {
    # Here the message is the prompt, and the context is always the whole one.
    Kind.TOO_LONG: "prompt: the system message and the last message take N tokens, the limit is N; shorten them",
}

MODELSLABS_COSTS = COSTS | {Kind.TOO_LARGE: 0, Kind.NOT_JSON: 0}
"""The token stands in the body: where it cannot be read there is nobody to charge."""


async def test_every_kind_has_its_row() -> None:
    assert set(ROWS) == set(Kind)


async def send(scene: Scene, kind: Kind, path: str) -> tuple[aiohttp.ClientResponse, Any]:
    """Ask as whoever provokes the kind would; ModelsLab's clients put the token into the body."""
    headers, method = {"Content-Type": "application/json", **scene.headers}, "POST"
    text = {Kind.TOO_LONG: TOO_LONG_TEXT, Kind.TOO_LARGE: TOO_LARGE_TEXT}.get(kind, "Hello!")
    if path == NATIVE:
        headers |= scene.all_headers
        body: dict[str, Any] = {"messages": [{"role": "user", "content": text}]}
    else:
        body = {"key": scene.secret, "prompt": text}
    match kind:
        case Kind.INVALID:
            body["temperature"] = 9
        case Kind.UNKNOWN_MODEL:
            body["model" if path == NATIVE else "model_id"] = "mira"
        case Kind.UNKNOWN_ROUTE:
            path += "/nothing"
        case Kind.WRONG_METHOD:
            method = "PUT"
        case Kind.NOT_JSON:
            headers["Content-Type"] = "text/plain"
    data = json.dumps(body).encode()
    async with scene.service.session.request(method, scene.service.url + path, data=data, headers=headers) as response:
        return response, await response.json()


def without_numbers(message: str) -> str:
    return re.sub(r"\d+", "N", message)


def check_headers(response: aiohttp.ClientResponse, row: Row, kind: Kind) -> None:
    for name, value in row.headers.items():
        assert response.headers[name] == value
    assert ("Retry-After" in response.headers) == (kind in {Kind.CALLS_USED, Kind.BUSY, Kind.UNAVAILABLE})
    assert ("WWW-Authenticate" in response.headers) == (kind is Kind.UNAUTHORIZED)


@pytest.mark.parametrize(("kind", "cause"), CAUSES)
async def test_the_native_body_of_every_kind(stage: Stage, kind: Kind, cause: str) -> None:
    row = ROWS[kind]
    async with stage.failing(kind, cause) as scene:
        response, body = await send(scene, kind, NATIVE)
    message = row.message or TOKEN_ADVICE[cause]
    problem = message.partition(": ")[2]
    for detail in body["details"]:
        detail["problem"] = without_numbers(detail["problem"])
    assert body | {"message": without_numbers(body["message"])} == {
        "error": row.title,
        "code": row.status,
        "message": message,
        "request_id": response.headers["X-Request-Id"],
        "details": [{"field": row.field, "problem": problem}] if row.field else [],
    }
    assert response.status == row.status
    check_headers(response, row, kind)
    assert await scene.calls_used() == COSTS[kind]


@pytest.mark.parametrize(("kind", "cause"), CAUSES)
async def test_modelslabs_body_of_every_kind(stage: Stage, kind: Kind, cause: str) -> None:
    row = ROWS[kind]
    async with stage.failing(kind, cause) as scene:
        response, body = await send(scene, kind, MODELSLAB)
    message = MODELSLABS_WORDS.get(kind, row.message) or TOKEN_ADVICE[cause]
    if cause == "none":
        message = "Send your API token in the field key."
    assert body | {"message": without_numbers(body["message"])} == {"status": "error", "message": message}
    assert response.status == row.status
    check_headers(response, row, kind)
    assert response.headers["X-Request-Id"]
    assert await scene.calls_used() == MODELSLABS_COSTS[kind]


@pytest.mark.parametrize("kind", MIDWAY)
async def test_the_last_line_of_a_native_stream_is_the_body(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    message = {"role": "user", "content": TOO_LONG_TEXT if kind is Kind.TOO_LONG else HELLO[0]["content"]}
    async with stage.failing_midway(kind, monkeypatch) as scene:
        asked = {"messages": [message], "stream": True}
        async with scene.service.session.post(
            scene.service.url + NATIVE, json=asked, headers=scene.all_headers
        ) as response:
            first = json.loads(await response.content.readline())
            stage.let_go()
            *_, last = (await response.text()).splitlines()
        await stage.settled()
    assert (response.status, first["done"]) == (200, False)
    body, row = json.loads(last), ROWS[kind]
    assert (body["error"], body["code"]) == (row.title, row.status)
    assert body["request_id"] == response.headers["X-Request-Id"]
    assert await scene.calls_used() == COSTS[kind]
