import re
import sqlite3
from io import StringIO
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine

import storage.bot_schema  # noqa: F401 - its tables are in the metadata, too
from storage.conversations import Conversations, NewMessage
from storage.database import Database
from storage.errors import StorageError
from storage.migrating import create_config, migrate
from storage.notes import Notes
from storage.schema import metadata
from tests.storage.conftest import ManualClock


async def open_and_close(url: str) -> None:
    await (await Database.open(url)).close()


def query(path: Path, statement: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


def dump_schema(path: Path) -> list[tuple[object, ...]]:
    return query(path, "SELECT name, sql FROM sqlite_master ORDER BY name")


def describe(path: Path) -> dict[object, object]:
    """Say what each table enforces, however its SQL was put together: a column added later is written elsewhere."""
    tables = query(path, "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name <> 'alembic_version'")
    return {
        name: {
            "columns": query(path, f"SELECT * FROM pragma_table_xinfo('{name}')"),
            "references": sorted(
                query(path, f'SELECT "table", "from", "to", on_delete FROM pragma_foreign_key_list("{name}")')
            ),
            "indexes": query(
                path, f"SELECT sql FROM sqlite_master WHERE tbl_name = '{name}' AND type = 'index' ORDER BY 1"
            ),
            "counts up": "AUTOINCREMENT" in str(sql),
            "checks": re.findall(r"CONSTRAINT \w+ CHECK \(.*\)", str(sql)),
        }
        for name, sql in tables
    }


def is_reflected_whole(_item: object, _name: str | None, kind: str, *_: object) -> bool:
    """Leave out references: SQLAlchemy sees no ON DELETE of one written in a column. `describe` compares them."""
    return kind != "foreign_key_constraint"


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
            context = MigrationContext.configure(connection, opts={"include_object": is_reflected_whole})
            assert compare_metadata(context, metadata) == []
    finally:
        engine.dispose()


def test_the_steps_build_the_very_tables_the_code_declares(tmp_path: Path) -> None:
    """Compare what SQLite made of it too: autogeneration does not see such things as CHECK or AUTOINCREMENT."""
    declared = create_engine(f"sqlite:///{tmp_path / 'declared.db'}")
    migrated = create_engine(f"sqlite:///{tmp_path / 'migrated.db'}")
    try:
        metadata.create_all(declared)
        with migrated.begin() as connection:
            migrate(connection)
    finally:
        declared.dispose()
        migrated.dispose()
    assert describe(tmp_path / "migrated.db") == describe(tmp_path / "declared.db")


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

    monkeypatch.setattr("storage.sqlite_database.migrate", fail_after_migrating)
    with pytest.raises(RuntimeError, match="power cut"):
        await Database.open(url)
    assert dump_schema(path) == []
    monkeypatch.undo()
    await open_and_close(url)
    assert dump_schema(path) != []


async def test_a_folder_with_odd_characters_is_no_obstacle(tmp_path: Path) -> None:
    await open_and_close(f"sqlite:///{tmp_path}/50% of ünï & co/parley.db")
    assert (tmp_path / "50% of ünï & co" / "parley.db").stat().st_size > 0


# A database of the first published version, in use: conversations that interleave, a reply that follows another, one
# without a question, a question in the wrong conversation, and a deleted last message.
FILLED_0001 = """
INSERT INTO api_tokens VALUES ('tok_a', 'a', 5, 6, '2026-11-01 10:00:00', NULL, NULL, 100, 7, 0);
INSERT INTO token_secrets VALUES (x'aa', 'tok_a', '2026-11-01 10:00:00', NULL);
INSERT INTO daily_usage VALUES ('tok_a', '2026-11-01', 3, 0, 40, 50);
INSERT INTO notes VALUES ('commands', 'v1');
INSERT INTO conversations VALUES ('channel:1', '2026-11-01 10:00:00'), ('channel:2', '2026-11-02 10:00:00');
INSERT INTO conversation_messages VALUES
    (1, 'channel:1', 'assistant', 'hello', NULL, NULL, '2026-11-01 10:00:00'),
    (2, 'channel:1', 'user', 'one', 11, 101, '2026-11-01 10:00:01'),
    (3, 'channel:2', 'user', 'two', 12, NULL, '2026-11-01 10:00:02'),
    (4, 'channel:1', 'assistant', 'to one', NULL, NULL, '2026-11-01 10:00:03'),
    (5, 'channel:2', 'assistant', 'to two', NULL, NULL, '2026-11-01 10:00:04'),
    (6, 'channel:2', 'assistant', 'more to two', NULL, NULL, '2026-11-01 10:00:05'),
    (7, 'channel:1', 'system', 'a rule', NULL, NULL, '2026-11-01 10:00:06'),
    (8, 'channel:1', 'user', 'gone', 11, 102, '2026-11-01 10:00:07');
DELETE FROM conversation_messages WHERE id = 8;
"""


def make_filled_0001(path: Path) -> None:
    path.parent.mkdir()
    engine = create_engine(f"sqlite:///{path}")
    try:
        with engine.begin() as connection:
            config = create_config()
            config.attributes["connection"] = connection
            command.upgrade(config, "0001")
    finally:
        engine.dispose()
    run_sql(path, FILLED_0001)


async def test_a_database_of_the_first_version_keeps_everything_and_learns_what_replies_answer(
    url: str, path: Path
) -> None:
    make_filled_0001(path)
    tables = ("api_tokens", "token_secrets", "daily_usage", "notes", "conversations")
    before = {table: query(path, f"SELECT * FROM {table}") for table in tables}
    messages = query(path, "SELECT * FROM conversation_messages ORDER BY id")
    await open_and_close(url)
    assert {table: query(path, f"SELECT * FROM {table}") for table in tables} == before
    after = query(path, "SELECT * FROM conversation_messages ORDER BY id")
    assert [row[:7] for row in after] == messages
    assert {row[0]: row[7] for row in after} == {1: None, 2: None, 3: None, 4: 2, 5: 3, 6: 3, 7: None}
    assert {row[8] for row in after} == {0}
    assert query(path, "PRAGMA foreign_key_check") == []


async def test_after_the_second_step_a_deleted_message_still_keeps_its_id_to_itself(
    url: str, path: Path, clock: ManualClock
) -> None:
    make_filled_0001(path)
    database = await Database.open(url)
    try:
        kept = Conversations(database, clock=clock)
        assert await kept.append("channel:1", NewMessage(role="user", content="new")) == [9]
    finally:
        await database.close()


async def test_the_first_message_after_the_second_step_of_an_unused_database(
    url: str, path: Path, clock: ManualClock
) -> None:
    make_filled_0001(path)
    run_sql(path, "DELETE FROM conversation_messages; DELETE FROM sqlite_sequence")
    database = await Database.open(url)
    try:
        kept = Conversations(database, clock=clock)
        assert await kept.append("channel:1", NewMessage(role="user", content="new")) == [1]
    finally:
        await database.close()


async def test_a_long_conversation_of_the_first_version_is_brought_over_in_one_go(url: str, path: Path) -> None:
    make_filled_0001(path)
    run_sql(
        path,
        """
        WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 19999)
        INSERT INTO conversation_messages (conversation_key, role, content, created_at)
        SELECT 'channel:1', CASE i % 2 WHEN 0 THEN 'user' ELSE 'assistant' END, 'x', '2026-11-01 10:00:00' FROM n
        """,
    )
    await open_and_close(url)
    wrong = "SELECT count(*) FROM conversation_messages WHERE id > 8 AND role = 'assistant' AND answers_id <> id - 1"
    answered = "SELECT count(*) FROM conversation_messages WHERE id > 8 AND answers_id IS NOT NULL"
    assert (query(path, wrong), query(path, answered)) == ([(0,)], [(10_000,)])


def test_the_steps_can_be_said_to_postgresql() -> None:
    said = StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": said, "target_metadata": metadata}
    )
    scripts = ScriptDirectory.from_config(create_config())
    with Operations.context(context):
        for script in reversed(list(scripts.walk_revisions())):
            script.module.upgrade()
    assert "ADD CONSTRAINT fk_conversation_messages_answers_id FOREIGN KEY(answers_id)" in said.getvalue()
    # Only messages and turns count up by themselves; Discord's ids are Discord's.
    assert said.getvalue().count("BIGSERIAL") == 2
