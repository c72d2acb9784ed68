"""Stopping, stalling, unreadable requests and a locked database: what the service does when others misbehave."""

import asyncio
import logging
from pathlib import Path

import pytest

from api import keys
from generation.engine import Engine
from tests.api.scripted_engine import ScriptedEngine
from tests.new_database import locked
from tests.service import Service, running_service
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

HELLO = {"messages": [{"role": "user", "content": "Hello!"}], "num_predict": 1}
ENDLESS = {**HELLO, "num_predict": -2, "num_ctx": 4096, "temperature": 2, "stream": True}


async def test_a_stop_ends_what_outlasts_its_time_and_gives_it_back(demo_engine: Engine, tmp_path: Path) -> None:
    engine = ScriptedEngine(demo_engine)
    async with running_service(engine, tmp_path) as service:
        engine.may_go_on.clear()
        engine.pieces_before_pause = 1
        draining = service.app[keys.DRAINING]
        asking = asyncio.create_task(service.post("/ai/chat", ENDLESS))
        await eventually(lambda: any(c.completion_tokens for c in service.app[keys.ALLOWANCE].open))
        await draining.wait(0.01)
        service.app[keys.ALLOWANCE].is_stopping = True
        draining.cancel()
        await eventually(lambda: not service.app[keys.ALLOWANCE].open)
        assert await service.calls_used() == 0
        await asyncio.gather(asking, return_exceptions=True)


async def test_waiting_for_requests_ends_at_once_when_none_runs_or_somebody_hurries(service: Service) -> None:
    draining = service.app[keys.DRAINING]
    async with asyncio.timeout(30):
        await draining.wait(60)
        hurry = asyncio.Event()
        asking = asyncio.create_task(service.post("/ai/chat", ENDLESS))
        await eventually(lambda: bool(service.app[keys.ALLOWANCE].open))
        hurry.set()
        await draining.wait(60, hurry=hurry)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /ai/usage HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer parley_SECRETWORD\x01\r\n\r\n",
        b"GET /ai/usage HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer parley_SECRETWORD\nrest\r\n\r\n",
        b"GET /secretword? HTTP/9.9.9 SECRETWORD\r\n\r\n",
        b"POST /ai/chat HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nSECRETWORD\r\n",
    ],
)
async def test_what_is_no_http_is_refused_without_being_repeated(
    service: Service, request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(service.url.rsplit(":", 1)[1]))
    writer.write(request_bytes)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await writer.wait_closed()
    assert answer.split()[1] in {b"400", b"401"}
    assert b'"request_id"' in answer
    assert b"SECRETWORD" not in answer.upper()
    assert "SECRETWORD" not in caplog.text.upper()


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_body_that_is_not_what_its_encoding_says_is_refused(service: Service, encoding: str) -> None:
    headers = {**service.headers, "Content-Type": "application/json", "Content-Encoding": encoding}
    async with service.session.post(
        f"{service.url}/ai/chat", data=b"garbage" * 10, headers=headers, compress=None
    ) as response:
        assert response.status == 400
        assert (await response.json())["error"] == "Invalid request"
    assert await service.calls_used() == 1


async def test_forty_thousand_unknown_fields_are_refused_in_a_short_reply(service: Service) -> None:
    status, error, _ = await service.post("/ai/chat", {**HELLO, **{f"field{n}": n for n in range(40_000)}})
    assert status == 400
    assert "1000 fields" in error["message"]


async def test_a_spent_balance_still_tells_the_days_calls(demo_engine: Engine, tmp_path: Path) -> None:
    async with running_service(demo_engine, tmp_path, llm_balance=0) as service:
        status, _, response = await service.post("/ai/chat", HELLO)
        assert status == 403
        assert response.headers["X-RateLimit-Remaining"] == "999"


async def test_a_call_is_given_back_once_the_database_is_free_again(demo_engine: Engine, tmp_path: Path) -> None:
    engine = ScriptedEngine(demo_engine)
    async with running_service(engine, tmp_path, busy_timeout_seconds=0.2) as service:
        await service.until_quiet()
        allowance = service.app[keys.ALLOWANCE]
        engine.may_go_on.clear()
        engine.pieces_before_pause = 1
        asking = asyncio.create_task(service.post("/ai/chat", {**ENDLESS, "stream": False, "num_ctx": 1024}))
        await eventually(lambda: any(call.completion_tokens for call in allowance.open))
        async with locked(tmp_path / "parley.db"):
            engine.may_go_on.set()
            status, error, _ = await asking
        assert (status, error["error"]) == (503, "Busy")
        await allowance.drain()
        assert await service.calls_used() == 0
        assert await service.ledger.reclaim_open_calls() == 0
