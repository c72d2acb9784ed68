"""Every kind of error through the unmodified `openai` and `anthropic` packages.

What each raises, how often it asks, and what it has cost. What no typed method can provoke is sent by the client's own
raw request, which is said there. The pauses of the clients are recorded, not slept: so they are compared to the second.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import anthropic
import anyio
import openai
import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from api.errors import Kind
from generation.errors import EngineUnavailableError
from tests.api.failing import (
    CAUSES,
    COSTS,
    HELLO,
    MIDWAY,
    NOON,
    RETRY_SECONDS,
    SECRET_TEXT,
    TOKEN_ADVICE,
    TOO_LARGE_TEXT,
    TOO_LONG_TEXT,
    Retry,
    Scene,
    Stage,
)
from tests.service import MODEL_NAME

pytestmark = pytest.mark.asyncio(loop_scope="session")

LONG: Any = [{"role": "user", "content": TOO_LONG_TEXT}]
LARGE: Any = [{"role": "user", "content": TOO_LARGE_TEXT}]
AS_TEXT = {"Content-Type": "text/plain"}
PAUSE_SECONDS = 0.5
"""The clients' own first pause at most."""


class Row(NamedTuple):
    """What a client raises for a kind; `param` is OpenAI's alone."""

    error: type[Exception]
    status: int
    type: str
    retry: Retry = Retry.NEVER
    param: str | None = None


OPENAI_ROWS: Mapping[Kind, Row] = {
    Kind.INVALID: Row(openai.BadRequestError, 400, "invalid_request_error", param="temperature"),
    Kind.TOO_LONG: Row(openai.BadRequestError, 400, "invalid_request_error", param="messages"),
    Kind.UNAUTHORIZED: Row(openai.AuthenticationError, 401, "authentication_error"),
    Kind.FORBIDDEN: Row(openai.PermissionDeniedError, 403, "permission_error"),
    Kind.BALANCE_SPENT: Row(openai.RateLimitError, 429, "insufficient_quota"),
    Kind.UNKNOWN_MODEL: Row(openai.NotFoundError, 404, "invalid_request_error", param="model"),
    Kind.UNKNOWN_ROUTE: Row(openai.NotFoundError, 404, "invalid_request_error"),
    # The package has no class for these three.
    Kind.WRONG_METHOD: Row(openai.APIStatusError, 405, "invalid_request_error"),
    Kind.TOO_LARGE: Row(openai.APIStatusError, 413, "invalid_request_error"),
    Kind.NOT_JSON: Row(openai.APIStatusError, 415, "invalid_request_error"),
    Kind.CALLS_USED: Row(openai.RateLimitError, 429, "rate_limit_error"),
    Kind.INTERNAL: Row(openai.InternalServerError, 500, "server_error", Retry.SOON),
    Kind.BUSY: Row(openai.InternalServerError, 503, "server_error", Retry.AS_TOLD),
    Kind.UNAVAILABLE: Row(openai.InternalServerError, 503, "server_error", Retry.AS_TOLD),
    Kind.TIMED_OUT: Row(openai.InternalServerError, 504, "server_error", Retry.SOON),
}

ANTHROPIC_ROWS: Mapping[Kind, Row] = {
    Kind.INVALID: Row(anthropic.BadRequestError, 400, "invalid_request_error"),
    Kind.TOO_LONG: Row(anthropic.BadRequestError, 400, "invalid_request_error"),
    Kind.UNAUTHORIZED: Row(anthropic.AuthenticationError, 401, "authentication_error"),
    Kind.FORBIDDEN: Row(anthropic.PermissionDeniedError, 403, "permission_error"),
    Kind.BALANCE_SPENT: Row(anthropic.PaymentRequiredError, 402, "billing_error"),
    Kind.UNKNOWN_MODEL: Row(anthropic.NotFoundError, 404, "not_found_error"),
    Kind.UNKNOWN_ROUTE: Row(anthropic.NotFoundError, 404, "not_found_error"),
    # The package has no class for 405 and 415.
    Kind.WRONG_METHOD: Row(anthropic.APIStatusError, 405, "invalid_request_error"),
    Kind.TOO_LARGE: Row(anthropic.ContentTooLargeError, 413, "request_too_large"),
    Kind.NOT_JSON: Row(anthropic.APIStatusError, 415, "invalid_request_error"),
    Kind.CALLS_USED: Row(anthropic.RateLimitError, 429, "rate_limit_error"),
    Kind.INTERNAL: Row(anthropic.InternalServerError, 500, "api_error", Retry.SOON),
    Kind.BUSY: Row(anthropic.OverloadedError, 529, "overloaded_error", Retry.AS_TOLD),
    Kind.UNAVAILABLE: Row(anthropic.ServiceUnavailableError, 503, "api_error", Retry.AS_TOLD),
    Kind.TIMED_OUT: Row(anthropic.GatewayTimeoutError, 504, "timeout_error", Retry.SOON),
}


