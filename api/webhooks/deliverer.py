"""Takes webhooks out of the outbox and sends them, until each is received or its day is over.

Owns: when an attempt is made, how many at once, and giving up. Does not own: one attempt (`sender.py`), the outbox
(`storage/outbox.py`). Every process of a service has one; they share the outbox.
"""

import asyncio
import contextlib
import logging
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Final

from api.webhooks.sender import Outcome, Sender
from storage.clock import Clock, JumpWatch
from storage.errors import StorageError
from storage.outbox import LEASE, Outbox, Webhook

logger = logging.getLogger(__name__)

RETRIED_FOR: Final = timedelta(days=1)
KEPT_FOR: Final = timedelta(days=2)
"""Counted from the request; the reply can be fetched meanwhile."""

MOST_AT_ONCE: Final = 8
MOST_AT_ONCE_OF_TENANT: Final = 2
"""Receivers that never answer take all of their own tenant's attempts, and a quarter of everybody's."""

POLL_SECONDS: Final = 5.0
"""Another process may have put something in."""

SHORTEST_PAUSE_SECONDS: Final = 0.1
BUSY_PAUSE_SECONDS: Final = 1.0
CLEANING_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to wait after a failed attempt: three times as long each time, give or take a third."""

    first_seconds: float = 15.0
    longest_seconds: float = 3 * 3600.0

    def next_attempt_at(self, webhook: Webhook, now: datetime) -> datetime | None:
        """Say when to try again; None when the day is over. The last attempt is made at its very end."""
        ends_at = webhook.created_at + RETRIED_FOR
        if now >= ends_at:
            return None
        # Bounded before it is raised to a power: attempts are counted for as long as there are restarts.
        seconds = self.first_seconds * 3.0 ** min(webhook.attempts - 1, 20)
        pause = min(seconds, self.longest_seconds) * random.uniform(2 / 3, 4 / 3)
        return min(now + timedelta(seconds=pause), ends_at)


class Deliverer:
    """Works an outbox off. `interrupted` gives the body for a webhook whose reply was lost with its process."""

    def __init__(
        self,
        outbox: Outbox,
        sender: Sender,
        *,
        clock: Clock,
        backoff: Backoff,
        interrupted: Callable[[Webhook], str],
    ) -> None:
        self._outbox = outbox
        self._sender = sender
        self._clock = clock
        self._backoff = backoff
        self._interrupted = interrupted
        self._wake = asyncio.Event()
        self._attempts: set[asyncio.Task[None]] = set()
        self._of_tenant: Counter[str] = Counter()

    def wake(self) -> None:
        """Say that something new is to be sent."""
        self._wake.set()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Work for the block. What is on its way at its end is sent again by whoever works next."""
        tasks = [asyncio.create_task(self._work()), asyncio.create_task(self._clean())]
        try:
            yield
        finally:
            for task in [*tasks, *self._attempts]:
                task.cancel()
            await asyncio.gather(*tasks, *self._attempts, return_exceptions=True)

    async def _work(self) -> None:
        watch, leases_hold_until = JumpWatch(self._clock, tolerated=LEASE / 4), 0.0
        while True:
            self._wake.clear()
            if watch.has_jumped():
                # Every lease looks over. Whoever still makes a reply renews its own before that time has passed.
                leases_hold_until = monotonic() + LEASE.total_seconds()
            try:
                if monotonic() >= leases_hold_until:
                    await self._finish_interrupted()
                await self._begin_due()
                pause = await self._pause_seconds()
            except StorageError as error:
                logger.warning("webhooks wait for the database: %s", type(error).__name__)
                pause = POLL_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def _pause_seconds(self) -> float:
        due_at = await self._outbox.next_due_at()
        if due_at is None or len(self._attempts) >= MOST_AT_ONCE:
            return POLL_SECONDS
        # What is due and was not begun belongs to tenants whose attempts are all under way; their end wakes us.
        shortest = BUSY_PAUSE_SECONDS if self._attempts else SHORTEST_PAUSE_SECONDS
        return min(POLL_SECONDS, max(shortest, (due_at - self._clock.now()).total_seconds()))

    async def _finish_interrupted(self) -> None:
        while await self._is_due() and (webhook := await self._outbox.claim_interrupted()) is not None:
            await self._outbox.fill(webhook, self._interrupted(webhook))

    async def _begin_due(self) -> None:
        while len(self._attempts) < MOST_AT_ONCE and await self._is_due():
            full = [tenant for tenant, count in self._of_tenant.items() if count >= MOST_AT_ONCE_OF_TENANT]
            webhook = await self._outbox.claim(except_tenants=full)
            if webhook is None:
                return
            self._of_tenant[webhook.tenant_id] += 1
            task = asyncio.create_task(self._attempt(webhook))
            self._attempts.add(task)
            task.add_done_callback(self._attempts.discard)

    async def _is_due(self) -> bool:
        """Look before claiming: that writes, also when nothing is to be done."""
        due_at = await self._outbox.next_due_at()
        return due_at is not None and due_at <= self._clock.now()

    async def _attempt(self, webhook: Webhook) -> None:
        try:
            outcome = await self._sender.send(webhook)
            await self._settle(webhook, outcome)
        except StorageError as error:
            # Its lease runs out, and it is sent again.
            logger.warning("a webhook could not be settled: %s", type(error).__name__)
        finally:
            self._of_tenant[webhook.tenant_id] -= 1
            self._of_tenant += Counter()
            self._wake.set()

    async def _settle(self, webhook: Webhook, outcome: Outcome) -> None:
        match outcome:
            case Outcome.RECEIVED:
                await self._outbox.settle_delivered(webhook)
            case Outcome.UNWANTED:
                await self._outbox.settle_failed(webhook, next_attempt_at=None)
            case Outcome.FAILED:
                later = self._backoff.next_attempt_at(webhook, self._clock.now())
                await self._outbox.settle_failed(webhook, next_attempt_at=later)

    async def _clean(self) -> None:
        watch = JumpWatch(self._clock)
        while True:
            try:
                if not watch.has_jumped():
                    await self._outbox.delete_older(self._clock.now() - KEPT_FOR)
            except StorageError as error:
                logger.warning("old webhooks could not be deleted yet: %s", type(error).__name__)
            await asyncio.sleep(CLEANING_SECONDS)
