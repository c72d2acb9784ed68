"""The real service on an engine whose model is served elsewhere: refusals, names, health, and a server that dies."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from api import keys
from tests.doubles.openai_server import OpenAIServer
from tests.doubles.vllm_server import ADAPTER, KEY, MODEL, REPLY, VllmServer, serving
from tests.generation.remote.engines import config_for, running_engine
from tests.generation.remote.llama_servers import LlamaServer
from tests.service import Service, running_service
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

PERSONA = {"role": "system", "content": "You are Parley, a friendly assistant. Answer briefly."}


@asynccontextmanager
async def service_on(folder: Path, *urls: str, **changes: Any) -> AsyncIterator[Service]:
    """The service on an engine with these servers, wired as the program does it."""
    async with running_engine(config_for(*urls, **changes)) as (engine, cluster):
        name, *others = cluster.facts.names
        async with running_service(
            engine,
            folder,
            model_name=name,
            adapter_names=tuple(others),
            abilities=cluster.abilities,
            context_tokens=engine.context_tokens,
            engine_wait_seconds=0.5,
        ) as running:
            yield running


def user(text: str, **options: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **options}


async def test_vllm_answers_in_every_dialect_under_every_name(tmp_path: Path) -> None:
    server = VllmServer()
    async with serving(server.app) as url, service_on(tmp_path, url, api_key=KEY) as service:
        _, listed, _ = await service.get("/v1/models")
        assert [each["id"] for each in listed["data"]] == [MODEL, ADAPTER]
        status, card, _ = await service.get(f"/v1/models/{MODEL}")
        assert (status, card["id"]) == (200, MODEL)
        reply = await service.ask("Hello!")
        assert (reply["message"]["content"], reply["model"]) == (REPLY, MODEL)
        # Nobody asked for a window, and the server has none.
        assert server.asked["repetition_penalty"] == 1.1
        status, reply, _ = await service.post("/v1/chat/completions", {**user("Hi"), "model": ADAPTER, "n": 2})
        assert [choice["message"]["content"] for choice in reply["choices"]] == [REPLY, REPLY]
        assert server.asked["model"] == ADAPTER
        body = {"model": MODEL, "messages": user("Hi")["messages"], "stream": False}
        status, reply, _ = await service.post("/api/chat", body)
        assert (status, reply["message"]["content"]) == (200, REPLY)
        status, reply, _ = await service.post("/v1/messages", {**user("Hi"), "model": MODEL, "max_tokens": 3})
        assert (status, reply["stop_reason"]) == (200, "max_tokens")
        status, _, _ = await service.post("/api/show", {"model": MODEL})
        assert status == 200


@pytest.mark.parametrize(
    ("path", "extra", "field"),
    [
        ("/ai/chat", {"mirostat": 2}, "mirostat"),
        ("/ai/chat", {"tfs_z": 0.5}, "tfs_z"),
        ("/ai/chat", {"typical_p": 0.5}, "typical_p"),
        ("/ai/chat", {"repeat_last_n": 32}, "repeat_last_n"),
        ("/api/chat", {"model": MODEL, "stream": False, "options": {"mirostat": 1}}, "mirostat"),
        ("/api/v6/llm/chat", {"prompt": "Hi", "no_repeat_ngram_size": 3}, "no_repeat_ngram_size"),
    ],
)
async def test_what_the_servers_cannot_do_is_a_400_that_names_it(
    tmp_path: Path, path: str, extra: dict[str, Any], field: str
) -> None:
    server = VllmServer()
    async with serving(server.app) as url, service_on(tmp_path, url, api_key=KEY) as service:
        server.bodies.clear()
        body = extra if "prompt" in extra else {**user("Hi"), **extra}
        status, reply, _ = await service.post(path, body)
        assert status == 400
        assert field in str(reply)
        assert server.bodies == []
        # The same without it works, though the contract has a default for it.
        status, reply, _ = await service.post(
            path, {name: body[name] for name in body if name not in {field, "options"}}
        )
        assert status == 200


async def test_the_least_server_refuses_by_name_and_works_without(tmp_path: Path) -> None:
    server = OpenAIServer("a-model")
    async with serving(server.app) as url, service_on(tmp_path, url) as service:
        asked = {"top_k": 5, "min_p": 0.1, "repeat_penalty": 1.2, "format": "json", "num_predict": -2}
        status, reply, _ = await service.post("/ai/chat", user("Hi", **asked))
        assert status == 400
        assert {each["field"] for each in reply["details"]} == set(asked)
        assert (await service.ask("Hi"))["message"]["content"] == "Hello there, how are you?"
        status, reply, _ = await service.post(
            "/v1/chat/completions", {**user("Hi"), "model": "a-model", "logprobs": True, "ignore_eos": True}
        )
        assert status == 400
        begun = [*user("Hi")["messages"], {"role": "assistant", "content": "He"}]
        status, reply, _ = await service.post("/ai/chat", {"messages": begun})
        assert (status, reply["details"][0]["field"]) == (400, "messages")
        status, reply, _ = await service.post("/ai/chat", user("Hi", temperature=4.0))
        assert (status, reply["details"][0]["field"]) == (400, "options")
        tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
        status, reply, _ = await service.post(
            "/v1/chat/completions", {**user("Hi"), "model": "a-model", "tools": [tool]}
        )
        assert (status, reply["error"]["param"]) == (400, "tools")


async def test_a_failure_is_a_503_that_gives_the_call_back(tmp_path: Path) -> None:
    async def fail(request: web.Request) -> web.StreamResponse | None:
        return web.json_response({"error": {"message": f"secret {KEY}"}}, status=500)

    server = VllmServer()
    async with serving(server.app) as url, service_on(tmp_path, url, api_key=KEY) as service:
        server.fault = fail
        status, reply, response = await service.post("/ai/chat", user("Hi"))
        assert (status, reply["error"]) == (503, "Model unavailable")
        assert response.headers["Retry-After"] == "3"
        assert "secret" not in str(reply)
        assert await service.calls_used() == 0


async def test_two_llama_servers_one_of_which_dies(tmp_path: Path) -> None:
    """Affinity, a reply that had begun, one that had not, the worry, the return, the metrics."""
    # Room for a reply that is not over before it is broken.
    servers = [LlamaServer(context_tokens=4096), LlamaServer(context_tokens=4096)]
    await asyncio.gather(*(server.start() for server in servers))
    try:
        async with service_on(tmp_path, *(each.url for each in servers)) as service:
            await _expect_affinity(service)
            used = await service.calls_used()
            broken, home = await _break_a_reply(service, servers)
            assert broken["code"] == 503
            assert await service.calls_used() == used
            assert (await service.ask("Are you there?", num_predict=8))["done"] is True
            assert await service.calls_used() == used + 1
            status, health, _ = await service.get("/readyz")
            assert (status, health["status"]) == (200, "degraded")
            assert f"1 of 2 engine servers are out (number {home}: " in health["reason"]
            _, metrics, _ = await service.get("/metrics")
            assert f'parley_replica_up{{replica="{home}"}} 0.0' in metrics
            assert f'parley_replica_failures_total{{replica="{home}"}} 1.0' in metrics
            await servers[2 - home].kill()
            status, _reply, response = await service.post("/ai/chat", user("Hi"))
            assert (status, response.headers["Retry-After"]) == (503, "3")
            assert await service.calls_used() == used + 1
            status, health, _ = await service.get("/readyz")
            assert (status, health["status"]) == (503, "unavailable")
            await servers[home - 1].start()
            await eventually(lambda: _is_up(service, home))
            assert (await service.ask("Are you back?", num_predict=8))["done"] is True
    finally:
        for server in servers:
            await server.kill()


async def _expect_affinity(service: Service) -> None:
    """The second turn of each conversation finds the first in its server's cache."""
    asked = 0
    # Which server a conversation goes to is chance, and that all of a few go to one.
    for number in range(64):
        if number >= 8 and min(each.replies for each in _replicas(service)) >= 2:
            break
        first = [
            {**PERSONA, "content": f"You are helper {number}."},
            {"role": "user", "content": "Tell me of the sea."},
        ]
        _, reply, _ = await service.post("/ai/chat", {"messages": first, "num_predict": 16, "seed": 1})
        second = [*first, reply["message"], {"role": "user", "content": "And then?"}]
        _, later, _ = await service.post("/ai/chat", {"messages": second, "num_predict": 4})
        assert later["usage"]["cached_tokens"] >= reply["usage"]["prompt_tokens"] - 1
        asked += 2
    replies = [each.replies for each in _replicas(service)]
    assert sum(replies) == asked
    assert min(replies) >= 2


async def _break_a_reply(service: Service, servers: list[LlamaServer]) -> tuple[dict[str, Any], int]:
    """Kill the server in the middle of a streamed reply; gives the stream's last line and the server's number."""
    # To the end of the context: long enough to be killed in.
    body = {"messages": [PERSONA, *user("Tell me a long story.")["messages"]], "stream": True, "num_predict": -2}
    async with service.session.post(f"{service.url}/ai/chat", json=body, headers=service.headers) as response:
        await response.content.readline()
        home = next(each.number for each in _replicas(service) if each.running)
        await servers[home - 1].kill()
        lines = [line async for line in response.content]
    last: dict[str, Any] = json.loads(lines[-1])
    return last, home


def _replicas(service: Service) -> Any:
    return service.app[keys.ENGINE].status.replicas


def _is_up(service: Service, number: int) -> bool:
    return bool(_replicas(service)[number - 1].is_up)
