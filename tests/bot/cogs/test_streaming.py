"""Replies that grow in front of people, from the question to the turn that is kept, through discord.py."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from bot.config import BotStores
from bot.splitting import split
from bot.texts import refusals
from storage.database import Database
from storage.posted import PostedPart
from tests.bot.conftest import StartBot
from tests.bot.replying import LONG_TEXT, finished, has_buttons, said, shows, stands
from tests.bot.scripted_api import Asked, Refusal, ScriptedApi, Stream
from tests.doubles.discord_model import Channel, Message, User
from tests.doubles.discord_server import DiscordServer

Ask = Callable[[DiscordServer, Channel, User], Awaitable[Message]]


async def _by_command(server: DiscordServer, channel: Channel, ada: User) -> Message:
    interaction = await server.slash(ada, channel, "chat", message="Go on")
    assert await interaction.deferred() < 3
    await interaction.replied()
    return interaction.replies[0]


async def _in_private(server: DiscordServer, channel: Channel, ada: User) -> Message:
    interaction = await server.slash(ada, channel, "chat", message="Go on", private=True)
    await interaction.replied()
    assert interaction.replies[0].is_ephemeral
    return interaction.replies[0]


async def _by_mention(server: DiscordServer, channel: Channel, ada: User) -> Message:
    await server.user_says(channel, ada, "Go on", mentions_bot=True)
    await server.posted(channel)
    return channel.own_messages(server.bot)[0]


async def _by_reply(server: DiscordServer, channel: Channel, ada: User) -> Message:
    original = Message(channel, server.bot, "Something said long ago")
    channel.messages.append(original)
    await server.user_says(channel, ada, "Go on", reply_to=original)
    await server.posted(channel, 2)
    return channel.own_messages(server.bot)[1]


async def _in_a_dm(server: DiscordServer, channel: Channel, ada: User) -> Message:
    dm = server.dm(ada)
    await server.user_says(dm, ada, "Go on")
    await server.posted(dm)
    return dm.own_messages(server.bot)[0]


@pytest.mark.parametrize("ask", [_by_command, _in_private, _by_mention, _by_reply, _in_a_dm])
async def test_a_reply_grows_with_a_stop_button_and_is_kept_as_the_model_said_it(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot, ask: Ask
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    api.script.append(Stream(pieces=["One,", " two,", " three."], hold_after=(1, 2)))
    message = await ask(server, channel, ada)
    await has_buttons(server, message, "Stop")
    assert message.content == "One,"
    api.release()
    await shows(server, message, "One, two,")
    await has_buttons(server, message, "Stop")
    api.release()
    await shows(server, message, "One, two, three.")
    await has_buttons(server, message, "Regenerate")
    # Regenerate is there a moment before it is written down where the reply stands.
    posted = await stands(stores.conversations, message)
    assert (posted.text, posted.asker_id, posted.is_cut) == ("One, two, three.", ada.id, False)
    assert posted.parts == (
        PostedPart(discord_message_id=message.id, channel_id=message.channel.id, characters=len("One, two, three.")),
    )
    key = f"private:{channel.id}:{ada.id}" if message.is_ephemeral else f"channel:{message.channel.id}"
    assert posted.conversation_key == key
    *_, question, reply = await stores.conversations.read(key)
    assert (question.content, question.author_id, reply.content) == ("Ada: Go on", ada.id, "One, two, three.")


async def test_a_long_reply_is_kept_whole_with_the_messages_it_stands_in(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    bot = await start_bot()
    api.script.append(LONG_TEXT)
    await server.user_says(channel, ada, "Tell me everything", mentions_bot=True)
    await finished(server, channel, len(split(LONG_TEXT)))
    await bot.stop()
    shown = channel.own_messages(server.bot)
    assert [message.content for message in shown] == split(LONG_TEXT)
    reply = await stores.conversations.last_reply(f"channel:{channel.id}")
    assert reply is not None
    assert reply.text == LONG_TEXT
    assert reply.parts == tuple(
        PostedPart(discord_message_id=message.id, channel_id=channel.id, characters=len(message.content))
        for message in shown
    )


@pytest.mark.usefixtures("unhurried")
async def test_a_reply_that_is_quick_appears_whole(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    api.script.append(Stream(pieces=[f"{number} " for number in range(50)]))
    await server.user_says(channel, ada, "Count", mentions_bot=True)
    message = await finished(server, channel)
    assert message.edits == 0


async def test_a_reply_that_was_cut_offers_to_go_on(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    api.script.append(Stream(pieces=["And then"], done_reason="length"))
    await server.user_says(channel, ada, "A story", mentions_bot=True)
    await server.posted(channel)
    await has_buttons(server, channel.own_messages(server.bot)[0], "Regenerate", "Continue")
    (_, reply) = await stores.conversations.read(f"channel:{channel.id}")
    assert reply.is_cut


async def test_an_interaction_older_than_15_minutes_goes_on_with_ordinary_messages(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    bot = await start_bot()
    api.script.append(Stream(pieces=[LONG_TEXT[:1000], LONG_TEXT[1000:]], hold_after=1))
    interaction = await server.slash(ada, channel, "chat", message="Everything, slowly")
    await interaction.replied()
    interaction.expire()
    api.release()
    last = await finished(server, channel, len(split(LONG_TEXT)))
    assert [message.content for message in channel.own_messages(server.bot)] == split(LONG_TEXT)
    # The button works there as everywhere.
    api.script.append("Short.")
    await server.press(ada, last, last.custom_id("Regenerate"))
    await shows(server, channel.own_messages(server.bot)[0], "Short.")
    await bot.stop()
    assert await said(stores.conversations, channel) == ["Ada: Everything, slowly", "Short."]


async def test_a_reconnect_in_the_middle_of_a_reply_is_not_noticed(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    api.script.append(Stream(pieces=["Before", " and after."], hold_after=1))
    await server.user_says(channel, ada, "Hold on", mentions_bot=True)
    await server.posted(channel)
    await server.drop_gateway()
    await server.connected()
    api.release()
    message = await finished(server, channel)
    assert message.content == "Before and after."
    assert await said(stores.conversations, channel) == ["Ada: Hold on", "Before and after."]


async def test_a_new_session_in_the_middle_of_a_reply_is_not_noticed(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    api.script.append(Stream(pieces=["Before", " and after."], hold_after=1))
    await server.user_says(channel, ada, "Hold on", mentions_bot=True)
    await server.posted(channel)
    await server.drop_gateway(resume=False)
    await server.connected()
    api.release()
    assert (await finished(server, channel)).content == "Before and after."


async def test_a_model_that_fails_midway_leaves_no_half_turn(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    api.script.append(Stream(pieces=["Half of"], hold_after=1, error=Refusal(503, "Model unavailable")))
    interaction = await server.slash(ada, channel, "chat", message="please")
    await interaction.replied()
    api.release()
    half, sentence = await interaction.replied(2)
    assert (half, sentence) == ("Half of", refusals.model_unavailable(retry_after_seconds=None))
    assert interaction.replies[1].is_ephemeral
    await has_buttons(server, interaction.replies[0])
    assert await said(stores.conversations, channel) == []


async def test_a_database_that_fails_when_the_turn_is_kept_is_a_sentence(
    server: DiscordServer, api: ScriptedApi, database: Database, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    api.script.append(Stream(pieces=["All of it."], hold_after=1))
    interaction = await server.slash(ada, channel, "chat", message="please")
    await interaction.replied()
    await database.close()
    api.release()
    assert await interaction.replied(2) == ["All of it.", refusals.unexpected(request_id="")]
    await has_buttons(server, interaction.replies[0])


async def test_twenty_channels_that_talk_at_once_never_meet_a_limit(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    guild, people = server.guild(), [server.user(f"Person {number}") for number in range(20)]
    channels = [server.channel(guild, f"channel-{number}") for number in range(20)]
    # Some have more to say than others.
    texts = {person.display_name: LONG_TEXT[: 2500 + 50 * number] for number, person in enumerate(people)}
    server.edit_bucket(limit=5, window_seconds=5.0)
    server.global_limit(50)
    await start_bot()

    def answer(asked: Asked) -> Stream:
        text = texts[asked.question.partition(":")[0]]
        pieces = [text[at : at + 50] for at in range(0, len(text), 50)]
        return Stream(pieces=pieces, hold_after=range(1, len(pieces)))

    async def talk(channel: Channel, person: User) -> None:
        parts = split(texts[person.display_name])
        for turn in (1, 2):
            await server.user_says(channel, person, "All at once", mentions_bot=True)
            await finished(server, channel, turn * len(parts))
            assert [message.content for message in channel.own_messages(server.bot)] == parts * turn

    api.answer = answer
    async with _releasing(api, every_seconds=0.1):
        await asyncio.gather(*(talk(channel, person) for channel, person in zip(channels, people, strict=True)))
    assert server.state.rate_limited == []
    shown = [message for channel in channels for message in channel.own_messages(server.bot)]
    assert all(sum(message.edits for message in shown[at : at + 2]) >= 2 for at in range(0, len(shown), 2))


@asynccontextmanager
async def _releasing(api: ScriptedApi, *, every_seconds: float) -> AsyncIterator[None]:
    """Let held replies go on, again and again, for the block."""

    async def release() -> None:
        while True:
            await asyncio.sleep(every_seconds)
            api.release()

    releasing = asyncio.create_task(release())
    try:
        yield
    finally:
        releasing.cancel()
        await asyncio.wait([releasing])
