"""Replies that are sent when they are done: accepted at once, signed, bounded per API token."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from generation.engine import Engine
from tests.api.scripted_engine import ScriptedEngine
from tests.doubles.webhook_receiver import Receiver, receiving
from tests.service import Service, running_service

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROUTE = "/api/v6/llm/chat"
PUBLIC_URL = "http://127.0.0.1:8080"


@asynccontextmanager
async def serving(engine: Engine, folder: Path, **config: Any) -> AsyncIterator[tuple[Service, Receiver]]:
    """A service that may send to loopback, and a receiver there."""
    settings = {"allows_private_webhooks": True, "webhook_retry_seconds": 0.05} | config
    async with receiving() as receiver, running_service(engine, folder, **settings) as service:
        yield service, receiver


async def ask(service: Service, webhook: str, *, status: int = 200, **fields: Any) -> dict[str, Any]:
    body = {"key": service.secret, "prompt": "Hello, who are you?", "webhook": webhook, **fields}
    given, reply, response = await service.post(ROUTE, body, headers={})
    assert given == status, reply
    assert isinstance(reply, dict)
    if status == 429:
        assert response.headers["Retry-After"]
    return reply


async def fetch(service: Service, accepted: dict[str, Any], *, method: str = "GET") -> dict[str, Any]:
    url = service.url + accepted["fetch_result"].removeprefix(PUBLIC_URL)
    async with service.session.request(method, url, json={"key": "any"} if method == "POST" else None) as response:
        assert response.status == 200
        reply = await response.json()
        assert isinstance(reply, dict)
        return reply


@asynccontextmanager
async def the_only_slot_is_busy(service: Service, engine: ScriptedEngine) -> AsyncIterator[None]:
    """Hold a slot with a reply that pauses after its first piece."""
    engine.may_go_on.clear()
    engine.pieces_before_pause = 1
    body = {"messages": [{"role": "user", "content": "Tell me a story."}], "stream": True}
    async with service.session.post(f"{service.url}/ai/chat", json=body, headers=service.headers) as response:
        await response.content.readline()
        yield
        response.close()
    engine.may_go_on.set()


async def test_a_webhook_gets_the_reply_signed_with_what_its_api_token_gives(
    demo_engine: Engine, tmp_path: Path
) -> None:
    async with serving(demo_engine, tmp_path) as (service, receiver):
        accepted = await ask(service, receiver.url + "/hook", track_id="order 7", seed=7)
        assert set(accepted) == {"status", "id", "fetch_result"}
        assert accepted["status"] == "processing"
        (received,) = await receiver.until(1)
        sent = received.json
        assert (sent["status"], sent["track_id"], sent["id"]) == ("success", "order 7", accepted["id"])
        assert "Parley" in sent["message"]
        assert sent["meta"]["seed"] == 7
        assert received.headers["X-Parley-Webhook-Id"] == accepted["id"]
        key = hashlib.sha256(b"parley-webhook:" + service.secret.encode()).digest()
        signed = received.headers["X-Parley-Timestamp"].encode() + b"." + received.body
        assert received.headers["X-Parley-Signature"] == "v1=" + hmac.new(key, signed, hashlib.sha256).hexdigest()
        assert await fetch(service, accepted) == await fetch(service, accepted, method="POST") == sent
        assert await service.calls_used() == 1
        later = await ask(service, receiver.url, chat_id=sent["chat_id"])
        assert (await receiver.until(2))[1].json["chat_id"] == sent["chat_id"]
        assert later["id"] != accepted["id"]


async def test_while_the_reply_is_made_its_address_says_so(demo_engine: Engine, tmp_path: Path) -> None:
    engine = ScriptedEngine(demo_engine)
    async with serving(engine, tmp_path, slots=1) as (service, receiver):
        async with the_only_slot_is_busy(service, engine):
            accepted = await ask(service, receiver.url)
            waiting = await fetch(service, accepted)
            assert (waiting["status"], waiting["id"]) == ("processing", accepted["id"])
        await receiver.until(1)
        assert (await fetch(service, waiting))["status"] == "success"


async def test_what_fails_after_the_acceptance_is_told_to_the_webhook(demo_engine: Engine, tmp_path: Path) -> None:
    async with serving(demo_engine, tmp_path) as (service, receiver):
        await ask(service, receiver.url, prompt="Hi " * 6000, track_id=7)
        (received,) = await receiver.until(1)
        assert set(received.json) == {"status", "message", "id", "track_id"}
        assert (received.json["status"], received.json["track_id"]) == ("error", "7")
        assert received.json["message"].startswith("prompt: ")
        assert await service.calls_used() == 1


async def test_what_is_refused_at_once_is_never_sent(demo_engine: Engine, tmp_path: Path) -> None:
    async with serving(demo_engine, tmp_path) as (service, receiver):
        await ask(service, receiver.url, chat_id="chat_nothing", status=404)
        await ask(service, receiver.url, max_new_tokens=0, status=400)
        await ask(service, receiver.url, key="parley_unknown", status=401)
        await ask(service, "ftp://example.org/", status=400)
        # One more, so that what came before it would have been sent by now.
        await ask(service, receiver.url + "/last")
        assert [each.path for each in await receiver.until(1)] == ["/last"]


async def test_a_full_queue_is_told_at_once_and_costs_nothing(demo_engine: Engine, tmp_path: Path) -> None:
    engine = ScriptedEngine(demo_engine)
    async with (
        serving(engine, tmp_path, slots=1, max_waiting=0) as (service, receiver),
        the_only_slot_is_busy(service, engine),
    ):
        used = await service.calls_used()
        reply = await ask(service, receiver.url, status=503)
        assert "try again" in reply["message"]
        assert await service.calls_used() == used
        assert receiver.received == []


async def test_without_the_operators_setting_only_public_https_is_taken(demo_engine: Engine, tmp_path: Path) -> None:
    async with serving(demo_engine, tmp_path, allows_private_webhooks=False) as (service, receiver):
        for url in (receiver.url, f"https://127.0.0.1:{receiver.port}/", "https://2130706433/", "https://localhost/"):
            reply = await ask(service, url, status=400)
            assert reply["message"].startswith("webhook: ")
        assert receiver.received == []


async def test_an_api_token_floods_nobody_and_holds_up_no_other(demo_engine: Engine, tmp_path: Path) -> None:
    async with serving(demo_engine, tmp_path, webhooks_per_minute=3) as (service, receiver):
        asked = [ask(service, receiver.url, max_new_tokens=1) for _ in range(3)]
        await asyncio.gather(*asked)
        refused = await ask(service, receiver.url, status=429)
        assert "3" in refused["message"]
        other = await service.tokens.create("other", daily_calls=10)
        await ask(service, receiver.url, key=other.secret, max_new_tokens=1)
        assert len(await receiver.until(4)) == 4


async def test_too_many_that_wait_are_refused(demo_engine: Engine, tmp_path: Path) -> None:
    async with receiving() as gone:
        dead = gone.url
    async with serving(demo_engine, tmp_path, webhooks_waiting=2, webhook_retry_seconds=60) as (service, _):
        for _ in range(2):
            await ask(service, dead, max_new_tokens=1)
        await ask(service, dead, status=429)


async def test_a_stop_waits_for_the_reply_and_the_next_start_sends_it(demo_engine: Engine, tmp_path: Path) -> None:
    async with receiving() as receiver:
        async with running_service(demo_engine, tmp_path, allows_private_webhooks=True) as service:
            accepted = await ask(service, receiver.url, max_new_tokens=64)
        async with running_service(demo_engine, tmp_path, allows_private_webhooks=True):
            received = await receiver.until(1)
            assert {each.json["id"] for each in received} == {accepted["id"]}
            assert received[0].json["status"] == "success"
