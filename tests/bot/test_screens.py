"""The ways to people who used a command or a form, through discord.py and the stand-in Discord."""

from collections.abc import AsyncIterator

import discord
import pytest

from bot.pacing import channel_edits, interaction_edits
from bot.screens import (
    InteractionScreen,
    MessageGoneError,
    MessageOutOfReachError,
    Part,
    ReplyFile,
)
from tests.bot.live_bot import Clock, LiveBot, buttons, find, live_bot
from tests.doubles.discord_model import (
    Channel,
    User,
)
from tests.doubles.discord_server import DiscordServer

POST_MESSAGE = "POST /channels/{channel}/messages"
PATCH_MESSAGE = "PATCH /channels/{channel}/messages/{message}"
PATCH_ANSWER = "PATCH /webhooks/{application}/{token}/messages/{message}"
TYPE = "POST /channels/{channel}/typing"
LOUD = "@everyone <@1> <@&2> "
MINUTE = 60.0


@pytest.fixture
async def bot(server: DiscordServer, channel: Channel, ada: User) -> AsyncIterator[LiveBot]:
    async with live_bot(server) as running:
        yield running


# Commands -----------------------------------------------------------------------------------------------------------


async def test_the_first_part_takes_the_place_of_thinking_and_the_others_follow(
    bot: LiveBot, channel: Channel, ada: User
) -> None:
    use, interaction = await bot.asked(ada, channel)
    screen = InteractionScreen(interaction, is_private=False)
    await screen.begin()
    assert use.is_thinking
    first = await screen.send(Part(content=LOUD + "one", view=buttons("stop")))
    second = await screen.send(Part(content=LOUD + "two"))
    await screen.end()
    assert await use.replied(2) == [LOUD + "one", LOUD + "two"]
    assert [first, second] == [message.id for message in use.replies]
    assert use.original is use.replies[0]
    assert list(use.replies[0].buttons) == ["stop"]
    assert (screen.channel_id, screen.pacing_key) == (channel.id, interaction_edits(interaction.token))


async def test_an_edit_replaces_text_buttons_and_file_and_pings_nobody(
    bot: LiveBot, channel: Channel, ada: User
) -> None:
    _, interaction = await bot.asked(ada, channel)
    screen = InteractionScreen(interaction, is_private=False)
    await screen.begin()
    for message_id in (await screen.send(Part(content="one")), await screen.send(Part(content="two"))):
        message = find(channel, message_id)
        file = ReplyFile(name="reply.md", data="the réply".encode(), description="the rest")
        await screen.edit(message_id, Part(content=LOUD, view=buttons("a", "b"), file=file))
        assert (message.content, list(message.buttons)) == (LOUD, ["a", "b"])
        assert [(each.filename, each.data, each.description) for each in message.files] == [
            ("reply.md", "the réply".encode(), "the rest")
        ]
        await screen.edit(message_id, Part(content="quiet"))
        assert (message.content, message.buttons, message.files) == ("quiet", {}, [])


async def test_a_private_answer_is_for_the_asker_alone(bot: LiveBot, channel: Channel, ada: User) -> None:
    use, interaction = await bot.asked(ada, channel)
    screen = InteractionScreen(interaction, is_private=True)
    await screen.begin()
    message_id = await screen.send(Part(content="one"))
    await screen.edit(message_id, Part(content="changed"))
    await screen.send(Part(content="two"))
    assert await use.replied(2) == ["changed", "two"]
    assert all(message.is_ephemeral for message in use.replies)
    assert channel.messages == []


async def test_a_form_is_answered_as_a_command_is(bot: LiveBot, channel: Channel, ada: User) -> None:
    use, interaction = await bot.submitted(ada, channel)
    screen = InteractionScreen(interaction, is_private=False)
    await screen.begin()
    await screen.send(Part(content="answer"))
    assert await use.replied() == ["answer"]
    assert use.answer_kind == 5


async def test_what_was_deferred_before_is_taken_as_it_is(bot: LiveBot, channel: Channel, ada: User) -> None:
    use, interaction = await bot.asked(ada, channel)
    await interaction.response.defer(thinking=True)
    screen = InteractionScreen(interaction, is_private=False)
    await screen.begin()
    await screen.send(Part(content="answer"))
    assert use.original is not None
    assert (use.original.content, len(use.replies)) == ("answer", 1)


async def test_what_was_answered_before_stays(bot: LiveBot, channel: Channel, ada: User) -> None:
    use, interaction = await bot.asked(ada, channel)
    await interaction.response.send_message("before")
    screen = InteractionScreen(interaction, is_private=False)
    await screen.begin()
    await screen.send(Part(content="after"))
    assert await use.replied(2) == ["before", "after"]


async def test_a_deleted_thinking_message_is_replaced(
    server: DiscordServer, bot: LiveBot, channel: Channel, ada: User
) -> None:
    use, interaction = await bot.asked(ada, channel)
    screen = InteractionScreen(interaction, is_private=False)
    await screen.begin()
    assert use.original is not None
    await server.user_deletes(use.original)
    await screen.send(Part(content="all the same"))
    await screen.tell_asker("only you")
    assert await use.replied(2) == ["all the same", "only you"]
    assert [message.is_ephemeral for message in use.replies] == [False, True]


async def test_thinking_that_led_to_nothing_is_taken_away(bot: LiveBot, channel: Channel, ada: User) -> None:
    use, interaction = await bot.asked(ada, channel)
    screen = InteractionScreen(interaction, is_private=False)
    await screen.begin()
    await screen.end()
    await screen.end()
    assert use.original is not None
    assert use.original.is_deleted


