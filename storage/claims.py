"""What one of several processes does for all of them, for a while: whoever claims it first.

A claim runs out by itself, so that a process which dies leaves nothing locked. Clocks of several machines may differ;
whoever claims for seconds leaves room for that.
"""

from datetime import datetime, timedelta

from sqlalchemy import delete, select

from storage.bot_schema import claims
from storage.clock import Clock
from storage.database import Database
from storage.upserts import insert_or_update

CLOCK_TOLERANCE = timedelta(minutes=1)
"""How far clocks of two machines may be apart, and how late somebody may be with a look at the clock."""

SHORTEST_SECONDS = 0.01
"""What is said at least of a claim that is just running out."""


class Claims:
    """Claims under names of at most 64 characters."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def claim(self, name: str, *, seconds: float, holder: str = "") -> float:
        """Claim a name for a while; 0 when that succeeded, else in how many seconds the present claim runs out.

        Of any number of processes that try at once exactly one succeeds. A `holder` (at most 32 characters, of one
        process alone) may claim what it has again, for longer. Raises `StorageError`.
        """
        held, lasts = claims.c.claimed_until, timedelta(seconds=seconds)
        async with self._database.writing() as connection:
            # Not before: who has waited for a turn to write claims from now on, and not from when it began to wait.
            now = self._clock.now()
            # What is held for longer than it can have been claimed for was claimed before the clock was set back.
            is_free = (held <= now) | (held > now + lasts + CLOCK_TOLERANCE)
            if holder:
                is_free |= claims.c.holder == holder
            new = insert_or_update(connection, claims).values(name=name, holder=holder, claimed_until=now + lasts)
            claimed = new.on_conflict_do_update(
                index_elements=[claims.c.name],
                set_={"holder": new.excluded.holder, "claimed_until": new.excluded.claimed_until},
                where=is_free,
            ).returning(held)
            if await connection.scalar(claimed) is not None:
                return 0.0
            until: datetime = await connection.scalar(select(held).where(claims.c.name == name))
        return max(SHORTEST_SECONDS, (until - now).total_seconds())

    async def list_held(self, prefix: str) -> list[str]:
        """Return the names that begin so and are claimed now, sorted. Raises `StorageError`."""
        query = select(claims.c.name).where(
            claims.c.name.startswith(prefix, autoescape=True), claims.c.claimed_until > self._clock.now()
        )
        async with self._database.reading() as connection:
            return sorted((await connection.execute(query)).scalars())

    async def release(self, name: str, *, holder: str = "") -> None:
        """Let go of a name before its time; what somebody else holds stays. Raises `StorageError`."""
        async with self._database.writing() as connection:
            await connection.execute(delete(claims).where(claims.c.name == name, claims.c.holder == holder))
