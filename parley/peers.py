"""The other processes that serve the API from this database, and giving back what a dead one has left open.

A process is dead when its beat has not changed for some looks of another one: counted, not timed, because wall clocks
of several machines differ, and because nobody beats while the database is away. Does not own: what is kept about
processes (`storage/service_processes.py`).
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Collection, Mapping

from parley.stores import Stores
from storage.errors import StorageError
from storage.service_processes import OpenCalls

logger = logging.getLogger(__name__)

BEAT_SECONDS = 2.0

DEAD_LOOKS = 8
"""A process that was only held up for so long loses nothing by it but calls that turn out to be free."""


class Peers:
    """One process among those on its database. `list_open` says which calls it has open.

    `may_have_others` is False where a lock keeps others away: then nobody has to be told anything.
    """

    def __init__(self, stores: Stores, *, may_have_others: bool) -> None:
        self._stores = stores
        self._processes = stores.service_processes
        self._may_have_others = may_have_others
        self._id = secrets.token_hex(16)
        self._unchanged: dict[str, tuple[str, int]] = {}
        self.list_open: Callable[[], Collection[OpenCalls]] = list

    async def join(self) -> None:
        """Begin to be one of them; one that is alone gives back and lets go of everything that is left.

        Of two that begin together each sees the other, and neither does. Raises `StorageError`.
        """
        if self._may_have_others:
            await self._processes.beat(self._id, ())
            if set(await self._processes.list_beats()) != {self._id}:
                return
        await self._stores.ledger.reclaim_open_calls()
        await self._stores.outbox.release_all()

    async def watch(self) -> None:
        """Say regularly that this process lives, and look after the others, until cancelled."""
        while self._may_have_others:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                await self.look()
            except StorageError as error:
                logger.warning("other processes of this service go unwatched: %s", type(error).__name__)

    async def look(self) -> None:
        """Do both once. Raises `StorageError`."""
        await self._processes.beat(self._id, self.list_open())
        for process_id in self._find_dead(await self._processes.list_beats()):
            calls = await self._processes.reclaim(process_id)
            logger.warning("another process of this service is gone; %d calls that it had open are given back", calls)

    def _find_dead(self, beats: Mapping[str, str]) -> list[str]:
        before, self._unchanged = self._unchanged, {}
        for process_id, beat in beats.items():
            beat_before, looks = before.get(process_id, ("", 0))
            self._unchanged[process_id] = beat, looks + 1 if beat == beat_before else 0
        return [process_id for process_id, (_, looks) in self._unchanged.items() if looks >= DEAD_LOOKS]

    async def leave(self) -> None:
        """End being one of them; what could not be closed is left to the others."""
        if not self._may_have_others:
            return
        try:
            left = self.list_open()
            if left:
                await self._processes.beat(self._id, left)
            else:
                await self._processes.reclaim(self._id)
        except StorageError as error:
            logger.warning("the end of this process is noticed later: %s", type(error).__name__)
