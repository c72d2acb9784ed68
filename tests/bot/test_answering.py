"""Order, concurrency and memory of conversations, through discord.py and the stand-in Discord."""

import asyncio
import itertools
from pathlib import Path

import pytest

from bot.config import BotStores
from bot.lanes import MAX_WAITING
from bot.person_limits import person_tenant
from bot.texts import refusals
from storage.database import Database
from tests.bot.conftest import StartBot, make_stores
from tests.bot.replying import said
from tests.bot.scripted_api import Refusal, ScriptedApi, Stream
from tests.doubles.discord_server import DiscordServer
from tests.new_database import locked
from tests.waiting import PATIENCE_SECONDS


@pytest.mark.usefixtures("unhurried")
async def test_questions_of_one_channel_are_answered_one_at_a_time_in_order(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    api.hold()
    for number in range(6):
        if number % 2:
            await server.slash(ada, channel, "chat", message=f"number {number}")
        else:
            await server.user_says(channel, ada, f"number {number}", mentions_bot=True)
    await api.arrived(1)
    api.release()
    await server.posted(channel, 6)
    assert [message.content for message in channel.own_messages(server.bot)] == [
        f"You said: number {number}" for number in range(6)
    ]
    assert api.most_running == 1
    assert [len(asked.request.messages) for asked in api.asked] == [2, 4, 6, 8, 10, 12]


async def test_channels_do_not_wait_for_each_other(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    guild, ada = server.guild(), server.user("Ada")
    channels = [server.channel(guild, f"channel-{number}") for number in range(5)]
    await start_bot()
    api.hold()
    for channel in channels:
        await server.user_says(channel, ada, "at once", mentions_bot=True)
    await api.arrived(5)
    assert api.running == 5
    api.release()
    for channel in channels:
        await server.posted(channel)


async def test_each_request_begins_with_what_the_one_before_it_sent(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    for number in range(4):
        await server.user_says(channel, ada, f"turn {number}", mentions_bot=True)
    await server.posted(channel, 4)
    histories = [asked.request.messages for asked in api.asked]
    for shorter, longer in itertools.pairwise(histories):
        assert longer[: len(shorter)] == shorter


async def test_a_conversation_survives_a_restart_of_the_bot(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot, tmp_path: Path
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    url = f"sqlite:///{tmp_path / 'kept.db'}"
    for turn in (1, 2):
        database = await Database.open(url)
        bot = await start_bot(stores=make_stores(database))
        await server.user_says(channel, ada, f"turn {turn}", mentions_bot=True)
        await server.posted(channel, turn)
        await bot.stop()
        await database.close()
    assert [message.content for message in api.asked[1].request.messages[1:]] == [
        "Ada: turn 1",
        "You said: turn 1",
        "Ada: turn 2",
    ]


async def test_a_refused_question_is_not_part_of_the_next_request(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    api.script.append(Refusal(503, "Busy", headers={"Retry-After": "3"}))
    await server.user_says(channel, ada, "refused", mentions_bot=True)
    await server.posted(channel, 1)
    await server.user_says(channel, ada, "taken", mentions_bot=True)
    await server.posted(channel, 2)
    assert [message.content for message in api.asked[1].request.messages[1:]] == ["Ada: taken"]


@pytest.mark.usefixtures("unhurried")
async def test_the_reply_is_kept_before_anybody_reads_it(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    server.rate_limit_next("POST /channels/{channel}/messages", retry_after_seconds=0.3)
    asked = await server.user_says(channel, ada, "keep this", mentions_bot=True)
    await server.changes.until(lambda: server.state.count("POST /channels/{channel}/messages") == 1, "first try")
    assert channel.own_messages(server.bot) == []
    question, reply = await stores.conversations.read(f"channel:{channel.id}")
    assert (question.content, question.author_id, question.discord_message_id) == ("Ada: keep this", ada.id, asked.id)
    assert (reply.role, reply.content) == ("assistant", "You said: keep this")
    await server.posted(channel)


async def test_a_flood_in_one_channel_is_refused_beyond_a_bound(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    api.hold()
    for number in range(MAX_WAITING + 2):
        await server.user_says(channel, ada, f"flood {number}", mentions_bot=True)
    assert await server.posted(channel) == [refusals.lane_full(waiting=MAX_WAITING + 1)]
    api.release()
    await server.posted(channel, MAX_WAITING + 2)


async def test_a_fault_of_ours_is_an_apology_and_a_log_line_without_content(
    server: DiscordServer,
    database: Database,
    start_bot: StartBot,
    caplog: pytest.LogCaptureFixture,
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    await database.close()
    interaction = await server.slash(ada, channel, "chat", message="swordfish")
    assert await interaction.replied() == [refusals.unexpected(request_id="")]
    assert "StorageError" in caplog.text
    assert "swordfish" not in caplog.text


async def test_a_turn_that_cannot_be_kept_is_a_sentence_and_the_persons_call_is_given_back(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot, tmp_path: Path
) -> None:
    guild, ada = server.guild(), server.user("Ada")
    channel = server.channel(guild)
    database = await Database.open(f"sqlite:///{tmp_path / 'busy.db'}", busy_timeout_seconds=0.3)
    stores = make_stores(database)
    bot = await start_bot(stores=stores, person_daily_calls=5)
    api.script.append(Stream(pieces=["All of it"], hold_after=1))
    interaction = await server.slash(ada, channel, "chat", message="please")
    await interaction.replied()
    async with locked(tmp_path / "busy.db"):
        api.release()
        assert await interaction.replied(2) == ["All of it", refusals.unexpected(request_id="")]
    await bot.stop()
    assert await said(stores.conversations, channel) == []
    assert (await stores.ledger.used_today(person_tenant(guild.id, ada.id), limit=5)).used == 0
    await database.close()


async def test_running_replies_finish_before_the_bot_stops_and_newcomers_are_told(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    other = server.channel(server.state.guilds[0])
    bot = await start_bot(drain_seconds=60.0)
    api.hold()
    await server.user_says(channel, ada, "last words", mentions_bot=True)
    await api.arrived(1)
    stopping = asyncio.create_task(bot.stop())
    late = await server.slash(ada, other, "chat", message="too late")
    assert await late.replied() == [refusals.shutting_down()]
    api.release()
    await stopping
    assert await server.posted(channel) == ["You said: last words"]


async def test_what_does_not_finish_in_time_is_told_and_leaves_no_trace(
    server: DiscordServer,
    api: ScriptedApi,
    stores: BotStores,
    start_bot: StartBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bot.lanes.SECONDS_TO_SAY_SO", PATIENCE_SECONDS)
    channel, ada = server.channel(server.guild()), server.user("Ada")
    bot = await start_bot(drain_seconds=0.1)
    api.hold()
    interaction = await server.slash(ada, channel, "chat", message="too slow")
    await api.arrived(1)
    await bot.stop()
    assert await interaction.replied() == [refusals.shutting_down()]
    assert await stores.conversations.read(f"channel:{channel.id}") == []