async def test_every_kind_has_its_rows() -> None:
    assert set(OPENAI_ROWS) == set(ANTHROPIC_ROWS) == set(Kind)


@dataclass
class Pauses:
    """What the clients would have slept; `during` is called instead."""

    seconds: list[float] = field(default_factory=list)
    during: Callable[[float], object] = float

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.during(seconds)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    pauses = Pauses()
    monkeypatch.setattr(anyio, "sleep", pauses.sleep)
    return pauses


@pytest.fixture
def shortly_before_midnight(stage: Stage) -> Iterator[datetime]:
    stage.clock.instant = NOON.replace(hour=23, minute=59, second=30)
    yield stage.clock.instant
    stage.clock.instant = NOON


def check_pauses(pauses: Pauses, retry: Retry, headers: Mapping[str, str]) -> None:
    """Compare with what the headers say."""
    match retry:
        case Retry.NEVER:
            assert pauses.seconds == []
            assert int(headers.get("retry-after", "0")) == 0 or headers["x-should-retry"] == "false"
        case Retry.AS_TOLD:
            # A pause of the client's own is shorter than a second. A queue's estimate may have moved meanwhile.
            (seconds,) = pauses.seconds
            assert seconds >= 1
            assert seconds == int(seconds)
            assert int(headers["retry-after"]) >= 1
        case Retry.SOON:
            (seconds,) = pauses.seconds
            assert seconds <= PAUSE_SECONDS
            assert "retry-after" not in headers


async def check_costs(scene: Scene, kind: Kind, *, requests: int, retry: Retry) -> None:
    assert requests == (1 if retry is Retry.NEVER else 2)
    assert await scene.calls_used() == COSTS[kind] * requests


# OpenAI


def openai_client(scene: Scene, *, max_retries: int = 1) -> AsyncOpenAI:
    return AsyncOpenAI(
        base_url=f"{scene.service.url}/v1",
        api_key=scene.secret or "none",
        default_headers=scene.headers,
        max_retries=max_retries,
        # Nothing is encrypted here, and reading the certificates takes longer than a case.
        http_client=openai.DefaultAsyncHttpxClient(verify=False),
    )


def create(client: AsyncOpenAI, **changes: Any) -> Awaitable[Any]:
    fields = {"model": MODEL_NAME, "messages": HELLO, **changes}
    return client.chat.completions.create(**fields)


def ask_without_token(client: AsyncOpenAI) -> Awaitable[Any]:
    """The package refuses to go without one, unless told so."""
    return create(client, extra_headers={"Authorization": openai.Omit()})


OPENAI_ASKS: Mapping[Kind, Callable[[AsyncOpenAI], Awaitable[Any]]] = {
    Kind.INVALID: lambda client: create(client, temperature=9),
    Kind.TOO_LONG: lambda client: create(client, messages=LONG),
    Kind.UNKNOWN_MODEL: lambda client: create(client, model="gpt-9"),
    Kind.UNKNOWN_ROUTE: lambda client: client.embeddings.create(model=MODEL_NAME, input="Hello!"),
    Kind.WRONG_METHOD: lambda client: client.models.delete(MODEL_NAME),
    Kind.TOO_LARGE: lambda client: create(client, messages=LARGE),
    # By a header that nobody sets by accident.
    Kind.NOT_JSON: lambda client: create(client, extra_headers=AS_TEXT),
}


