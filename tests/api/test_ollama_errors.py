"""Every kind of error through the unmodified `ollama` package: its status, its text, and what it has cost.

The package has one exception, and never asks again.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import ollama
import pytest
from ollama import AsyncClient

from api.errors import Kind
from tests.api.failing import (
    CAUSES,
    COSTS,
    HELLO,
    MIDWAY,
    RETRY_SECONDS,
    SECRET_TEXT,
    TOKEN_ADVICE,
    TOO_LARGE_TEXT,
    TOO_LONG_TEXT,
    Scene,
    Stage,
)
from tests.service import MODEL_NAME

pytestmark = pytest.mark.asyncio(loop_scope="session")

LONG: Any = [{"role": "user", "content": TOO_LONG_TEXT}]
LARGE: Any = [{"role": "user", "content": TOO_LARGE_TEXT}]

ROWS: Mapping[Kind, tuple[int, str]] = {
    Kind.INVALID: (400, "options.temperature: "),
    Kind.TOO_LONG: (400, "messages: "),
    Kind.UNAUTHORIZED: (401, ""),
    Kind.FORBIDDEN: (403, "Only the service token may send "),
    Kind.BALANCE_SPENT: (403, "The LLM-token balance of this API token is spent"),
    Kind.UNKNOWN_MODEL: (404, 'model "llama9" not found, try pulling it first'),
    Kind.UNKNOWN_ROUTE: (404, "There is no such route"),
    Kind.WRONG_METHOD: (405, "This route takes POST."),
    Kind.TOO_LARGE: (413, "The body is larger than this server takes"),
    Kind.CALLS_USED: (429, "All 1 calls of today are used"),
    Kind.INTERNAL: (500, "Something went wrong here"),
    Kind.BUSY: (503, "server busy, please try again.  "),
    Kind.UNAVAILABLE: (503, f"The model is not available right now; try again in {RETRY_SECONDS} s."),
    Kind.TIMED_OUT: (504, "There was no whole reply within "),
}
"""Status and beginning of the text; that of a 401 is `TOKEN_ADVICE`."""

NEVER = {Kind.NOT_JSON}
"""Ollama's body is JSON whatever its type says, so there is no such refusal (`test_ollama_client.py`)."""


async def test_every_kind_has_its_row() -> None:
    assert set(ROWS) | NEVER == set(Kind)


def ollama_client(scene: Scene) -> AsyncClient:
    # Nothing is encrypted here, and reading the certificates takes longer than a case.
    return AsyncClient(host=scene.service.url, headers=scene.all_headers, verify=False)


def chat(client: AsyncClient, **changes: Any) -> Awaitable[Any]:
    fields = {"model": MODEL_NAME, "messages": HELLO, **changes}
    return client.chat(**fields)


ASKS: Mapping[Kind, Callable[[AsyncClient], Awaitable[Any]]] = {
    Kind.INVALID: lambda client: chat(client, options={"temperature": 9}),
    Kind.TOO_LONG: lambda client: chat(client, messages=LONG),
    Kind.UNKNOWN_MODEL: lambda client: chat(client, model="llama9"),
    Kind.UNKNOWN_ROUTE: lambda client: client.embed(MODEL_NAME, "Hello!"),
    # By the raw request: no typed method asks so.
    Kind.WRONG_METHOD: lambda client: client._request_raw("GET", "/api/chat"),  # type: ignore[no-untyped-call]
    Kind.TOO_LARGE: lambda client: chat(client, messages=LARGE),
}


@pytest.mark.parametrize(("kind", "cause"), [each for each in CAUSES if each[0] not in NEVER])
async def test_ollama_raises_for_every_kind_and_asks_once(stage: Stage, kind: Kind, cause: str) -> None:
    (status, text), before = ROWS[kind], stage.requests()
    async with stage.failing(kind, cause) as scene, ollama_client(scene) as client:
        with pytest.raises(ollama.ResponseError) as caught:
            await ASKS.get(kind, chat)(client)
        requests = stage.requests() - before
    assert caught.value.status_code == status
    assert caught.value.error.startswith(TOKEN_ADVICE.get(cause, text))
    assert SECRET_TEXT not in caught.value.error
    assert requests == 1
    assert await scene.calls_used() == COSTS[kind]


@pytest.mark.parametrize("kind", MIDWAY)
async def test_ollama_raises_from_the_stream(stage: Stage, monkeypatch: pytest.MonkeyPatch, kind: Kind) -> None:
    async with stage.failing_midway(kind, monkeypatch) as scene, ollama_client(scene) as client:
        parts = aiter(await chat(client, stream=True, messages=LONG if kind is Kind.TOO_LONG else HELLO))
        assert (await anext(parts)).done is False
        stage.let_go()
        with pytest.raises(ollama.ResponseError) as caught:
            _ = [part async for part in parts]
        await stage.settled()
    # In a stream the package knows no status.
    assert caught.value.status_code == -1
    assert caught.value.error.startswith({Kind.INVALID: "format: "}.get(kind, ROWS[kind][1]))
    assert await scene.calls_used() == COSTS[kind]


async def test_what_is_known_before_the_first_line_has_its_status_in_a_stream_too(stage: Stage) -> None:
    async with stage.failing(Kind.UNAVAILABLE) as scene, ollama_client(scene) as client:
        for model, kind in (("llama9", Kind.UNKNOWN_MODEL), (MODEL_NAME, Kind.UNAVAILABLE)):
            with pytest.raises(ollama.ResponseError) as caught:
                _ = [part async for part in await chat(client, model=model, stream=True)]
            assert caught.value.status_code == ROWS[kind][0]
