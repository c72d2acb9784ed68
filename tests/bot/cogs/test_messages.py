"""Mentions, replies and DMs, through discord.py and the stand-in Discord."""

import pytest

from bot.config import BotStores
from bot.texts import conversations, refusals
from tests.bot.conftest import SYSTEM_PROMPT, StartBot
from tests.bot.scripted_api import SERVICE_TOKEN, ScriptedApi
from tests.doubles.discord_model import JOIN_MESSAGE
from tests.doubles.discord_server import DiscordServer


async def test_a_mention_is_answered_as_a_reply_to_it(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    asked = await server.user_says(channel, ada, "Good morning", mentions_bot=True)
    assert await server.posted(channel) == ["You said: Good morning"]
    assert channel.own_messages(server.bot)[0].reply_to is asked
    assert api.questions == ["Ada: Good morning"]


async def test_a_mention_in_the_middle_is_taken_out_and_others_are_named(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    guild = server.guild()
    channel, ada, bob = server.channel(guild), server.user("Ada"), server.user("Bob")
    await start_bot()
    text = f"Hey {server.bot.mention}, ask {bob.mention} in <#{channel.id}>, <@&{guild.id}>!"
    await server.user_says(channel, ada, text)
    await server.posted(channel)
    assert api.questions == ["Ada: Hey, ask @Bob in #general, @everyone!"]


async def test_the_service_is_told_who_is_charged(server: DiscordServer, api: ScriptedApi, start_bot: StartBot) -> None:
    guild, ada = server.guild(), server.user("Ada")
    channel, dm = server.channel(guild), server.dm(ada)
    await start_bot()
    await server.user_says(channel, ada, "here", mentions_bot=True)
    await server.posted(channel)
    await server.user_says(dm, ada, "there")
    await server.posted(dm)
    assert [asked.tenant for asked in api.asked] == [f"discord:{guild.id}", f"discord:dm:{ada.id}"]
    assert {asked.authorization for asked in api.asked} == {f"Bearer {SERVICE_TOKEN}"}


@pytest.mark.usefixtures("unhurried")
async def test_a_conversation_names_its_speakers_and_begins_with_the_persona(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada, bob = server.channel(server.guild()), server.user("Ada"), server.user("Bob: the\n2nd")
    await start_bot()
    await server.user_says(channel, ada, "I am first", mentions_bot=True)
    await server.posted(channel, 1)
    await server.user_says(channel, bob, "I am second", mentions_bot=True)
    await server.posted(channel, 2)
    messages = [(message.role, message.content) for message in api.asked[1].request.messages]
    assert messages == [
        ("system", SYSTEM_PROMPT),
        ("user", "Ada: I am first"),
        ("assistant", "You said: I am first"),
        ("user", "Bob the 2nd: I am second"),
    ]


async def test_a_reply_to_the_bot_goes_on_with_the_conversation(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    await server.user_says(channel, ada, "first", mentions_bot=True)
    await server.posted(channel, 1)
    answer = channel.own_messages(server.bot)[0]
    await server.user_says(channel, ada, "and second", reply_to=answer)
    await server.posted(channel, 2)
    assert api.questions[-1] == "Ada: and second"


async def test_a_reply_without_ping_is_told_that_it_cannot_be_read(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    await server.user_says(channel, ada, "first", mentions_bot=True)
    await server.posted(channel, 1)
    answer = channel.own_messages(server.bot)[0]
    await server.user_says(channel, ada, "quiet", reply_to=answer, pings_reply=False)
    assert (await server.posted(channel, 2))[1] == refusals.unreadable_reply()
    assert len(api.asked) == 1


async def test_a_dm_needs_no_mention(server: DiscordServer, api: ScriptedApi, start_bot: StartBot) -> None:
    ada = server.user("Ada")
    dm = server.dm(ada)
    await start_bot()
    await server.user_says(dm, ada, "just us")
    assert await server.posted(dm) == ["You said: just us"]


async def test_an_empty_mention_gets_help_and_costs_nothing(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    await server.user_says(channel, ada, "  ", mentions_bot=True)
    assert await server.posted(channel) == [conversations.hello()]
    assert api.asked == []


async def test_bots_webhooks_notices_and_strangers_talk_are_ignored(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    robot = server.user("Robot", is_bot=True)
    await start_bot()
    await server.user_says(channel, robot, "robot", mentions_bot=True)
    await server.user_says(channel, ada, "webhook", mentions_bot=True, is_webhook=True)
    await server.user_says(channel, ada, "joined", mentions_bot=True, kind=JOIN_MESSAGE)
    await server.user_says(channel, ada, "not to the bot")
    human = await server.user_says(channel, ada, "nor this")
    await server.user_says(channel, ada, "reply to a person", reply_to=human)
    # Events are handled in order, so the answer to the last one proves that nobody else got any.
    await server.user_says(channel, ada, "to the bot", mentions_bot=True)
    assert await server.posted(channel) == ["You said: to the bot"]
    assert api.questions == ["Ada: to the bot"]


async def test_the_bot_shows_typing_while_it_thinks(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    api.hold()
    await server.user_says(channel, ada, "slow", mentions_bot=True)
    await server.changes.until(lambda: channel.typing_calls > 0, "typing")
    assert channel.own_messages(server.bot) == []
    api.release()
    await server.posted(channel)


async def test_where_the_bot_may_not_speak_nobody_is_charged(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    guild = server.guild()
    mute, open_channel, ada = server.channel(guild, may_bot_speak=False), server.channel(guild), server.user("Ada")
    await start_bot()
    await server.user_says(mute, ada, "anybody there?", mentions_bot=True)
    await server.user_says(open_channel, ada, "and here?", mentions_bot=True)
    await server.posted(open_channel)
    assert api.questions == ["Ada: and here?"]
    assert server.state.count("POST /channels/{channel}/messages", status=403) == 0


async def test_a_deleted_channel_leaves_the_conversation_unharmed(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    guild, ada = server.guild(), server.user("Ada")
    channel, other = server.channel(guild), server.channel(guild, "other")
    await start_bot()
    api.hold()
    await server.user_says(channel, ada, "too late", mentions_bot=True)
    await api.arrived(1)
    channel.is_deleted = True
    api.release()
    await server.changes.until(
        lambda: server.state.count("POST /channels/{channel}/messages", status=404) == 1, "refused post"
    )
    await server.user_says(other, ada, "still there?", mentions_bot=True)
    assert await server.posted(other) == ["You said: still there?"]
    assert len(await stores.conversations.read(f"channel:{channel.id}")) == 2


async def test_a_hint_that_cannot_be_posted_is_a_log_line(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot, caplog: pytest.LogCaptureFixture
) -> None:
    guild, ada = server.guild(), server.user("Ada")
    channel, other = server.channel(guild), server.channel(guild, "other")
    await start_bot()
    channel.is_deleted = True
    await server.user_says(channel, ada, "", mentions_bot=True)
    await server.changes.until(
        lambda: server.state.count("POST /channels/{channel}/messages", status=404) == 1, "refused post"
    )
    await server.user_says(other, ada, "still there?", mentions_bot=True)
    await server.posted(other)
    assert "a sentence could not be posted: NotFound" in caplog.text


async def test_a_thread_whose_channel_is_hidden_is_answered(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    guild, ada = server.guild(), server.user("Ada")
    hidden = server.channel(guild)
    thread = server.thread(hidden)
    guild.channels.remove(hidden)
    await start_bot()
    await server.user_says(thread, ada, "hello", mentions_bot=True)
    assert await server.posted(thread) == ["You said: hello"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nul \x00 and bell \x07", "Ada: nul  and bell"),
        ("z\u0351\u036b\u0343a\u0315lgo", "Ada: z\u0351\u036b\u0343a\u0315lgo"),
        ("\u202egnirts\u202c", "Ada: \u202egnirts\u202c"),
        ("line\r\nend", "Ada: line\nend"),
    ],
    ids=["control", "zalgo", "override", "line end"],
)
async def test_odd_text_arrives_without_what_no_database_takes(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot, text: str, expected: str
) -> None:
    ada = server.user("Ada")
    dm = server.dm(ada)
    await start_bot()
    await server.user_says(dm, ada, text)
    await server.posted(dm)
    assert api.questions == [expected]


async def test_25_mentions_ping_nobody(server: DiscordServer, api: ScriptedApi, start_bot: StartBot) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    crowd = [server.user(f"Person {number}") for number in range(25)]
    await start_bot()
    api.script.append(" ".join(user.mention for user in crowd) + " @everyone @here <@&1>")
    await server.user_says(channel, ada, " ".join(user.mention for user in crowd), mentions_bot=True)
    await server.posted(channel)
    assert server.state.pings == set()
    assert all(f"@Person {number}" in api.questions[0] for number in range(25))


async def test_an_adult_model_answers_in_age_restricted_channels_and_their_threads_only(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    guild, ada = server.guild(), server.user("Ada")
    restricted, ordinary = server.channel(guild, is_nsfw=True), server.channel(guild)
    thread, dm = server.thread(restricted), server.dm(ada)
    await start_bot(mature=True)
    for channel in (restricted, thread, ordinary, dm):
        await server.user_says(channel, ada, "hello", mentions_bot=True)
    assert await server.posted(restricted) == ["You said: hello"]
    assert await server.posted(thread) == ["You said: hello"]
    assert await server.posted(ordinary) == [refusals.not_age_restricted()]
    assert await server.posted(dm) == [refusals.not_age_restricted()]
