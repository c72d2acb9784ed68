"""Whether the database takes writes, for whoever watches the service.

Owns: trying again while it does not. Does not own: noticing that a write failed (`database.py`).
"""

from storage.clock import Clock
from storage.database import Database
from storage.errors import StorageError
from storage.notes import Notes

_NOTE = "tried to write"


class DatabaseHealth:
    """The state of one database."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._notes = Notes(database)
        self._clock = clock
        self._is_trying = False

    @property
    def took_writes(self) -> bool:
        """Say whether the last write was done, without trying another."""
        return self._database.takes_writes

    async def takes_writes(self) -> bool:
        """Say whether writes are done; after one that was not, try another.

        Somebody has to: a balancer that is told "not ready" sends nobody else.
        """
        if self._database.takes_writes:
            return True
        if self._is_trying:
            return False
        self._is_trying = True
        try:
            await self._notes.put(_NOTE, self._clock.now().isoformat())
        except StorageError:
            return False
        finally:
            self._is_trying = False
        return True
