"""How much of a conversation is no longer read, said in a small line when that changes."""

import pytest

from bot import dropping
from bot.config import BotStores
from bot.dropping import DroppedNotes
from bot.texts.replies import messages_dropped
from tests.bot.conftest import StartBot
from tests.bot.replying import finished, said, shows
from tests.bot.scripted_api import ScriptedApi, Stream
from tests.doubles.discord_server import DiscordServer


def test_it_is_said_when_it_changes_and_not_again() -> None:
    notes = DroppedNotes()
    said_of = [notes.note("a", dropped=dropped) for dropped in (0, 14, 14, 20, 0, 20)]
    assert said_of == [
        "",
        messages_dropped(messages=14),
        "",
        messages_dropped(messages=20),
        "",
        messages_dropped(messages=20),
    ]
    assert notes.note("b", dropped=20) == messages_dropped(messages=20)


def test_it_is_said_anew_of_a_conversation_that_was_forgotten() -> None:
    notes = DroppedNotes()
    assert notes.note("a", dropped=14)
    notes.reset("a")
    assert notes.note("a", dropped=14) == messages_dropped(messages=14)


def test_so_many_conversations_are_remembered_and_no_more() -> None:
    notes = DroppedNotes()
    for number in range(dropping._REMEMBERED_CONVERSATIONS + 1):
        notes.note(str(number), dropped=1)
    assert notes.note("0", dropped=1)
    assert not notes.note(str(dropping._REMEMBERED_CONVERSATIONS), dropped=1)


async def test_the_line_stands_below_the_reply_once_and_is_no_part_of_the_conversation(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    for turn, dropped in enumerate((0, 14, 14, 16), 1):
        api.script.append(Stream(pieces=[f"Reply {turn}."], dropped_messages=dropped))
        await server.user_says(channel, ada, f"Question {turn}", mentions_bot=True)
        await finished(server, channel, turn)
    assert [message.content for message in channel.own_messages(server.bot)] == [
        "Reply 1.",
        "Reply 2.\n-# the first 14 messages no longer fit",
        "Reply 3.",
        "Reply 4.\n-# the first 16 messages no longer fit",
    ]
    assert (await said(stores.conversations, channel))[1::2] == [f"Reply {turn}." for turn in (1, 2, 3, 4)]
    last = await finished(server, channel, 4)
    api.script.append(Stream(pieces=["Another."], dropped_messages=16))
    await server.press(ada, last, last.custom_id("Regenerate"))
    await shows(server, last, "Another.")


@pytest.mark.usefixtures("unhurried")
async def test_after_a_reset_it_is_said_anew(server: DiscordServer, api: ScriptedApi, start_bot: StartBot) -> None:
    channel, grace = server.channel(server.guild()), server.admin()
    await start_bot()
    for turn in (1, 2):
        api.script.append(Stream(pieces=["Reply."], dropped_messages=14))
        asked = await server.slash(grace, channel, "chat", message="Hello")
        assert await asked.replied() == ["Reply.\n-# the first 14 messages no longer fit"], turn
        await (await server.slash(grace, channel, "reset")).replied()
