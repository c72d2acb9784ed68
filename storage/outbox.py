"""The outbox of webhooks: replies that are on their way to whoever asked to have them sent.

Owns: what is to be sent where, who works on it at this moment, when it is tried again. Does not own: the sending, or
how long one goes on trying (`api/webhooks/`). Several processes may work on one outbox: each holds a row under a lease,
and what a dead one held is free when its lease has run out. So a webhook is sent at least once.
"""

import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, func, insert, or_, select, update

from storage.clock import Clock
from storage.database import Database
from storage.errors import TooManyWebhooksError
from storage.guards import Guard
from storage.schema import webhooks
from storage.uninterrupted import LentConnection

LEASE = timedelta(seconds=60)
"""Longer than any attempt takes; whoever makes a reply renews it meanwhile."""

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One webhook. `body` is the text to send, None while the reply is being made; `attempts` were begun so far.

    `lease` names the hold of whoever got this from a call that claims it.
    """

    id: str
    tenant_id: str
    url: str = field(repr=False)
    signing_key: bytes = field(repr=False)
    track_id: str | None
    body: str | None = field(repr=False)
    attempts: int
    created_at: datetime
    lease: str | None
    delivered_at: datetime | None
    given_up_at: datetime | None


class Outbox:
    """The webhooks of one database."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def accept(
        self,
        *,
        tenant_id: str,
        url: str,
        signing_key: bytes,
        track_id: str | None,
        most_waiting: int,
        most_per_minute: int,
    ) -> Webhook:
        """Take in a webhook whose reply is still to be made; the caller holds it and renews its lease.

        Raises `TooManyWebhooksError` when the tenant has so many undelivered, or so many from the last minute.
        """
        now = self._clock.now()
        values = {
            "id": "wh_" + secrets.token_urlsafe(24),
            "tenant_id": tenant_id,
            "url": url,
            "signing_key": signing_key,
            "track_id": track_id,
            "body": None,
            "attempts": 0,
            "created_at": now,
            "next_attempt_at": now,
            "leased_until": now + LEASE,
            "lease": _new_lease(),
        }
        # Whoever counts before it adds must be alone with the tenant's webhooks.
        async with self._database.writing(Guard("webhooks", tenant_id)) as connection:
            await _check_room(connection, tenant_id, _is_open(), most_waiting)
            # Not later than now: after the clock was set back, an hour's would count as the last minute's.
            newest = and_(webhooks.c.created_at > now - MINUTE, webhooks.c.created_at <= now)
            await _check_room(connection, tenant_id, newest, most_per_minute)
            row = (await connection.execute(insert(webhooks).returning(webhooks), values)).one()
        return _webhook(row)

    async def renew(self, webhook: Webhook) -> bool:
        """Hold a webhook for longer; False when somebody else has taken it over."""
        return await self._change(webhook, leased_until=self._clock.now() + LEASE)

    async def fill(self, webhook: Webhook, body: str) -> bool:
        """Say what is to be sent, from now on, and let go; False when somebody else has taken the webhook over."""
        return await self._change(webhook, body=body, next_attempt_at=self._clock.now(), lease=None, leased_until=None)

    async def claim(self, *, except_tenants: Collection[str] = ()) -> Webhook | None:
        """Take hold of the webhook that has been due for longest, counting an attempt; None when none is due."""
        due = and_(webhooks.c.body.is_not(None), webhooks.c.next_attempt_at <= self._clock.now())
        others = webhooks.c.tenant_id.not_in(except_tenants)
        return await self._take(and_(due, others), attempts=webhooks.c.attempts + 1)

    async def claim_interrupted(self) -> Webhook | None:
        """Take hold of a webhook whose reply nobody makes any more; None when there is none."""
        return await self._take(webhooks.c.body.is_(None))

    async def settle_delivered(self, webhook: Webhook) -> bool:
        """Note that it was received; False when somebody else has taken it over."""
        return await self._change(webhook, delivered_at=self._clock.now(), lease=None, leased_until=None)

    async def settle_failed(self, webhook: Webhook, *, next_attempt_at: datetime | None) -> bool:
        """Note that an attempt failed, and when to try again: None is never. False when somebody else holds it."""
        given_up_at = self._clock.now() if next_attempt_at is None else None
        later = {} if next_attempt_at is None else {"next_attempt_at": next_attempt_at}
        return await self._change(webhook, given_up_at=given_up_at, lease=None, leased_until=None, **later)

    async def read(self, webhook_id: str) -> Webhook | None:
        """Return a webhook by its id."""
        async with self._database.reading() as connection:
            row = (await connection.execute(select(webhooks).where(webhooks.c.id == webhook_id))).one_or_none()
        return None if row is None else _webhook(row)

    async def next_due_at(self) -> datetime | None:
        """Say when the next thing is to be done, as far as is known now; None when nothing waits."""
        free_at = func.min(func.coalesce(webhooks.c.leased_until, webhooks.c.next_attempt_at))
        async with self._database.reading() as connection:
            due: datetime | None = await connection.scalar(select(free_at).where(_is_open()))
        return due

    async def release_all(self) -> None:
        """Let go of everything: for the start of the only service on this database, whose forerunner was killed.

        Where several share the database others may be at work, so a dead one's leases run out by themselves.
        """
        if self._database.is_shared:
            return
        async with self._database.writing() as connection:
            await connection.execute(update(webhooks).where(_is_open()).values(lease=None, leased_until=None))

    async def delete_older(self, before: datetime) -> int:
        """Forget the webhooks accepted before an aware instant, with their replies; returns how many."""
        async with self._database.writing() as connection:
            return (await connection.execute(delete(webhooks).where(webhooks.c.created_at < before))).rowcount

    async def _take(self, condition: ColumnElement[bool], **changes: Any) -> Webhook | None:
        now = self._clock.now()
        is_free = or_(webhooks.c.leased_until.is_(None), webhooks.c.leased_until <= now)
        first = (
            select(webhooks.c.id)
            .where(_is_open(), is_free, condition)
            .order_by(webhooks.c.next_attempt_at, webhooks.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        statement = (
            update(webhooks)
            .where(webhooks.c.id == first.scalar_subquery())
            .values(lease=_new_lease(), leased_until=now + LEASE, **changes)
            .returning(webhooks)
        )
        async with self._database.writing() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return None if row is None else _webhook(row)

    async def _change(self, webhook: Webhook, **values: Any) -> bool:
        statement = (
            update(webhooks).where(webhooks.c.id == webhook.id, webhooks.c.lease == webhook.lease).values(**values)
        )
        async with self._database.writing() as connection:
            return bool((await connection.execute(statement)).rowcount)


def _new_lease() -> str:
    return secrets.token_hex(16)


def _is_open() -> ColumnElement[bool]:
    return and_(webhooks.c.delivered_at.is_(None), webhooks.c.given_up_at.is_(None))


async def _check_room(connection: LentConnection, tenant_id: str, condition: ColumnElement[bool], limit: int) -> None:
    query = select(func.count()).select_from(webhooks).where(webhooks.c.tenant_id == tenant_id, condition)
    if await connection.scalar(query) >= limit:
        raise TooManyWebhooksError(limit)


def _webhook(row: Row[Any]) -> Webhook:
    return Webhook(**{name: getattr(row, name) for name in Webhook.__dataclass_fields__})
