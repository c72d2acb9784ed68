"""A new database file, migrated once for the whole run and copied from then on: migrating takes longer than most tests.

Does not own: whether the migrations are right (`tests/storage/test_migrations.py`), or opening (`Database.open`).
"""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import create_engine

from storage.migrating import migrate


def url_of_new(path: Path) -> str:
    """Put a new database at a path where there is none; returns its URL."""
    if not path.exists():
        path.write_bytes(_migrated())
    return f"sqlite:///{path}"


@cache
def _migrated() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "parley.db"
        engine = create_engine(f"sqlite:///{path}")
        with engine.begin() as connection:
            migrate(connection)
        engine.dispose()
        return path.read_bytes()
