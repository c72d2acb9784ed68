"""Each shard of a bot in one process at a time, however many were started.

Discord sends a shard's events to every connection that identified as it, so two processes would answer everybody twice.
A process therefore leases its shards in the database before it connects, and waits for them as long as another one has
them: one that ends lets go, and the leases of one that died run out. Shards of another count overlap with all of these
and are waited for, too. Does not own: when a shard may identify (`sharding.py`).
"""

import asyncio
import logging
import random
import secrets
from collections.abc import Sequence

from bot.faults import describe
from storage.claims import Claims
from storage.errors import StorageError

logger = logging.getLogger(__name__)

LEASE_SECONDS = 20.0
RENEW_SECONDS = 5.0
_LOOK_SECONDS = 1.0


class ShardLeases:
    """The leases of one process for shards `shard_ids` of `shard_count`."""

    def __init__(self, claims: Claims, application_id: int, *, shard_ids: Sequence[int], shard_count: int) -> None:
        self._claims = claims
        self._holder = secrets.token_hex(16)
        self._all = f"discord.shard.{application_id}."
        self._of_count = f"{self._all}{shard_count}."
        # Everybody takes them in the same order, so that nobody waits for somebody who waits for them.
        self._names = [f"{self._of_count}{shard_id}" for shard_id in sorted(shard_ids)]

    async def acquire(self) -> None:
        """Return when this process alone has its shards."""
        is_told = False
        while (holder := await self._find_obstacle()) is not None:
            if not is_told:
                logger.warning("another process has %s; waiting until it ends", holder.removeprefix("discord."))
                is_told = True
            # By chance: two that begin with different counts make room for each other.
            await asyncio.sleep(_LOOK_SECONDS * random.uniform(0.5, 1.5))

    async def keep(self) -> None:
        """Renew the leases; returns when another process has got one of them, because this one was held up."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                for name in self._names:
                    if await self._claim(name):
                        logger.error("another process has taken %s over", name.removeprefix("discord."))
                        return
            except StorageError as error:
                logger.warning("the leases of shards could not be renewed yet: %s", describe(error))

    async def release(self) -> None:
        """Let others have the shards."""
        try:
            for name in self._names:
                await self._claims.release(name, holder=self._holder)
        except StorageError as error:
            logger.warning("the leases of shards run out by themselves: %s", describe(error))

    async def _find_obstacle(self) -> str | None:
        """Take what is free; returns the first lease in the way, None when there is none."""
        try:
            for name in self._names:
                if await self._claim(name):
                    return name
            others = [name for name in await self._claims.list_held(self._all) if not name.startswith(self._of_count)]
        except StorageError as error:
            logger.warning("the leases of shards could not be taken yet: %s", describe(error))
            return self._names[0]
        if others:
            await self.release()
            return others[0]
        return None

    async def _claim(self, name: str) -> float:
        return await self._claims.claim(name, seconds=LEASE_SECONDS, holder=self._holder)
