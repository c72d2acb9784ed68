"""Conversations: ordered messages under an opaque key.

Owns: what was said, until it is cleared. Does not own: which part of it fits the model's context, or who may read it.
What follows from edits and deletions in Discord stands in `posted.py`, what a person's wish to be forgotten takes along
in `forgetting.py`; both are reached through `Conversations`.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Select, delete, func, insert, select, update

from storage import forgetting
from storage.clock import Clock
from storage.computed import draw_name, drop_names, fetch_name, keep_name
from storage.database import Database
from storage.errors import AuthorForgottenError
from storage.forgetting import ForgottenWords
from storage.guards import Guard
from storage.posted import (
    PostedPart,
    PostedReply,
    delete_messages,
    delete_posted,
    edit_question,
    fetch_asker,
    fetch_last_reply,
    fetch_posted,
    link_reply,
    unlink_reply,
)
from storage.schema import MAX_CONVERSATION_KEY_LENGTH, conversation_messages, conversations
from storage.uninterrupted import LentConnection
from storage.upserts import insert_or_update

Role = Literal["system", "user", "assistant"]

Marks = Mapping[int, datetime | None]
"""When people, by their ids, had everything forgotten last."""

# What takes words out, or changes them, follows them through all conversations: nobody adds a copy meanwhile. What adds
# to one needs only that one to stand still, or one reply.
_ALL = Guard("conversations")

# Another process that reads can hold the log open; ours read for milliseconds.
_ERASE_TRIES = 5
_ERASE_PAUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """A message to be remembered. The ids are Discord's, where the message has them.

    A copy of a reply, known by a Discord message that the reply stands in, is its asker's where no author is given.
    """

    role: Role
    content: str
    author_id: int | None = None
    discord_message_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """A remembered message; `id` grows with the order of the conversation and is never used again.

    `answers_id` is the user's message that a reply answers; when that is gone, and in a copy of a reply, it is None and
    `author_id` says who asked. `is_cut` says that the reply stopped at its length limit.
    """

    id: int
    role: Role
    content: str
    author_id: int | None
    discord_message_id: int | None
    created_at: datetime
    answers_id: int | None
    is_cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnIds:
    """The ids of a turn's two messages."""

    question_id: int
    reply_id: int


