"""The outbox: held by one at a time, free again when its holder is gone, bounded per tenant."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from storage.database import Database
from storage.errors import TooManyWebhooksError
from storage.outbox import LEASE, Outbox, Webhook
from tests.storage.conftest import ManualClock


@pytest.fixture
def outbox(database: Database, clock: ManualClock) -> Outbox:
    return Outbox(database, clock=clock)


async def accept(outbox: Outbox, **changes: Any) -> Webhook:
    values: dict[str, Any] = {
        "tenant_id": "tok_a",
        "url": "https://example.org/hook",
        "signing_key": b"k" * 32,
        "track_id": "order 7",
        "most_waiting": 1000,
        "most_per_minute": 1000,
    }
    return await outbox.accept(**(values | changes))


async def ready(outbox: Outbox, body: str = "{}", **changes: Any) -> Webhook:
    webhook = await accept(outbox, **changes)
    assert await outbox.fill(webhook, body)
    return webhook


async def test_a_webhook_goes_from_accepted_to_delivered(outbox: Outbox, clock: ManualClock) -> None:
    accepted = await accept(outbox)
    assert await outbox.claim() is None
    assert await outbox.fill(accepted, '{"a": 1}')
    claimed = await outbox.claim()
    assert claimed is not None
    assert (claimed.id, claimed.body, claimed.attempts, claimed.track_id) == (accepted.id, '{"a": 1}', 1, "order 7")
    assert await outbox.claim() is None
    assert await outbox.settle_delivered(claimed)
    clock.advance(timedelta(days=1))
    assert await outbox.claim() is None
    assert await outbox.next_due_at() is None
    read = await outbox.read(accepted.id)
    assert read is not None
    assert (read.delivered_at, read.body) == (clock.now() - timedelta(days=1), '{"a": 1}')


async def test_a_failed_attempt_is_due_again_when_it_was_said_and_not_before(
    outbox: Outbox, clock: ManualClock
) -> None:
    await ready(outbox)
    for attempt in (1, 2):
        claimed = await outbox.claim()
        assert claimed is not None
        assert claimed.attempts == attempt
        due = clock.now() + timedelta(minutes=10)
        assert await outbox.settle_failed(claimed, next_attempt_at=due)
        assert await outbox.next_due_at() == due
        clock.advance(timedelta(minutes=9))
        assert await outbox.claim() is None
        clock.advance(timedelta(minutes=1))
    claimed = await outbox.claim()
    assert claimed is not None
    assert await outbox.settle_failed(claimed, next_attempt_at=None)
    clock.advance(timedelta(days=1))
    assert await outbox.claim() is None


async def test_what_a_dead_process_held_is_free_after_its_lease_and_lost_to_it(
    outbox: Outbox, clock: ManualClock
) -> None:
    await ready(outbox)
    dead = await outbox.claim()
    assert dead is not None
    clock.advance(LEASE - timedelta(seconds=1))
    assert await outbox.claim() is None
    clock.advance(timedelta(seconds=1))
    alive = await outbox.claim()
    assert alive is not None
    assert alive.attempts == 2
    assert not await outbox.settle_delivered(dead)
    assert not await outbox.settle_failed(dead, next_attempt_at=None)
    assert await outbox.settle_delivered(alive)


@pytest.mark.sqlite
async def test_the_only_service_takes_over_at_once_what_its_forerunner_held(outbox: Outbox) -> None:
    await ready(outbox)
    sending, making = await outbox.claim(), await accept(outbox)
    assert sending is not None
    await outbox.release_all()
    again, left = await outbox.claim(), await outbox.claim_interrupted()
    assert (again and again.id, left and left.id) == (sending.id, making.id)


async def test_a_reply_that_nobody_makes_any_more_is_found_and_one_in_the_making_is_not(
    outbox: Outbox, clock: ManualClock
) -> None:
    making, left = await accept(outbox), await accept(outbox)
    clock.advance(LEASE - timedelta(seconds=1))
    assert await outbox.renew(making)
    clock.advance(timedelta(seconds=1))
    found = await outbox.claim_interrupted()
    assert found is not None
    assert found.id == left.id
    assert await outbox.claim_interrupted() is None
    assert not await outbox.renew(left)
    assert not await outbox.fill(left, "late")
    assert await outbox.fill(found, "interrupted")
    assert await outbox.fill(making, "made")
    assert {(each.body if each else None) for each in (await outbox.claim(), await outbox.claim())} == {
        "interrupted",
        "made",
    }


async def test_several_processes_claim_each_webhook_once(database: Database, url: str, clock: ManualClock) -> None:
    other = await Database.open(url)
    try:
        boxes = [Outbox(database, clock=clock), Outbox(other, clock=clock)]
        ids = {(await ready(boxes[0])).id for _ in range(20)}
        claimed = await asyncio.gather(*(box.claim() for box in boxes * 15))
        found = [each.id for each in claimed if each is not None]
        assert len(found) == 20
        assert set(found) == ids
    finally:
        await other.close()


async def test_a_tenant_may_be_passed_over(outbox: Outbox, clock: ManualClock) -> None:
    await ready(outbox)
    clock.advance(timedelta(seconds=1))
    second = await ready(outbox, tenant_id="tok_b")
    claimed = await outbox.claim(except_tenants={"tok_a"})
    assert claimed is not None
    assert claimed.id == second.id
    assert await outbox.claim(except_tenants={"tok_a"}) is None


async def test_a_tenant_has_a_bound_of_waiting_ones_and_of_new_ones_a_minute(
    outbox: Outbox, clock: ManualClock
) -> None:
    limits = {"most_waiting": 3, "most_per_minute": 2}
    outcomes = await asyncio.gather(*(accept(outbox, **limits) for _ in range(10)), return_exceptions=True)
    assert sum(isinstance(outcome, TooManyWebhooksError) for outcome in outcomes) == 8
    await accept(outbox, tenant_id="tok_b", **limits)
    clock.advance(timedelta(minutes=1))
    third = await accept(outbox, **limits)
    clock.advance(timedelta(minutes=1))
    with pytest.raises(TooManyWebhooksError):
        await accept(outbox, **limits)
    await outbox.fill(third, "{}")
    claimed = await outbox.claim()
    assert claimed is not None
    await outbox.settle_delivered(claimed)
    await accept(outbox, **limits)


async def test_a_clock_that_was_set_back_leaves_room_for_new_ones(outbox: Outbox, clock: ManualClock) -> None:
    limits = {"most_per_minute": 2}
    for _ in range(2):
        await accept(outbox, **limits)
    clock.advance(timedelta(hours=-1))
    for _ in range(2):
        await accept(outbox, **limits)
    with pytest.raises(TooManyWebhooksError):
        await accept(outbox, **limits)


async def test_old_webhooks_are_forgotten_and_secrets_are_not_shown(outbox: Outbox, clock: ManualClock) -> None:
    old = await ready(outbox, "a secret body")
    assert "secret" not in repr(await outbox.read(old.id))
    assert "example.org" not in repr(old)
    clock.advance(timedelta(days=2))
    new = await ready(outbox)
    assert await outbox.delete_older(clock.now() - timedelta(days=1)) == 1
    assert await outbox.read(old.id) is None
    assert await outbox.read(new.id) is not None
