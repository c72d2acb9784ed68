"""The numbers that a database draws by itself, on each kind: how far they are, and how far they shall be."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, cast, column, func, select, table, update
from sqlalchemy.dialects.postgresql import REGCLASS

_SQLITE = table("sqlite_sequence", column("name"), column("seq"))
"""https://www.sqlite.org/autoinc.html: an ordinary table, which may be written to."""


def fetch_last_id(connection: Connection, of: Table) -> int:
    """Return the highest number that was ever drawn for a table's key; 0 when none was."""
    if connection.dialect.name == "sqlite":
        query = select(_SQLITE.c.seq).where(_SQLITE.c.name == of.name)
    else:
        query = select(func.pg_sequence_last_value(_sequence(of)))
    last: int | None = connection.scalar(query)
    return last or 0


def set_last_id(connection: Connection, of: Table, last: int) -> None:
    """Let the next number drawn for a table's key be the one after `last`; a table that is empty may have had many."""
    if last == 0:
        return
    if connection.dialect.name == "sqlite":
        if not connection.execute(update(_SQLITE).where(_SQLITE.c.name == of.name).values(seq=last)).rowcount:
            connection.execute(_SQLITE.insert().values(name=of.name, seq=last))
    else:
        connection.execute(select(func.setval(_sequence(of), last))).close()


def _sequence(of: Table) -> ColumnElement[Any]:
    assert of.autoincrement_column is not None
    return cast(func.pg_get_serial_sequence(of.name, of.autoincrement_column.name), REGCLASS)
