"""Changes in Discord hold at once, and a reply that is being written does not bring the old words back."""

import asyncio
from contextlib import ExitStack
from pathlib import Path

import pytest

from bot.amending import Amending, Changes
from bot.api_client import ApiClient
from bot.config import BotStores
from bot.dialogue import channel_key
from bot.forgetting import Forgetting
from bot.lanes import Lanes
from storage.conversations import Conversations, NewMessage
from storage.database import Database
from storage.posted import PostedPart
from tests.bot.conftest import make_stores
from tests.bot.scripted_api import SERVICE_TOKEN, ScriptedApi
from tests.new_database import locked, url_of_new
from tests.waiting import PATIENCE_SECONDS, eventually

_CHANNEL = 5
_KEY = channel_key(_CHANNEL)


@pytest.fixture
def conversations(stores: BotStores) -> Conversations:
    return stores.conversations


async def _ask(conversations: Conversations, message_id: int, key: str = _KEY) -> None:
    question = NewMessage(role="user", content=f"Ada: {message_id}", author_id=7, discord_message_id=message_id)
    await conversations.append_turn(key, question, NewMessage(role="assistant", content="Yes."), is_cut=False)


async def _kept(conversations: Conversations) -> list[str]:
    return [message.content for message in await conversations.read(_KEY)]


async def _begin(lanes: Lanes, amending: Amending, *changes: Changes) -> asyncio.Task[None]:
    """Begin amendments while somebody is being answered; when this returns, they have held once and stand in line.

    Returns the task of the first, which has the place in line for all of them.
    """
    first, *others = [asyncio.create_task(amending.amend(_CHANNEL, each)) for each in changes]
    await asyncio.gather(*others)
    positions = [0]
    async with asyncio.timeout(20):
        while positions[-1] < 2:
            with lanes.place(_KEY, on_move=positions.append):
                await amending._conversations.count(_KEY)
    return first


async def test_edits_and_deletions_hold_when_they_are_done(
    conversations: Conversations, forgetting: Forgetting
) -> None:
    for message_id in (1, 2):
        await _ask(conversations, message_id)
    changes = {1: "Ada: one", 2: None, 99: "Ada: unknown", 98: None}
    await Amending(conversations, forgetting, Lanes()).amend(_CHANNEL, changes)
    assert await _kept(conversations) == ["Ada: one", "Yes.", "Yes."]


async def test_they_hold_once_a_locked_database_can_be_written(api: ScriptedApi, tmp_path: Path) -> None:
    database = await Database.open(url_of_new(tmp_path / "locked.db"), busy_timeout_seconds=0.02)
    try:
        conversations = make_stores(database).conversations
        async with ApiClient(api.url, SERVICE_TOKEN) as client:
            await _ask(conversations, 1)
            amending = Amending(conversations, Forgetting(conversations, client), Lanes(), retry_seconds=0.01)
            async with locked(tmp_path / "locked.db"):
                amended = asyncio.create_task(amending.amend(_CHANNEL, {1: None}))
                await eventually(lambda: not database.takes_writes)
                assert await _kept(conversations) == ["Ada: 1", "Yes."]
            await amended
            assert await _kept(conversations) == ["Yes."]
    finally:
        await database.close()


async def test_they_hold_at_once_and_again_behind_the_reply_that_is_being_written(
    conversations: Conversations,
    forgetting: Forgetting,
) -> None:
    await _ask(conversations, 1)
    lanes, positions = Lanes(), list[int]()
    amending = Amending(conversations, forgetting, lanes)
    with ExitStack() as behind:
        with lanes.place(_KEY):
            changes: list[Changes] = [{1: None, 2: "Ada: new"}, {3: None}, {3: "Ada: 3 after all"}]
            amended = await _begin(lanes, amending, *changes)
            assert await _kept(conversations) == ["Yes."]
            behind.enter_context(lanes.place(_KEY, on_move=positions.append))
            # One ahead that is being written, and one place for all changes.
            assert positions == [2]
            for message_id in (1, 2, 3):
                await _ask(conversations, message_id)
        await amended
    assert await _kept(conversations) == ["Yes.", "Yes.", "Ada: new", "Yes.", "Ada: 3 after all", "Yes."]
    assert len(lanes) == 0


async def test_a_reply_made_anew_loses_nothing_with_the_messages_it_no_longer_needs(
    conversations: Conversations,
    forgetting: Forgetting,
) -> None:
    def parts(*characters: int) -> list[PostedPart]:
        return [
            PostedPart(discord_message_id=number, channel_id=_CHANNEL, characters=count)
            for number, count in enumerate(characters, 1)
        ]

    question, old = NewMessage(role="user", content="Ada: x"), NewMessage(role="assistant", content="old" * 1000)
    turn = await conversations.append_turn(_KEY, question, old, is_cut=False)
    await conversations.link(turn.reply_id, parts(1000, 1500, 500), asker_id=7)
    lanes, new = Lanes(), "new" * 1300
    with lanes.place(_KEY):
        await conversations.replace_reply(turn.reply_id, new, is_cut=False)
        amended = await _begin(lanes, Amending(conversations, forgetting, lanes), {3: None})
        await conversations.link(turn.reply_id, parts(1950, 1950), asker_id=7)
    await amended
    assert await _kept(conversations) == ["Ada: x", new]


async def test_a_line_of_another_channel_is_not_waited_for(
    conversations: Conversations, forgetting: Forgetting
) -> None:
    lanes = Lanes()
    with lanes.place("channel:elsewhere"):
        async with asyncio.timeout(20):
            await Amending(conversations, forgetting, lanes).amend(_CHANNEL, {1: None})


async def test_a_full_line_is_waited_for(conversations: Conversations, forgetting: Forgetting) -> None:
    lanes = Lanes(max_waiting=0)
    amending = Amending(conversations, forgetting, lanes, retry_seconds=0.01)
    with lanes.place(_KEY):
        task = asyncio.create_task(amending.amend(_CHANNEL, {1: None}))
        await asyncio.sleep(0)
        await _ask(conversations, 1)
        assert not task.done()
    await task
    assert await _kept(conversations) == ["Yes."]


async def test_a_shutdown_while_waiting_loses_no_change(
    conversations: Conversations, forgetting: Forgetting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.lanes.SECONDS_TO_SAY_SO", PATIENCE_SECONDS)
    lanes = Lanes()
    with ExitStack() as running:
        running.enter_context(lanes.place(_KEY))
        task = await _begin(lanes, Amending(conversations, forgetting, lanes), {1: None})
        await _ask(conversations, 1)
        closing = asyncio.create_task(lanes.close(drain_seconds=0))
        await task
    await closing
    assert await _kept(conversations) == ["Yes."]
    await Amending(conversations, forgetting, lanes).amend(_CHANNEL, {1: None})
