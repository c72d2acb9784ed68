"""The steps on PostgreSQL: they build what the code declares, from every version, and are whole or not there at all."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from storage.conversations import Conversations, NewMessage
from storage.database import Database
from storage.errors import StorageError
from storage.migrating import create_config, migrate
from storage.postgresql import create_patient_engine
from storage.postgresql_url import parse_url
from storage.schema import metadata
from tests.postgresql_server import TestServer, running_server
from tests.storage.conftest import ManualClock
from tests.storage.test_migrations import FILLED_0001
from tests.storage.test_processes import ROOT

pytestmark = pytest.mark.postgresql

# Everything that a schema enforces, whatever put it together.
SCHEMA = """
SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default, NULL
FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'
UNION ALL
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), NULL, NULL, NULL, NULL
FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version'
UNION ALL
SELECT tablename, indexname, indexdef, NULL, NULL, NULL, NULL
FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'
ORDER BY 1, 2, 3
"""

VERSIONS = [script.revision for script in reversed(list(ScriptDirectory.from_config(create_config()).walk_revisions()))]


@pytest.fixture
def server() -> TestServer:
    return running_server()


@pytest.fixture
def blank(server: TestServer) -> Iterator[str]:
    with server.new_database(template="template1") as name:
        yield name


T = TypeVar("T")


async def run_on(url: str, work: Callable[[Connection], T]) -> T:
    engine = create_patient_engine(parse_url(url), busy_timeout_seconds=5)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


def upgrade_to(version: str) -> Callable[[Connection], None]:
    def upgrade(connection: Connection) -> None:
        config = create_config()
        config.attributes["connection"] = connection
        command.upgrade(config, version)

    return upgrade


def described(server: TestServer, name: str) -> list[tuple[object, ...]]:
    return server.fetch(SCHEMA, of=name)


@pytest.mark.parametrize("version", [None, *VERSIONS])
async def test_from_every_version_the_steps_build_the_very_tables_the_code_declares(
    server: TestServer, blank: str, version: str | None
) -> None:
    if version is not None:
        await run_on(server.url(blank), upgrade_to(version))
    await (await Database.open(server.url(blank))).close()
    with server.new_database(template="template1") as declared:
        await run_on(server.url(declared), metadata.create_all)
        assert described(server, blank) == described(server, declared)


async def test_nothing_is_left_to_be_migrated(server: TestServer, blank: str) -> None:
    await (await Database.open(server.url(blank))).close()

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    assert await run_on(server.url(blank), differences) == []


async def test_a_database_of_the_first_version_keeps_everything_and_learns_what_replies_answer(
    server: TestServer, blank: str, clock: ManualClock
) -> None:
    await run_on(server.url(blank), upgrade_to("0001"))
    filled = FILLED_0001.replace("x'aa'", r"'\xaa'").replace("7, 0);", "7, false);")
    server.run(filled + "SELECT setval('conversation_messages_id_seq', 8)", of=blank)
    database = await Database.open(server.url(blank))
    try:
        kept = Conversations(database, clock=clock)
        messages = await kept.read("channel:1") + await kept.read("channel:2")
        assert {message.id: message.answers_id for message in messages} == {
            1: None,
            2: None,
            3: None,
            4: 2,
            5: 3,
            6: 3,
            7: None,
        }
        assert await kept.append("channel:1", NewMessage(role="user", content="new")) == [9]
    finally:
        await database.close()
    assert server.fetch("SELECT calls FROM daily_usage", of=blank) == [(3,)]


async def test_a_step_that_fails_leaves_the_database_as_it_was(
    server: TestServer, blank: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_after_migrating(connection: Connection) -> None:
        migrate(connection)
        raise RuntimeError("power cut")

    monkeypatch.setattr("storage.postgresql_database.migrate", fail_after_migrating)
    with pytest.raises(RuntimeError, match="power cut"):
        await Database.open(server.url(blank))
    assert described(server, blank) == []
    monkeypatch.undo()
    await (await Database.open(server.url(blank))).close()
    assert described(server, blank)


async def test_a_process_killed_while_it_migrates_leaves_the_database_as_it_was_and_the_next_one_goes_on(
    server: TestServer, blank: str
) -> None:
    script = (
        "import asyncio, sys, time\nimport storage.postgresql_database as module\nmigrate = module.migrate\n"
        "def migrate_slowly(connection):\n    migrate(connection)\n    print('migrating', flush=True)\n"
        "    time.sleep(600)\n"
        "module.migrate = migrate_slowly\nfrom storage.database import Database\n"
        "asyncio.run(Database.open(sys.argv[1]))"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, server.url(blank)), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"migrating\n"
    opening = asyncio.create_task(Database.open(server.url(blank)))
    _, waiting = await asyncio.wait({opening}, timeout=0.3)
    assert waiting, "it waits for the one that migrates"
    process.kill()
    await process.wait()
    await (await opening).close()
    assert described(server, blank)


async def test_tables_without_their_version_are_refused_and_left_alone(server: TestServer) -> None:
    with server.new_database() as name:
        server.run("DELETE FROM alembic_version", of=name)
        with pytest.raises(StorageError, match="tables of another program"):
            await Database.open(server.url(name))
