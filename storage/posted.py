"""Where conversations stand in Discord, and what follows when somebody edits or deletes a message there.

The rule: the conversation is what people can see in the channel. Functions on a connection, for `Conversations`;
whoever calls them begins and ends the transaction. Does not own: what a person asks to be forgotten (`forgetting.py`).
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, exists, or_, select, update

from storage.chunks import in_chunks
from storage.computed import drop_names
from storage.schema import conversation_messages, posted_messages
from storage.uninterrupted import LentConnection
from storage.upserts import insert_or_update


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedPart:
    """One Discord message that a reply stands in.

    `characters` counts how many of the reply's text stand there, as `len` counts. The parts of a reply make up its text
    in their order; the last one stands for everything up to the end, whatever it counts.
    """

    discord_message_id: int
    channel_id: int
    characters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedReply:
    """A reply and where it stands in Discord; `parts` are those not deleted there, in their order.

    `question_id` is None when the question is gone. `is_last` says that nothing was added to the conversation since.
    """

    conversation_key: str
    reply_id: int
    question_id: int | None
    asker_id: int
    text: str
    is_cut: bool
    parts: tuple[PostedPart, ...]
    is_last: bool


async def link_reply(connection: LentConnection, reply_id: int, posted: Sequence[PostedPart], *, asker_id: int) -> bool:
    """Replace where a reply stands; False when there is no such reply. A Discord message belongs to one reply."""
    if not await connection.scalar(select(exists().where(_is_reply(reply_id)))):
        return False
    ids = [part.discord_message_id for part in posted]
    await connection.execute(
        delete(posted_messages).where(
            or_(posted_messages.c.message_id == reply_id, posted_messages.c.discord_message_id.in_(ids))
        )
    )
    for position, part in enumerate(posted):
        values = {
            "discord_message_id": part.discord_message_id,
            "message_id": reply_id,
            "channel_id": part.channel_id,
            "position": position,
            "characters": part.characters,
            "asker_id": asker_id,
        }
        statement = insert_or_update(connection, posted_messages).values(values)
        # Another process may have linked the Discord message meanwhile: the last one has it.
        await connection.execute(
            statement.on_conflict_do_update(index_elements=[posted_messages.c.discord_message_id], set_=values)
        )
    return True


async def unlink_reply(connection: LentConnection, reply_id: int) -> None:
    """Let go of the Discord messages of a reply."""
    await connection.execute(delete(posted_messages).where(posted_messages.c.message_id == reply_id))


async def fetch_posted(connection: LentConnection, discord_message_id: int) -> PostedReply | None:
    """Return the reply that stands in a Discord message."""
    posted = posted_messages.c
    reply_id = await connection.scalar(select(posted.message_id).where(posted.discord_message_id == discord_message_id))
    return None if reply_id is None else await _fetch_reply(connection, reply_id)


async def fetch_asker(connection: LentConnection, discord_message_id: int) -> int | None:
    """Return who asked for the reply that stands in a Discord message; None where no reply stands there."""
    posted = posted_messages.c
    asker_id: int | None = await connection.scalar(
        select(posted.asker_id).where(posted.discord_message_id == discord_message_id)
    )
    return asker_id


async def fetch_last_reply(connection: LentConnection, key: str) -> PostedReply | None:
    """Return the last message of a conversation if it is a reply that stands in Discord."""
    stored = conversation_messages.c
    last_id = await connection.scalar(
        select(stored.id).where(stored.conversation_key == key).order_by(stored.id.desc()).limit(1)
    )
    return None if last_id is None else await _fetch_reply(connection, last_id)


async def edit_question(connection: LentConnection, discord_message_id: int, content: str) -> str | None:
    """Change the user's messages that came from a Discord message; returns the key of the oldest, None without any.

    There is more than one where a thread began with a copy of it.
    """
    stored = conversation_messages.c
    edited = await connection.execute(
        update(conversation_messages)
        .where(stored.discord_message_id == discord_message_id, stored.role == "user")
        .values(content=content)
        .returning(stored.id, stored.conversation_key)
    )
    rows = sorted((row.id, row.conversation_key) for row in edited)
    await drop_names(connection, (key for _, key in rows))
    return rows[0][1] if rows else None


async def delete_posted(connection: LentConnection, discord_message_ids: Collection[int]) -> set[str]:
    """Take out of the conversations what stood in deleted Discord messages; returns the keys touched."""
    touched = set()
    for reply_id, gone in (await _find_parts(connection, discord_message_ids)).items():
        touched.add(await _take_out(connection, reply_id, gone))
    for chunk in in_chunks(discord_message_ids):
        touched.update(await delete_messages(connection, conversation_messages.c.discord_message_id.in_(chunk)))
    return touched


async def delete_messages(connection: LentConnection, which: ColumnElement[bool]) -> list[str]:
    """Delete messages whose replies stay; returns the key of each.

    A reply that loses its question takes over the author: it may repeat that person's words, and goes when they are
    to be forgotten.
    """
    stored, question = conversation_messages.c, conversation_messages.alias()
    author = select(question.c.author_id).where(question.c.id == stored.answers_id).scalar_subquery()
    await connection.execute(
        update(conversation_messages)
        .where(stored.answers_id.in_(select(stored.id).where(which)))
        .values(author_id=author)
    )
    deleted = await connection.execute(delete(conversation_messages).where(which).returning(stored.conversation_key))
    return list(deleted.scalars())


def without_parts(text: str, parts: Sequence[PostedPart], gone: Collection[int]) -> str:
    """Return the text of a reply without what stands in the Discord messages that are gone."""
    kept, start = [], 0
    for part in parts:
        end = len(text) if part is parts[-1] else start + part.characters
        if part.discord_message_id not in gone:
            kept.append(text[start:end])
        start = end
    return "".join(kept)


async def _find_parts(connection: LentConnection, discord_message_ids: Collection[int]) -> dict[int, set[int]]:
    """Group those of the Discord messages that replies stand in by reply."""
    posted = posted_messages.c
    found: defaultdict[int, set[int]] = defaultdict(set)
    for chunk in in_chunks(discord_message_ids):
        query = select(posted.message_id, posted.discord_message_id).where(posted.discord_message_id.in_(chunk))
        for row in await connection.execute(query):
            found[row.message_id].add(row.discord_message_id)
    return found


async def _take_out(connection: LentConnection, reply_id: int, gone: set[int]) -> str:
    """Take the deleted parts out of a reply, and its question with the part that showed it; returns the key."""
    reply = (await connection.execute(select(conversation_messages).where(_is_reply(reply_id)))).one()
    rows = await _fetch_parts(connection, reply_id)
    if any(row.position == 0 and row.discord_message_id in gone for row in rows):
        await _delete_unposted(connection, reply.answers_id)
    parts = [_part(row) for row in rows]
    text = without_parts(reply.content, parts, gone)
    if len(gone) == len(parts) or not text.strip():
        await connection.execute(delete(conversation_messages).where(_is_reply(reply_id)))
    else:
        await connection.execute(update(conversation_messages).where(_is_reply(reply_id)).values(content=text))
        for chunk in in_chunks(gone):
            await connection.execute(delete(posted_messages).where(posted_messages.c.discord_message_id.in_(chunk)))
    key: str = reply.conversation_key
    return key


async def _delete_unposted(connection: LentConnection, question_id: int | None) -> None:
    """Delete a question that no Discord message of its own shows: it stood in the head of the reply."""
    stored = conversation_messages.c
    await delete_messages(connection, (stored.id == question_id) & stored.discord_message_id.is_(None))


async def _fetch_reply(connection: LentConnection, reply_id: int) -> PostedReply | None:
    stored = conversation_messages.c
    later = conversation_messages.alias()
    is_last = ~exists().where(later.c.conversation_key == stored.conversation_key, later.c.id > stored.id)
    query = select(conversation_messages, is_last.label("is_last")).where(_is_reply(reply_id))
    reply = (await connection.execute(query)).one_or_none()
    rows = await _fetch_parts(connection, reply_id)
    if reply is None or not rows:
        return None
    return PostedReply(
        conversation_key=reply.conversation_key,
        reply_id=reply_id,
        question_id=reply.answers_id,
        asker_id=rows[0].asker_id,
        text=reply.content,
        is_cut=reply.is_cut,
        parts=tuple(_part(row) for row in rows),
        is_last=reply.is_last,
    )


async def _fetch_parts(connection: LentConnection, reply_id: int) -> Sequence[Row[Any]]:
    posted = posted_messages.c
    query = select(posted_messages).where(posted.message_id == reply_id).order_by(posted.position)
    return (await connection.execute(query)).all()


def _part(row: Row[Any]) -> PostedPart:
    return PostedPart(discord_message_id=row.discord_message_id, channel_id=row.channel_id, characters=row.characters)


def _is_reply(message_id: int) -> ColumnElement[bool]:
    return (conversation_messages.c.id == message_id) & (conversation_messages.c.role == "assistant")
