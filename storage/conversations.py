"""Conversations: ordered messages under an opaque key.

Owns: what was said, until it is cleared. Does not own: which part of it fits the model's context, or who may read it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import delete, insert, select

from storage.clock import Clock
from storage.database import Database
from storage.schema import MAX_CONVERSATION_KEY_LENGTH, conversation_messages, conversations
from storage.uninterrupted import LentConnection
from storage.upserts import insert_or_update

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """A message to be remembered. The ids are Discord's, where the message has them."""

    role: Role
    content: str
    author_id: int | None = None
    discord_message_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """A remembered message; `id` grows with the order of the conversation and is never used again."""

    id: int
    role: Role
    content: str
    author_id: int | None
    discord_message_id: int | None
    created_at: datetime


class Conversations:
    """The conversations of one database. A key has 1 to 200 characters, such as `channel:123`."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def append(self, key: str, *messages: NewMessage) -> list[int]:
        """Add messages in their order, all or none; returns their ids. Raises `ValueError` for a bad key."""
        _check_key(key)
        if not messages:
            return []
        now = self._clock.now()
        async with self._database.writing() as connection:
            await _touch(connection, key, now)
            return await _add(connection, key, messages, now)

    async def read(self, key: str) -> list[StoredMessage]:
        """Return the messages, oldest first."""
        stored = conversation_messages.c
        query = (
            select(
                stored.id,
                stored.role,
                stored.content,
                stored.author_id,
                stored.discord_message_id,
                stored.created_at,
            )
            .where(stored.conversation_key == key)
            .order_by(stored.id)
        )
        async with self._database.reading() as connection:
            return [StoredMessage(**row) for row in (await connection.execute(query)).mappings()]

    async def clear(self, key: str) -> int:
        """Forget a conversation; returns how many messages it had."""
        async with self._database.writing() as connection:
            deleted = await connection.execute(
                delete(conversation_messages).where(conversation_messages.c.conversation_key == key)
            )
            await connection.execute(delete(conversations).where(conversations.c.key == key))
            return deleted.rowcount

    async def delete_message(self, message_id: int) -> bool:
        """Forget one message; says whether there was one."""
        async with self._database.writing() as connection:
            deleted = await connection.execute(
                delete(conversation_messages).where(conversation_messages.c.id == message_id)
            )
            return deleted.rowcount > 0

    async def delete_untouched(self, before: datetime) -> int:
        """Forget the conversations nobody has added to since an aware instant; returns how many."""
        async with self._database.writing() as connection:
            deleted = await connection.execute(delete(conversations).where(conversations.c.touched_at < before))
            return deleted.rowcount


def _check_key(key: str) -> None:
    if not 0 < len(key) <= MAX_CONVERSATION_KEY_LENGTH:
        raise ValueError(f"a conversation key has 1 to {MAX_CONVERSATION_KEY_LENGTH} characters")


async def _touch(connection: LentConnection, key: str, now: datetime) -> None:
    statement = insert_or_update(connection, conversations).values(key=key, touched_at=now)
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=[conversations.c.key], set_={"touched_at": statement.excluded.touched_at}
        )
    )


async def _add(connection: LentConnection, key: str, messages: Sequence[NewMessage], now: datetime) -> list[int]:
    """Insert one by one: only so do the ids follow the order on every database."""
    statement = insert(conversation_messages).returning(conversation_messages.c.id)
    ids = []
    for message in messages:
        values = {
            "conversation_key": key,
            "role": message.role,
            "content": message.content,
            "author_id": message.author_id,
            "discord_message_id": message.discord_message_id,
            "created_at": now,
        }
        ids.append((await connection.execute(statement, values)).scalar_one())
    return ids
