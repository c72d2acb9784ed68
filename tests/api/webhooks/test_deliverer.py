"""Webhooks are sent until they are received: after failures, restarts, and beside tenants that hold everything up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from api.webhooks.deliverer import KEPT_FOR, MOST_AT_ONCE_OF_TENANT, RETRIED_FOR, Backoff, Deliverer
from api.webhooks.sender import Sender
from api.webhooks.transport import make_connector
from storage.clock import Clock, SystemClock
from storage.database import Database
from storage.outbox import Outbox, Webhook
from tests.api.webhooks.conftest import MakeWebhook
from tests.doubles.webhook_receiver import Receiver, receiving
from tests.new_database import url_of_new
from tests.storage.conftest import ManualClock

QUICK = Backoff(first_seconds=0.05, longest_seconds=0.1)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(url_of_new(tmp_path / "parley.db"))
    yield database
    await database.close()


@asynccontextmanager
async def delivering(outbox: Outbox, clock: Clock, *, backoff: Backoff = QUICK) -> AsyncIterator[Deliverer]:
    sender = Sender(make_connector(allows_private=True), clock=clock, allows_private=True)
    deliverer = Deliverer(
        outbox, sender, clock=clock, backoff=backoff, interrupted=lambda webhook: f"lost {webhook.track_id}"
    )
    try:
        async with deliverer.working():
            yield deliverer
    finally:
        await sender.close()


async def accept(outbox: Outbox, receiver: Receiver, *, path: str = "", **changes: Any) -> Webhook:
    values: dict[str, Any] = {
        "tenant_id": "tok_a",
        "url": receiver.url + path,
        "signing_key": b"k" * 32,
        "track_id": "order 7",
        "most_waiting": 1000,
        "most_per_minute": 1000,
    }
    return await outbox.accept(**(values | changes))


async def until_settled(outbox: Outbox, webhook: Webhook) -> Webhook:
    async with asyncio.timeout(30):
        while True:
            read = await outbox.read(webhook.id)
            assert read is not None
            if read.delivered_at or read.given_up_at:
                return read
            await asyncio.sleep(0.01)


async def test_a_failing_receiver_is_tried_again_until_it_accepts_under_one_id(database: Database) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=500 if len(receiver.received) < 4 else 200)

    outbox = Outbox(database, clock=SystemClock())
    async with receiving() as receiver, delivering(outbox, SystemClock()) as deliverer:
        receiver.answer = answer
        webhook = await accept(outbox, receiver)
        await outbox.fill(webhook, "{}")
        deliverer.wake()
        settled = await until_settled(outbox, webhook)
        assert settled.delivered_at is not None
        assert settled.attempts == len(receiver.received) == 4
        assert {each.headers["X-Parley-Webhook-Id"] for each in receiver.received} == {webhook.id}


async def test_gone_ends_it_at_once(database: Database) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=410)

    outbox = Outbox(database, clock=SystemClock())
    async with receiving() as receiver, delivering(outbox, SystemClock()) as deliverer:
        receiver.answer = answer
        webhook = await accept(outbox, receiver)
        await outbox.fill(webhook, "{}")
        deliverer.wake()
        assert (await until_settled(outbox, webhook)).given_up_at is not None
        assert len(receiver.received) == 1


async def test_two_processes_send_each_webhook_once(database: Database, tmp_path: Path) -> None:
    other = await Database.open(url_of_new(tmp_path / "parley.db"))
    clock = SystemClock()
    boxes = [Outbox(database, clock=clock), Outbox(other, clock=clock)]
    try:
        async with receiving() as receiver:
            webhooks = [await accept(boxes[0], receiver, tenant_id=f"tok_{number % 7}") for number in range(30)]
            for webhook in webhooks:
                await boxes[0].fill(webhook, webhook.id)
            async with delivering(boxes[0], clock), delivering(boxes[1], clock):
                for webhook in webhooks:
                    await until_settled(boxes[0], webhook)
            assert sorted(each.body.decode() for each in receiver.received) == sorted(each.id for each in webhooks)
    finally:
        await other.close()


async def test_a_tenant_whose_receiver_hangs_does_not_hold_up_another(database: Database) -> None:
    released = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/slow":
            await released.wait()
        return web.Response()

    outbox = Outbox(database, clock=SystemClock())
    async with receiving() as receiver, delivering(outbox, SystemClock()) as deliverer:
        receiver.answer = answer
        slow = [await accept(outbox, receiver, path="/slow") for _ in range(10)]
        for webhook in slow:
            await outbox.fill(webhook, "{}")
        quick = await accept(outbox, receiver, path="/quick", tenant_id="tok_b")
        await outbox.fill(quick, "{}")
        deliverer.wake()
        assert (await until_settled(outbox, quick)).delivered_at is not None
        assert [each.path for each in receiver.received].count("/slow") <= MOST_AT_ONCE_OF_TENANT
        released.set()
        for webhook in slow:
            assert (await until_settled(outbox, webhook)).delivered_at is not None


async def test_a_reply_lost_with_its_process_is_told_to_the_receiver(database: Database) -> None:
    clock = ManualClock(datetime(2026, 11, 20, 12, 0, tzinfo=UTC))
    outbox = Outbox(database, clock=clock)
    async with receiving() as receiver:
        webhook = await accept(outbox, receiver)
        clock.advance(timedelta(minutes=2))
        async with delivering(outbox, clock):
            (received,) = await receiver.until(1)
            assert received.body == b"lost order 7"
            assert (await until_settled(outbox, webhook)).delivered_at is not None


async def test_what_was_on_its_way_at_a_stop_is_sent_again(database: Database) -> None:
    hang = asyncio.Event()

    async def answer(_: web.Request) -> web.StreamResponse:
        await hang.wait()
        return web.Response()

    clock = ManualClock(datetime(2026, 11, 20, 12, 0, tzinfo=UTC))
    outbox = Outbox(database, clock=clock)
    async with receiving() as receiver:
        receiver.answer = answer
        webhook = await accept(outbox, receiver)
        await outbox.fill(webhook, "{}")
        async with delivering(outbox, clock):
            await receiver.until(1)
        hang.set()
        clock.advance(timedelta(minutes=2))
        async with delivering(outbox, clock):
            assert len(await receiver.until(2)) == 2
            assert (await until_settled(outbox, webhook)).attempts == 2


async def test_old_webhooks_are_deleted(database: Database) -> None:
    clock = ManualClock(datetime(2026, 11, 20, 12, 0, tzinfo=UTC))
    outbox = Outbox(database, clock=clock)
    async with receiving() as receiver:
        old = await accept(outbox, receiver)
        clock.advance(KEPT_FOR + timedelta(seconds=1))
        async with delivering(outbox, clock), asyncio.timeout(30):
            while await outbox.read(old.id) is not None:  # noqa: ASYNC110 - the database announces nothing
                await asyncio.sleep(0.01)


def test_the_pauses_grow_differ_and_last_a_day(make_webhook: MakeWebhook) -> None:
    backoff = Backoff()
    spans = []
    for _ in range(50):
        webhook = make_webhook("https://example.org/")
        now, pauses = webhook.created_at, []
        for attempts in range(1, 100):
            later = backoff.next_attempt_at(make_webhook("https://example.org/", attempts=attempts), now)
            if later is None:
                break
            pauses.append((later - now).total_seconds())
            now = later
        assert now == webhook.created_at + RETRIED_FOR
        assert 10 <= len(pauses) <= 25
        assert 10 <= pauses[0] <= 20
        assert max(pauses) <= 4 * 3600
        assert all(after > before for before, after in pairwise(pauses[:5]))
        spans.append(pauses[0])
    assert len(set(spans)) > 25


def test_attempts_without_number_do_not_overflow(make_webhook: MakeWebhook) -> None:
    webhook = make_webhook("https://example.org/", attempts=10**6)
    assert Backoff().next_attempt_at(webhook, webhook.created_at) is not None