async def test_a_deleted_message_is_gone(server: DiscordServer, bot: LiveBot, channel: Channel, ada: User) -> None:
    _, interaction = await bot.asked(ada, channel)
    screen = InteractionScreen(interaction, is_private=False)
    await screen.begin()
    message_id = await screen.send(Part(content="one"))
    await server.user_deletes(find(channel, message_id))
    with pytest.raises(MessageGoneError):
        await screen.edit(message_id, Part(content="two"))
    await screen.delete(message_id)


@pytest.mark.parametrize("is_private", [False, True])
async def test_a_message_can_be_taken_away(bot: LiveBot, channel: Channel, ada: User, *, is_private: bool) -> None:
    use, interaction = await bot.asked(ada, channel)
    screen = InteractionScreen(interaction, is_private=is_private)
    await screen.begin()
    await screen.send(Part(content="one"))
    await screen.delete(await screen.send(Part(content="two")))
    assert [message.is_deleted for message in use.replies] == [False, True]


# Commands that have become old --------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_before_the_end", [False, True])
async def test_an_old_command_goes_on_with_ordinary_messages(
    server: DiscordServer, bot: LiveBot, channel: Channel, ada: User, *, is_before_the_end: bool
) -> None:
    use, interaction = await bot.asked(ada, channel)
    clock = Clock()
    screen = InteractionScreen(interaction, is_private=False, now=clock)
    await screen.begin()
    first = await screen.send(Part(content="one", view=buttons("stop")))
    use.expire()
    clock.ahead_seconds = 14.6 * MINUTE if is_before_the_end else 0.0
    await screen.edit(first, Part(content="changed"))
    second = await screen.send(Part(content="two"))
    await screen.edit(second, Part(content="two and a half"))
    await screen.tell_asker("for everybody now")
    assert [message.content for message in channel.own_messages(server.bot)] == [
        "changed",
        "two and a half",
        "for everybody now",
    ]
    assert find(channel, first).buttons == {}
    assert (screen.channel_id, screen.pacing_key) == (channel.id, channel_edits(channel.id))
    await screen.delete(second)
    assert find(channel, second).is_deleted
    # With the clock the token is given up in time: Discord never has to say no.
    assert any(call.status == 401 for call in server.calls) is not is_before_the_end


@pytest.mark.parametrize("is_before_the_end", [False, True])
async def test_an_old_private_command_goes_on_in_the_askers_dm(
    server: DiscordServer, bot: LiveBot, channel: Channel, ada: User, *, is_before_the_end: bool
) -> None:
    dm = server.dm(ada)
    use, interaction = await bot.asked(ada, channel)
    clock = Clock()
    screen = InteractionScreen(interaction, is_private=True, now=clock)
    await screen.begin()
    first = await screen.send(Part(content="one"))
    use.expire()
    clock.ahead_seconds = 14.6 * MINUTE if is_before_the_end else 0.0
    with pytest.raises(MessageOutOfReachError):
        await screen.edit(first, Part(content="changed"))
    await screen.delete(first)
    second = await screen.send(Part(content="two"))
    await screen.edit(second, Part(content="two and a half"))
    await screen.tell_asker("between us")
    assert [message.content for message in dm.own_messages(server.bot)] == ["two and a half", "between us"]
    assert channel.own_messages(server.bot) == []
    assert (screen.channel_id, screen.pacing_key) == (dm.id, channel_edits(dm.id))


async def test_an_old_private_command_of_somebody_without_dms_fails(
    server: DiscordServer, bot: LiveBot, channel: Channel, ada: User
) -> None:
    ada.dms_closed = True
    use, interaction = await bot.asked(ada, channel)
    screen = InteractionScreen(interaction, is_private=True)
    await screen.begin()
    use.expire()
    with pytest.raises(discord.Forbidden):
        await screen.send(Part(content="between us"))
    assert channel.own_messages(server.bot) == []


async def test_the_place_of_thinking_is_taken_with_the_token_as_long_as_it_lives(
    server: DiscordServer, bot: LiveBot, channel: Channel, ada: User
) -> None:
    use, interaction = await bot.asked(ada, channel)
    clock = Clock()
    screen = InteractionScreen(interaction, is_private=False, now=clock)
    await screen.begin()
    clock.ahead_seconds = 14.9 * MINUTE
    message_id = await screen.send(Part(content="just in time"))
    assert await use.replied() == ["just in time"]
    await screen.edit(message_id, Part(content="changed"))
    assert server.state.count(PATCH_MESSAGE) == 1


# What the asker alone is told ---------------------------------------------------------------------------------------


async def test_the_asker_is_told_alone_before_anything_was_answered(
    server: DiscordServer, bot: LiveBot, channel: Channel, ada: User
) -> None:
    use, interaction = await bot.asked(ada, channel)
    await InteractionScreen(interaction, is_private=False).tell_asker("not now")
    assert await use.replied() == ["not now"]
    assert use.replies[0].is_ephemeral


async def test_the_asker_is_told_in_the_place_of_thinking(bot: LiveBot, channel: Channel, ada: User) -> None:
    use, interaction = await bot.asked(ada, channel)
    screen = InteractionScreen(interaction, is_private=False)
    await screen.begin()
    await screen.tell_asker("not now")
    assert use.original is not None
    assert (use.original.content, len(use.replies)) == ("not now", 1)


async def test_the_asker_is_told_alone_below_a_reply(bot: LiveBot, channel: Channel, ada: User) -> None:
    use, interaction = await bot.asked(ada, channel)
    screen = InteractionScreen(interaction, is_private=False)
    await screen.begin()
    await screen.send(Part(content="half a repl"))
    await screen.tell_asker("that was all")
    assert await use.replied(2) == ["half a repl", "that was all"]
    assert [message.is_ephemeral for message in use.replies] == [False, True]
