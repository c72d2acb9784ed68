"""The message menu "Ask about this message", through discord.py and the stand-in Discord."""

import pytest

from bot.cogs.chat import MAX_MESSAGE_CHARACTERS
from bot.config import BotStores
from bot.quoting import MAX_QUOTE_CHARACTERS
from bot.texts import conversations, refusals
from tests.bot.conftest import StartBot
from tests.bot.replying import finished, has_buttons, said
from tests.bot.scripted_api import ScriptedApi, Stream
from tests.doubles.discord_model import Channel, Interaction, Json, Message, User
from tests.doubles.discord_server import DiscordServer

MENU = conversations.ASK_ABOUT


async def _ask(
    server: DiscordServer, user: User, channel: Channel, message: Message, question: str, *, forged: bool = False
) -> Interaction:
    """Open the menu's form and send it."""
    opened = await server.message_menu(user, channel, MENU, message)
    return await server.submit(user, opened, {_field(await opened.form()): question}, forged=forged)


def _field(form: Json) -> str:
    (label,) = form["components"]
    found = label["component"]["custom_id"]
    assert isinstance(found, str)
    return found


async def test_a_question_about_a_message_is_asked_with_it_in_the_channels_conversation(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada, bob = server.channel(server.guild()), server.user("Ada"), server.user("Bob")
    await start_bot()
    about = await server.user_says(channel, bob, f"I like {ada.mention}\nand tea")
    asked = await _ask(server, ada, channel, about, "Is that so?")
    assert await asked.deferred() < 3
    assert await asked.replied() == ["You said: Is that so?"]
    await has_buttons(server, asked.replies[0], "Regenerate")
    assert not asked.replies[0].is_ephemeral
    expected = ["Bob: > I like @Ada\n> and tea", "Ada: Is that so?"]
    assert [message.content for message in api.asked[0].request.messages[1:]] == expected
    quote, question, _ = await stores.conversations.read(f"channel:{channel.id}")
    assert [quote.content, question.content] == expected
    assert (quote.author_id, quote.discord_message_id) == (bob.id, about.id)
    assert (question.author_id, question.discord_message_id) == (ada.id, None)


@pytest.mark.usefixtures("unhurried")
async def test_a_question_about_the_bots_own_words_quotes_them_as_those_of_whoever_had_asked(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada, bob = server.channel(server.guild()), server.user("Ada"), server.user("Bob")
    await start_bot()
    await server.user_says(channel, ada, "Hello", mentions_bot=True)
    about = await finished(server, channel)
    asked = await _ask(server, bob, channel, about, "Why?")
    assert await asked.replied() == ["You said: Why?"]
    quote = (await stores.conversations.read(f"channel:{channel.id}"))[2]
    assert (quote.content, quote.author_id) == ("Parley: > You said: Hello", ada.id)


async def test_a_long_message_is_shortened(server: DiscordServer, api: ScriptedApi, start_bot: StartBot) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    about = await server.user_says(channel, ada, "x" * 2000)
    await (await _ask(server, ada, channel, about, "Why?")).replied()
    assert api.asked[0].request.messages[1].content == f"Ada: > {'x' * (MAX_QUOTE_CHARACTERS - 1)}…"


@pytest.mark.parametrize("text", ["", " \x00 "])
async def test_a_message_without_words_is_a_sentence(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot, text: str
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    about = await server.user_says(channel, ada, text)
    refused = await server.message_menu(ada, channel, MENU, about)
    assert await refused.replied() == [conversations.not_a_question()]
    assert refused.replies[0].is_ephemeral


async def test_a_blank_question_is_a_sentence_and_a_too_long_one_is_cut(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    about = await server.user_says(channel, ada, "tea")
    blank = await _ask(server, ada, channel, about, " \x00 ")
    assert await blank.replied() == [conversations.not_a_question()]
    assert blank.replies[0].is_ephemeral
    assert api.asked == []
    api.script.append("Long.")
    long = await _ask(server, ada, channel, about, "y" * 10_000, forged=True)
    assert await long.replied() == ["Long."]
    assert api.questions == ["Ada: " + "y" * MAX_MESSAGE_CHARACTERS]


async def test_a_live_token_in_the_message_is_revoked_and_not_passed_on(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    guild = server.guild()
    channel, ada, bob = server.channel(guild), server.user("Ada"), server.user("Bob")
    issued = await stores.tokens.create("leaky", guild_id=guild.id, created_by=ada.id, daily_calls=5)
    await start_bot()
    about = await server.user_says(channel, bob, f"use {issued.secret}")
    refused = await server.message_menu(ada, channel, MENU, about)
    assert await refused.replied() == [refusals.token_leaked()]
    assert refused.replies[0].is_ephemeral
    assert (await stores.tokens.get(issued.token.id)).revoked_at is not None


async def test_a_form_that_is_sent_where_the_channel_is_gone_is_no_fault(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot, caplog: pytest.LogCaptureFixture
) -> None:
    guild, ada = server.guild(), server.user("Ada")
    channel, other = server.channel(guild), server.channel(guild)
    await start_bot()
    about = await server.user_says(channel, ada, "tea")
    opened = await server.message_menu(ada, channel, MENU, about)
    form = await opened.form()
    await server.delete_channel(channel)
    sent = await server.submit(ada, opened, {_field(form): "Why?"})
    await sent.answered()
    await server.user_says(other, ada, "Still there?", mentions_bot=True)
    await finished(server, other)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_an_adult_model_is_asked_about_messages_in_age_restricted_channels_only(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    server.state.shows_mature_commands = True
    await start_bot(mature=True)
    about = await server.user_says(channel, ada, "tea")
    refused = await server.message_menu(ada, channel, MENU, about)
    assert await refused.replied() == [refusals.not_age_restricted()]


async def test_the_reply_to_a_form_is_stopped_and_made_anew_like_any_other(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    about = await server.user_says(channel, ada, "tea")
    api.script.append(Stream(pieces=["So far", " and on"], hold_after=1))
    asked = await _ask(server, ada, channel, about, "Why?")
    await asked.replied()
    (reply,) = asked.replies
    await server.press(ada, reply, reply.custom_id("Stop"))
    await has_buttons(server, reply, "Regenerate")
    assert await said(stores.conversations, channel) == ["Ada: > tea", "Ada: Why?", "So far"]
    await server.press(ada, reply, reply.custom_id("Regenerate"))
    await server.changes.until(lambda: reply.content == "You said: Why?", "a new reply")
    assert [message.content for message in api.asked[1].request.messages[1:]] == ["Ada: > tea", "Ada: Why?"]