@pytest.mark.parametrize(("kind", "cause"), CAUSES)
async def test_openai_raises_for_every_kind_and_asks_as_often_as_it_should(
    stage: Stage, pauses: Pauses, kind: Kind, cause: str
) -> None:
    row, before = OPENAI_ROWS[kind], stage.requests()
    async with stage.failing(kind, cause) as scene, openai_client(scene) as client:
        with pytest.raises(openai.APIStatusError) as caught:
            await (ask_without_token if cause == "none" else OPENAI_ASKS.get(kind, create))(client)
        requests = stage.requests() - before
    error = caught.value
    assert (type(error), error.status_code, error.type) == (row.error, row.status, row.type)
    assert (error.code, error.param) == (kind.value, row.param)
    assert error.request_id
    assert TOKEN_ADVICE.get(cause, "") in error.message
    assert SECRET_TEXT not in error.message
    if kind is Kind.CALLS_USED:
        assert error.response.headers["x-ratelimit-remaining-requests"] == "0"
    check_pauses(pauses, row.retry, error.response.headers)
    await check_costs(scene, kind, requests=requests, retry=row.retry)


@pytest.mark.parametrize("kind", MIDWAY)
async def test_openai_raises_from_the_stream(stage: Stage, monkeypatch: pytest.MonkeyPatch, kind: Kind) -> None:
    async with stage.failing_midway(kind, monkeypatch) as scene, openai_client(scene) as client:
        stream = await create(client, stream=True, messages=LONG if kind is Kind.TOO_LONG else HELLO)
        stage.let_go()
        with pytest.raises(openai.APIError) as caught:
            _ = [chunk async for chunk in stream]
        await stage.settled()
    assert type(caught.value) is openai.APIError
    assert (caught.value.code, caught.value.type) == (kind.value, OPENAI_ROWS[kind].type)
    assert SECRET_TEXT not in caught.value.message
    assert await scene.calls_used() == COSTS[kind]


# Anthropic


def anthropic_client(scene: Scene) -> AsyncAnthropic:
    return AsyncAnthropic(
        base_url=scene.service.url,
        api_key=scene.secret or "none",
        default_headers=scene.headers,
        max_retries=1,
        http_client=anthropic.DefaultAsyncHttpxClient(verify=False),
    )


def create_message(client: AsyncAnthropic, **changes: Any) -> Awaitable[Any]:
    fields = {"model": MODEL_NAME, "messages": HELLO, "max_tokens": 64, **changes}
    return client.messages.create(**fields)


def create_without_token(client: AsyncAnthropic) -> Awaitable[Any]:
    """The package refuses to go without one, unless told so."""
    return create_message(client, extra_headers={"Authorization": anthropic.Omit()})


async def list_batches(client: AsyncAnthropic) -> object:
    return await client.messages.batches.list()


ANTHROPIC_ASKS: Mapping[Kind, Callable[[AsyncAnthropic], Awaitable[Any]]] = {
    Kind.INVALID: lambda client: create_message(client, max_tokens=0),
    Kind.TOO_LONG: lambda client: create_message(client, messages=LONG),
    Kind.UNKNOWN_MODEL: lambda client: create_message(client, model="claude-9"),
    Kind.UNKNOWN_ROUTE: list_batches,
    # By the raw request: no typed method asks so.
    Kind.WRONG_METHOD: lambda client: client.get("/v1/messages", cast_to=object),
    Kind.TOO_LARGE: lambda client: create_message(client, messages=LARGE),
    Kind.NOT_JSON: lambda client: create_message(client, extra_headers=AS_TEXT),
}


