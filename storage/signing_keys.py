"""Keys the service signs with: made once per database, the same for every process on it."""

import secrets

from sqlalchemy import select

from storage.database import Database
from storage.schema import signing_keys
from storage.upserts import insert_or_update

KEY_BYTES = 32


class SigningKeys:
    """Secret keys under short names (at most 64 characters)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, name: str) -> bytes:
        """Return the key of this name, 32 bytes, making it at the first call of all processes."""
        query = select(signing_keys.c.key).where(signing_keys.c.name == name)
        async with self._database.writing() as connection:
            new = insert_or_update(connection, signing_keys).values(name=name, key=secrets.token_bytes(KEY_BYTES))
            await connection.execute(new.on_conflict_do_nothing(index_elements=[signing_keys.c.name]))
            key: bytes = await connection.scalar(query)
        return key
