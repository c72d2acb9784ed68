"""Bring a database to the schema of this version, in one transaction.

The steps stand in `migrations/versions/`; Alembic runs them.
"""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from storage.errors import StorageError

_SCRIPTS = Path(__file__).parent / "migrations"


def migrate(connection: Connection) -> None:
    """Apply the steps this database has not seen, inside the transaction the caller has begun and will commit.

    Raises `StorageError` when a newer Parley has been here.
    """
    current = MigrationContext.configure(connection).get_current_revision()
    if current == _versions()[-1]:
        return
    if current is None and inspect(connection).get_table_names():
        raise StorageError("the database holds the tables of another program; set DATABASE_URL to another one")
    if current is not None and current not in _versions():
        raise StorageError(
            f"a newer Parley has changed this database (schema {current}); install that version, or set DATABASE_URL"
        )
    config = create_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def is_current(connection: Connection) -> bool:
    """Say whether a database has the schema of this version."""
    return MigrationContext.configure(connection).get_current_revision() == _versions()[-1]


@cache
def _versions() -> tuple[str, ...]:
    """Return the names of the steps, oldest first."""
    scripts = ScriptDirectory.from_config(create_config())
    return tuple(script.revision for script in scripts.walk_revisions())[::-1]


def create_config() -> Config:
    """Return Alembic's settings, without a configuration file."""
    config = Config()
    # A percent sign would be read as a placeholder.
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config
