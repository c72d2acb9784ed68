"""Somebody who floods the service, and somebody else who asks once: on the real service, counted, not timed."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from api import keys, pipeline
from generation.engine import Engine, Message
from tests.api.scripted_engine import ScriptedEngine
from tests.service import SERVICE_TOKEN, Service, running_service
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

SLOTS = 2
FLOOD = 100


class NotingEngine(ScriptedEngine):
    """Notes whose requests start, in order: a prompt is encoded when its request has a slot."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.started: list[str] = []

    async def encode_chat(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> list[int]:
        self.started.append(messages[-1].content)
        return await super().encode_chat(messages, tools)


def saying(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "num_predict": 4}


def person(number: int) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {SERVICE_TOKEN}",
        "X-Parley-On-Behalf-Of": "discord:4711",
        "X-Parley-Person": str(number),
    }


async def token_of_another(service: Service) -> dict[str, str]:
    other = await service.tokens.create("other", daily_calls=10)
    return {"Authorization": f"Bearer {other.secret}"}


@asynccontextmanager
async def flooded(service: Service, headers: Mapping[str, str], count: int) -> AsyncIterator[list[asyncio.Task[int]]]:
    """Send many requests at once; they all hang up at the end of the block."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=headers) as session:

        async def ask() -> int:
            async with session.post(f"{service.url}/ai/chat", json=saying("flood")) as response:
                await response.read()
                return response.status

        tasks = [asyncio.create_task(ask()) for _ in range(count)]
        try:
            yield tasks
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def are_some_refused(flood: list[asyncio.Task[int]]) -> bool:
    return sum(task.done() for task in flood) > 1


@pytest.mark.parametrize("who", ["tenants", "people of one server"])
async def test_a_flooder_delays_others_by_no_more_than_two_requests_and_leaves_at_once(
    demo_engine: Engine, tmp_path: Path, who: str
) -> None:
    engine = NotingEngine(demo_engine)
    async with running_service(engine, tmp_path, slots=SLOTS, max_waiting=200) as service:
        queue, allowance = service.app[keys.PIPELINE].queue, service.app[keys.ALLOWANCE]
        flooder, other = service.headers, await token_of_another(service)
        if who != "tenants":
            flooder, other = person(1), person(2)
        engine.may_go_on.clear()
        async with flooded(service, flooder, FLOOD):
            await eventually(lambda: (queue.running, queue.waiting) == (SLOTS, FLOOD - SLOTS))
            asking = asyncio.create_task(service.post("/ai/chat", saying("other"), headers=other))
            await eventually(lambda: queue.waiting == FLOOD - SLOTS + 1)
            await eventually(lambda: len(engine.started) == SLOTS)
            engine.may_go_on.set()
            assert (await asking)[0] == 200
            between = engine.started[SLOTS : engine.started.index("other")]
            assert len(between) <= 2
            assert set(between) <= {"flood"}
        await eventually(lambda: not (queue.waiting or queue.running or allowance.open))
        await allowance.drain()
        # Who never had a slot has paid nothing. Some got one in the moment in which they left.
        tenant = service.token.tenant_id if who == "tenants" else "discord:4711"
        assert (await service.ledger.usage(tenant)).used_today < FLOOD / 2


async def test_a_flooder_takes_nobody_elses_room(demo_engine: Engine, tmp_path: Path) -> None:
    engine = NotingEngine(demo_engine)
    async with running_service(engine, tmp_path, slots=1, max_waiting=8) as service:
        queue = service.app[keys.PIPELINE].queue
        engine.may_go_on.clear()
        async with flooded(service, service.headers, 20) as flood:
            await eventually(lambda: sum(task.done() for task in flood) == 13)
            assert {task.result() for task in flood if task.done()} == {503}
            assert (queue.running, queue.waiting) == (1, 6)
            asking = asyncio.create_task(
                service.post("/ai/chat", saying("other"), headers=await token_of_another(service))
            )
            await eventually(lambda: queue.waiting == 7)
            engine.may_go_on.set()
            assert (await asking)[0] == 200
            # Who was let in before stayed.
            assert [status for status in await asyncio.gather(*flood) if status != 503] == [200] * 7


async def test_many_flooders_together_take_nobody_elses_room(demo_engine: Engine, tmp_path: Path) -> None:
    engine = NotingEngine(demo_engine)
    async with running_service(engine, tmp_path, slots=1, max_waiting=8) as service, AsyncExitStack() as stack:
        queue = service.app[keys.PIPELINE].queue
        engine.may_go_on.clear()
        tokens = [await service.tokens.create(f"flooder {number}", daily_calls=100) for number in range(6)]
        floods = []
        for token in tokens:
            flood = await stack.enter_async_context(flooded(service, {"Authorization": token.secret}, 9))
            floods.append(flood)
            await eventually(partial(are_some_refused, flood))
        await eventually(lambda: sum(not task.done() for flood in floods for task in flood) == 9)
        assert queue.waiting == 8
        asking = asyncio.create_task(service.post("/ai/chat", saying("other"), headers=await token_of_another(service)))
        # One of them gives way, and is told so.
        await eventually(lambda: sum(not task.done() for flood in floods for task in flood) == 8)
        assert (queue.waiting, asking.done()) == (8, False)
        engine.may_go_on.set()
        assert (await asking)[0] == 200
        for token, flood in zip(tokens, floods, strict=True):
            statuses = await asyncio.gather(*flood)
            assert set(statuses) == {200, 503}
            assert (await service.ledger.usage(token.token.id)).used_today == statuses.count(200)


async def test_who_gives_way_after_a_place_was_told_reads_it_as_the_last_line(
    demo_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "PLACE_SECONDS", 0.02)
    engine = NotingEngine(demo_engine)
    async with running_service(engine, tmp_path, slots=1, max_waiting=2) as service:
        queue = service.app[keys.PIPELINE].queue
        engine.may_go_on.clear()
        async with flooded(service, service.headers, 2):
            await eventually(lambda: (queue.running, queue.waiting) == (1, 1))
            body = {**saying("last"), "stream": True}
            async with service.session.post(f"{service.url}/ai/chat", json=body, headers=service.headers) as response:
                assert "queue" in json.loads(await response.content.readline())
                other = await token_of_another(service)
                asking = asyncio.create_task(service.post("/ai/chat", saying("other"), headers=other))
                async with asyncio.timeout(30):
                    *_, last = [json.loads(line) async for line in response.content]
            assert (last["error"], last["code"]) == ("Busy", 503)
            engine.may_go_on.set()
            assert (await asking)[0] == 200


async def test_a_flooder_leaves_a_slot_to_those_who_asked_lately(demo_engine: Engine, tmp_path: Path) -> None:
    engine = NotingEngine(demo_engine)
    async with running_service(engine, tmp_path, slots=SLOTS) as service:
        queue, other = service.app[keys.PIPELINE].queue, await token_of_another(service)
        assert (await service.post("/ai/chat", saying("other"), headers=other))[0] == 200
        engine.may_go_on.clear()
        async with flooded(service, service.headers, 10):
            await eventually(lambda: queue.running + queue.waiting == 10)
            assert queue.running == 1
            asking = asyncio.create_task(service.post("/ai/chat", saying("other"), headers=other))
            await eventually(lambda: engine.started.count("other") == 2)
            assert queue.waiting == 9
            engine.may_go_on.set()
            assert (await asking)[0] == 200
