"""Chats: each its tenant's own, exact when several add and begin anew at once."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.dialects import postgresql

from storage.chats import MAX_READ_TURNS, Chat, Chats
from storage.database import Database
from storage.errors import ChatNotFoundError
from storage.schema import webhooks
from storage.signing_keys import SigningKeys
from tests.storage.conftest import ManualClock, bytes_on_disk

TENANT = "tok_a"


@pytest.fixture
def chats(database: Database, clock: ManualClock) -> Chats:
    return Chats(database, clock=clock)


async def begin(chats: Chats, *, tenant_id: str = TENANT) -> Chat:
    chat = chats.begin(system_prompt="Be brief.")
    assert await chats.add_turn(chat, "one", "to one", tenant_id=tenant_id)
    return await chats.read(chat.id, tenant_id=tenant_id)


async def test_a_chat_is_kept_with_its_first_turn_and_read_in_order(chats: Chats, clock: ManualClock) -> None:
    chat = chats.begin(system_prompt="Be brief.")
    with pytest.raises(ChatNotFoundError):
        await chats.read(chat.id, tenant_id=TENANT)
    await chats.add_turn(chat, "one", "to one", tenant_id=TENANT)
    clock.advance(timedelta(minutes=1))
    await chats.add_turn(await chats.read(chat.id, tenant_id=TENANT), "two", "to two", tenant_id=TENANT)
    read = await chats.read(chat.id, tenant_id=TENANT)
    assert [(turn.question, turn.reply) for turn in read.turns] == [("one", "to one"), ("two", "to two")]
    assert read.system_prompt == "Be brief."
    assert read.touched_at - read.created_at == timedelta(minutes=1)


async def test_ids_are_long_and_never_the_same(chats: Chats) -> None:
    ids = {chats.begin(system_prompt="").id for _ in range(1000)}
    assert len(ids) == 1000
    assert min(map(len, ids)) >= 32


async def test_another_tenants_chat_is_as_unknown_as_none(chats: Chats) -> None:
    chat = await begin(chats)
    for chat_id, tenant_id in ((chat.id, "tok_b"), ("chat_nothing", TENANT), ("x" * 1000, TENANT), ("", TENANT)):
        with pytest.raises(ChatNotFoundError):
            await chats.read(chat_id, tenant_id=tenant_id)
        with pytest.raises(ChatNotFoundError):
            await chats.begin_anew(chat_id, tenant_id=tenant_id, system_prompt="")
    assert await chats.add_turn(chat, "mine", "no", tenant_id="tok_b") is None
    assert len((await chats.read(chat.id, tenant_id=TENANT)).turns) == 1


async def test_turns_made_at_once_are_all_kept_whole(chats: Chats) -> None:
    chat = await begin(chats)
    asked = [f"question {number}" for number in range(20)]
    await asyncio.gather(*(chats.add_turn(chat, each, f"to {each}", tenant_id=TENANT) for each in asked))
    turns = (await chats.read(chat.id, tenant_id=TENANT)).turns[1:]
    assert sorted(turn.question for turn in turns) == sorted(asked)
    assert all(turn.reply == f"to {turn.question}" for turn in turns)


async def test_what_was_forgotten_does_not_come_back(chats: Chats) -> None:
    before = await begin(chats)
    after = await chats.begin_anew(before.id, tenant_id=TENANT, system_prompt="Be long.")
    assert (after.turns, after.system_prompt) == ([], "Be long.")
    assert await chats.add_turn(before, "old", "to old", tenant_id=TENANT) is None
    turn = await chats.add_turn(after, "new", "to new", tenant_id=TENANT)
    assert turn is not None
    assert (await chats.read(before.id, tenant_id=TENANT)).turns == [turn]


async def test_a_turn_shows_the_chat_as_it_was_then_until_it_is_begun_anew(chats: Chats) -> None:
    chat = await begin(chats)
    second = await chats.add_turn(chat, "two", "to two", tenant_id=TENANT)
    assert second is not None
    first = chat.turns[0]
    assert (await chats.read_until(chat.id, first.id)).turns == [first]
    assert (await chats.read_until(chat.id, second.id)).turns == [first, second]
    other = await begin(chats)
    for chat_id, turn_id in ((chat.id, other.turns[0].id), ("chat_nothing", first.id), (chat.id, 10**6)):
        with pytest.raises(ChatNotFoundError):
            await chats.read_until(chat_id, turn_id)
    await chats.begin_anew(chat.id, tenant_id=TENANT, system_prompt="")
    with pytest.raises(ChatNotFoundError):
        await chats.read_until(chat.id, second.id)


async def test_the_newest_turns_of_a_very_long_chat_are_read(chats: Chats) -> None:
    chat = await begin(chats)
    for number in range(MAX_READ_TURNS):
        await chats.add_turn(chat, str(number), "", tenant_id=TENANT)
    turns = (await chats.read(chat.id, tenant_id=TENANT)).turns
    assert [turn.question for turn in turns] == [str(number) for number in range(MAX_READ_TURNS)]


async def test_untouched_chats_are_forgotten_word_for_word(
    chats: Chats, database: Database, clock: ManualClock, path: Path
) -> None:
    old = chats.begin(system_prompt="canary-persona")
    await chats.add_turn(old, "canary-question", "canary-reply", tenant_id=TENANT)
    clock.advance(timedelta(days=3))
    kept = await begin(chats)
    assert await chats.delete_untouched(clock.now() - timedelta(days=2)) == 1
    await database.compact()
    assert await database.checkpoint()
    assert b"canary" not in bytes_on_disk(path)
    assert len((await chats.read(kept.id, tenant_id=TENANT)).turns) == 1


async def test_a_signing_key_is_made_once_for_all_processes(database: Database, url: str) -> None:
    other = await Database.open(url)
    try:
        keys = await asyncio.gather(*(SigningKeys(each).get("transcripts") for each in (database, other) * 5))
        assert len(set(keys)) == 1
        assert len(keys[0]) == 32
        assert await SigningKeys(other).get("more") != keys[0]
    finally:
        await other.close()


def test_a_claim_passes_over_what_others_hold_on_postgresql() -> None:
    query = select(webhooks.c.id).limit(1).with_for_update(skip_locked=True)
    said = str(query.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
    assert said.endswith("FOR UPDATE SKIP LOCKED")
