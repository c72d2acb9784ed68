"""What one of several processes does for all of them, for a while: whoever claims it first.

A claim runs out by itself, so that a process which dies leaves nothing locked. Clocks of several machines may differ;
whoever claims for seconds leaves room for that.
"""

from datetime import datetime, timedelta

from sqlalchemy import delete, select

from storage.clock import Clock
from storage.database import Database
from storage.schema import claims
from storage.upserts import insert_or_update

SHORTEST_SECONDS = 0.01
"""What is said at least of a claim that is just running out."""


class Claims:
    """Claims under names of at most 64 characters."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def claim(self, name: str, *, seconds: float) -> float:
        """Claim a name for a while; 0 when that succeeded, else in how many seconds the present claim runs out.

        Of any number of processes that try at once exactly one succeeds. Raises `StorageError`.
        """
        now, lasts = self._clock.now(), timedelta(seconds=seconds)
        held = claims.c.claimed_until
        async with self._database.writing() as connection:
            new = insert_or_update(connection, claims).values(name=name, claimed_until=now + lasts)
            # What is held for longer than it can have been claimed for was claimed before the clock was set back.
            claimed = new.on_conflict_do_update(
                index_elements=[claims.c.name],
                set_={"claimed_until": new.excluded.claimed_until},
                where=(held <= now) | (held > now + lasts),
            ).returning(held)
            if await connection.scalar(claimed) is not None:
                return 0.0
            until: datetime = await connection.scalar(select(held).where(claims.c.name == name))
        return max(SHORTEST_SECONDS, (until - now).total_seconds())

    async def release(self, name: str) -> None:
        """Let go of a name before its time; of one that nobody has, too."""
        async with self._database.writing() as connection:
            await connection.execute(delete(claims).where(claims.c.name == name))
