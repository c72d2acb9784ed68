"""`INSERT ... ON CONFLICT`, which SQLAlchemy spells once per database."""

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite

from storage.uninterrupted import LentConnection


def insert_or_update(connection: LentConnection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an `INSERT` that knows `on_conflict_do_update`, for the database behind the connection."""
    if connection.dialect_name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)
