"""`INSERT ... ON CONFLICT`, which SQLAlchemy spells once per database."""

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite

from storage.uninterrupted import LentConnection


def insert_or_update(connection: LentConnection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an `INSERT` that knows `on_conflict_do_update`, for the database behind the connection."""
    return insert_or_update_on(connection.dialect_name, table)


def insert_or_update_on(dialect_name: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return the same for a database by its name."""
    if dialect_name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)
