"""Names for what was computed: they hold as long as no word of their conversation was deleted or changed."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from storage.chats import Chats
from storage.computed import ComputedNames, new_name
from storage.conversations import Conversations, NewMessage
from storage.database import Database
from tests.storage.conftest import ManualClock

KEY, OTHER = "channel:1", "channel:2"


@pytest.fixture
def conversations(database: Database, clock: ManualClock) -> Conversations:
    return Conversations(database, clock=clock)


async def begin(conversations: Conversations, key: str, author_id: int) -> str:
    question = NewMessage(role="user", content="one", author_id=author_id, discord_message_id=author_id)
    await conversations.append_turn(key, question, NewMessage(role="assistant", content="two"), is_cut=False)
    name = await conversations.computed_name(key)
    assert name is not None
    return name


async def test_a_conversation_has_one_name_and_keeps_it_as_it_goes_on(conversations: Conversations) -> None:
    assert await conversations.computed_name(KEY) is None
    name = await begin(conversations, KEY, 7)
    assert await begin(conversations, KEY, 8) == name
    assert await begin(conversations, OTHER, 7) != name
    (_, reply) = await conversations.read(OTHER)
    assert await conversations.replace_reply(reply.id, "another", is_cut=False)
    assert await conversations.computed_name(KEY) == name


async def test_a_name_drawn_before_the_first_turn_holds_once_that_is_kept(
    database: Database, conversations: Conversations
) -> None:
    names, first, late = ComputedNames(database), new_name(), new_name()
    question, reply = NewMessage(role="user", content="one"), NewMessage(role="assistant", content="two")
    assert await names.find_held({first}) == set()
    await conversations.append_turn(KEY, question, reply, is_cut=False, before=[question], first_name=first)
    assert await names.find_held({first}) == {first}
    assert await conversations.computed_name(KEY) == first
    await conversations.append_turn(KEY, question, reply, is_cut=False, first_name=late)
    assert await names.find_held({first, late}) == {first}


async def test_a_name_drawn_for_an_empty_conversation_is_not_kept_behind_words_that_came_between(
    database: Database, conversations: Conversations
) -> None:
    late = new_name()
    question, reply = NewMessage(role="user", content="one"), NewMessage(role="assistant", content="two")
    await conversations.append(KEY, question)
    await conversations.append_turn(KEY, question, reply, is_cut=False, first_name=late)
    assert await ComputedNames(database).find_held({late}) == set()


CHANGES: dict[str, Callable[[Conversations], Awaitable[object]]] = {
    "an edit": lambda kept: kept.edit_by_discord_id(7, "changed"),
    "a deletion in Discord": lambda kept: kept.delete_by_discord_ids([7]),
    "a deleted message": lambda kept: kept.delete_message(1),
    "a reset": lambda kept: kept.clear(KEY),
    "a deleted channel": lambda kept: kept.clear_channels([1]),
    "forgetting here": lambda kept: kept.forget_author(7, key=KEY),
    "forgetting everywhere": lambda kept: kept.forget_author(7, key=None),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_it_no_longer_holds_after(database: Database, conversations: Conversations, change: str) -> None:
    names = ComputedNames(database)
    gone, kept = await begin(conversations, KEY, 7), await begin(conversations, OTHER, 8)
    await conversations.append(KEY, NewMessage(role="user", content="stays", author_id=8))
    assert await names.find_held({gone, kept, "0" * 32}) == {gone, kept}
    await CHANGES[change](conversations)
    assert await names.find_held({gone, kept}) == {kept}
    if await conversations.count(KEY):
        assert await conversations.computed_name(KEY) not in (None, gone)
    else:
        assert await conversations.computed_name(KEY) is None


async def test_an_edit_ends_it_in_every_conversation_that_has_the_message(
    database: Database, conversations: Conversations
) -> None:
    gone = {await begin(conversations, KEY, 7), await begin(conversations, OTHER, 7)}
    await conversations.edit_by_discord_id(7, "changed")
    assert await ComputedNames(database).find_held(gone) == set()


async def test_retention_ends_it(database: Database, conversations: Conversations, clock: ManualClock) -> None:
    name = await begin(conversations, KEY, 7)
    await conversations.delete_untouched(clock.now() + timedelta(days=1))
    assert await ComputedNames(database).find_held({name}) == set()


async def test_a_chats_name_holds_until_it_is_begun_anew_or_deleted(database: Database, clock: ManualClock) -> None:
    names, chats = ComputedNames(database), Chats(database, clock=clock)
    chat = chats.begin(system_prompt="")
    assert await names.find_held({chat.computed_name}) == set()
    await chats.add_turn(chat, "one", "two", tenant_id="t")
    assert await names.find_held({chat.computed_name, "chat_other.0", "."}) == {chat.computed_name}
    anew = await chats.begin_anew(chat.id, tenant_id="t", system_prompt="")
    assert await names.find_held({chat.computed_name, anew.computed_name}) == {anew.computed_name}
    await chats.delete_untouched(clock.now() + timedelta(days=1))
    assert await names.find_held({anew.computed_name}) == set()
