"""Questions that somebody was asked before something that cannot be undone, until they are answered or too old.

Kept so that any process can take the answer, and so that it is taken once. Does not own: what is asked, or what a yes
does (`bot/confirming.py`).
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select

from storage.bot_schema import MAX_QUESTION_ID_LENGTH, open_questions
from storage.clock import Clock
from storage.database import Database


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A question; `asked_id` is the person who may answer, `deed` what a yes does, as JSON."""

    asked_id: int
    deed: Mapping[str, Any]


class OpenQuestions:
    """The open questions of one database."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def open(self, *, asked_id: int, deed: Mapping[str, Any], lasts: timedelta) -> str:
        """Keep a question for a while; returns its id, which nobody can guess. Raises `StorageError`."""
        now = self._clock.now()
        question_id = secrets.token_hex(MAX_QUESTION_ID_LENGTH // 2)
        values = {"id": question_id, "asked_id": asked_id, "deed": json.dumps(dict(deed)), "open_until": now + lasts}
        async with self._database.writing() as connection:
            await connection.execute(delete(open_questions).where(open_questions.c.open_until <= now))
            await connection.execute(open_questions.insert(), values)
        return question_id

    async def find(self, question_id: str) -> OpenQuestion | None:
        """Return a question that is still open. Raises `StorageError`."""
        query = select(open_questions).where(
            open_questions.c.id == question_id, open_questions.c.open_until > self._clock.now()
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else OpenQuestion(row.asked_id, json.loads(row.deed))

    async def close(self, question_id: str) -> bool:
        """Close a question for good; True for one alone of those who try. Raises `StorageError`."""
        async with self._database.writing() as connection:
            closed = await connection.execute(delete(open_questions).where(open_questions.c.id == question_id))
            return bool(closed.rowcount)
