"""A thread made from a message begins with that message, as far as the bot may read it."""

from collections.abc import AsyncIterator

import pytest

from bot.config import BotStores
from bot.dialogue import channel_key
from bot.thread_start import thread_start
from storage.conversations import Conversations, NewMessage
from storage.posted import PostedPart
from tests.bot.lone_bot import LoneBot, joined_guild, lone_bot
from tests.doubles.discord_basics import MEMBER_PERMISSIONS, READ_MESSAGE_HISTORY
from tests.doubles.discord_places import Channel
from tests.doubles.discord_server import DiscordServer

_FETCH = "GET /channels/{channel}/messages/{message}"


@pytest.fixture
async def bot(server: DiscordServer) -> AsyncIterator[LoneBot]:
    async with lone_bot(server) as running:
        yield running


@pytest.fixture
def conversations(stores: BotStores) -> Conversations:
    return stores.conversations


async def _seen(server: DiscordServer, bot: LoneBot, channel: Channel) -> object:
    """Return a channel as the bot has it, by way of a message there."""
    ada = server.user("Somebody")
    return (await bot.hears(await server.user_says(channel, ada, "hello", mentions_bot=True))).channel


async def test_a_thread_begins_with_the_question_it_was_made_from(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    guild, ada = await joined_guild(server), server.user("Ada")
    channel = server.channel(guild)
    starter = await server.user_says(channel, ada, "What is rain?", mentions_bot=True)
    thread = await _seen(server, bot, server.thread(channel, starter=starter))
    assert await thread_start(thread, conversations) == NewMessage(
        role="user", content="Ada: What is rain?", author_id=ada.id, discord_message_id=starter.id
    )


async def test_a_thread_begins_with_the_whole_reply_it_was_made_from(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    guild = await joined_guild(server)
    channel = server.channel(guild)
    starter = await bot.says(channel, "first part")
    ids = await conversations.append_turn(
        channel_key(channel.id),
        NewMessage(role="user", content="Ada: x", author_id=7),
        NewMessage(role="assistant", content="first part and all of the rest"),
        is_cut=False,
    )
    parts = [PostedPart(discord_message_id=starter.id, channel_id=channel.id, characters=10)]
    await conversations.link(ids.reply_id, parts, asker_id=7)
    thread = await _seen(server, bot, server.thread(channel, starter=starter))
    assert await thread_start(thread, conversations) == NewMessage(
        role="assistant", content="first part and all of the rest", discord_message_id=starter.id
    )
    assert server.state.count(_FETCH) == 0


async def test_a_message_of_the_bot_that_no_conversation_has_is_taken_from_discord(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    guild = await joined_guild(server)
    channel = server.channel(guild)
    starter = await bot.says(channel, "Hello! Write your question after my name.")
    thread = await _seen(server, bot, server.thread(channel, starter=starter))
    assert await thread_start(thread, conversations) == NewMessage(
        role="assistant", content="Hello! Write your question after my name.", discord_message_id=starter.id
    )


async def test_a_message_that_discord_hides_begins_nothing(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    guild, ada = await joined_guild(server), server.user("Ada")
    channel = server.channel(guild)
    starter = await server.user_says(channel, ada, "among people")
    thread = await _seen(server, bot, server.thread(channel, starter=starter))
    assert await thread_start(thread, conversations) is None


async def test_a_thread_without_a_message_begins_with_nothing_and_without_noise(
    server: DiscordServer, bot: LoneBot, conversations: Conversations, caplog: pytest.LogCaptureFixture
) -> None:
    guild = await joined_guild(server)
    thread = await _seen(server, bot, server.thread(server.channel(guild)))
    assert await thread_start(thread, conversations) is None
    assert [record for record in caplog.records if record.name.startswith("bot.")] == []


async def test_title_and_first_message_of_a_forum_post_belong_together(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    guild, ada = await joined_guild(server), server.user("Ada")
    post = await server.forum_post(server.forum(guild), ada, "Why is it wet?", f"{server.bot.mention} I mean rain.")
    thread = await _seen(server, bot, post)
    assert await thread_start(thread, conversations) == NewMessage(
        role="user", content="Ada: Why is it wet?\n\nI mean rain.", author_id=ada.id, discord_message_id=post.id
    )


async def test_the_message_that_is_asked_itself_is_no_beginning(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    guild, ada = await joined_guild(server), server.user("Ada")
    post = await server.forum_post(server.forum(guild), ada, "Title", f"{server.bot.mention} text")
    asked = await bot.hears(post.messages[0])
    assert await thread_start(asked.channel, conversations, asked_id=asked.id) is None
    assert server.state.count(_FETCH) == 0


async def test_a_conversation_that_has_begun_and_a_channel_begin_with_nothing(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    guild, ada = await joined_guild(server), server.user("Ada")
    channel = server.channel(guild)
    starter = await server.user_says(channel, ada, "What is rain?", mentions_bot=True)
    thread = await _seen(server, bot, server.thread(channel, starter=starter))
    await conversations.append(channel_key(starter.id), NewMessage(role="user", content="Ada: begun"))
    assert await thread_start(thread, conversations) is None
    assert await thread_start(await _seen(server, bot, channel), conversations) is None
    assert server.state.count(_FETCH) == 0


async def test_nothing_is_asked_that_discord_would_refuse(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    guild = await joined_guild(server, bot_permissions=MEMBER_PERMISSIONS & ~READ_MESSAGE_HISTORY)
    ada = server.user("Ada")
    channel = server.channel(guild)
    starter = await server.user_says(channel, ada, "What is rain?", mentions_bot=True)
    thread = await _seen(server, bot, server.thread(channel, starter=starter))
    assert await thread_start(thread, conversations) is None
    assert server.state.count(_FETCH) == 0


async def test_a_failed_fetch_is_one_log_line(
    server: DiscordServer, bot: LoneBot, conversations: Conversations, caplog: pytest.LogCaptureFixture
) -> None:
    guild, ada = await joined_guild(server), server.user("Ada")
    channel = server.channel(guild)
    starter = await server.user_says(channel, ada, "What is rain?", mentions_bot=True)
    thread = await _seen(server, bot, server.thread(channel, starter=starter))
    server.fail_next(_FETCH, 403)
    assert await thread_start(thread, conversations) is None
    lines = [record.getMessage() for record in caplog.records if record.name == "bot.thread_start"]
    assert len(lines) == 1
    assert "rain" not in lines[0]
