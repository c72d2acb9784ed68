"""The personas a Discord server keeps under names, to be chosen for its channels.

Names differ by more than case. Does not own: the persona a channel has (`channels.py`); it keeps its text there when
the one it was taken from changes or goes.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, insert, select

from storage.clock import Clock
from storage.database import Database
from storage.errors import TooManyPersonasError
from storage.guards import Guard
from storage.names import clean_name, fold_name
from storage.schema import MAX_PERSONA_NAME_LENGTH, personas


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """A saved persona; `name` as it was written when it was saved last, with who saved it and when."""

    name: str
    text: str
    created_by: int
    created_at: datetime


_Personas = list[Persona]


class Personas:
    """The saved personas of one database."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def save(self, guild_id: int, name: str, text: str, *, created_by: int, limit: int) -> None:
        """Keep a text under a name, in place of the one before; raises `ValueError` for an unusable name.

        Raises `TooManyPersonasError` when a server with `limit` personas or more would get another one.
        """
        name = clean_name(name, max_length=MAX_PERSONA_NAME_LENGTH)
        values = {
            "guild_id": guild_id,
            "folded": fold_name(name),
            "name": name,
            "text": text,
            "created_by": created_by,
            "created_at": self._clock.now(),
        }
        of_guild = select(func.count()).select_from(personas).where(personas.c.guild_id == guild_id)
        async with self._database.writing(Guard("personas", guild_id)) as connection:
            replaced = await connection.execute(delete(personas).where(*_is_named(guild_id, name)))
            if not replaced.rowcount and await connection.scalar(of_guild) >= limit:
                raise TooManyPersonasError(limit)
            await connection.execute(insert(personas), values)

    async def get(self, guild_id: int, name: str) -> Persona | None:
        """Return the persona with this name, in whatever case."""
        async with self._database.reading() as connection:
            row = (await connection.execute(select(personas).where(*_is_named(guild_id, name)))).one_or_none()
        return None if row is None else _persona(row)

    async def delete(self, guild_id: int, name: str) -> bool:
        """Forget a persona; says whether there was one."""
        async with self._database.writing() as connection:
            return (await connection.execute(delete(personas).where(*_is_named(guild_id, name)))).rowcount > 0

    async def list(self, guild_id: int) -> _Personas:
        """Return a server's personas in the order of their names."""
        query = select(personas).where(personas.c.guild_id == guild_id)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).all()
        # Sorted here: databases differ in how they order text.
        return [_persona(row) for row in sorted(rows, key=lambda row: row.folded)]


def _is_named(guild_id: int, name: str) -> tuple[ColumnElement[bool], ...]:
    return personas.c.guild_id == guild_id, personas.c.folded == fold_name(name)


def _persona(row: Row[Any]) -> Persona:
    return Persona(name=row.name, text=row.text, created_by=row.created_by, created_at=row.created_at)
