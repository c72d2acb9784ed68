"""What was chosen for a channel: its persona, sampling options and model.

Does not own: which options there are and what they may be (the API's contract), or the personas a server keeps for
later (`personas.py`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete, or_, select, update

from storage.clock import Clock
from storage.database import Database
from storage.names import clean_name
from storage.schema import MAX_PERSONA_NAME_LENGTH, channel_settings
from storage.uninterrupted import LentConnection
from storage.upserts import insert_or_update

OptionScalar = str | int | float | bool | None
OptionValue = OptionScalar | Sequence[OptionScalar]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelProfile:
    """What differs in a channel from the operator's settings; None and an empty `options` where nothing does.

    `persona_name` is the name of the saved persona the text was taken from.
    """

    persona: str | None
    persona_name: str | None
    options: dict[str, Any]
    model: str | None


class ChannelSettings:
    """The settings of channels, threads and DMs. `guild_id` is None in a DM; `changed_by` is a Discord user."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def get(self, channel_id: int) -> ChannelProfile | None:
        """Return what was chosen for a channel, None when nothing was."""
        query = select(channel_settings).where(channel_settings.c.channel_id == channel_id)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        return ChannelProfile(
            persona=row.persona,
            persona_name=row.persona_name,
            options={} if row.options is None else json.loads(row.options),
            model=row.model,
        )

    async def set_persona(
        self, channel_id: int, *, guild_id: int | None, text: str, name: str | None = None, changed_by: int
    ) -> None:
        """Give a channel a persona in place of the one before; raises `ValueError` for an unusable name."""
        cleaned = None if name is None else clean_name(name, max_length=MAX_PERSONA_NAME_LENGTH)
        async with self._database.writing() as connection:
            await self._put(connection, channel_id, guild_id, changed_by, {"persona": text, "persona_name": cleaned})

    async def clear_persona(self, channel_id: int) -> bool:
        """Take a channel's persona away; says whether there was one."""
        settings = channel_settings.c
        return await self._unset(channel_id, {"persona": None, "persona_name": None}, settings.persona.is_not(None))

    async def set_options(
        self,
        channel_id: int,
        *,
        guild_id: int | None,
        options: Mapping[str, OptionValue],
        model: str | None,
        changed_by: int,
    ) -> None:
        """Give a channel these options and this model in place of all those before.

        Raises `ValueError` for a number that JSON does not have (infinite, or none at all).
        """
        as_text = json.dumps(dict(options), allow_nan=False, sort_keys=True) if options else None
        async with self._database.writing() as connection:
            await self._put(connection, channel_id, guild_id, changed_by, {"options": as_text, "model": model})
            await _drop_if_empty(connection, channel_id)

    async def reset_options(self, channel_id: int) -> bool:
        """Take a channel's options and model away; says whether there were any."""
        settings = channel_settings.c
        has_any = or_(settings.options.is_not(None), settings.model.is_not(None))
        return await self._unset(channel_id, {"options": None, "model": None}, has_any)

    async def delete_channel(self, channel_id: int) -> bool:
        """Forget what was chosen for a channel; says whether anything was."""
        statement = delete(channel_settings).where(channel_settings.c.channel_id == channel_id)
        async with self._database.writing() as connection:
            return (await connection.execute(statement)).rowcount > 0

    async def _put(
        self,
        connection: LentConnection,
        channel_id: int,
        guild_id: int | None,
        changed_by: int,
        values: Mapping[str, str | None],
    ) -> None:
        changed = {**values, "guild_id": guild_id, "changed_by": changed_by, "changed_at": self._clock.now()}
        statement = insert_or_update(connection, channel_settings).values(channel_id=channel_id, **changed)
        await connection.execute(
            statement.on_conflict_do_update(index_elements=[channel_settings.c.channel_id], set_=changed)
        )

    async def _unset(self, channel_id: int, values: Mapping[str, None], is_set: ColumnElement[bool]) -> bool:
        statement = update(channel_settings).where(channel_settings.c.channel_id == channel_id, is_set).values(values)
        async with self._database.writing() as connection:
            changed = await connection.execute(statement)
            await _drop_if_empty(connection, channel_id)
        return changed.rowcount > 0


async def _drop_if_empty(connection: LentConnection, channel_id: int) -> None:
    settings = channel_settings.c
    await connection.execute(
        delete(channel_settings).where(
            settings.channel_id == channel_id,
            settings.persona.is_(None),
            settings.options.is_(None),
            settings.model.is_(None),
        )
    )
