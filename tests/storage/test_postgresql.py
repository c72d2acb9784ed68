"""PostgreSQL as an operator and a network treat it: what a start says, and what a lost connection costs (nothing)."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import Connection, insert, select, text, update

from storage import processes
from storage.clock import SystemClock
from storage.conversations import Conversations, NewMessage
from storage.database import Database
from storage.days import DayZone
from storage.errors import DatabaseBusyError, DatabaseLostError, StorageError
from storage.ledger import Ledger
from storage.notes import Notes
from storage.postgresql_url import parse_url
from storage.schema import notes
from tests.doubles.database_proxy import DatabaseProxy, Loss, proxying
from tests.postgresql_server import TestServer, running_server
from tests.waiting import eventually

pytestmark = pytest.mark.postgresql

TENANT = "tok_lost"


@pytest.fixture
def server() -> TestServer:
    return running_server()


@pytest.fixture
async def proxy(server: TestServer) -> AsyncIterator[DatabaseProxy]:
    async with proxying(server.socket_path) as running:
        yield running


@pytest.fixture
async def distant(server: TestServer, proxy: DatabaseProxy) -> AsyncIterator[Database]:
    """A service's database behind the proxy."""
    with server.new_database() as name:
        database = await Database.open(proxy.url(name), sole_service=True, busy_timeout_seconds=2.5)
        yield database
        await database.close()


def ledger_on(database: Database) -> Ledger:
    return Ledger(database, zone=DayZone("UTC"), clock=SystemClock())


# What a URL says


@pytest.mark.parametrize(
    ("url", "dsn", "label"),
    [
        ("postgres://u:p@h/n", "postgresql://u:p@h/n", "postgresql://u@h/n"),
        ("postgresql+asyncpg://u:p%40%2F@h:6/n", "postgresql://u:p%40%2F@h:6/n", "postgresql://u@h:6/n"),
        ("postgres://u:p@h/n?sslmode=require", "postgresql://u:p@h/n?sslmode=require", "postgresql://u@h/n"),
        (
            "postgres://u@/n?host=/var/run/postgresql",
            "postgresql://u@/n?host=%2Fvar%2Frun%2Fpostgresql",
            "postgresql://u@/var/run/postgresql/n",
        ),
        ("postgres://%2Fvar%2Frun/n", "postgresql://%2Fvar%2Frun/n", "postgresql:///var/run/n"),
        ("postgres:///n", "postgresql:///n", "postgresql://(local socket)/n"),
        ("postgres://u:p@a:1,b:2/n", "postgresql://u:p@a:1,b:2/n", "postgresql://u@a:1,b:2/n"),
        ("postgres://u:p@[::1]:5/n", "postgresql://u:p@[::1]:5/n", "postgresql://u@[::1]:5/n"),
        ("postgres://u:p@h/n?connect_timeout=10&pgbouncer=true", "postgresql://u:p@h/n", "postgresql://u@h/n"),
    ],
)
def test_the_urls_that_hosts_hand_out_are_understood(url: str, dsn: str, label: str) -> None:
    address = parse_url(url)
    assert (address.dsn, address.label, address.tls) == (dsn, label, None)
    assert ":p" not in repr(address)


def test_a_demand_that_the_driver_cannot_meet_is_met_by_checking_certificates() -> None:
    address = parse_url("postgres://u:p@h/n?sslmode=require&channel_binding=require")
    assert address.dsn == "postgresql://u:p@h/n?sslmode=require"
    assert address.tls is not None
    assert address.tls.check_hostname
    assert parse_url("postgres://u:p@h/n?sslmode=prefer&channel_binding=prefer").tls is None


