"""The ways to people below a message and below a button, through discord.py and the stand-in Discord."""

import asyncio
from collections.abc import AsyncIterator

import discord
import pytest

from bot.pacing import channel_edits, interaction_edits
from bot.screens import (
    NETWORK_ERRORS,
    ButtonScreen,
    InteractionScreen,
    MessageGoneError,
    MessageOutOfReachError,
    MessageScreen,
    Part,
    messages,
)
from tests.bot.live_bot import LiveBot, buttons, find, live_bot
from tests.doubles.discord_model import (
    MEMBER_PERMISSIONS,
    READ_MESSAGE_HISTORY,
    SEND_MESSAGES,
    Channel,
    Message,
    User,
)
from tests.doubles.discord_server import DiscordServer
from tests.waiting import eventually

TYPE = "POST /channels/{channel}/typing"
LOUD = "@everyone <@1> <@&2> "


@pytest.fixture
async def bot(server: DiscordServer, channel: Channel, ada: User) -> AsyncIterator[LiveBot]:
    async with live_bot(server) as running:
        yield running


async def test_a_message_is_answered_by_a_reply_and_messages_below(bot: LiveBot, channel: Channel, ada: User) -> None:
    said, message = await bot.told(ada, channel, "hello")
    screen = MessageScreen(message)
    await screen.begin()
    first = find(channel, await screen.send(Part(content=LOUD + "one", view=buttons("stop"))))
    second = find(channel, await screen.send(Part(content=LOUD + "two")))
    await screen.edit(first.id, Part(content=LOUD + "changed"))
    await screen.tell_asker("that was all")
    await screen.end()
    assert (first.reply_to, second.reply_to) == (said, None)
    assert (first.content, first.buttons, second.content) == (LOUD + "changed", {}, LOUD + "two")
    assert (screen.channel_id, screen.pacing_key) == (channel.id, channel_edits(channel.id))


async def test_typing_is_shown_until_something_is_posted(
    server: DiscordServer, bot: LiveBot, channel: Channel, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "TYPING_SECONDS", 0.01)
    _, message = await bot.told(ada, channel, "hello")
    screen = MessageScreen(message)
    await screen.begin()
    await server.changes.until(lambda: channel.typing_calls >= 3, "typing goes on")
    message_id = await screen.send(Part(content="one"))
    typed = channel.typing_calls
    for number in range(20):
        await screen.edit(message_id, Part(content=f"edit {number}"))
    assert channel.typing_calls == typed
    await screen.end()
    await screen.end()


async def test_no_typing_indicator_is_no_reason_not_to_answer(
    server: DiscordServer, bot: LiveBot, channel: Channel, ada: User
) -> None:
    server.fail_next(TYPE, 403)
    _, message = await bot.told(ada, channel, "hello")
    screen = MessageScreen(message)
    await screen.begin()
    await server.changes.until(lambda: server.state.count(TYPE) == 1, "typing fails")
    await screen.send(Part(content="one"))
    await screen.end()
    assert await server.posted(channel) == ["one"]


async def test_a_typing_indicator_that_waits_for_a_global_limit_stops_nothing_else(
    server: DiscordServer, bot: LiveBot, channel: Channel, ada: User, caplog: pytest.LogCaptureFixture
) -> None:
    server.rate_limit_next(TYPE, retry_after_seconds=1.0, is_global=True)
    _, message = await bot.told(ada, channel, "hello")
    screen = MessageScreen(message)
    await screen.begin()
    await eventually(lambda: "Global rate limit has been hit" in caplog.text)
    async with asyncio.timeout(30):
        await screen.send(Part(content="one"))
    assert await server.posted(channel) == ["one"]


async def test_without_read_message_history_a_message_is_no_reply(server: DiscordServer, ada: User) -> None:
    channel = server.channel(server.guild(bot_permissions=MEMBER_PERMISSIONS & ~READ_MESSAGE_HISTORY))
    async with live_bot(server) as bot:
        _, message = await bot.told(ada, channel, "hello")
        await MessageScreen(message).send(Part(content="one"))
    assert channel.own_messages(server.bot)[0].reply_to is None


async def test_a_deleted_question_is_answered_without_a_reference(
    server: DiscordServer, bot: LiveBot, channel: Channel, ada: User
) -> None:
    said, message = await bot.told(ada, channel, "hello")
    await server.user_deletes(said)
    await MessageScreen(message).send(Part(content="one"))
    assert channel.own_messages(server.bot)[0].reply_to is None


async def test_a_deleted_post_is_gone_and_deleting_it_again_is_fine(
    server: DiscordServer, bot: LiveBot, channel: Channel, ada: User
) -> None:
    _, message = await bot.told(ada, channel, "hello")
    screen = MessageScreen(message)
    message_id = await screen.send(Part(content="one"))
    await screen.delete(message_id)
    assert find(channel, message_id).is_deleted
    await screen.delete(message_id)
    with pytest.raises(MessageGoneError):
        await screen.edit(message_id, Part(content="two"))