class Conversations:
    """The conversations of one database. A key has 1 to 200 characters, such as `channel:123`."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def append(self, key: str, *messages: NewMessage) -> list[int]:
        """Add messages in their order, all or none; returns their ids. Raises `ValueError` for a bad key.

        A reply among them answers the user's message before it, if there is one among them.
        """
        _check_key(key)
        if not messages:
            return []
        now = self._clock.now()
        async with self._database.writing(_alone_with(key)) as connection:
            await _touch(connection, key, now)
            ids: list[int] = []
            question_id = None
            for message in messages:
                answers_id = question_id if message.role == "assistant" else None
                ids.append(await _add(connection, key, message, now, answers_id=answers_id))
                question_id = ids[-1] if message.role == "user" else question_id
            return ids

    async def append_turn(
        self,
        key: str,
        question: NewMessage,
        reply: NewMessage,
        *,
        is_cut: bool,
        before: Sequence[NewMessage] = (),
        first_name: str | None = None,
        marks: Marks | None = None,
    ) -> TurnIds:
        """Add a question and the reply that answers it, both or none. Raises `ValueError` for a bad key.

        `is_cut` says that the reply stopped at its length limit. `before` are messages that the question refers to;
        they come with it, but for those of people whose `marks` have changed. `first_name` is the name for what a model
        computed for them if they begin the conversation. Raises `AuthorForgottenError` where a mark of the question's
        author has changed.
        """
        _check_key(key)
        now = self._clock.now()
        async with self._database.writing(_alone_with(key)) as connection:
            forgotten = await _find_forgotten(connection, marks or {})
            if question.author_id in forgotten:
                raise AuthorForgottenError
            await _touch(connection, key, now)
            if first_name is not None and not forgotten and await _is_nameless_and_empty(connection, key):
                await keep_name(connection, key, first_name)
            for message in before:
                if message.author_id not in forgotten:
                    await _add(connection, key, message, now)
            question_id = await _add(connection, key, question, now)
            reply_id = await _add(connection, key, reply, now, answers_id=question_id, is_cut=is_cut)
        return TurnIds(question_id=question_id, reply_id=reply_id)

    async def replace_reply(self, reply_id: int, text: str, *, is_cut: bool) -> bool:
        """Put another text in a reply's place; False when the reply is gone.

        Its Discord messages are let go until it is linked to those that show the new text: an old one that is deleted
        meanwhile, as surplus, must not take its part out of it.
        """
        stored = conversation_messages.c
        statement = (
            update(conversation_messages)
            .where(stored.id == reply_id, stored.role == "assistant")
            .values(content=text, is_cut=is_cut)
            .returning(stored.conversation_key)
        )
        async with self._database.writing(_alone_with(reply_id)) as connection:
            key = await connection.scalar(statement)
            if key is not None:
                await unlink_reply(connection, reply_id)
                await _touch(connection, key, self._clock.now())
        return key is not None

    async def read(self, key: str, *, skip: int = 0) -> list[StoredMessage]:
        """Return the messages, oldest first, without the `skip` oldest ones."""
        stored = conversation_messages.c
        query = (
            select(
                stored.id,
                stored.role,
                stored.content,
                stored.author_id,
                stored.discord_message_id,
                stored.created_at,
                stored.answers_id,
                stored.is_cut,
            )
            .where(stored.conversation_key == key)
            .order_by(stored.id)
            .offset(skip)
        )
        async with self._database.reading() as connection:
            return [StoredMessage(**row) for row in (await connection.execute(query)).mappings()]

    async def count(self, key: str) -> int:
        """Count the messages of a conversation; 0 for one that is not there."""
        async with self._database.reading() as connection:
            number: int = await connection.scalar(_count(key))
        return number

    async def computed_name(self, key: str) -> str | None:
        """Return the name for what a model computes for a conversation (`computed.py`); None while it has no words."""
        async with self._database.reading() as connection:
            name = await fetch_name(connection, key)
        if name is None and await self.count(key):
            async with self._database.writing(_alone_with(key)) as connection:
                name = await draw_name(connection, key)
        return name

    async def link(self, reply_id: int, posted: Sequence[PostedPart], *, asker_id: int) -> bool:
        """Say in which Discord messages a reply stands, in their order, in place of what was said before.

        `asker_id` may press the reply's buttons. False when the reply is gone. A Discord message belongs to the reply
        that was linked to it last.
        """
        async with self._database.writing(_alone_with(reply_id)) as connection:
            return await link_reply(connection, reply_id, posted, asker_id=asker_id)

    async def find_posted(self, discord_message_id: int) -> PostedReply | None:
        """Return the reply that stands in a Discord message, None when there is none."""
        async with self._database.reading() as connection:
            return await fetch_posted(connection, discord_message_id)

    async def last_reply(self, key: str) -> PostedReply | None:
        """Return a conversation's last message if it is a reply that stands in Discord, None otherwise."""
        async with self._database.reading() as connection:
            return await fetch_last_reply(connection, key)

    async def edit_by_discord_id(self, discord_message_id: int, content: str) -> str | None:
        """Change what a user's message says, after it was edited in Discord; its reply stays.

        Returns the conversation's key, None when no conversation has the message. Where several have it, because a
        thread began with a copy, all are changed and the key is that of the oldest.
        """
        async with self._database.writing(_ALL) as connection:
            return await edit_question(connection, discord_message_id, content)

    async def delete_by_discord_ids(self, ids: Collection[int]) -> list[str]:
        """Take out of the conversations what nobody can see in Discord any more; returns the keys touched, sorted.

        A deleted message goes from its conversation, and its reply stays. A deleted message of a reply takes its part
        of the text along; the reply goes when nothing readable is left. A question without a message of its own, such
        as a command's, goes with the first message of its reply, which shows it.
        """
        async with self._database.writing(_ALL) as connection:
            touched = await delete_posted(connection, frozenset(ids))
            await drop_names(connection, touched)
            await forgetting.drop_empty(connection, touched)
        return sorted(touched)

    async def clear(self, key: str) -> int:
        """Forget a conversation; returns how many messages it had."""
        async with self._database.writing(_alone_with(key)) as connection:
            return await forgetting.clear(connection, key)

    async def clear_channels(self, channel_ids: Collection[int]) -> int:
        """Forget the conversations of channels that are gone: the shared ones and every private one there.

        Keys are `channel:<channel>` and `private:<channel>:<author>`. Returns how many messages they had.
        """
        async with self._database.writing(_ALL) as connection:
            return await forgetting.clear_channels(connection, frozenset(channel_ids))

    async def delete_message(self, message_id: int) -> bool:
        """Forget one message; says whether there was one."""
        async with self._database.writing(_ALL) as connection:
            keys = await delete_messages(connection, conversation_messages.c.id == message_id)
            await drop_names(connection, keys)
        return bool(keys)

    async def delete_untouched(self, before: datetime) -> int:
        """Forget the conversations nobody has added to since an aware instant; returns how many."""
        async with self._database.writing(_ALL) as connection:
            deleted = await connection.execute(delete(conversations).where(conversations.c.touched_at < before))
            return deleted.rowcount

    async def forget_author(self, author_id: int, *, key: str | None) -> ForgottenWords:
        """Forget what a person wrote in one conversation, or everywhere (None), and the replies to it: they repeat it.

        Everywhere includes the person's private conversations (`private:<channel>:<author_id>`), whole. The words leave
        the files with `erase_traces`.
        """
        async with self._database.writing(_ALL) as connection:
            return await forgetting.forget_author(connection, author_id, key, now=self._clock.now())

    async def marks(self, author_ids: Collection[int]) -> Marks:
        """Return what changes, for every process, when people have everything forgotten; for `append_turn`.

        Read before the words that are to be kept, or asked about.
        """
        async with self._database.reading() as connection:
            return await forgetting.fetch_marks(connection, author_ids)

    async def erase_traces(self) -> bool:
        """Make what was deleted or replaced leave the database's files; says whether it has.

        On SQLite, True: no byte of it stands in the file or its log. False: another process kept reading through every
        try (a few seconds); the words cannot be read through the database any more, and leave the files when a later
        call, or the close of the database, finds no reader. Writes the whole file anew (`Database.compact`), so worth
        calling only when something was deleted. On PostgreSQL, always True: no query finds it, and its room is free to
        be used again; `PostgresqlDatabase.compact` says what that leaves. Raises `StorageError`.
        """
        await self._database.compact()
        for _ in range(_ERASE_TRIES - 1):
            if await self._database.checkpoint():
                return True
            await asyncio.sleep(_ERASE_PAUSE_SECONDS)
        return await self._database.checkpoint()


