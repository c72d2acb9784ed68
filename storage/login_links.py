"""The link by which whoever runs Parley logs in to its pages: one at a time, used once, of which a digest is kept.

Does not own: the address it stands in, or what a log-in may do (`api/web`).
"""

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from storage.clock import Clock
from storage.database import Database
from storage.notes import Notes
from storage.schema import notes

LIFETIME = timedelta(hours=24)

_KEY = "login link"
_CODE_BYTES = 32


class LoginLinks:
    """The link of one database."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create(self) -> str:
        """Return the code of a new link, 43 URL-safe characters; the one before is good for nothing from now on."""
        code = secrets.token_urlsafe(_CODE_BYTES)
        until = self._clock.now() + LIFETIME
        await Notes(self._database).put(_KEY, f"{_digest(code)} {until.isoformat()}")
        return code

    async def take(self, code: str) -> bool:
        """Use the link up; False for a code that is none, is no longer one, or was used. Exact under concurrency."""
        query = select(notes.c.value).where(notes.c.key == _KEY)
        async with self._database.writing() as connection:
            kept: str | None = await connection.scalar(query)
            if kept is None:
                return False
            digest, _, until = kept.partition(" ")
            if not secrets.compare_digest(digest, _digest(code)):
                return False
            gone = delete(notes).where(notes.c.key == _KEY, notes.c.value == kept).returning(notes.c.key)
            is_ours = (await connection.execute(gone)).one_or_none() is not None
        return is_ours and datetime.fromisoformat(until) > self._clock.now()


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
