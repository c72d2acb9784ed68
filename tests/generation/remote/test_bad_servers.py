"""Servers that are not there, are not what they should be, or go wrong: one line at the start, a typed error later."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from generation.engine import EngineState, Message
from generation.errors import EngineUnavailableError, GenerationError, ModelError
from generation.remote.engine import RemoteEngine
from generation.remote.learn import learn
from generation.remote.replica import Watching
from generation.remote.wire import Patience
from tests.doubles.openai_server import OpenAIServer
from tests.doubles.vllm_server import KEY, REPLY, VllmServer, serving
from tests.generation.asking import ask, options, text_of
from tests.generation.remote.engines import config_for, running_engine
from tests.ports import free_port
from tests.waiting import eventually

PLAIN = options(temperature=0.0, ignore_eos=False, max_tokens=64)
PROMPT = [1, 2, 3]
HASTY = Patience(connect=15.0, document=15.0, first_piece=5.0, next_piece=5.0)
"""Short enough to wait for, and long enough for a server that is well on a machine that many share."""

UNWATCHED = Watching(every=600.0)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def server_of(models: Handler) -> web.Application:
    """A server with a list of models and nothing else."""
    app = web.Application()
    app.router.add_get("/v1/models", models)
    return app


async def explain(app: web.Application, **changes: Any) -> str:
    """The line that a start ends in."""
    async with serving(app) as url:
        with pytest.raises(ModelError) as caught:
            await learn(config_for(url, **changes))
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith("PARLEY_ENGINE_URL: engine server 1 (http://127.0.0.1:")
    return line


async def test_nobody_there() -> None:
    with pytest.raises(ModelError, match=r"cannot be reached; start it, or set another$"):
        await learn(config_for(f"http://127.0.0.1:{free_port()}/v1"))
    with pytest.raises(ModelError, match="none of the 2 engine servers can be reached; start one"):
        await learn(config_for(f"http://127.0.0.1:{free_port()}/v1", f"http://127.0.0.1:{free_port()}/v1"))


async def test_a_wrong_key_is_told_and_not_shown() -> None:
    line = await explain(VllmServer().app, api_key="sk-secret-and-wrong")
    assert "refuses the key (status 401)" in line
    assert "secret" not in line
    assert "refuses the key" in await explain(VllmServer().app, api_key=None)


async def test_a_redirect_is_not_followed() -> None:
    visited: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        visited.append(request.path)
        return web.json_response({"data": [{"id": "a"}]})

    async def redirect(request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect("/stolen")

    app = server_of(redirect)
    app.router.add_get("/stolen", elsewhere)
    assert "sends elsewhere (status 307), which is not followed" in await explain(app)
    assert visited == []


async def test_another_program_is_recognised() -> None:
    async def page(request: web.Request) -> web.Response:
        return web.Response(text="<html>Hello</html>", content_type="text/html")

    async def other(request: web.Request) -> web.Response:
        return web.json_response(["a"])

    assert "has no /v1/models (status 404)" in await explain(web.Application())
    assert "does not speak as OpenAI's servers do" in await explain(server_of(other))
    assert "cannot be reached" in await explain(server_of(page))


async def test_a_server_without_end_is_given_up() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * 65536)

    assert "cannot be reached" in await explain(server_of(endless))


async def test_a_server_that_says_nothing_is_given_up() -> None:
    async def silent(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        raise AssertionError

    assert "cannot be reached" in await explain(server_of(silent), patience=HASTY)


async def test_a_server_that_answers_nothing_but_its_list_is_no_use() -> None:
    async def models(request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "a"}, 7, {"id": 8}, {}]})

    assert "it refuses a plain request" in await explain(server_of(models))


async def test_servers_that_differ_are_not_taken_together() -> None:
    one, other = VllmServer(), VllmServer()
    other.models = ["acme/raven-9b"]
    plain = OpenAIServer("acme/parrot-7b")
    async with serving(one.app) as first, serving(other.app) as second, serving(plain.app) as third:
        with pytest.raises(ModelError, match=r"server 2 .* is not like engine server 1 .*: it has other models"):
            await learn(config_for(first, second, api_key=KEY))
        with pytest.raises(ModelError, match="it is OpenAI-compatible, not vLLM"):
            await learn(config_for(first, third, api_key=KEY))


async def test_the_smallest_context_of_all_servers_holds() -> None:
    one, other = VllmServer(), VllmServer()
    other.context_tokens = 512
    async with (
        serving(one.app) as first,
        serving(other.app) as second,
        running_engine(config_for(first, second, api_key=KEY)) as (engine, _),
    ):
        assert engine.context_tokens == 512


async def test_one_server_that_is_away_at_the_start_does_not_hinder_it() -> None:
    server, port = VllmServer(), free_port()
    late = VllmServer()
    async with serving(server.app) as url:
        config = config_for(f"http://127.0.0.1:{port}/v1", url, api_key=KEY)
        async with running_engine(config) as (engine, _):
            await eventually(lambda: not engine.status.replicas[0].is_up)
            assert engine.status.state is EngineState.READY
            assert "1 of 2 engine servers are out" in engine.status.worry
            await ask(engine, PROMPT, PLAIN)
            async with serving(late.app, port=port):
                await eventually(lambda: engine.status.replicas[0].is_up)
                assert engine.status.worry == ""


async def test_one_server_that_still_loads_does_not_hinder_the_start() -> None:
    async def load(request: web.Request) -> web.Response:
        return web.json_response({"error": {"message": "Loading model", "code": 503}}, status=503)

    server = VllmServer()
    async with serving(server.app) as url, serving(server_of(load)) as loading:
        config = config_for(url, loading, api_key=KEY, patience=HASTY, start_seconds=0.1)
        async with running_engine(config) as (engine, _):
            await eventually(lambda: not engine.status.replicas[1].is_up)
            await ask(engine, PROMPT, PLAIN)


async def test_a_server_that_comes_back_as_another_stays_out(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    server, other = VllmServer(), VllmServer()
    other.context_tokens = 64
    async with serving(server.app, port=port) as url:
        config = config_for(url, api_key=KEY)
        cluster = await learn(config)
    engine = RemoteEngine(config, cluster)
    async with serving(other.app, port=port):
        await engine.start()
        engine._pool._replicas[0].leave("a test says so")
        await eventually(lambda: "64 tokens of context" in engine.status.reason)
        assert engine.status.state is EngineState.RESTARTING
    await engine.close()
    assert KEY not in caplog.text


@pytest_asyncio.fixture
async def server() -> AsyncIterator[VllmServer]:
    server = VllmServer()
    async with serving(server.app) as url:
        server.url = url
        yield server


def events(*lines: bytes, pause: float = 0.0, repeat: int = 1) -> Handler:
    """Answer with these lines as a stream."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for _ in range(repeat):
            for line in lines:
                await response.write(line)
                await asyncio.sleep(pause)
        return response

    return answer


