"""The service's processes on one database: which there are, and what a dead one has left open.

Each writes down regularly which calls it has open (`beat`), so that the others can give them back when it dies. What it
opened after the last time stays used, and what it closed since is given back though it was made: two seconds' worth of
one process, in exchange for nothing on the way of each call. Does not own: who is dead (`parley/peers.py`).
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from sqlalchemy import case, delete, select, update

from storage.clock import Clock
from storage.database import Database
from storage.schema import daily_usage, service_processes
from storage.uninterrupted import LentConnection
from storage.upserts import insert_or_update


@dataclass(frozen=True, slots=True, order=True)
class OpenCalls:
    """How many of a tenant's calls on a day are neither settled, kept nor given back yet."""

    tenant_id: str
    day: date
    calls: int


class ServiceProcesses:
    """The processes that serve the API from one database. Ids have at most 32 characters."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def beat(self, process_id: str, open_calls: Collection[OpenCalls]) -> None:
        """Say that a process lives, and what it has open. Raises `StorageError`."""
        written = json.dumps([[each.tenant_id, each.day.isoformat(), each.calls] for each in open_calls])
        values = {"open_calls": written, "seen_at": self._clock.now()}
        async with self._database.writing() as connection:
            new = insert_or_update(connection, service_processes).values(id=process_id, **values)
            await connection.execute(new.on_conflict_do_update(index_elements=[service_processes.c.id], set_=values))

    async def list_beats(self) -> dict[str, str]:
        """Return the processes and a text that changes with each beat. Raises `StorageError`."""
        query = select(service_processes.c.id, service_processes.c.seen_at)
        async with self._database.reading() as connection:
            return {row.id: row.seen_at.isoformat() for row in await connection.execute(query)}

    async def reclaim(self, process_id: str) -> int:
        """Give back what a dead process has left open, and forget it; returns how many calls. Raises `StorageError`.

        Of several that reclaim at once one does.
        """
        gone = (
            delete(service_processes)
            .where(service_processes.c.id == process_id)
            .returning(service_processes.c.open_calls)
        )
        async with self._database.writing() as connection:
            written = await connection.scalar(gone)
            left = [] if written is None else sorted(OpenCalls(*each) for each in _read(written))
            return sum([await _give_back(connection, each) for each in left])


def _read(written: str) -> list[tuple[str, date, int]]:
    return [(tenant_id, date.fromisoformat(day), calls) for tenant_id, day, calls in json.loads(written)]


async def _give_back(connection: LentConnection, left: OpenCalls) -> int:
    """Give calls back, but never more than are open; returns how many were to be."""
    usage = daily_usage.c
    calls = case((usage.open_calls < left.calls, usage.open_calls), else_=left.calls)
    await connection.execute(
        update(daily_usage)
        .where(usage.tenant_id == left.tenant_id, usage.day == left.day)
        .values(calls=usage.calls - calls, open_calls=usage.open_calls - calls)
    )
    return left.calls
