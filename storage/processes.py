"""Which processes are at work on a database that several share.

Each says every few seconds that it is there, by the database's own clock. Owns: that, and who has not for so long that
it counts as gone. Does not own: what follows from it (`ledger.py`).
"""

import secrets
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Select, delete, exists, func, literal, select, update
from sqlalchemy.dialects.postgresql import INTERVAL, insert

from storage.schema import UtcDateTime, process_calls, processes

BEAT_SECONDS = 5.0

GONE_AFTER = timedelta(seconds=30)
"""Longer than a database is away when it is restarted or its connection is lost; a process that was taken for gone and
comes back loses nothing, but for that long its open calls count as never made."""

_FORGOTTEN_AFTER = timedelta(days=1)

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def new_process_id() -> str:
    """Return a name for this process that no other has, had or will have."""
    return secrets.token_hex(16)


def beat(connection: Connection, process_id: str) -> None:
    """Say that a process is at work."""
    saying = insert(processes).values(id=process_id, seen_at=func.clock_timestamp())
    connection.execute(
        saying.on_conflict_do_update(index_elements=[processes.c.id], set_={"seen_at": func.clock_timestamp()})
    )
    nothing_open = ~exists().where(process_calls.c.process_id == processes.c.id)
    connection.execute(delete(processes).where(_silent_for(_FORGOTTEN_AFTER), nothing_open))


def leave(connection: Connection, process_id: str) -> None:
    """Say that a process ends: whatever it has left open may be given back at once."""
    connection.execute(
        delete(process_calls).where(process_calls.c.process_id == process_id, process_calls.c.open_calls == 0)
    )
    connection.execute(
        update(processes).where(processes.c.id == process_id).values(seen_at=literal(_LONG_AGO, UtcDateTime))
    )


def lock_gone() -> Select[tuple[str]]:
    """Select the processes that are gone and have left calls; nobody else who asks gets the same ones."""
    has_calls = exists().where(process_calls.c.process_id == processes.c.id)
    return select(processes.c.id).where(_silent_for(GONE_AFTER), has_calls).with_for_update(skip_locked=True)


def _silent_for(duration: timedelta) -> ColumnElement[bool]:
    return processes.c.seen_at < func.clock_timestamp() - literal(duration, INTERVAL)
