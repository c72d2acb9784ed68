"""How many calls a day one person has in a Discord server: for everyone there, and for roles.

Does not own: the counting (`ledger.py`), or which limit holds for somebody with several roles.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, func, insert, select, update

from storage.clock import Clock
from storage.counts import check_count
from storage.database import Database
from storage.errors import TooManyLimitsError
from storage.guards import Guard
from storage.schema import person_limits

MAX_LIMITS_PER_GUILD = 25
"""Limits a server may set: the rows of a list people can take in, and of a menu in Discord."""

_EVERYONE: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonLimit:
    """Calls per day of each person with a role; `role_id` is None for everyone."""

    role_id: int | None
    daily_calls: int


_PersonLimits = list[PersonLimit]


class PersonLimits:
    """The limits per person of one database. `role_id` is None for everyone in the server."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def set(
        self,
        guild_id: int,
        daily_calls: int,
        *,
        role_id: int | None = None,
        changed_by: int,
        limit_count: int = MAX_LIMITS_PER_GUILD,
    ) -> None:
        """Set a limit in place of the one before; raises `ValueError` for a number that cannot be counted with.

        Raises `TooManyLimitsError` when a server with `limit_count` limits or more would get another one.
        """
        changed = {
            "daily_calls": check_count("daily calls", daily_calls),
            "changed_by": changed_by,
            "changed_at": self._clock.now(),
        }
        role = _EVERYONE if role_id is None else role_id
        limits = person_limits.c
        replace = update(person_limits).where(limits.guild_id == guild_id, limits.role_id == role).values(changed)
        of_guild = select(func.count()).select_from(person_limits).where(limits.guild_id == guild_id)
        async with self._database.writing(Guard("person limits", guild_id)) as connection:
            if (await connection.execute(replace)).rowcount:
                return
            if await connection.scalar(of_guild) >= limit_count:
                raise TooManyLimitsError(limit_count)
            await connection.execute(insert(person_limits), {"guild_id": guild_id, "role_id": role, **changed})

    async def clear(self, guild_id: int, *, role_id: int | None = None) -> bool:
        """Take a limit away; says whether there was one."""
        limits, role = person_limits.c, _EVERYONE if role_id is None else role_id
        statement = delete(person_limits).where(limits.guild_id == guild_id, limits.role_id == role)
        async with self._database.writing() as connection:
            return (await connection.execute(statement)).rowcount > 0

    async def list(self, guild_id: int) -> _PersonLimits:
        """Return a server's limits: the one for everyone first, then by role."""
        limits = person_limits.c
        query = select(limits.role_id, limits.daily_calls).where(limits.guild_id == guild_id).order_by(limits.role_id)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).all()
        return [PersonLimit(role_id=row.role_id or None, daily_calls=row.daily_calls) for row in rows]