@pytest.mark.parametrize(
    "url",
    [
        "postgres://u:secret@h",
        "postgres://u:secret@h/",
        "postgres://u:secret@h:port/n",
        "postgres://u:secret@h:99999/n",
        "postgres://u:se@cret@h/n",
        "postgres://u:se/cret@h/n",
        "postgres://u:se#cret@h/n",
        "postgres://u:se?cret@h/n",
        "postgres://u:se cret@h/n",
        "postgres://u:secret@h/n?sslmode",
        "postgres://u:secret@h/n?sslmode=secret",
        "postgres://u:secret@[h/n",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_and_nothing_of_it_repeated(url: str) -> None:
    with pytest.raises(StorageError, match=r"^DATABASE_URL: ") as caught:
        parse_url(url)
    assert "cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


# What a start says


async def refusal(url: str) -> str:
    with pytest.raises(StorageError) as caught:
        await Database.open(url, busy_timeout_seconds=20)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    return str(caught.value)


async def test_a_wrong_password_is_told_without_it(server: TestServer) -> None:
    server.demand_password("stranger", "right")
    with server.new_database() as name:
        url = server.url(name, user="stranger:secret")
        assert "stranger@" in await refusal(url)
        assert "refuses the user or the password" in await refusal(url)


async def test_a_user_that_may_not_make_tables_is_told_what_to_do(server: TestServer) -> None:
    server.demand_password("guest", "welcome")
    with server.new_database(template="template1") as name:
        said = await refusal(server.url(name, user="guest:welcome"))
    assert "does not let this user do that; make the user its owner" in said


async def test_an_unknown_database_is_told(server: TestServer) -> None:
    assert "does not exist; create it" in await refusal(server.url("nowhere"))


async def test_an_unknown_host_is_told() -> None:
    said = await refusal("postgres://u:secret@nowhere.invalid/n")
    assert "postgresql://u@nowhere.invalid/n is on a host that nobody knows" in said


async def test_a_refused_connection_is_told(proxy: DatabaseProxy) -> None:
    await proxy.cut()
    assert "takes no connections; start it" in await refusal(proxy.url("n"))


async def test_a_socket_that_is_not_there_is_told() -> None:
    assert "takes no connections; start it" in await refusal("postgres://u:secret@/n?host=/nowhere")


async def test_tls_that_is_demanded_and_not_offered_is_told(proxy: DatabaseProxy) -> None:
    assert "offers no TLS" in await refusal(proxy.url("postgres", options="?sslmode=require"))


async def test_an_option_that_nobody_knows_is_told(proxy: DatabaseProxy) -> None:
    assert "does not know one of DATABASE_URL's options" in await refusal(proxy.url("postgres", options="?oops=1"))


async def test_a_server_that_does_not_answer_is_told(proxy: DatabaseProxy) -> None:
    proxy.stand_still()
    with pytest.raises(DatabaseLostError, match="does not answer"):
        await Database.open(proxy.url("postgres"), busy_timeout_seconds=0.2)


async def test_a_newer_schema_is_refused_and_left_alone(server: TestServer) -> None:
    with server.new_database() as name:
        server.run("UPDATE alembic_version SET version_num = '9999'", of=name)
        assert "a newer Parley has changed this database (schema 9999)" in await refusal(server.url(name))


async def test_the_database_of_another_program_is_refused_and_left_alone(server: TestServer) -> None:
    with server.new_database(template="template1") as name:
        server.run("CREATE TABLE notes (theirs integer)", of=name)
        assert "tables of another program" in await refusal(server.url(name))
        assert server.fetch("SELECT * FROM notes", of=name) == []


# Losing the connection


@asynccontextmanager
async def away(proxy: DatabaseProxy, how: str) -> AsyncIterator[None]:
    if how == "cut":
        await proxy.cut()
    else:
        proxy.stand_still()
    yield
    await proxy.restore()


@pytest.mark.parametrize("how", ["cut", "stands still"])
async def test_while_the_database_is_away_everything_is_refused_and_then_goes_on(
    distant: Database, proxy: DatabaseProxy, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "storage")
    ledger, kept = ledger_on(distant), Notes(distant)
    await ledger.charge(TENANT, limit=9)
    await kept.put("a", "b")
    async with away(proxy, how):
        uses = (
            ledger.charge(TENANT, limit=9),
            ledger.used_today(TENANT, limit=9),
            kept.put("a", "c"),
            kept.get("a"),
        )
        outcomes = await asyncio.gather(*uses, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [DatabaseLostError] * 4
        during = distant.takes_writes
    assert await kept.get("a") == "b"
    assert (await ledger.charge(TENANT, limit=9)).used == 2
    assert (during, distant.takes_writes) == (False, True)
    said = [record.levelname for record in caplog.records if record.name == "storage.database"]
    assert said == ["ERROR", "INFO"], "said once, and once that it is over"


async def test_who_asks_for_nothing_knows_that_the_database_is_away_and_that_it_is_back(
    server: TestServer, proxy: DatabaseProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "BEAT_SECONDS", 0.05)
    with server.new_database() as name:
        database = await Database.open(proxy.url(name), sole_service=True)
        try:
            async with away(proxy, "cut"):
                await eventually(lambda: not database.takes_writes)
            await eventually(lambda: database.takes_writes)
        finally:
            await database.close()


async def test_a_connection_that_died_while_nobody_used_it_costs_nobody_anything(
    distant: Database, proxy: DatabaseProxy
) -> None:
    await Notes(distant).put("a", "b")
    async with away(proxy, "cut"):
        pass
    assert await Notes(distant).get("a") == "b"
    assert (await ledger_on(distant).charge(TENANT, limit=9)).used == 1


async def test_a_server_that_restarts_ends_a_transaction_and_nothing_of_it_stays(
    distant: Database, server: TestServer
) -> None:
    async def write_through_a_restart() -> None:
        async with distant.writing() as connection:
            await connection.execute(insert(notes).values(key="a", value="b"))
            pid = await connection.scalar(text("SELECT pg_backend_pid()"))
            server.execute(f"SELECT pg_terminate_backend({pid})")
            await connection.execute(insert(notes).values(key="b", value="b"))

    with pytest.raises(DatabaseLostError):
        await write_through_a_restart()
    assert await Notes(distant).get("a") is None
    await Notes(distant).put("a", "c")


@pytest.mark.parametrize(("loses", "used"), [("answer", 1), ("question", 0)])
async def test_a_call_whose_commit_nobody_heard_of_is_charged_exactly_if_it_says_so(
    distant: Database, proxy: DatabaseProxy, loses: Loss, used: int
) -> None:
    ledger = ledger_on(distant)
    proxy.loses = loses
    outcome = (await asyncio.gather(ledger.charge(TENANT, limit=9), return_exceptions=True))[0]
    assert isinstance(outcome, DatabaseLostError) is (used == 0)
    assert (await ledger.used_today(TENANT, limit=9)).used == used


async def test_what_became_of_a_commit_is_asked_for_until_the_database_is_back(
    distant: Database, proxy: DatabaseProxy, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = ledger_on(distant)
    charge = await ledger.charge(TENANT, limit=9)
    proxy.loses, proxy.cuts_at_loss = "answer", True
    settling = asyncio.create_task(ledger.settle(charge, prompt_tokens=3, completion_tokens=4))
    await eventually(lambda: proxy.loses is None)
    async with away(proxy, "cut"):
        with pytest.raises(DatabaseLostError):
            await ledger.charge(TENANT, limit=9)
        assert not settling.done()
    await settling
    usage = await ledger.usage(TENANT)
    assert (usage.used_today, usage.prompt_tokens, usage.completion_tokens) == (1, 3, 4)
    assert "asking what became of it" in caplog.text


@pytest.mark.parametrize(("loses", "kept"), [("answer", ["one", "two"]), ("question", [])])
async def test_a_conversation_holds_exactly_what_was_said_to_be_kept(
    distant: Database, proxy: DatabaseProxy, loses: Loss, kept: list[str]
) -> None:
    conversations = Conversations(distant, clock=SystemClock())
    proxy.loses = loses
    messages = [NewMessage(role="user", content=word) for word in ("one", "two")]
    outcome = (await asyncio.gather(conversations.append("channel:1", *messages), return_exceptions=True))[0]
    assert isinstance(outcome, DatabaseLostError) is (not kept)
    assert [message.content for message in await conversations.read("channel:1")] == kept


async def test_a_close_does_not_wait_for_a_database_that_is_away(distant: Database, proxy: DatabaseProxy) -> None:
    ledger = ledger_on(distant)
    charge = await ledger.charge(TENANT, limit=9)
    proxy.loses, proxy.cuts_at_loss = "answer", True
    settling = asyncio.create_task(ledger.keep(charge))
    await eventually(lambda: proxy.loses is None)
    await proxy.cut()
    async with asyncio.timeout(20):
        await distant.close()
    with pytest.raises(StorageError, match="is closed"):
        await settling


# Writers in each other's way


Swap = Callable[[Connection], None]


def swapping(first: str, second: str) -> Swap:
    def work(connection: Connection) -> None:
        for key in (first, second):
            connection.execute(update(notes).where(notes.c.key == key).values(value=notes.c.value + "x"))
            connection.execute(text("SELECT pg_sleep(0.02)"))

    return work


async def test_writers_that_wait_for_each_other_are_told_apart_and_both_get_done(database: Database, url: str) -> None:
    other = await Database.open(url)
    try:
        for key in ("a", "b"):
            await Notes(database).put(key, "")
        # Fewer on each side than a change is tried times: it may be the one that is broken off each time.
        await asyncio.gather(
            *(each.change(swapping(*keys)) for each, keys in ((database, "ab"), (other, "ba")) for _ in range(3))
        )
        assert [await Notes(other).get(key) for key in ("a", "b")] == ["x" * 6] * 2
    finally:
        await other.close()


async def test_a_row_that_another_keeps_locked_is_busy_for_as_long_as_the_timeout(server: TestServer) -> None:
    with server.new_database() as name:
        url = server.url(name)
        database, other = [await Database.open(url, busy_timeout_seconds=wait) for wait in (0.2, 5)]
        try:
            await Notes(database).put("a", "b")
            async with other.writing() as connection:
                await connection.execute(select(notes).with_for_update())
                with pytest.raises(DatabaseBusyError, match="kept what is needed locked for too long"):
                    await Notes(database).put("a", "c")
                assert not database.takes_writes
            await Notes(database).put("a", "d")
        finally:
            await other.close()
            await database.close()


async def test_too_many_that_wait_are_told_so(server: TestServer) -> None:
    with server.new_database() as name:
        database = await Database.open(server.url(name), busy_timeout_seconds=0.1)
        try:
            async with database.writing(), database.writing():
                with pytest.raises(DatabaseBusyError, match="too many wait"):
                    await Notes(database).put("a", "b")
        finally:
            await database.close()


# What PostgreSQL keeps otherwise than SQLite


async def test_odd_characters_are_kept_as_they_are_and_found_by(database: Database) -> None:
    kept = Notes(database)
    for key in ("a\0b", "\ue0f0", "\ue0f00", "\ue0f01\0", "\0" * 10):
        await kept.put(key, key * 2)
        assert await kept.get(key) == key * 2
    assert await kept.get("a") is None


async def test_what_cannot_be_kept_is_the_callers_mistake_and_no_trouble_of_the_database(database: Database) -> None:
    with pytest.raises(ValueError, match="surrogates"):
        await Notes(database).put("a", "\ud800")
    with pytest.raises(ValueError, match="beyond 64 bits"):
        await Conversations(database, clock=SystemClock()).delete_by_discord_ids([2**63])
    assert database.takes_writes


async def test_deleted_rows_leave_the_tables_and_everybody_else_goes_on(database: Database) -> None:
    kept = Conversations(database, clock=SystemClock())
    await kept.append("channel:1", NewMessage(role="user", content="words"))
    await kept.clear("channel:1")
    async with database.reading():
        assert await kept.erase_traces()