async def test_where_the_bot_may_speak_no_more_or_the_channel_is_gone_is_a_network_error(
    server: DiscordServer, bot: LiveBot, channel: Channel, ada: User
) -> None:
    _, message = await bot.told(ada, channel, "hello")
    screen = MessageScreen(message)
    message_id = await screen.send(Part(content="one"))
    assert channel.guild is not None
    channel.guild.bot_permissions &= ~SEND_MESSAGES
    with pytest.raises(discord.Forbidden):
        await screen.send(Part(content="two"))
    await server.delete_channel(channel)
    for attempt in (
        screen.send(Part(content="two")),
        screen.edit(message_id, Part(content="two")),
        screen.delete(message_id),
        screen.tell_asker("gone"),
    ):
        with pytest.raises(NETWORK_ERRORS):
            await attempt


# Buttons ------------------------------------------------------------------------------------------------------------


async def test_a_press_goes_on_in_the_messages_of_the_reply(
    server: DiscordServer, bot: LiveBot, channel: Channel, ada: User
) -> None:
    first, last = await _reply(bot, channel, ada, is_private=False)
    use, press = await bot.pressed(ada, last, "again")
    screen = ButtonScreen(press)
    await screen.begin()
    assert use.answer_kind == 6
    await screen.edit(first.id, Part(content=LOUD + "new one"))
    await screen.edit(last.id, Part(content="new two"))
    third = find(channel, await screen.send(Part(content="three", view=buttons("again"))))
    await screen.tell_asker("only you")
    await screen.end()
    assert [message.content for message in channel.own_messages(server.bot)] == [LOUD + "new one", "new two", "three"]
    assert (first.buttons, last.buttons, list(third.buttons)) == ({}, {}, ["again"])
    assert await use.replied() == ["only you"]
    assert use.replies[0].is_ephemeral
    assert screen.pacing_key == channel_edits(channel.id)
    await screen.delete(third.id)
    assert third.is_deleted


async def test_a_press_on_an_old_reply_needs_no_token(
    server: DiscordServer, bot: LiveBot, channel: Channel, ada: User
) -> None:
    _, last = await _reply(bot, channel, ada, is_private=False)
    use, press = await bot.pressed(ada, last, "again")
    screen = ButtonScreen(press)
    await screen.begin()
    use.expire()
    await screen.edit(last.id, Part(content="new two"))
    await screen.tell_asker("for everybody now")
    assert [message.content for message in channel.own_messages(server.bot)][1:] == ["new two", "for everybody now"]


async def test_a_press_on_a_private_reply_stays_private(
    server: DiscordServer, bot: LiveBot, channel: Channel, ada: User
) -> None:
    dm = server.dm(ada)
    first, last = await _reply(bot, channel, ada, is_private=True)
    use, press = await bot.pressed(ada, last, "again")
    screen = ButtonScreen(press)
    await screen.begin()
    assert screen.pacing_key == interaction_edits(press.token)
    await screen.edit(last.id, Part(content="new two"))
    with pytest.raises(MessageOutOfReachError):
        await screen.edit(first.id, Part(content="new one"))
    await screen.delete(first.id)
    third = await screen.send(Part(content="three"))
    await screen.edit(third, Part(content="new three"))
    assert (first.content, last.content) == ("one", "new two")
    assert await use.replied() == ["new three"]
    assert use.replies[0].is_ephemeral
    await server.user_deletes(use.replies[0])
    with pytest.raises(MessageGoneError):
        await screen.edit(third, Part(content="newer"))
    use.expire()
    with pytest.raises(MessageOutOfReachError):
        await screen.edit(last.id, Part(content="newest"))
    await screen.send(Part(content="four"))
    assert [message.content for message in dm.own_messages(server.bot)] == ["four"]
    assert channel.own_messages(server.bot) == []


async def test_a_press_that_was_answered_already_is_taken_as_it_is(bot: LiveBot, channel: Channel, ada: User) -> None:
    _, last = await _reply(bot, channel, ada, is_private=False)
    use, press = await bot.pressed(ada, last, "again")
    await press.response.defer()
    await ButtonScreen(press).begin()
    assert use.answer_kind == 6


async def test_a_press_that_is_refused_at_once_is_told_to_who_pressed(
    bot: LiveBot, channel: Channel, ada: User
) -> None:
    _, last = await _reply(bot, channel, ada, is_private=False)
    use, press = await bot.pressed(ada, last, "again")
    await ButtonScreen(press).tell_asker("not yours")
    assert await use.replied() == ["not yours"]
    assert use.replies[0].is_ephemeral


async def _reply(bot: LiveBot, channel: Channel, ada: User, *, is_private: bool) -> tuple[Message, Message]:
    """Show a finished reply of two messages."""
    use, interaction = await bot.asked(ada, channel)
    screen = InteractionScreen(interaction, is_private=is_private)
    await screen.begin()
    await screen.send(Part(content="one"))
    await screen.send(Part(content="two", view=buttons("again")))
    first, last = use.replies
    return first, last
