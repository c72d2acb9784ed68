"""A database that takes no writes, and a clock that jumps: what callers and watchers get, and that nothing is lost."""

import asyncio
import gc
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from api import allowance, keys
from generation.engine import Engine
from storage.errors import DatabaseBusyError
from tests.api.scripted_engine import ScriptedEngine
from tests.api.test_allowance import FixedClock
from tests.doubles.webhook_receiver import receiving
from tests.new_database import locked
from tests.service import Service, running_service
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

HELLO = {"messages": [{"role": "user", "content": "Hello!"}], "num_predict": 1}
LONG = {**HELLO, "num_predict": -2, "num_ctx": 1024, "temperature": 2}


# Locked


async def test_a_short_lock_is_waited_out(demo_engine: Engine, tmp_path: Path) -> None:
    async with running_service(demo_engine, tmp_path, busy_timeout_seconds=60) as service:
        async with locked(tmp_path / "parley.db"):
            asking = asyncio.create_task(service.post("/ai/chat", HELLO))
            # A second: nothing tells from outside that the write waits.
            _, waiting = await asyncio.wait([asking], timeout=1.0)
            assert waiting
        status, _, _ = await asking
        assert status == 200
        assert await service.calls_used() == 1


async def test_a_long_lock_is_a_503_that_costs_nothing_and_reads_go_on(demo_engine: Engine, tmp_path: Path) -> None:
    async with running_service(demo_engine, tmp_path, busy_timeout_seconds=0.2) as service:
        await service.until_quiet()
        assert (await service.post("/ai/chat", HELLO))[0] == 200
        async with locked(tmp_path / "parley.db"):
            answers = await asyncio.gather(*(service.post("/ai/chat", HELLO) for _ in range(8)))
            for status, error, response in answers:
                assert (status, error["error"]) == (503, "Busy")
                assert int(response.headers["Retry-After"]) >= 1
            status, usage, _ = await service.get("/ai/usage")
            assert (status, usage["calls"]["used"]) == (200, 1)
            assert (await service.post("/ai/tokenize", {"text": "x"}))[0] == 200
            status, health, _ = await service.get("/readyz")
            assert status == 503
            assert "database takes no writes" in health["reason"]
            assert (await service.get("/healthz"))[0] == 200
        assert (await service.get("/readyz"))[0] == 200
        assert (await service.post("/ai/chat", HELLO))[0] == 200
        assert await service.calls_used() == 2