def chunk(text: str, **usage: int) -> bytes:
    document = {"choices": [{"index": 0, "text": text, "finish_reason": None}], "usage": usage}
    return f"data: {json.dumps(document)}\n\n".encode()


def status(code: int) -> Handler:
    """Answer with an error that quotes the key, as a careless proxy may."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": f"{request.headers['Authorization']} {code}"}}, status=code)

    return answer


async def silence(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    raise AssertionError


TROUBLE: dict[str, Handler] = {
    "nonsense": events(b"data: {nonsense\n\n"),
    "no choices": events(b'data: {"choice": 1}\n\n'),
    "a list": events(b'data: {"choices": {"a": 1}}\n\n'),
    "numbers": events(b'data: {"choices": [3]}\n\n'),
    "text of numbers": events(b'data: {"choices": [{"text": 5}]}\n\n'),
    "counts of words": events(b'data: {"choices": [{"text": "a"}], "usage": {"completion_tokens": "many"}}\n\n'),
    "nothing": events(),
    "an end without a reason": events(chunk("a", completion_tokens=1)),
    "a reply that was given up": events(b'data: {"choices": [{"text": "a", "finish_reason": "abort"}]}\n\n'),
    "a long line": events(b"data: " + b"x" * 65536, *[b"x" * 65536] * 160),
    "silence": silence,
    "comments for ever": events(b": still here\n\n", pause=0.05, repeat=1000),
    "empty events for ever": events(chunk(""), pause=0.05, repeat=1000),
    "more than was asked for": events(chunk("word "), repeat=5000),
    "longer than was asked for": events(chunk("x" * 60_000), repeat=5000),
    "an error in the middle": events(chunk("a"), b'data: {"error": {"message": "oh", "code": 500}}\n\n'),
    "401": status(401), "404": status(404), "429": status(429), "500": status(500), "503": status(503),
    "302": status(302),
}  # fmt: skip


def patience_with(trouble: str) -> Patience:
    """Be hasty only where a server is waited for in vain."""
    return HASTY if trouble in {"silence", "comments for ever", "empty events for ever"} else Patience()


@pytest.mark.parametrize("trouble", sorted(TROUBLE))
async def test_whatever_a_server_sends_a_caller_reads_one_of_our_errors(
    server: VllmServer, trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = config_for(server.url, api_key=KEY, patience=patience_with(trouble), watching=UNWATCHED)
    async with running_engine(config) as (engine, _):
        server.fault = TROUBLE[trouble]
        with pytest.raises(GenerationError) as caught:
            await ask(engine, PROMPT, PLAIN)
        assert type(caught.value) is EngineUnavailableError
        assert caught.value.retry_after_seconds >= 1
        assert KEY not in f"{caught.value!r} {engine.status} {caplog.text}"
        server.fault = None
        await eventually(lambda: engine.status.state is EngineState.READY)
        pieces, _ = await ask(engine, PROMPT, PLAIN)
        assert text_of(pieces) == REPLY


@pytest.mark.parametrize("trouble", ["nonsense", "silence", "500", "429", "nothing"])
async def test_what_has_not_begun_is_asked_for_once_more_elsewhere(server: VllmServer, trouble: str) -> None:
    other = VllmServer()
    async with serving(other.app) as second:
        config = config_for(server.url, second, api_key=KEY, patience=patience_with(trouble), watching=UNWATCHED)
        async with running_engine(config) as (engine, _):
            server.fault = other.fault = TROUBLE[trouble]
            with pytest.raises(EngineUnavailableError):
                await ask(engine, PROMPT, PLAIN)
            # Twice, and not for ever.
            assert [each.failures for each in engine.status.replicas] == [1, 1]
            other.fault = None
            await eventually(lambda: all(each.is_up for each in engine.status.replicas))
            for at in range(6):
                prompt = await engine.encode_chat([Message("user", f"number {at}")])
                pieces, _ = await ask(engine, prompt, PLAIN)
                assert text_of(pieces) == REPLY


async def test_one_odd_request_does_not_cost_a_server_but_three_do(server: VllmServer) -> None:
    async with running_engine(config_for(server.url, api_key=KEY, watching=UNWATCHED)) as (engine, _):
        server.fault = TROUBLE["500"]
        for is_up in (True, True, False):
            with pytest.raises(EngineUnavailableError):
                await ask(engine, PROMPT, PLAIN)
            assert engine.status.replicas[0].is_up is is_up


async def test_a_server_that_hangs_is_noticed_by_its_health_check() -> None:
    server = VllmServer()

    async def hang(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        raise AssertionError

    hanging = VllmServer()
    hanging.app = web.Application()
    hanging.app.router.add_get("/health", hang)
    port = free_port()
    async with serving(server.app, port=port) as url:
        config = config_for(url, api_key=KEY, watching=Watching(every=0.05, answer_within=0.1))
        cluster = await learn(config)
    engine = RemoteEngine(config, cluster)
    async with serving(hanging.app, port=port):
        await engine.start()
        await eventually(lambda: engine.status.state is EngineState.RESTARTING)
        assert "health check in time" in engine.status.reason
    await engine.close()
    assert engine.status.state is EngineState.STOPPED
