"""What a caller reads who waits for a slot, and what leaving the line does."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from api import keys, pipeline
from api.deadline import Deadline
from generation.engine import Engine
from tests.api.scripted_engine import ScriptedEngine
from tests.service import Service, running_service
from tests.waiting import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

HELLO = {"messages": [{"role": "user", "content": "Hello!"}], "num_predict": 2, "stream": True}
ENDLESS = {**HELLO, "num_predict": -2, "num_ctx": 4096, "temperature": 2}


@asynccontextmanager
async def asking(service: Service, body: dict[str, Any]) -> AsyncIterator[aiohttp.StreamReader]:
    """Ask for a stream and give its lines; leaving the block hangs up."""
    async with service.session.post(f"{service.url}/ai/chat", json=body, headers=service.headers) as response:
        assert response.status == 200
        try:
            yield response.content
        finally:
            response.close()


async def read(content: aiohttp.StreamReader) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        line = json.loads(await content.readline())
    assert isinstance(line, dict)
    return line


@pytest.fixture(autouse=True)
def told_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reply that holds the slot is over in seconds; places are told long before."""
    monkeypatch.setattr(pipeline, "PLACE_SECONDS", 0.02)


@asynccontextmanager
async def holding(service: Service, engine: ScriptedEngine) -> AsyncIterator[None]:
    """Hold the only slot with a stream that has begun and stands still; it hangs up when the block ends."""
    engine.may_go_on.clear()
    engine.pieces_before_pause = 1
    async with asking(service, ENDLESS) as running:
        await read(running)
        yield
    engine.may_go_on.set()


async def test_who_waits_is_told_the_place_and_moves_up(demo_engine: Engine, tmp_path: Path) -> None:
    engine = ScriptedEngine(demo_engine)
    async with running_service(engine, tmp_path, slots=1) as service:
        async with holding(service, engine):
            second = asyncio.create_task(_lines(service, HELLO))
            await eventually(lambda: service.app[keys.PIPELINE].queue.waiting == 1)
            async with asking(service, HELLO) as third:
                place = await read(third)
                assert set(place) == {"model", "created_at", "message", "done", "queue"}
                assert place["message"] == {"role": "assistant", "content": ""}
                assert place["done"] is False
                assert place["queue"] == {"position": 2, "wait_seconds": None}
        # The first hung up, which was measured; the third has left the line.
        places, pieces, last = _sorted(await second)
        assert pieces[0]["message"]["content"] == "", "the wait is over"
        assert places[0] == {"position": 1, "wait_seconds": None}
        assert "".join(piece["message"]["content"] for piece in pieces).strip()
        assert last["usage"]["completion_tokens"] == 2


async def _lines(service: Service, body: dict[str, Any]) -> list[dict[str, Any]]:
    async with asking(service, body) as content, asyncio.timeout(PATIENCE_SECONDS):
        return [json.loads(line) async for line in content]


async def _last(content: aiohttp.StreamReader) -> str:
    async with asyncio.timeout(PATIENCE_SECONDS):
        error: str = json.loads([line async for line in content][-1])["error"]
    return error


def _sorted(lines: list[dict[str, Any]]) -> tuple[list[Any], list[dict[str, Any]], dict[str, Any]]:
    """Tell places, pieces and the last line apart; places come first."""
    *before, last = lines
    places = [line["queue"] for line in before if "queue" in line]
    pieces = before[len(places) :]
    assert all("queue" not in piece for piece in pieces)
    return places, pieces, last


async def test_an_unmoved_place_is_repeated_to_keep_the_connection_alive(
    demo_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "SILENCE_SECONDS", 0.05)
    engine = ScriptedEngine(demo_engine)
    async with (
        running_service(engine, tmp_path, slots=1) as service,
        holding(service, engine),
        asking(service, HELLO) as waiting,
    ):
        assert [(await read(waiting))["queue"] for _ in range(3)] == [{"position": 1, "wait_seconds": None}] * 3


async def test_a_whole_reply_waits_in_silence(demo_engine: Engine, tmp_path: Path) -> None:
    engine = ScriptedEngine(demo_engine)
    async with running_service(engine, tmp_path, slots=1) as service:
        queue = service.app[keys.PIPELINE].queue
        async with holding(service, engine):
            waiting = asyncio.create_task(service.post("/ai/chat", {**HELLO, "stream": False}))
            await eventually(lambda: queue.waiting == 1)
        status, reply, _ = await waiting
        assert (status, reply["usage"]["completion_tokens"]) == (200, 2)


@asynccontextmanager
async def held_up(engine: Engine, folder: Path) -> AsyncIterator[Service]:
    """Run a service whose only slot is held for the whole block, by one call."""
    scripted = ScriptedEngine(engine)
    scripted.may_go_on.clear()
    async with running_service(scripted, folder, slots=1) as service:
        holding = asyncio.create_task(service.post("/ai/chat", HELLO))
        await eventually(lambda: service.app[keys.PIPELINE].queue.running == 1)
        yield service
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)


