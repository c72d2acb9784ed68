"""When a shard may identify, where several do: in one process, or in many that were started at once.

Discord takes one IDENTIFY every five seconds for each rate limit key, which is the shard's number modulo
`max_concurrency`; whoever is faster loses the session, and each try counts towards the day's thousand. So a shard
claims its key in the database, which all processes share. Does not own: connecting, which is discord.py's, or which
shards there are (`config.py`). Source: https://discord.com/developers/docs/events/gateway#sharding-max-concurrency.
"""

import asyncio
import logging

from bot.faults import describe
from storage.claims import Claims
from storage.errors import StorageError

logger = logging.getLogger(__name__)

IDENTIFY_SECONDS = 6.0
"""Discord's five, and some more: clocks of several machines differ, and not every IDENTIFY takes equally long."""

_RETRY_SECONDS = 1.0
"""Between two tries while the database cannot be asked."""


class IdentifyTurns:
    """Hands out turns to identify. `max_concurrency` is what `GET /gateway/bot` says."""

    def __init__(self, claims: Claims, *, seconds_apart: float) -> None:
        self._claims = claims
        self._seconds_apart = seconds_apart
        self.max_concurrency = 1

    async def turn(self, application_id: int, shard_id: int) -> None:
        """Return when a shard may identify, which it then does at once."""
        name = f"discord.identify.{application_id}.{shard_id % self.max_concurrency}"
        wait_seconds = await self._claim(name)
        while wait_seconds:
            await asyncio.sleep(wait_seconds)
            wait_seconds = await self._claim(name)

    async def _claim(self, name: str) -> float:
        try:
            return await self._claims.claim(name, seconds=self._seconds_apart)
        except StorageError as error:
            logger.warning("a shard waits to identify: %s", describe(error))
            return _RETRY_SECONDS


def share_of(shard_ids: tuple[int, ...] | None, shard_count: int | None) -> float:
    """Return the part of the bot's shards that a process has, above 0 and at most 1."""
    return 1.0 if shard_ids is None or shard_count is None else len(shard_ids) / shard_count
