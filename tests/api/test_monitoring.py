"""What watches the service: metrics, the dashboard and alerts made of them, readiness, a line per call."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from api import keys, readiness
from api.readiness import FULL_SHARE
from generation.engine import Engine, EngineState, EngineStatus, ReplicaStatus
from tests.api.scripted_engine import ScriptedEngine
from tests.service import MODEL_NAME, Service, running_service
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

MONITORING = Path("docs/monitoring")
METRIC = re.compile(r"\b(?:parley|process)_[a-z_]+")
SUFFIX = re.compile(r"_(?:total|bucket|count|sum|created)$")


@pytest.fixture
def engine(demo_engine: Engine) -> ScriptedEngine:
    return ScriptedEngine(demo_engine)


@pytest_asyncio.fixture(loop_scope="session")
async def service(engine: ScriptedEngine, tmp_path: Path) -> AsyncIterator[Service]:
    async with running_service(engine, tmp_path, slots=1, max_waiting=8, daily_calls=7) as service:
        yield service


async def samples(service: Service) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Read `/metrics`: values by name and labels."""
    status, text, response = await service.get("/metrics", headers={})
    assert status == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert service.secret not in text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_a_call_is_counted_once_in_every_metric(service: Service) -> None:
    reply = await service.ask("Hello!")
    await service.get("/nowhere/secret-path", headers={})
    found = await samples(service)
    asked = (("method", "POST"), ("route", "/ai/chat"), ("status", "200"))
    assert found["parley_requests_total", asked] == 1
    for name in ("parley_queue_wait_seconds", "parley_first_token_seconds", "parley_reply_tokens_per_second"):
        assert found[f"{name}_count", ()] == 1
    assert found["parley_first_token_seconds_sum", ()] >= found["parley_queue_wait_seconds_sum", ()]
    usage = reply["usage"]
    assert found["parley_llm_tokens_total", (("kind", "completion"),)] == usage["completion_tokens"]
    computed = found["parley_prompt_tokens_total", (("source", "computed"),)]
    cached = found["parley_prompt_tokens_total", (("source", "cache"),)]
    assert (cached, cached + computed) == (usage["cached_tokens"], usage["prompt_tokens"])
    assert (found["parley_engine_ready", ()], found["parley_slots", ()]) == (1, 1)
    assert not [key for key in found if "secret-path" in str(key)]


async def test_whoever_ran_into_a_limit_is_counted_by_the_limit(
    service: Service, engine: ScriptedEngine, tmp_path: Path
) -> None:
    engine.may_go_on.clear()
    running = [asyncio.ensure_future(service.ask("Hello!")) for _ in range(7)]
    queue = service.app[keys.PIPELINE].queue
    await eventually(lambda: queue.waiting == 6)
    assert (await service.post("/ai/chat", {"messages": [{"role": "user", "content": "Hello!"}]}))[0] == 429
    engine.may_go_on.set()
    await asyncio.gather(*running)
    assert (await samples(service))["parley_refusals_total", (("limit", "calls"),)] == 1


async def test_the_loops_lag_is_measured_while_the_service_runs(service: Service) -> None:
    pulse = service.app[keys.PULSE]
    await eventually(lambda: pulse.worst_lag_seconds > 0)
    assert (await samples(service))["parley_event_loop_lag_seconds_count", ()] >= 1


def expressions(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["expr"]] if isinstance(value.get("expr"), str) else []
        return own + [each for part in value.values() for each in expressions(part)]
    return [each for part in value for each in expressions(part)] if isinstance(value, list) else []