@pytest.mark.parametrize("stream", [True, False])
async def test_who_hangs_up_while_waiting_leaves_the_line_at_once_and_pays_nothing(
    demo_engine: Engine, tmp_path: Path, *, stream: bool
) -> None:
    async with held_up(demo_engine, tmp_path) as service:
        queue, allowance = service.app[keys.PIPELINE].queue, service.app[keys.ALLOWANCE]
        waiting = asyncio.create_task(service.post("/ai/chat", {**HELLO, "stream": stream}))
        await eventually(lambda: queue.waiting == 1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await eventually(lambda: queue.waiting == 0)
        await eventually(lambda: len(allowance.open) == 1)
        await allowance.drain()
        recorded = await service.ledger.usage(service.token.tenant_id)
        assert (recorded.used_today, recorded.prompt_tokens, recorded.completion_tokens) == (1, 0, 0)


async def test_who_is_told_a_place_and_hangs_up_gets_the_call_back(demo_engine: Engine, tmp_path: Path) -> None:
    async with held_up(demo_engine, tmp_path) as service:
        queue, allowance = service.app[keys.PIPELINE].queue, service.app[keys.ALLOWANCE]
        async with asking(service, HELLO) as waiting:
            assert (await read(waiting))["queue"]["position"] == 1
        await eventually(lambda: queue.waiting == 0)
        await eventually(lambda: len(allowance.open) == 1)
        await allowance.drain()
        assert await service.calls_used() == 1


async def test_an_error_after_a_place_was_told_is_the_last_line(demo_engine: Engine, tmp_path: Path) -> None:
    engine = ScriptedEngine(demo_engine)
    async with running_service(engine, tmp_path, slots=1) as service:
        # Too long for its context, which is found out when there is a slot.
        too_long = {**HELLO, "messages": [{"role": "user", "content": "word " * 500}], "num_ctx": 64}
        async with holding(service, engine):
            refused = asyncio.create_task(_lines(service, too_long))
            await eventually(lambda: service.app[keys.PIPELINE].queue.waiting == 1)
            async with asking(service, HELLO) as behind:
                assert (await read(behind))["queue"]["position"] == 2
        places, pieces, last = _sorted(await refused)
        assert places
        assert [piece["message"]["content"] for piece in pieces] == [""], "the wait is over"
        assert (last["error"], last["code"]) == ("Invalid request", 400)
        assert last["details"][0]["field"] == "messages"


async def test_a_deadline_in_the_line_gives_the_call_back(
    demo_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadlines: list[Deadline] = []

    class Known(Deadline):
        """A deadline that the test brings on, once both streams have begun."""

        def __init__(self, seconds: float) -> None:
            super().__init__(seconds)
            deadlines.append(self)

    monkeypatch.setattr(pipeline, "Deadline", Known)
    engine = ScriptedEngine(demo_engine)
    engine.may_go_on.clear()
    engine.pieces_before_pause = 1
    async with running_service(engine, tmp_path, slots=1) as service:
        async with asking(service, ENDLESS) as running, asking(service, ENDLESS) as waiting:
            await asyncio.gather(read(running), read(waiting))
            for deadline in deadlines:
                deadline._end()
            assert [await _last(content) for content in (running, waiting)] == ["Timeout", "Timeout"]
        await eventually(lambda: not service.app[keys.ALLOWANCE].open)
        assert await service.calls_used() == 0


def long(word: str) -> dict[str, Any]:
    """Return a request whose prompt takes its time."""
    return {**HELLO, "messages": [{"role": "user", "content": word * 2000}], "num_ctx": 4096}


async def test_a_long_prompt_is_not_read_in_silence(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "SILENCE_SECONDS", 0.001)
    *pieces, last = await _lines(service, long("word "))
    texts = [piece["message"]["content"] for piece in pieces]
    assert not all(texts)
    assert texts == sorted(texts, key=bool), "silence is broken before the reply, not in it"
    assert all(set(piece) == {"model", "created_at", "message", "done"} for piece in pieces)
    assert (last["done"], last["usage"]["completion_tokens"]) == (True, 2)


async def test_who_leaves_while_the_prompt_is_read_pays_no_tokens(
    demo_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "SILENCE_SECONDS", 0.001)
    engine = ScriptedEngine(demo_engine)
    engine.may_go_on.clear()
    engine.reads_before_pause = True
    async with running_service(engine, tmp_path) as service:
        # Other words, for the engine remembers prompts.
        async with asking(service, long("else ")) as content:
            assert (await read(content))["message"]["content"] == ""
        await eventually(lambda: not service.app[keys.ALLOWANCE].open)
        assert service.app[keys.PIPELINE].queue.running == 0
        recorded = await service.ledger.usage(service.token.tenant_id)
        assert (recorded.used_today, recorded.prompt_tokens, recorded.completion_tokens) == (1, 0, 0)
