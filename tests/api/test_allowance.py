"""What a call costs, and what is left: exact under any concurrency."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api import keys
from generation.engine import Engine
from tests.api.scripted_engine import ScriptedEngine
from tests.service import SERVICE_TOKEN, Service, running_service
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

HELLO = {"messages": [{"role": "user", "content": "Hello!"}], "num_predict": 1}
ENDLESS = {**HELLO, "num_predict": -2, "num_ctx": 4096, "temperature": 2}


class FixedClock:
    """A clock that a test turns."""

    def __init__(self, now: datetime) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time


async def test_two_hundred_at_once_on_fifty_calls(demo_engine: Engine, tmp_path: Path) -> None:
    async with running_service(demo_engine, tmp_path, daily_calls=50, max_waiting=500) as service:
        answers = await asyncio.gather(*(service.post("/ai/chat", HELLO) for _ in range(200)))
        assert Counter(status for status, _, _ in answers) == {200: 50, 429: 150}
        assert await service.calls_used() == 50
        left = sorted(reply["usage"]["calls_remaining"] for status, reply, _ in answers if status == 200)
        assert left == list(range(50))
        recorded = await service.ledger.usage(service.token.tenant_id)
        assert recorded.completion_tokens == sum(r["usage"]["completion_tokens"] for s, r, _ in answers if s == 200)


async def test_a_spent_day_says_when_the_next_begins(demo_engine: Engine, tmp_path: Path) -> None:
    clock = FixedClock(datetime(2026, 7, 1, 12, 0, tzinfo=UTC))
    async with running_service(demo_engine, tmp_path, daily_calls=1, clock=clock) as service:
        await service.post("/ai/chat", HELLO)
        status, error, response = await service.post("/ai/chat", HELLO)
        assert (status, error["error"]) == (429, "Too many requests")
        # London is an hour ahead of UTC in July.
        midnight = datetime(2026, 7, 1, 23, 0, tzinfo=UTC)
        seconds = int((midnight - clock.time).total_seconds())
        assert response.headers["Retry-After"] == str(seconds)
        assert response.headers["X-RateLimit-Limit"] == "1"
        assert response.headers["X-RateLimit-Remaining"] == "0"
        assert response.headers["X-RateLimit-Reset"] == str(int(midnight.timestamp()))
        assert response.headers["RateLimit-Policy"] == '"daily";q=1;w=86400'
        assert response.headers["RateLimit"] == f'"daily";r=0;t={seconds}'
        clock.time = midnight - timedelta(seconds=1)
        assert (await service.post("/ai/chat", HELLO))[0] == 429
        clock.time = midnight
        assert (await service.post("/ai/chat", HELLO))[0] == 200


async def test_every_authenticated_reply_carries_the_headers(service: Service) -> None:
    for path, body in (("/ai/chat", HELLO), ("/ai/chat", {}), ("/ai/tokenize", {"text": "x"}), ("/ai/tokenize", {})):
        _, _, response = await service.post(path, body)
        for name in ("X-RateLimit-Limit", "X-RateLimit-Reset", "RateLimit", "RateLimit-Policy", "X-Request-Id"):
            assert name in response.headers
    _, _, response = await service.get("/ai/usage")
    assert response.headers["X-RateLimit-Remaining"] == "998"


async def test_usage_and_tokenize_cost_no_call(service: Service) -> None:
    await service.post("/ai/tokenize", {"text": "x"})
    await service.get("/ai/usage")
    await service.get("/v1/models")
    assert await service.calls_used() == 0


async def test_usage_reports_the_day(service: Service) -> None:
    reply = await service.ask("Hello!")
    await service.post("/ai/chat", {})
    status, usage, _ = await service.get("/ai/usage")
    assert status == 200
    assert usage["id"] == service.token.id
    assert usage["name"] == "tests"
    assert usage["calls"] == {"used": 2, "limit": 1000, "remaining": 998}
    assert usage["llm_tokens"] == {
        "prompt": reply["usage"]["prompt_tokens"],
        "completion": reply["usage"]["completion_tokens"],
        "balance": None,
    }
    assert usage["mature"] is False
    assert len(usage["days"]) == 1
    assert usage["days"][0]["calls"] == 2


async def test_a_balance_goes_below_zero_once_then_refuses(demo_engine: Engine, tmp_path: Path) -> None:
    async with running_service(demo_engine, tmp_path, llm_balance=5) as service:
        reply = await service.ask("Hello!")
        left = reply["usage"]["llm_tokens_remaining"]
        assert left == 5 - reply["usage"]["total_tokens"] < 0
        status, error, _ = await service.post("/ai/chat", HELLO)
        assert (status, error["error"]) == (403, "Forbidden")
        assert await service.calls_used() == 2
        _, usage, _ = await service.get("/ai/usage")
        assert usage["llm_tokens"]["balance"] == left


async def test_a_full_queue_refuses_and_gives_the_call_back(demo_engine: Engine, tmp_path: Path) -> None:
    engine = ScriptedEngine(demo_engine)
    async with running_service(engine, tmp_path, slots=1, max_waiting=1) as service:
        engine.may_go_on.clear()
        asking = [asyncio.create_task(service.post("/ai/chat", HELLO)) for _ in range(5)]
        await eventually(lambda: sum(task.done() for task in asking) == 3)
        engine.may_go_on.set()
        answers = await asyncio.gather(*asking)
        assert Counter(status for status, _, _ in answers) == {200: 2, 503: 3}
        refusal, response = next((reply, response) for status, reply, response in answers if status == 503)
        assert refusal["error"] == "Busy"
        assert int(response.headers["Retry-After"]) >= 1
        assert await service.calls_used() == 2


async def test_a_deadline_is_a_504_and_given_back(demo_engine: Engine, tmp_path: Path) -> None:
    engine = ScriptedEngine(demo_engine)
    async with running_service(engine, tmp_path, reply_deadline_seconds=0.2) as service:
        engine.may_go_on.clear()
        engine.pieces_before_pause = 1
        status, error, _ = await service.post("/ai/chat", ENDLESS)
        assert (status, error["error"]) == (504, "Timeout")
        assert await service.calls_used() == 0


@pytest.mark.parametrize("stream", [True, False])
async def test_a_caller_that_hangs_up_frees_the_slot_and_pays_what_was_made(
    demo_engine: Engine, tmp_path: Path, *, stream: bool
) -> None:
    engine = ScriptedEngine(demo_engine)
    async with running_service(engine, tmp_path, slots=1) as service:
        queue, allowance = service.app[keys.PIPELINE].queue, service.app[keys.ALLOWANCE]
        engine.may_go_on.clear()
        engine.pieces_before_pause = 10
        asking = asyncio.create_task(service.post("/ai/chat", {**ENDLESS, "stream": stream}))
        await eventually(lambda: any(call.completion_tokens > 5 for call in allowance.open))
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await eventually(lambda: queue.running == 0)
        await eventually(lambda: not allowance.open)
        await allowance.drain()
        recorded = await service.ledger.usage(service.token.tenant_id)
        assert recorded.used_today == 1
        assert recorded.prompt_tokens > 0
        assert 5 < recorded.completion_tokens < 4000


async def test_callers_that_hang_up_at_any_moment_leave_no_call_open(service: Service) -> None:
    allowance = service.app[keys.ALLOWANCE]
    for number in range(60):
        asking = asyncio.create_task(service.post("/ai/chat", HELLO))
        # From before the request is sent to after its reply.
        await asyncio.sleep(number * 0.0005)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    # Whatever was sent before has arrived when this is answered.
    assert (await service.post("/ai/chat", HELLO))[0] == 200
    await eventually(lambda: not allowance.open)
    await allowance.drain()
    used = await service.calls_used()
    assert await service.ledger.reclaim_open_calls() == 0
    assert await service.calls_used() == used <= 61


async def test_the_service_token_charges_the_server_it_acts_for(service: Service) -> None:
    headers = {"Authorization": f"Bearer {SERVICE_TOKEN}", "X-Parley-On-Behalf-Of": "discord:4711"}
    status, reply, response = await service.post("/ai/chat", HELLO, headers=headers)
    assert status == 200
    assert reply["usage"]["calls_remaining"] == 999
    assert response.headers["X-RateLimit-Limit"] == "1000"
    assert (await service.ledger.usage("discord:4711")).used_today == 1
    assert await service.calls_used() == 0