async def _find_forgotten(connection: LentConnection, marks: Marks) -> set[int]:
    """Return whose mark has changed. Nobody forgets meanwhile: that takes the guard of all conversations."""
    present = await forgetting.fetch_marks(connection, marks) if marks else {}
    return {author_id for author_id, mark in marks.items() if present[author_id] != mark}


def _alone_with(what: str | int) -> Guard:
    """Return the guard of one conversation by its key, or of one reply by its id."""
    return Guard("conversations", what)


def _check_key(key: str) -> None:
    if not 0 < len(key) <= MAX_CONVERSATION_KEY_LENGTH:
        raise ValueError(f"a conversation key has 1 to {MAX_CONVERSATION_KEY_LENGTH} characters")


def _count(key: str) -> Select[int]:
    return select(func.count()).where(conversation_messages.c.conversation_key == key)


async def _is_nameless_and_empty(connection: LentConnection, key: str) -> bool:
    return await fetch_name(connection, key) is None and not await connection.scalar(_count(key))


async def _touch(connection: LentConnection, key: str, now: datetime) -> None:
    statement = insert_or_update(connection, conversations).values(key=key, touched_at=now)
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=[conversations.c.key], set_={"touched_at": statement.excluded.touched_at}
        )
    )


async def _add(
    connection: LentConnection,
    key: str,
    message: NewMessage,
    now: datetime,
    *,
    answers_id: int | None = None,
    is_cut: bool = False,
) -> int:
    """Insert one message; one by one the ids follow the order on every database."""
    values = {
        "conversation_key": key,
        "role": message.role,
        "content": message.content,
        "author_id": await _author_of(connection, message),
        "discord_message_id": message.discord_message_id,
        "created_at": now,
        "answers_id": answers_id,
        "is_cut": is_cut,
    }
    statement = insert(conversation_messages).returning(conversation_messages.c.id)
    message_id: int = (await connection.execute(statement, values)).scalar_one()
    return message_id


async def _author_of(connection: LentConnection, message: NewMessage) -> int | None:
    """Return whose words a message holds: those of a copied reply are its asker's, also once that reply is gone."""
    if message.author_id is not None or message.discord_message_id is None:
        return message.author_id
    return await fetch_asker(connection, message.discord_message_id)
