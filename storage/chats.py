"""Chats kept on the server: turns under an unguessable id, each chat its tenant's own.

Owns: what was said, until the chat is begun anew or has not been touched for long. Does not own: which part of it fits
the model's context, or what a chat's id is called on the wire.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, insert, select, update

from storage.clock import Clock
from storage.computed import chat_name
from storage.database import Database
from storage.errors import ChatNotFoundError
from storage.schema import MAX_CHAT_ID_LENGTH, chat_turns, chats
from storage.uninterrupted import LentConnection

MAX_READ_TURNS = 500
"""Turns that are read of one chat, the newest: more than any context holds."""

_ID_BYTES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A question and its reply; `id` grows with their order and is never used again."""

    id: int
    question: str
    reply: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """A chat as it was read, oldest turn first. `beginnings` says which of its beginnings the turns follow."""

    id: str
    system_prompt: str
    beginnings: int
    created_at: datetime
    touched_at: datetime
    turns: Sequence[Turn]

    @property
    def computed_name(self) -> str:
        """The name for what a model computes for the chat, see `computed.py`."""
        return chat_name(self.id, self.beginnings)


class Chats:
    """The chats of one database."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def begin(self, *, system_prompt: str) -> Chat:
        """Begin an empty chat, in memory: it is kept with its first turn."""
        now = self._clock.now()
        return Chat(
            id="chat_" + secrets.token_urlsafe(_ID_BYTES),
            system_prompt=system_prompt,
            beginnings=0,
            created_at=now,
            touched_at=now,
            turns=(),
        )

    async def read(self, chat_id: str, *, tenant_id: str) -> Chat:
        """Return a tenant's chat with its newest turns; raises `ChatNotFoundError`, also for another tenant's."""
        return await self._read(chat_id, chats.c.tenant_id == tenant_id)

    async def read_until(self, chat_id: str, turn_id: int) -> Chat:
        """Return whoever's chat as it was after a turn; raises `ChatNotFoundError` when that turn is gone.

        For whoever can prove to have been shown it (`api/transcripts.py`).
        """
        is_there = select(chat_turns.c.id).where(chat_turns.c.id == turn_id, chat_turns.c.chat_id == chat_id).exists()
        return await self._read(chat_id, is_there, chat_turns.c.id <= turn_id)

    async def _read(self, chat_id: str, condition: ColumnElement[bool], *of_turns: ColumnElement[bool]) -> Chat:
        if len(chat_id) > MAX_CHAT_ID_LENGTH:
            raise ChatNotFoundError
        newest = (
            select(chat_turns)
            .where(chat_turns.c.chat_id == chat_id, *of_turns)
            .order_by(chat_turns.c.id.desc())
            .limit(MAX_READ_TURNS)
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(select(chats).where(chats.c.id == chat_id, condition))).one_or_none()
            if row is None:
                raise ChatNotFoundError
            turns = [_turn(each) for each in await connection.execute(newest)]
        return Chat(
            id=row.id,
            system_prompt=row.system_prompt,
            beginnings=row.beginnings,
            created_at=row.created_at,
            touched_at=row.touched_at,
            turns=turns[::-1],
        )

    async def begin_anew(self, chat_id: str, *, tenant_id: str, system_prompt: str) -> Chat:
        """Forget what was said in a chat and give it another persona; raises `ChatNotFoundError`."""
        change = (
            update(chats)
            .where(chats.c.id == chat_id, chats.c.tenant_id == tenant_id)
            .values(system_prompt=system_prompt, beginnings=chats.c.beginnings + 1, touched_at=self._clock.now())
        )
        async with self._database.writing() as connection:
            if not (await connection.execute(change)).rowcount:
                raise ChatNotFoundError
            await connection.execute(delete(chat_turns).where(chat_turns.c.chat_id == chat_id))
        return await self.read(chat_id, tenant_id=tenant_id)

    async def add_turn(self, chat: Chat, question: str, reply: str, *, tenant_id: str) -> Turn | None:
        """Keep a turn, and with its first one the chat.

        None when the chat was begun anew, or deleted, since it was read: what was forgotten does not come back.
        """
        now = self._clock.now()
        async with self._database.writing() as connection:
            if not await _touch(connection, chat, tenant_id, now):
                return None
            values = {"chat_id": chat.id, "question": question, "reply": reply, "created_at": now}
            added = insert(chat_turns).returning(chat_turns.c.id)
            turn_id: int = (await connection.execute(added, values)).scalar_one()
        return Turn(id=turn_id, question=question, reply=reply, created_at=now)

    async def delete_untouched(self, before: datetime) -> int:
        """Forget the chats nobody has added to since an aware instant; returns how many."""
        async with self._database.writing() as connection:
            return (await connection.execute(delete(chats).where(chats.c.touched_at < before))).rowcount


async def _touch(connection: LentConnection, chat: Chat, tenant_id: str, now: datetime) -> bool:
    """Make the chat when this is its first turn, else note that it was added to; says whether it is there."""
    if not chat.turns and not chat.beginnings:
        values = {
            "id": chat.id,
            "tenant_id": tenant_id,
            "system_prompt": chat.system_prompt,
            "beginnings": 0,
            "created_at": chat.created_at,
            "touched_at": now,
        }
        await connection.execute(insert(chats), values)
        return True
    change = (
        update(chats)
        .where(chats.c.id == chat.id, chats.c.tenant_id == tenant_id, chats.c.beginnings == chat.beginnings)
        .values(touched_at=now)
    )
    return bool((await connection.execute(change)).rowcount)


def _turn(row: Row[Any]) -> Turn:
    return Turn(id=row.id, question=row.question, reply=row.reply, created_at=row.created_at)