async def test_a_call_is_closed_however_long_the_lock_lasts(
    demo_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(allowance, "RETRY_SECONDS", (0.01,))
    engine = ScriptedEngine(demo_engine)
    async with running_service(engine, tmp_path, busy_timeout_seconds=0.2) as service:
        await service.until_quiet()
        calls = service.app[keys.ALLOWANCE]
        engine.may_go_on.clear()
        engine.pieces_before_pause = 1
        asking = asyncio.create_task(service.post("/ai/chat", LONG))
        await eventually(lambda: any(call.completion_tokens for call in calls.open))
        async with locked(tmp_path / "parley.db"):
            engine.may_go_on.set()
            assert (await asking)[0] == 503
            await eventually(lambda: caplog.text.count("could not be closed yet") > 6)
        await eventually(lambda: not calls._closing)
        assert await service.calls_used() == 0
        assert await service.ledger.reclaim_open_calls() == 0


@pytest.mark.sqlite
async def test_a_stop_does_not_wait_for_a_lock_that_lasts(demo_engine: Engine, tmp_path: Path) -> None:
    engine = ScriptedEngine(demo_engine)
    async with running_service(engine, tmp_path, busy_timeout_seconds=0.2) as service:
        await service.until_quiet()
        calls = service.app[keys.ALLOWANCE]
        engine.may_go_on.clear()
        engine.pieces_before_pause = 1
        asking = asyncio.create_task(service.post("/ai/chat", LONG))
        await eventually(lambda: any(call.completion_tokens for call in calls.open))
        async with locked(tmp_path / "parley.db"):
            engine.may_go_on.set()
            assert (await asking)[0] == 503
            async with asyncio.timeout(10):
                await calls.drain()
        assert await service.ledger.reclaim_open_calls() == 1, "the next start gives it back"


async def test_a_move_that_fails_after_its_caller_has_left_says_nothing_of_itself_in_the_log(
    demo_engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gc.collect()  # Others' leavings, which are told of too.
    caplog.clear()
    async with running_service(demo_engine, tmp_path) as service:
        calls, may_fail = service.app[keys.ALLOWANCE], asyncio.Event()

        async def fail() -> None:
            await may_fail.wait()
            raise DatabaseBusyError("locked")

        leaving = asyncio.create_task(calls._finish(fail()))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        may_fail.set()
        await eventually(lambda: not calls._closing)
        del leaving
        gc.collect()
        assert "never retrieved" not in caplog.text


async def test_a_reply_that_could_not_be_kept_is_taken_back(
    demo_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_service(demo_engine, tmp_path, llm_balance=1000) as service:
        body = {"key": service.secret, "prompt": "Hello!", "max_new_tokens": 4}
        monkeypatch.setattr(service.app[keys.CHATS], "add_turn", refuse)
        status, error, _ = await service.post("/api/v6/llm/chat", body)
        assert (status, error["status"]) == (503, "error")
        recorded = await service.ledger.usage(service.token.tenant_id)
        assert (recorded.used_today, recorded.prompt_tokens, recorded.completion_tokens) == (0, 0, 0)
        assert (await service.tokens.get(service.token.id)).llm_balance == 1000
        assert await service.ledger.reclaim_open_calls() == 0


async def refuse(*arguments: object, **options: object) -> None:
    raise DatabaseBusyError("locked")


# A clock that jumps


def days_of(usage: dict[str, list[dict[str, object]]]) -> dict[str, object]:
    return {str(day["date"]): day["calls"] for day in usage["days"]}


async def test_a_reply_that_runs_over_a_jump_past_midnight_belongs_to_the_day_it_was_asked_on(
    demo_engine: Engine, tmp_path: Path
) -> None:
    engine, clock = ScriptedEngine(demo_engine), FixedClock(datetime(2026, 7, 1, 12, 0, tzinfo=UTC))
    async with running_service(engine, tmp_path, daily_calls=1, clock=clock, zone="UTC") as service:
        engine.may_go_on.clear()
        asking = asyncio.create_task(service.post("/ai/chat", HELLO))
        await eventually(lambda: engine.asked == 1)
        clock.time += timedelta(days=1)
        engine.may_go_on.set()
        status, reply, _ = await asking
        assert (status, reply["usage"]["calls_remaining"]) == (200, 0)
        assert (await service.post("/ai/chat", HELLO))[0] == 200, "the new day has calls of its own"
        assert (await service.post("/ai/chat", HELLO))[0] == 429
        recorded = await service.ledger.usage(service.token.tenant_id)
        assert {day.date: (day.calls, day.completion_tokens) for day in recorded.days} == {
            date(2026, 7, 1): (1, reply["usage"]["completion_tokens"]),
            date(2026, 7, 2): (1, 1),
        }


async def test_a_clock_set_back_over_midnight_takes_up_the_day_before_where_it_was(
    demo_engine: Engine, tmp_path: Path
) -> None:
    clock = FixedClock(datetime(2026, 7, 1, 23, 50, tzinfo=UTC))
    async with running_service(demo_engine, tmp_path, daily_calls=2, clock=clock, zone="UTC") as service:
        for _ in range(2):
            assert (await service.post("/ai/chat", HELLO))[0] == 200
        clock.time = datetime(2026, 7, 2, 0, 30, tzinfo=UTC)
        assert (await service.post("/ai/chat", HELLO))[0] == 200
        clock.time -= timedelta(hours=1)
        status, _, response = await service.post("/ai/chat", HELLO)
        assert (status, response.headers["Retry-After"]) == (429, "1800")
        _, usage, _ = await service.get("/ai/usage")
        assert days_of(usage) == {"2026-07-02": 1, "2026-07-01": 2}
        clock.time += timedelta(hours=1)
        _, reply, _ = await service.post("/ai/chat", HELLO)
        assert reply["usage"]["calls_remaining"] == 0, "the call of before the jump still counts"


@pytest.mark.parametrize(
    ("now", "seconds"),
    [
        (datetime(2026, 3, 28, 12, 0, tzinfo=UTC), 12 * 3600),
        (datetime(2026, 3, 29, 12, 0, tzinfo=UTC), 11 * 3600),
        (datetime(2026, 10, 24, 12, 0, tzinfo=UTC), 11 * 3600),
        (datetime(2026, 10, 25, 12, 0, tzinfo=UTC), 12 * 3600),
        (datetime(2026, 3, 29, 0, 30, tzinfo=UTC), 22 * 3600 + 1800),
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), 23 * 3600 + 1800),
    ],
)
async def test_the_wait_for_the_next_day_is_right_when_summer_time_begins_and_ends(
    demo_engine: Engine, tmp_path: Path, now: datetime, seconds: int
) -> None:
    clock = FixedClock(now)
    async with running_service(demo_engine, tmp_path, daily_calls=0, clock=clock, zone="Europe/London") as service:
        status, _, response = await service.post("/ai/chat", HELLO)
        assert (status, response.headers["Retry-After"]) == (429, str(seconds))


async def test_a_token_expires_and_lives_again_as_the_clock_says(demo_engine: Engine, tmp_path: Path) -> None:
    clock = FixedClock(datetime(2026, 7, 1, 12, 0, tzinfo=UTC))
    async with running_service(demo_engine, tmp_path, clock=clock) as service:
        issued = await service.tokens.create("brief", daily_calls=9, expires_at=clock.time + timedelta(hours=1))
        headers = {"Authorization": issued.secret}
        for jump, expected in ((0, 200), (2, 401), (-2, 200)):
            clock.time += timedelta(hours=jump)
            assert (await service.get("/ai/usage", headers=headers))[0] == expected


@pytest.mark.parametrize("jump", [timedelta(days=400), timedelta(hours=-1)])
async def test_who_waits_in_line_does_not_notice_a_jump(demo_engine: Engine, tmp_path: Path, jump: timedelta) -> None:
    engine, clock = ScriptedEngine(demo_engine), FixedClock(datetime(2026, 7, 1, 12, 0, tzinfo=UTC))
    async with running_service(engine, tmp_path, slots=1, clock=clock, reply_deadline_seconds=60.0) as service:
        engine.may_go_on.clear()
        asking = [asyncio.create_task(service.post("/ai/chat", HELLO)) for _ in range(3)]
        await eventually(lambda: waiting(service) == 2)
        clock.time += jump
        engine.may_go_on.set()
        assert [status for status, _, _ in await asyncio.gather(*asking)] == [200, 200, 200]


async def test_a_reply_for_a_webhook_is_not_taken_for_lost_because_the_clock_jumped(
    demo_engine: Engine, tmp_path: Path
) -> None:
    engine, clock = ScriptedEngine(demo_engine), FixedClock(datetime(2026, 7, 1, 12, 0, tzinfo=UTC))
    async with (
        receiving() as receiver,
        running_service(engine, tmp_path, clock=clock, allows_private_webhooks=True) as service,
    ):
        engine.may_go_on.clear()
        body = {"key": service.secret, "prompt": "Hello!", "max_new_tokens": 4, "webhook": receiver.url}
        status, accepted, _ = await service.post("/api/v6/llm/chat", {**body, "no_repeat_ngram_size": 0})
        assert (status, accepted["status"]) == (200, "processing")
        await eventually(lambda: engine.asked == 1)
        clock.time += timedelta(hours=1)
        # Time enough to take it over, for whoever believes the clock.
        for _ in range(50):
            service.app[keys.DELIVERER].wake()
            await asyncio.sleep(0.01)
        engine.may_go_on.set()
        (received,) = await receiver.until(1)
        assert received.json["status"] == "success"
        assert await service.calls_used() == 1


def waiting(service: Service) -> int:
    return service.app[keys.PIPELINE].queue.waiting
