"""Small facts Parley keeps about itself, such as which commands it last told Discord.

Not for anything people wrote, and not for secrets.
"""

from sqlalchemy import select

from storage.database import Database
from storage.schema import notes
from storage.upserts import insert_or_update


class Notes:
    """Texts under short names."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, key: str) -> str | None:
        """Return the text last put under this name (at most 64 characters)."""
        async with self._database.reading() as connection:
            value: str | None = await connection.scalar(select(notes.c.value).where(notes.c.key == key))
            return value

    async def put_new(self, key: str, value: str) -> bool:
        """Keep a text unless it is there already; True for one alone of those who put it at once."""
        async with self._database.writing() as connection:
            insert = insert_or_update(connection, notes).values(key=key, value=value)
            changed = insert.on_conflict_do_update(
                index_elements=[notes.c.key],
                set_={"value": insert.excluded.value},
                where=notes.c.value != insert.excluded.value,
            )
            return await connection.scalar(changed.returning(notes.c.key)) is not None

    async def put(self, key: str, value: str) -> None:
        """Keep a text, in place of the one before."""
        async with self._database.writing() as connection:
            insert = insert_or_update(connection, notes).values(key=key, value=value)
            await connection.execute(
                insert.on_conflict_do_update(index_elements=[notes.c.key], set_={"value": insert.excluded.value})
            )
