"""A database moved to another of either kind: whole and proven, or not at all."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select, update

from storage import copying
from storage.copying import Tally, copy
from storage.database import Database
from storage.days import DayZone
from storage.errors import StorageError
from storage.ledger import Ledger
from storage.notes import Notes
from storage.schema import (
    api_tokens,
    chat_turns,
    chats,
    conversation_messages,
    conversations,
    daily_usage,
    metadata,
    notes,
    posted_messages,
)
from storage.tokens import TokenStore
from tests.postgresql_server import running_server
from tests.storage.conftest import ManualClock

WORDS = "Grüße, 你好 🦊\0\ue000 \"quoted\" 'and' \\ back"


@pytest.fixture(params=["sqlite to postgresql", "postgresql to sqlite"])
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[str]]:
    with running_server().new_database() as name:
        both = [f"sqlite:///{tmp_path / 'one.db'}", running_server().url(name)]
        yield both if request.param.startswith("sqlite") else both[::-1]


@pytest.fixture
async def source(urls: list[str], clock: ManualClock) -> AsyncIterator[Database]:
    async with AsyncExitStack() as stack:
        database = await Database.open(urls[0])
        stack.push_async_callback(database.close)
        await fill(database, clock)
        yield database


@pytest.fixture
async def target(urls: list[str]) -> AsyncIterator[Database]:
    database = await Database.open(urls[1])
    yield database
    await database.close()


async def fill(database: Database, clock: ManualClock) -> None:
    """Put something into every kind of column, more than one page of messages, and a number that was deleted."""
    tokens, ledger = TokenStore(database, clock=clock), Ledger(database, zone=DayZone("Europe/London"), clock=clock)
    issued = await tokens.create("name", daily_calls=2**40, llm_balance=-0, guild_id=2**62)
    await tokens.rotate(issued.token.id)
    charge = await ledger.charge(issued.token.id, limit=10)
    await ledger.settle(charge, prompt_tokens=2**40, completion_tokens=7)
    await ledger.charge(issued.token.id, limit=10)
    now = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
    message = {"role": "user", "content": WORDS, "author_id": 2**62, "created_at": now, "is_cut": True}
    async with database.writing() as connection:
        await connection.execute(insert(conversations).values(key="a", touched_at=now))
        for number in range(copying.PAGE_ROWS + 20):
            await connection.execute(
                insert(conversation_messages).values(
                    **message, conversation_key="a", answers_id=None if number < 1 else number
                )
            )
        await connection.execute(
            insert(posted_messages).values(
                discord_message_id=2**61, message_id=3, channel_id=4, position=0, characters=5, asker_id=6
            )
        )
        await connection.execute(
            insert(chats).values(id="c", tenant_id="t", system_prompt="", beginnings=1, created_at=now, touched_at=now)
        )
        await connection.execute(insert(chat_turns).values(chat_id="c", question="?", reply="!", created_at=now))
        await connection.execute(delete(chat_turns))
    await Notes(database).put("last", WORDS)


async def everything(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    async with database.reading() as connection:
        return {
            table.name: sorted((tuple(row) for row in await connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
            if table.name not in {"processes", "process_calls"}
        }


async def test_everything_arrives_and_calls_under_way_are_given_back(source: Database, target: Database) -> None:
    before = await everything(source)
    told: dict[str, int] = {}
    rows = await copy(source, target, tell=told.__setitem__)
    assert await everything(source) == before
    after = await everything(target)
    ((tenant, day, calls, open_calls, prompt, completion),) = before["daily_usage"]
    assert (calls, open_calls) == (2, 1)
    marks = [row for row in after["notes"] if row[0] == "copied"]
    assert len(marks) == 1
    after["notes"].remove(marks[0])
    assert after == {**before, "daily_usage": [(tenant, day, 1, 0, prompt, completion)]}
    assert sum(told.values()) == rows == sum(map(len, before.values()))
    assert told["conversation_messages"] == copying.PAGE_ROWS + 20


async def test_numbers_go_on_where_they_were(source: Database, target: Database) -> None:
    await copy(source, target)
    now = datetime(2026, 11, 21, tzinfo=UTC)
    async with target.writing() as connection:
        turn = (
            insert(chat_turns).values(chat_id="c", question="?", reply="!", created_at=now).returning(chat_turns.c.id)
        )
        assert await connection.scalar(turn) == 2, "the first was deleted, and its number is given to nobody else"
        message = insert(conversation_messages).values(
            conversation_key="a", role="user", content="", created_at=now, is_cut=False
        )
        number = await connection.scalar(message.returning(conversation_messages.c.id))
        assert number == copying.PAGE_ROWS + 21


async def test_it_can_be_done_again_with_what_came_since(
    source: Database, target: Database, clock: ManualClock
) -> None:
    await copy(source, target)
    await TokenStore(source, clock=clock).create("later", daily_calls=1)
    await copy(source, target)
    assert {token.name for token in await TokenStore(target, clock=clock).list()} == {"name", "later"}


async def test_what_others_have_added_is_not_lost_unless_that_is_said(
    source: Database, target: Database, clock: ManualClock
) -> None:
    await copy(source, target)
    await TokenStore(target, clock=clock).create("of its own", daily_calls=1)
    held = await everything(target)
    with pytest.raises(StorageError, match="rows of its own"):
        await copy(source, target)
    assert await everything(target) == held
    await copy(source, target, replaces=True)
    assert [token.name for token in await TokenStore(target, clock=clock).list()] == ["name"]


async def test_what_arrives_otherwise_than_sent_is_not_kept(
    source: Database, target: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    inserting = copying._inserting

    def spoil(table: Any, rows: list[copying.Row]) -> Any:
        if table is api_tokens:
            rows = [{**row, "daily_calls": 1} for row in rows]
        return inserting(table, rows)

    monkeypatch.setattr(copying, "_inserting", spoil)
    with pytest.raises(StorageError, match="api_tokens is not what was sent"):
        await copy(source, target)
    async with target.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(conversations)) == 0


async def test_what_is_written_meanwhile_is_in_no_part_of_the_copy(source: Database, target: Database) -> None:
    """The source goes on; the copy shows it at one moment."""

    async def write_more() -> None:
        async with source.writing() as connection:
            await connection.execute(update(daily_usage).values(prompt_tokens=0))
            await connection.execute(insert(notes).values(key="meanwhile", value=""))

    written: list[str] = []

    def tell(name: str, _: int) -> None:
        written.append(name)

    pages = copying._pages

    async def writing_pages(connection: Any, table: Any) -> AsyncIterator[Sequence[copying.Row]]:
        async for page in pages(connection, table):
            if table is api_tokens and not written:
                written.append("")
                await write_more()
            yield page

    original, copying._pages = copying._pages, writing_pages  # type: ignore[assignment]
    try:
        await copy(source, target, tell=tell)
    finally:
        copying._pages = original
    assert await Notes(target).get("meanwhile") is None
    assert await Notes(source).get("meanwhile") == ""
    ((_, _, _, _, prompt, _),) = (await everything(target))["daily_usage"]
    assert prompt == 2**40


async def test_a_database_that_is_served_is_left_alone(source: Database, urls: list[str], target: Database) -> None:
    if urls[1].startswith("sqlite"):
        # The file's lock says so: `Database.open(sole_service=True)`.
        del target
        return
    serving = await Database.open(urls[1], sole_service=True)
    try:
        with pytest.raises(StorageError, match="a Parley is at work on"):
            await copy(source, target, replaces=True)
    finally:
        await serving.close()
    await copy(source, target)


def test_a_digest_does_not_depend_on_the_order_but_on_every_value() -> None:
    one, other = {"key": "a", "value": "b"}, {"key": "c", "value": "d"}
    both = Tally().with_row(notes, one).with_row(notes, other)
    assert both == Tally().with_row(notes, other).with_row(notes, one)
    assert both != Tally().with_row(notes, {"key": "a", "value": "d"}).with_row(notes, {"key": "c", "value": "b"})
    assert both != Tally().with_row(notes, one)
