"""What goes when a person asks to be forgotten: their words, and the replies that repeat them.

Functions on a connection, for `Conversations`; whoever calls them begins and ends the transaction. Does not own: when
the words leave the files (`Conversations.erase_traces`).
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, exists, or_, select, true

from storage.bot_schema import forgotten_people
from storage.chunks import in_chunks
from storage.computed import drop_names
from storage.schema import conversation_messages, conversations, posted_messages
from storage.uninterrupted import LentConnection
from storage.upserts import insert_or_update

MARKED = timedelta(days=1)
"""How long it is known who had everything forgotten; no turn takes as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgottenWords:
    """How many messages went, replies included, and out of how many conversations."""

    messages: int
    conversations: int


async def clear(connection: LentConnection, key: str) -> int:
    """Delete a conversation; returns how many messages it had."""
    return await _clear_all(connection, [key])


async def clear_channels(connection: LentConnection, channel_ids: Collection[int]) -> int:
    """Delete every conversation of some channels; returns how many messages they had."""
    keys = {f"channel:{channel_id}" for channel_id in channel_ids}
    private = await connection.execute(select(conversations.c.key).where(conversations.c.key.like("private:%")))
    keys.update(key for key in private.scalars() if _channel_of(key) in channel_ids)
    return await _clear_all(connection, keys)


async def forget_author(
    connection: LentConnection, author_id: int, key: str | None, *, now: datetime
) -> ForgottenWords:
    """Delete what a person wrote and the replies to it, in one conversation or everywhere."""
    if key is None:
        await _mark(connection, author_id, now)
    touched = set(await _find_private(connection, author_id) if key is None else ())
    messages = await _clear_all(connection, touched)
    doomed = await _find_words(connection, author_id, key)
    doomed |= await _find_copies(connection, doomed, key)
    for chunk in in_chunks(doomed):
        await connection.execute(delete(conversation_messages).where(conversation_messages.c.id.in_(chunk)))
    touched.update(doomed.values())
    await drop_names(connection, touched)
    await drop_empty(connection, touched)
    return ForgottenWords(messages=messages + len(doomed), conversations=len(touched))


async def fetch_marks(connection: LentConnection, author_ids: Collection[int]) -> dict[int, datetime | None]:
    """Return when each of some people had everything forgotten lately; None for who had not.

    Whoever keeps a turn compares it with what it was when the turn was begun.
    """
    people = forgotten_people.c
    query = select(people.author_id, people.forgotten_at).where(people.author_id.in_(author_ids))
    found = {row.author_id: row.forgotten_at for row in await connection.execute(query)}
    return {author_id: found.get(author_id) for author_id in author_ids}


async def _mark(connection: LentConnection, author_id: int, now: datetime) -> None:
    await connection.execute(delete(forgotten_people).where(forgotten_people.c.forgotten_at <= now - MARKED))
    new = insert_or_update(connection, forgotten_people).values(author_id=author_id, forgotten_at=now)
    await connection.execute(
        new.on_conflict_do_update(
            index_elements=[forgotten_people.c.author_id], set_={"forgotten_at": new.excluded.forgotten_at}
        )
    )


async def drop_empty(connection: LentConnection, keys: Collection[str]) -> None:
    """Delete those of the conversations that have no messages left."""
    for chunk in in_chunks(keys):
        has_messages = exists().where(conversation_messages.c.conversation_key == conversations.c.key)
        await connection.execute(delete(conversations).where(conversations.c.key.in_(chunk), ~has_messages))


async def _clear_all(connection: LentConnection, keys: Collection[str]) -> int:
    messages = 0
    for chunk in in_chunks(keys):
        deleted = await connection.execute(
            delete(conversation_messages).where(conversation_messages.c.conversation_key.in_(chunk))
        )
        await connection.execute(delete(conversations).where(conversations.c.key.in_(chunk)))
        messages += deleted.rowcount
    return messages


async def _find_private(connection: LentConnection, author_id: int) -> list[str]:
    """Return the keys `private:<channel>:<author>`; the colon before the id keeps longer ids out."""
    query = select(conversations.c.key).where(conversations.c.key.like(f"private:%:{author_id}"))
    return list((await connection.execute(query)).scalars())


def _channel_of(private_key: str) -> int | None:
    channel = private_key.split(":")[1]
    return int(channel) if channel.isdecimal() else None


async def _find_words(connection: LentConnection, author_id: int, key: str | None) -> dict[int, str]:
    """Return ids and keys of a person's messages and of the replies to them.

    A reply that has lost its question counts as the person's (`posted.delete_messages`).
    """
    stored = conversation_messages.c
    own = select(stored.id).where(stored.author_id == author_id)
    query = select(stored.id, stored.conversation_key).where(
        or_(stored.author_id == author_id, stored.answers_id.in_(own)), _is_in(key)
    )
    return {row.id: row.conversation_key for row in await connection.execute(query)}


async def _find_copies(connection: LentConnection, replies: Collection[int], key: str | None) -> dict[int, str]:
    """Return ids and keys of the messages copied from where the replies stand: a thread may begin with one."""
    stored, posted = conversation_messages.c, posted_messages.c
    copies = {}
    for chunk in in_chunks(replies):
        places = select(posted.discord_message_id).where(posted.message_id.in_(chunk))
        query = select(stored.id, stored.conversation_key).where(stored.discord_message_id.in_(places), _is_in(key))
        copies.update({row.id: row.conversation_key for row in await connection.execute(query)})
    return copies


def _is_in(key: str | None) -> ColumnElement[bool]:
    return true() if key is None else conversation_messages.c.conversation_key == key