async def test_the_dashboard_and_the_alerts_ask_for_metrics_that_there_are(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Metrics with labels are there from their first value on.
    await service.ask("Hello!")
    server = ReplicaStatus(number=1, is_up=True, running=0, replies=3, failures=1)
    status = EngineStatus(EngineState.READY, replicas=(server,))
    monkeypatch.setattr(ScriptedEngine, "status", status, raising=False)
    served = {SUFFIX.sub("", name) for name, _ in await samples(service)}
    dashboard = json.loads((MONITORING / "dashboard.json").read_text("utf-8"))
    shown = {SUFFIX.sub("", name) for text in expressions(dashboard) for name in METRIC.findall(text)}
    alerts = (MONITORING / "alerts.yml").read_text("utf-8")
    watched = {SUFFIX.sub("", name) for line in alerts.splitlines() if "#" not in line for name in METRIC.findall(line)}
    assert shown <= served
    assert watched <= served
    assert {name for name in served if name.startswith("parley_")} <= shown
    identities = [panel["id"] for panel in dashboard["panels"]]
    assert len(identities) == len(set(identities))


async def test_readiness_degrades_before_it_fails(
    service: Service, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "LAG_SECONDS", 60.0)
    assert (await service.get("/readyz", headers={}))[:2] == (200, {"status": "ok", "reason": ""})
    engine.may_go_on.clear()
    waiting = [asyncio.ensure_future(service.ask("Hello!")) for _ in range(7)]
    queue = service.app[keys.PIPELINE].queue
    await eventually(lambda: queue.waiting >= 8 * FULL_SHARE)
    status, body, _ = await service.get("/readyz", headers={})
    assert (status, body["status"]) == (200, "degraded")
    assert body["reason"].startswith("6 of 8 places in the queue are taken")
    engine.may_go_on.set()
    await asyncio.gather(*waiting)
    assert (await service.get("/readyz", headers={}))[1]["status"] == "ok"


async def test_an_engine_that_was_restarted_before_is_none_that_is_told_of(
    demo_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ScriptedEngine, "status", EngineStatus(EngineState.READY, "", 1), raising=False)
    async with running_service(ScriptedEngine(demo_engine), tmp_path) as service:
        pulse = service.app[keys.PULSE]
        await eventually(lambda: len(pulse._lags) > 1)
        assert pulse.since_restart_seconds is None


async def test_a_restarted_engine_is_told_of_for_a_while(
    service: Service, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "LAG_SECONDS", 60.0)
    pulse = service.app[keys.PULSE]
    monkeypatch.setattr(ScriptedEngine, "status", EngineStatus(EngineState.READY, "", 1), raising=False)
    await eventually(lambda: pulse.since_restart_seconds is not None)
    status, body, _ = await service.get("/readyz", headers={})
    assert (status, body["status"]) == (200, "degraded")
    assert re.fullmatch(r"the engine had to be restarted \d+ s ago", body["reason"])
    monkeypatch.setattr(ScriptedEngine, "status", EngineStatus(EngineState.RESTARTING, "it died", 2), raising=False)
    status, body, _ = await service.get("/readyz", headers={})
    assert (status, body) == (503, {"status": "unavailable", "reason": "it died"})


async def test_a_call_is_one_line_of_ids_and_counts(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="api.middleware"):
        reply = await service.ask("A very secret question?")
        await service.post("/ai/chat", {})
    asked, bad = (record for record in caplog.records if record.name == "api.middleware")
    fields = vars(asked)["fields"]
    assert (fields["route"], fields["status"], fields["tenant"]) == ("/ai/chat", 200, service.token.tenant_id)
    usage = reply["usage"]
    assert (fields["prompt_tokens"], fields["cached_tokens"], fields["completion_tokens"]) == (
        usage["prompt_tokens"],
        usage["cached_tokens"],
        usage["completion_tokens"],
    )
    assert 0 <= fields["queue_ms"] <= fields["first_token_ms"] <= fields["ms"]
    assert (vars(bad)["fields"]["status"], vars(bad)["fields"]["queue_ms"]) == (400, None)
    for secret in ("secret question", reply["message"]["content"], service.secret, MODEL_NAME):
        assert secret not in caplog.text
