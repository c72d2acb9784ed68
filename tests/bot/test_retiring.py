"""What is remembered of replies that have ended, through a whole bot and the stand-in Discord."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bot import retiring
from bot.addresses import aim_gateway, aim_rest
from bot.client import ParleyBot
from bot.config import BotConfig, BotStores
from bot.texts.conversations import ASK_ABOUT
from tests.bot.replying import finished, has_buttons, shows
from tests.bot.scripted_api import ScriptedApi, Stream
from tests.doubles.discord_server import DiscordServer
from tests.waiting import eventually

FAILED_EDIT = "PATCH /channels/{channel}/messages/{message}"


@asynccontextmanager
async def _connected(server: DiscordServer, config: BotConfig, stores: BotStores) -> AsyncIterator[ParleyBot]:
    """Keep a bot connected for the block, in the hands of the test."""
    aim_rest(server.api_url)
    async with ParleyBot(config, stores) as bot:
        await bot.login(config.token)
        await aim_gateway(bot, None)
        connection = asyncio.create_task(bot.connect())
        try:
            await bot.wait_until_ready()
            yield bot
        finally:
            await bot.close()
            await asyncio.wait([connection])


async def test_nothing_is_kept_in_memory_of_replies_forms_and_places_in_line(
    server: DiscordServer, api: ScriptedApi, config: BotConfig, stores: BotStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.cogs.chat.FORM_SECONDS", 0.05)
    channel, ada = server.channel(server.guild()), server.user("Ada")
    async with _connected(server, config, stores) as bot:
        known = bot._connection._view_store
        before = (len(known._views), len(known._synced_message_views), len(known._modals))
        for turn in (1, 2, 3):
            api.script += [Stream(pieces=["Cut"], done_reason="length", hold_after=1), " and whole"]
            question = await server.user_says(channel, ada, "Tell me", mentions_bot=True)
            await server.posted(channel, turn)
            message = channel.own_messages(server.bot)[-1]
            await has_buttons(server, message, "Stop")
            api.release()
            await has_buttons(server, message, "Regenerate", "Continue")
            await server.press(ada, message, message.custom_id("Continue"))
            await shows(server, message, "Cut and whole")
            await has_buttons(server, message, "Regenerate")
            opened = await server.message_menu(ada, channel, ASK_ABOUT, question)
            await opened.form()
        await eventually(lambda: not known._modals and not len(bot.answering.running))
        assert (len(known._views), len(known._synced_message_views), len(known._modals)) == before
        assert (len(bot.lanes), len(bot.cached_messages)) == (0, 0)


@pytest.mark.parametrize(("reach_seconds", "left"), [(600.0, []), (0.0, ["Regenerate"])])
async def test_a_private_reply_is_remembered_for_as_long_as_it_can_be_reached(
    server: DiscordServer,
    api: ScriptedApi,
    config: BotConfig,
    stores: BotStores,
    monkeypatch: pytest.MonkeyPatch,
    *,
    reach_seconds: float,
    left: list[str],
) -> None:
    monkeypatch.setattr(retiring, "REACH_SECONDS", reach_seconds)
    channel, ada = server.channel(server.guild()), server.user("Ada")
    async with _connected(server, config, stores) as bot:
        uses = []
        for _ in range(3):
            uses.append(await server.slash(ada, channel, "chat", message="Hello", private=True))
            await uses[-1].replied()
            await eventually(lambda: not len(bot.answering.running))
            assert len(bot._retiring._private) == 1
        await eventually(lambda: not bot._retiring._tasks)
    assert [list(use.replies[0].buttons) for use in uses] == [left, left, ["Regenerate"]]


@pytest.mark.usefixtures("unhurried")
async def test_buttons_that_cannot_be_taken_away_are_no_harm(
    server: DiscordServer, api: ScriptedApi, config: BotConfig, stores: BotStores, caplog: pytest.LogCaptureFixture
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    async with _connected(server, config, stores):
        await server.user_says(channel, ada, "Hello", mentions_bot=True)
        first = await finished(server, channel)
        await server.user_deletes(first)
        server.fail_next(FAILED_EDIT, 403)
        for turn in (1, 2, 3):
            await server.user_says(channel, ada, "And?", mentions_bot=True)
            await finished(server, channel, turn)
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


@pytest.mark.usefixtures("unhurried")
async def test_the_end_of_the_bot_does_not_wait_for_buttons(
    server: DiscordServer, api: ScriptedApi, config: BotConfig, stores: BotStores
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    async with _connected(server, config, stores) as bot:
        await server.user_says(channel, ada, "Hello", mentions_bot=True)
        await finished(server, channel)
        server.rate_limit_next(FAILED_EDIT, retry_after_seconds=60)
        await server.user_says(channel, ada, "And?", mentions_bot=True)
        await finished(server, channel, 2)
        await server.changes.until(lambda: server.state.rate_limited == [FAILED_EDIT], "the edit is refused")
        await eventually(lambda: not len(bot.answering.running))
        async with asyncio.timeout(30):
            await bot.close()
        assert len(bot._retiring._tasks) == 0
