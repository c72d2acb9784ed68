"""Everything of one database put into another, of whichever kind: all of it, proven by reading it back, or nothing.

Owns: what goes and in which order, the proof, and not writing over what others have done. Does not own: files of
SQLite (`backups.py`), or either database's own SQL (`sequences.py` has what is needed of it).
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select, text, tuple_

from storage.database import Database
from storage.errors import StorageError
from storage.processes import has_present
from storage.schema import daily_usage, metadata, notes, process_calls, processes
from storage.sequences import fetch_last_id, set_last_id
from storage.uninterrupted import LentConnection

PAGE_ROWS = 500

_MARK = "copied"
"""The note that holds the digest of what a copy has put there: as long as it is true, nobody has added anything."""

_STAYS = {processes, process_calls}
"""Who is at work on a database is no part of what it holds."""

_TABLES = tuple(table for table in metadata.sorted_tables if table not in _STAYS)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many rows a table has, and a digest of them all that does not depend on their order."""

    rows: int = 0
    digest: int = 0

    def with_row(self, table: Table, row: Row) -> "Tally":
        """Count one more row."""
        said = repr((table.name, *(row[column.name] for column in table.c))).encode("utf-8", "surrogatepass")
        number = int.from_bytes(sha256(said).digest(), "big")
        return Tally(self.rows + 1, (self.digest + number) % (1 << 256))


async def copy(
    source: Database, target: Database, *, replaces: bool = False, tell: Callable[[str, int], None] | None = None
) -> int:
    """Put everything that `source` holds at this moment into `target`, in one transaction; returns the number of rows.

    Calls under way at the source count there as given back: nobody would close them. A target that is empty, or holds
    just what an earlier copy has put there, is filled anew; any other only with `replaces`, which deletes what it
    holds. `tell` hears each table's name and rows. Raises `StorageError`, and nothing is changed then.
    """
    async with source.reading() as lent, _at_one_moment(lent) as reader, target.writing() as writer:
        if await writer.run_sync(has_present):
            raise StorageError(f"a Parley is at work on {target.label}; stop it first (killed, it counts for 30 s)")
        if not replaces:
            await _require_untouched(writer, target.label)
        for table in reversed(_TABLES):
            await writer.execute(delete(table))
        sent = {}
        for table in _TABLES:
            sent[table] = await _copy_table(reader, writer, table)
            if tell is not None:
                tell(table.name, sent[table].rows)
        for table, tally in sent.items():
            if await _tally(writer, table) != tally:
                raise StorageError(f"what {target.label} holds of {table.name} is not what was sent; nothing was kept")
        await _continue_numbers(reader, writer)
        await writer.execute(insert(notes).values(key=_MARK, value=_digest(sent)))
    return sum(tally.rows for tally in sent.values())


@asynccontextmanager
async def _at_one_moment(reader: LentConnection) -> AsyncGenerator[LentConnection]:
    """Let all of the block's queries see the same; PostgreSQL's readers do anyway."""
    if reader.dialect_name != "sqlite":
        yield reader
        return
    await reader.execute(text("BEGIN"))
    try:
        yield reader
    finally:
        await reader.execute(text("ROLLBACK"))


async def _require_untouched(writer: LentConnection, label: str) -> None:
    held = {table: await _tally(writer, table) for table in _TABLES}
    if not any(tally.rows for tally in held.values()):
        return
    mark = await writer.scalar(select(notes.c.value).where(notes.c.key == _MARK))
    if mark != _digest(held):
        raise StorageError(
            f"{label} holds {sum(tally.rows for tally in held.values())} rows of its own; "
            "copy to an empty database, or give --replace to delete them"
        )


async def _copy_table(reader: LentConnection, writer: LentConnection, table: Table) -> Tally:
    tally = Tally()
    async for page in _pages(reader, table):
        rows = [_closed(table, row) for row in page]
        for row in rows:
            tally = tally.with_row(table, row)
        if rows:
            await writer.run_sync(_inserting(table, rows))
    return tally


async def _tally(connection: LentConnection, table: Table) -> Tally:
    tally = Tally()
    async for page in _pages(connection, table):
        for row in page:
            tally = tally.with_row(table, row)
    return tally


async def _pages(connection: LentConnection, table: Table) -> AsyncGenerator[Sequence[Row], None]:
    """Yield a table's rows in the order of its key, so many at a time that they fit the memory; never the mark."""
    key = tuple_(*table.primary_key.columns)
    query = select(table).order_by(*table.primary_key.columns).limit(PAGE_ROWS)
    if table is notes:
        query = query.where(notes.c.key != _MARK)
    page = [dict(row) for row in (await connection.execute(query)).mappings()]
    while page:
        yield page
        last = tuple(page[-1][column.name] for column in table.primary_key.columns)
        page = [dict(row) for row in (await connection.execute(query.where(key > tuple_(*last)))).mappings()]


def _closed(table: Table, row: Row) -> Row:
    if table is not daily_usage:
        return row
    return {**row, "calls": row["calls"] - row["open_calls"], "open_calls": 0}


def _inserting(table: Table, rows: Sequence[Row]) -> Callable[[Connection], None]:
    return lambda connection: connection.execute(insert(table), list(rows)).close()


async def _continue_numbers(reader: LentConnection, writer: LentConnection) -> None:
    """Let numbers go on where they were: one that was given and deleted is given to nothing else."""
    for table in _TABLES:
        if table.autoincrement_column is not None:
            last = await reader.run_sync(partial(fetch_last_id, of=table))
            await writer.run_sync(partial(set_last_id, of=table, last=last))


def _digest(tallies: Mapping[Table, Tally]) -> str:
    said = sorted((table.name, tally.rows, tally.digest) for table, tally in tallies.items())
    return sha256(repr(said).encode()).hexdigest()
