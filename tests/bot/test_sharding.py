"""Shards of one bot in one process or several: everybody is answered once, whichever process hears them."""

import asyncio
from time import monotonic

import pytest
from sqlalchemy import update

from bot import distant_stops
from bot.config import BotStores
from bot.dialogue import channel_key
from bot.distant_stops import DistantStops
from bot.running import RunningReplies
from bot.sharding import IdentifyTurns, share_of
from bot.texts import privacy, replies
from storage.bot_schema import claims
from storage.claims import Claims
from storage.clock import SystemClock
from storage.database import Database
from tests.bot.conftest import RunningBot, StartBot
from tests.bot.replying import has_buttons, said
from tests.bot.scripted_api import ScriptedApi, Stream
from tests.doubles.discord_model import Channel, Message, User
from tests.doubles.discord_server import DiscordServer
from tests.waiting import PATIENCE_SECONDS, eventually

APART_SECONDS, MORE_SECONDS = 0.15, 0.5
"""... between two IDENTIFYs, and what the bot adds: a claim's way to Discord varies on a machine that many share."""
MESSAGES = "POST /channels/{channel}/messages"


async def start_two(server: DiscordServer, start_bot: StartBot) -> list[RunningBot]:
    """Start two processes' worth of bots at once, one for each shard, where Discord minds how fast they identify."""
    server.gateway.identify_seconds = APART_SECONDS
    apart = {"shard_count": 2, "identify_seconds": APART_SECONDS + MORE_SECONDS}
    started = await asyncio.gather(*(start_bot(shard_ids=(number,), **apart) for number in range(2)))
    await server.connected((0, 2), (1, 2))
    return started


def channels_of(server: DiscordServer, count: int) -> list[Channel]:
    return [server.channel(server.guild_of_shard(number, count)) for number in range(count)]


