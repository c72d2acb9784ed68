"""Logging in, staying connected, stopping, and what Discord is told about the commands."""

import asyncio
import logging
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import ClientSession
from discord.gateway import DiscordWebSocket

from bot.addresses import GatewayAdvice
from bot.config import BotConfig, BotStores
from bot.errors import DiscordLoginError
from bot.runner import Login, check_login, run_bot
from bot.sync import NOTE_KEY
from storage.claims import Claims
from tests.bot.conftest import StartBot
from tests.bot.scripted_api import ScriptedApi
from tests.doubles.discord_server import DiscordServer, asks_privileged
from tests.ports import free_port

PUT_COMMANDS = "PUT /applications/{application}/commands"


async def test_a_message_sent_while_the_gateway_was_gone_arrives_once(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    await server.user_says(channel, ada, "before", mentions_bot=True)
    await server.posted(channel, 1)
    await server.drop_gateway()
    await server.user_says(channel, ada, "in the gap", mentions_bot=True)
    await server.posted(channel, 2)
    await server.user_says(channel, ada, "after", mentions_bot=True)
    await server.posted(channel, 3)
    assert api.questions == ["Ada: before", "Ada: in the gap", "Ada: after"]
    assert len(server.gateway.identifies) == 1
    assert len(server.gateway.resumes) == 1


async def test_a_reply_under_way_survives_a_reconnect_that_discord_asks_for(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    api.hold()
    await server.user_says(channel, ada, "hold on", mentions_bot=True)
    await api.arrived(1)
    await server.gateway.ask_to_reconnect()
    await server.changes.until(lambda: len(server.gateway.resumes) == 1, "resume")
    api.release()
    assert await server.posted(channel) == ["You said: hold on"]


async def test_a_lost_session_is_begun_again(server: DiscordServer, api: ScriptedApi, start_bot: StartBot) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    await server.drop_gateway(resume=False)
    # discord.py waits 5 s before it identifies again, as Discord asks.
    await server.changes.until(lambda: len(server.gateway.identifies) == 2, "second identify")
    await server.connected()
    await server.user_says(channel, ada, "back again", mentions_bot=True)
    assert await server.posted(channel) == ["You said: back again"]


async def test_no_privileged_intent_is_asked_for(server: DiscordServer, start_bot: StartBot) -> None:
    await start_bot()
    assert not asks_privileged(server.gateway.identifies[0])


async def test_the_gateway_is_the_one_rest_names_or_the_configured_one(
    server: DiscordServer, start_bot: StartBot
) -> None:
    bot = await start_bot()
    await bot.stop()
    assert server.state.count("GET /gateway/bot") == 1
    await start_bot(discord_gateway_url=server.gateway_url.replace("127.0.0.1", "localhost"))
    # Asked again all the same: REST alone knows how many shards there should be.
    assert server.state.count("GET /gateway/bot") == 2
    assert str(DiscordWebSocket.DEFAULT_GATEWAY).startswith("ws://localhost:")
    assert len(server.gateway.identifies) == 2


async def test_commands_are_told_when_they_changed_and_not_on_every_start(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    for _ in range(2):
        await (await start_bot()).stop()
    assert server.state.command_syncs == 1
    await stores.notes.put(NOTE_KEY, "of an older version")
    await (await start_bot()).stop()
    assert server.state.command_syncs == 2


async def test_what_another_process_told_just_before_the_claim_is_not_told_again(
    server: DiscordServer, stores: BotStores, start_bot: StartBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await start_bot()).stop()
    digest = await stores.notes.get(NOTE_KEY)
    assert digest is not None
    await stores.notes.put(NOTE_KEY, "of an older version")
    claim = Claims.claim

    async def claim_after_another(claims: Claims, name: str, **rest: Any) -> float:
        if name == NOTE_KEY:
            await stores.notes.put(NOTE_KEY, digest)
        return await claim(claims, name, **rest)

    monkeypatch.setattr(Claims, "claim", claim_after_another)
    await (await start_bot()).stop()
    assert server.state.command_syncs == 1
    assert await stores.claims.list_held(NOTE_KEY) == []


async def test_a_failed_sync_is_tried_again_at_the_next_start(server: DiscordServer, start_bot: StartBot) -> None:
    server.fail_next(PUT_COMMANDS, 403)
    await (await start_bot()).stop()
    assert server.state.command_syncs == 0
    await (await start_bot()).stop()
    assert server.state.command_syncs == 1


@pytest.mark.parametrize("token", ["wrong-token", "pasted twice pasted twice", "näh", "a\nb"])
async def test_a_wrong_token_is_one_line_that_says_what_to_do(
    server: DiscordServer, config: BotConfig, stores: BotStores, token: str
) -> None:
    wrong = replace(config, token=token)
    for attempt in (run_bot(wrong, stores), check_login(wrong)):
        with pytest.raises(DiscordLoginError, match=r"^(Discord refuses )?DISCORD_TOKEN") as raised:
            await attempt
        assert "\n" not in str(raised.value)
        assert token not in str(raised.value)


@pytest.mark.parametrize(("code", "words"), [(4004, "DISCORD_TOKEN"), (4014, "PARLEY_MESSAGE_CONTENT"), (4013, "4013")])
async def test_a_gateway_that_refuses_the_bot_ends_it_with_one_line(
    server: DiscordServer, config: BotConfig, stores: BotStores, code: int, words: str
) -> None:
    server.gateway.close_with = code
    with pytest.raises(DiscordLoginError, match=words):
        await run_bot(config, stores)


async def test_no_network_is_waited_out(
    server: DiscordServer, config: BotConfig, stores: BotStores, caplog: pytest.LogCaptureFixture
) -> None:
    server.fail_next("GET /users/@me", 503)
    names: list[str] = []
    running = asyncio.create_task(run_bot(config, stores, on_login=names.append))
    await server.connected()
    running.cancel()
    await asyncio.wait([running])
    assert names == [server.bot.name]
    assert "Discord cannot be reached; trying again in 1 s" in caplog.text


async def test_check_login_names_the_bot_or_says_that_discord_cannot_be_reached(
    server: DiscordServer, config: BotConfig
) -> None:
    server.state.recommended_shards = 3
    assert await check_login(config) == Login(server.bot.name, GatewayAdvice(shards=3, max_concurrency=1))
    with pytest.raises(DiscordLoginError, match="cannot be reached"):
        await check_login(replace(config, discord_api_url=f"http://127.0.0.1:{free_port()}/api/v10"))


async def test_nothing_secret_is_logged_or_shown(
    server: DiscordServer,
    api: ScriptedApi,
    config: BotConfig,
    start_bot: StartBot,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    channel, ada = server.channel(server.guild()), server.admin("Ada")
    await start_bot()
    api.script.append("the reply is swordfish")
    await server.user_says(channel, ada, "the question is marlin", mentions_bot=True)
    await server.posted(channel)
    created = await server.slash(ada, channel, "developer token create", name="app")
    (text,) = await created.replied()
    secret = next(line for line in text.splitlines() if line.startswith("parley_"))
    for private in ("swordfish", "marlin", secret, config.token, config.service_token):
        assert private not in caplog.text
    assert config.token not in repr(config)
    assert config.service_token not in repr(config)


async def test_a_changed_command_is_told_to_the_asker(server: DiscordServer, start_bot: StartBot) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    server.state.commands.append({"id": "99", "name": "gone", "options": []})
    interaction = await server.slash(ada, channel, "gone")
    (text,) = await interaction.replied()
    assert "has changed" in text
    assert interaction.replies[0].is_ephemeral


async def test_the_stand_in_refuses_strangers(server: DiscordServer) -> None:
    async with ClientSession() as session, session.get(f"{server.api_url}/users/@me") as response:
        assert response.status == 401
