import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine

from storage.database import Database
from storage.errors import StorageError
from storage.migrating import create_config, migrate
from storage.notes import Notes
from storage.schema import metadata


async def open_and_close(url: str) -> None:
    await (await Database.open(url)).close()


def dump_schema(path: Path) -> list[tuple[str, str]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    finally:
        connection.close()


def run_sql(path: Path, script: str) -> None:
    connection = sqlite3.connect(path)
    try:
        connection.executescript(script)
    finally:
        connection.close()


async def test_a_blank_file_gets_the_schema_the_code_expects(url: str, path: Path) -> None:
    await open_and_close(url)
    engine = create_engine(f"sqlite:///{path}")
    try:
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    finally:
        engine.dispose()


def test_the_steps_build_the_very_tables_the_code_declares(tmp_path: Path) -> None:
    """Compare the SQL too: autogeneration does not see constraints such as CHECK or AUTOINCREMENT."""
    declared = create_engine(f"sqlite:///{tmp_path / 'declared.db'}")
    migrated = create_engine(f"sqlite:///{tmp_path / 'migrated.db'}")
    try:
        metadata.create_all(declared)
        with migrated.begin() as connection:
            migrate(connection)
    finally:
        declared.dispose()
        migrated.dispose()
    found = [row for row in dump_schema(tmp_path / "migrated.db") if "alembic_version" not in row[0]]
    assert found == dump_schema(tmp_path / "declared.db")


def test_there_is_one_line_of_steps() -> None:
    scripts = ScriptDirectory.from_config(create_config())
    assert len(scripts.get_heads()) == 1
    assert [script.revision for script in scripts.walk_revisions()][-1] == "0001"


async def test_opening_again_changes_nothing_and_keeps_everything(url: str, path: Path) -> None:
    database = await Database.open(url)
    await Notes(database).put("a", "b")
    await database.close()
    before = dump_schema(path)
    await open_and_close(url)
    assert dump_schema(path) == before
    database = await Database.open(url)
    try:
        assert await Notes(database).get("a") == "b"
    finally:
        await database.close()


async def test_a_newer_schema_is_refused_and_left_alone(url: str, path: Path) -> None:
    await open_and_close(url)
    run_sql(path, "UPDATE alembic_version SET version_num = '9999'; CREATE TABLE future (a)")
    before = dump_schema(path)
    with pytest.raises(StorageError) as caught:
        await Database.open(url)
    assert str(caught.value) == (
        "a newer Parley has changed this database (schema 9999); install that version, or set DATABASE_URL"
    )
    assert dump_schema(path) == before


async def test_the_database_of_another_program_is_refused_and_left_alone(url: str, path: Path) -> None:
    path.parent.mkdir()
    run_sql(path, "CREATE TABLE notes (theirs); INSERT INTO notes VALUES (1)")
    before = dump_schema(path)
    with pytest.raises(StorageError, match="tables of another program"):
        await Database.open(url)
    assert dump_schema(path) == before


async def test_a_step_that_fails_leaves_the_file_as_it_was(
    url: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_after_migrating(connection: Connection) -> None:
        migrate(connection)
        raise RuntimeError("power cut")

    monkeypatch.setattr("storage.database.migrate", fail_after_migrating)
    with pytest.raises(RuntimeError, match="power cut"):
        await Database.open(url)
    assert dump_schema(path) == []
    monkeypatch.undo()
    await open_and_close(url)
    assert dump_schema(path) != []


async def test_a_folder_with_odd_characters_is_no_obstacle(tmp_path: Path) -> None:
    await open_and_close(f"sqlite:///{tmp_path}/50% of ünï & co/parley.db")
    assert (tmp_path / "50% of ünï & co" / "parley.db").stat().st_size > 0