async def test_each_server_and_each_dm_is_answered_once(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channels, ada = channels_of(server, 2), server.user("Ada")
    dm = server.dm(ada)
    await start_two(server, start_bot)
    assert server.gateway.hurried == []
    assert server.state.command_syncs == 1
    for number, channel in enumerate([*channels, dm]):
        await server.user_says(channel, ada, f"hello {number}", mentions_bot=channel is not dm)
        assert await server.posted(channel) == [f"You said: hello {number}"]
        await server.slash(ada, channel, "chat", message=f"again {number}")
        await server.posted(channel, 2)
        await api.arrived(2 * number + 2)
    for channel in (*channels, dm):
        await has_buttons(server, channel.own_messages(server.bot)[-1], "Regenerate")
        assert len(channel.own_messages(server.bot)) == 2
        assert await stores.conversations.count(channel_key(channel.id)) == 4
    assert len(api.questions) == 6


async def test_one_process_runs_as_many_shards_as_discord_recommends(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    server.state.recommended_shards, server.gateway.max_concurrency = 3, 2
    server.gateway.identify_seconds = APART_SECONDS
    channels, ada = channels_of(server, 3), server.user("Ada")
    await start_bot(identify_seconds=APART_SECONDS + MORE_SECONDS)
    await server.connected((0, 3), (1, 3), (2, 3))
    assert server.gateway.hurried == []
    for channel in channels:
        await server.user_says(channel, ada, "hello", mentions_bot=True)
        assert await server.posted(channel) == ["You said: hello"]
    assert len(api.questions) == 3


async def test_ids_alone_choose_the_shards_and_others_stay_silent(server: DiscordServer, start_bot: StartBot) -> None:
    channels, ada = channels_of(server, 3), server.user("Ada")
    await start_bot(shard_ids=(0, 2), shard_count=3, identify_seconds=0.01)
    await server.connected((0, 3), (2, 3))
    for channel in channels:
        await server.user_says(channel, ada, "hello", mentions_bot=True)
    for channel in (channels[0], channels[2]):
        await server.posted(channel)
    assert channels[1].own_messages(server.bot) == []


async def test_another_process_takes_presses_after_the_shards_were_spread_anew(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild_of_shard(1, 2)), server.user("Ada")
    former = await start_bot()
    await server.user_says(channel, ada, "first", mentions_bot=True)
    await server.posted(channel)
    (message,) = channel.own_messages(server.bot)
    await has_buttons(server, message, "Regenerate")
    await former.stop()
    await start_two(server, start_bot)
    await server.press(ada, message, message.custom_id("Regenerate"))
    await server.changes.until(lambda: len(api.questions) == 2, "the reply is made anew")
    await has_buttons(server, message, "Regenerate")


async def growing_elsewhere(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot, user: User
) -> tuple[Channel, Message]:
    """Let a reply grow in a process that then no longer hears of its server, whose events go to another one."""
    channel = server.channel(server.guild_of_shard(1, 2))
    api.script.append(Stream(pieces=["So far", " and on"], hold_after=1))
    await start_bot()
    await server.user_says(channel, user, "Go on", mentions_bot=True)
    await server.posted(channel)
    (message,) = channel.own_messages(server.bot)
    await has_buttons(server, message, "Stop")
    writing = server.gateway.sessions[0]
    await start_bot(shard_ids=(1,), shard_count=2, identify_seconds=0.01)
    await server.connected((0, 1), (1, 2))
    writing.shard = (0, 2)
    return channel, message


async def test_stop_ends_a_reply_that_another_process_writes(
    server: DiscordServer,
    api: ScriptedApi,
    stores: BotStores,
    start_bot: StartBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(distant_stops, "PATIENCE_SECONDS", PATIENCE_SECONDS)
    ada, bob = server.user("Ada"), server.user("Bob")
    channel, message = await growing_elsewhere(server, api, start_bot, ada)
    refused = await server.press(bob, message, message.custom_id("Stop"))
    assert await refused.replied() == [replies.not_yours()]
    await server.press(ada, message, message.custom_id("Stop"))
    async with asyncio.timeout(30):
        await api.hung_up.wait()
    await has_buttons(server, message, "Regenerate")
    assert message.content == "So far"
    assert await said(stores.conversations, channel) == ["Ada: Go on", "So far"]


async def test_a_stop_that_no_process_can_take_takes_the_buttons_away(stores: BotStores) -> None:
    stops = DistantStops(stores.stop_requests, RunningReplies())
    assert not await stops.stop(7, presser_id=1, may_manage=True)
    assert await stores.stop_requests.find_open([7]) == []


@pytest.mark.usefixtures("unhurried")
async def test_who_is_forgotten_everywhere_is_not_brought_back_by_another_process(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    (here, there), ada = channels_of(server, 2), server.user("Ada")
    await start_two(server, start_bot)
    api.hold()
    await server.user_says(here, ada, "secret", mentions_bot=True)
    await api.arrived(1)
    asked = await server.slash(ada, there, "forget", where="everywhere")
    await asked.replied()
    question = asked.replies[0]
    await server.press(ada, question, question.custom_id(privacy.forget_yes()))
    await server.changes.until(lambda: not question.components and "?" not in question.content, "it is forgotten")
    api.release()
    assert await server.posted(here) == [replies.forgotten_meanwhile()]
    assert await stores.conversations.count(channel_key(here.id)) == 0


async def test_a_second_process_for_the_same_shards_waits_until_the_first_one_ends(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot, caplog: pytest.LogCaptureFixture
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    first = await start_bot(leases_shards=True)
    await start_bot(leases_shards=True)
    await start_bot(leases_shards=True, shard_ids=(0,), shard_count=2)
    await eventually(lambda: caplog.text.count("waiting until it ends") == 2)
    await server.user_says(channel, ada, "hello", mentions_bot=True)
    assert await server.posted(channel) == ["You said: hello"]
    assert server.gateway.shards == {(0, 1)}
    await first.stop()
    await server.connected()
    assert len(server.gateway.shards) == 1
    assert len(api.questions) == 1


async def test_a_lost_lease_closes_the_bot_and_it_comes_back_when_it_may(
    server: DiscordServer,
    database: Database,
    stores: BotStores,
    start_bot: StartBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bot.shard_leases.RENEW_SECONDS", 0.1)
    await start_bot(leases_shards=True)
    (name,) = await stores.claims.list_held("discord.shard.")
    # As if this one had been held up until its lease had run out.
    async with database.writing() as connection:
        await connection.execute(update(claims).values(holder="another process"))
    await server.changes.until(lambda: not server.gateway.is_connected, "the bot leaves")
    await stores.claims.release(name, holder="another process")
    await server.connected()


async def test_shards_of_one_key_take_turns_and_those_of_others_do_not_wait(database: Database) -> None:
    turns = [IdentifyTurns(Claims(database, clock=SystemClock()), seconds_apart=1.0) for _ in range(4)]
    for each in turns:
        each.max_concurrency = 2
    came_at: dict[int, float] = {}

    async def identify(process: IdentifyTurns, shard_id: int) -> None:
        await process.turn(1, shard_id)
        came_at[shard_id] = monotonic()

    await asyncio.gather(*(identify(process, shard_id) for shard_id, process in enumerate(turns)))
    for key in range(2):
        first, second = sorted(came_at[shard_id] for shard_id in range(4) if shard_id % 2 == key)
        assert second - first >= 0.95


def test_a_process_takes_its_share_of_what_discord_allows_the_bot() -> None:
    assert share_of(None, None) == share_of(None, 4) == share_of((0, 1), 2) == 1.0
    assert share_of((0, 1, 2), 12) == 0.25