@pytest.mark.parametrize(("kind", "cause"), CAUSES)
async def test_anthropic_raises_for_every_kind_and_asks_as_often_as_it_should(
    stage: Stage, pauses: Pauses, kind: Kind, cause: str
) -> None:
    row, before = ANTHROPIC_ROWS[kind], stage.requests()
    async with stage.failing(kind, cause) as scene, anthropic_client(scene) as client:
        with pytest.raises(anthropic.APIStatusError) as caught:
            await (create_without_token if cause == "none" else ANTHROPIC_ASKS.get(kind, create_message))(client)
        requests = stage.requests() - before
    error = caught.value
    assert (type(error), error.status_code, error.type) == (row.error, row.status, row.type)
    assert error.request_id
    assert TOKEN_ADVICE.get(cause, "") in error.message
    assert SECRET_TEXT not in error.message
    check_pauses(pauses, row.retry, error.response.headers)
    await check_costs(scene, kind, requests=requests, retry=row.retry)


@pytest.mark.parametrize("kind", MIDWAY)
async def test_anthropic_raises_from_the_stream(stage: Stage, monkeypatch: pytest.MonkeyPatch, kind: Kind) -> None:
    async with stage.failing_midway(kind, monkeypatch) as scene, anthropic_client(scene) as client:
        stream = await create_message(client, stream=True, messages=LONG if kind is Kind.TOO_LONG else HELLO)
        stage.let_go()
        with pytest.raises(anthropic.APIStatusError) as caught:
            _ = [event async for event in stream]
        await stage.settled()
    # The status was sent before: the type tells the kind.
    assert (type(caught.value), caught.value.status_code) == (anthropic.APIStatusError, 200)
    assert caught.value.type == ANTHROPIC_ROWS[kind].type
    assert SECRET_TEXT not in caught.value.message
    assert await scene.calls_used() == COSTS[kind]


# What both have in common


@pytest.mark.parametrize("kind", [Kind.UNKNOWN_MODEL, Kind.UNAVAILABLE])
async def test_what_is_known_before_the_first_event_is_no_stream(stage: Stage, pauses: Pauses, kind: Kind) -> None:
    model = "gpt-9" if kind is Kind.UNKNOWN_MODEL else MODEL_NAME
    async with stage.failing(kind) as scene, openai_client(scene) as openais, anthropic_client(scene) as anthropics:
        with pytest.raises(OPENAI_ROWS[kind].error):
            await create(openais, model=model, stream=True)
        with pytest.raises(ANTHROPIC_ROWS[kind].error):
            await create_message(anthropics, model=model, stream=True)
    assert await scene.calls_used() == COSTS[kind] * 2


async def ask_openai(scene: Scene) -> Any:
    async with openai_client(scene) as client:
        return (await create(client, max_tokens=1)).usage.completion_tokens


async def ask_anthropic(scene: Scene) -> Any:
    async with anthropic_client(scene) as client:
        return (await create_message(client, max_tokens=1)).usage.output_tokens


@pytest.mark.parametrize("ask", [ask_openai, ask_anthropic])
async def test_a_client_waits_out_the_last_seconds_of_a_spent_day(
    stage: Stage, pauses: Pauses, shortly_before_midnight: datetime, ask: Callable[[Scene], Awaitable[Any]]
) -> None:
    pauses.during = lambda seconds: stage.clock.advance(timedelta(seconds=seconds))
    async with stage.failing(Kind.CALLS_USED) as scene:
        assert await ask(scene) == 1
    assert pauses.seconds == [30]
    assert stage.clock.now() == shortly_before_midnight + timedelta(seconds=30)


@pytest.mark.parametrize("ask", [ask_openai, ask_anthropic])
async def test_a_client_comes_back_when_the_engine_is_said_to(
    stage: Stage, pauses: Pauses, ask: Callable[[Scene], Awaitable[Any]]
) -> None:
    def recover(seconds: float) -> None:
        stage.engine.pieces_before_failure = None

    pauses.during = recover
    async with stage.failing(Kind.UNAVAILABLE) as scene:
        assert await ask(scene) == 1
    assert pauses.seconds == [RETRY_SECONDS]
    assert await scene.calls_used() == 1


async def test_a_failing_choice_ends_them_all(stage: Stage) -> None:
    scene = await stage.caller()
    lost = EngineUnavailableError("lost", retry_after_seconds=1)
    async with openai_client(scene, max_retries=0) as client, stage.failing_engine(lost, after_pieces=1):
        with pytest.raises(openai.InternalServerError):
            await create(client, n=3)
    assert await scene.calls_used() == 0
