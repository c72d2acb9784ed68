"""Names under which what a model computed for a conversation is kept outside the database, and which of them hold.

A name goes, for good, with the first word that is deleted from its conversation or changed in it: whatever bears it was
computed from words that are not to be found any more. Owns: the names. Does not own: what bears them
(`generation/kept_states.py`), nor when it is removed.
"""

import secrets
from collections.abc import Collection, Iterable

from sqlalchemy import delete, insert, select

from storage.chunks import in_chunks
from storage.database import Database
from storage.schema import chats, computed_conversations, conversations
from storage.uninterrupted import LentConnection

_NAME_BYTES = 16
_BEGINNING = "."
"""Stands between a chat's id and the number of its beginning; neither has one."""


def chat_name(chat_id: str, beginnings: int) -> str:
    """Return the name of a chat's computation: it holds until the chat is begun anew or deleted."""
    return f"{chat_id}{_BEGINNING}{beginnings}"


def new_name() -> str:
    """Draw a name for a conversation that is not there yet; it holds once it is kept with the first turn."""
    return secrets.token_hex(_NAME_BYTES)


async def fetch_name(connection: LentConnection, key: str) -> str | None:
    """Return the name of a conversation's computation; None where it has none."""
    named = computed_conversations.c
    name: str | None = await connection.scalar(select(named.name).where(named.conversation_key == key))
    return name


async def draw_name(connection: LentConnection, key: str) -> str | None:
    """Give a conversation's computation a name unless it has one; None for a conversation that is not there."""
    name = await fetch_name(connection, key)
    is_there = await connection.scalar(select(conversations.c.key).where(conversations.c.key == key)) is not None
    if name is not None or not is_there:
        return name
    name = new_name()
    await keep_name(connection, key, name)
    return name


async def keep_name(connection: LentConnection, key: str, name: str) -> None:
    """Give the computation of a conversation that has no name one."""
    await connection.execute(insert(computed_conversations), {"name": name, "conversation_key": key})


async def drop_names(connection: LentConnection, keys: Iterable[str]) -> None:
    """Let the names of conversations go, because words in them were deleted or changed."""
    for chunk in in_chunks(set(keys)):
        await connection.execute(
            delete(computed_conversations).where(computed_conversations.c.conversation_key.in_(chunk))
        )


class ComputedNames:
    """The names that hold in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_held(self, names: Collection[str]) -> set[str]:
        """Return those of the names that still hold. Raises `StorageError`."""
        held: set[str] = set()
        chat_ids = {name.rpartition(_BEGINNING)[0] for name in names if _BEGINNING in name}
        named = computed_conversations.c.name
        async with self._database.reading() as connection:
            for chunk in in_chunks(names):
                held.update((await connection.execute(select(named).where(named.in_(chunk)))).scalars())
            for chunk in in_chunks(chat_ids):
                query = select(chats.c.id, chats.c.beginnings).where(chats.c.id.in_(chunk))
                held.update(chat_name(row.id, row.beginnings) for row in await connection.execute(query))
        return held.intersection(names)
