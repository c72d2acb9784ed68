"""The bot's life: log in, stay connected, stop in order.

Owns: which failures end the bot (Discord refuses it) and which are waited out (no network). Does not own: what the
bot does while connected (`client.py`).
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import discord

from bot.addresses import GatewayAdvice, aim_gateway, aim_rest
from bot.client import ParleyBot
from bot.config import BotConfig, BotStores
from bot.errors import DiscordLoginError
from bot.faults import describe
from bot.shard_leases import ShardLeases

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 1.0
LAST_RETRY_SECONDS = 60.0

_PORTAL = "https://discord.com/developers/applications"

_BAD_TOKEN = 4004
"""Gateway close code: https://discord.com/developers/docs/topics/opcodes-and-status-codes#gateway"""

_OUTAGES = (discord.HTTPException, discord.GatewayNotFound, aiohttp.ClientError, OSError)


async def run_bot(config: BotConfig, stores: BotStores, *, on_login: Callable[[str], None] | None = None) -> None:
    """Keep the bot connected until cancelled. `on_login` is told the bot's name after each login.

    While Discord cannot be reached it is tried again and again, each time a little later. When cancelled, running
    replies get `config.drain_seconds` to finish, and people who ask meanwhile are told.

    Raises `DiscordLoginError` when Discord refuses the bot.
    """
    _prepare_library(config)
    wait_seconds = FIRST_RETRY_SECONDS
    while True:
        async with ParleyBot(config, stores) as bot:
            if await _is_logged_in(bot):
                wait_seconds = FIRST_RETRY_SECONDS
                if on_login is not None and bot.user is not None:
                    on_login(bot.user.name)
                async with _leased(bot):
                    await _stay_connected(bot)
        logger.warning("Discord cannot be reached; trying again in %.0f s", wait_seconds)
        await asyncio.sleep(wait_seconds)
        wait_seconds = min(2 * wait_seconds, LAST_RETRY_SECONDS)


@dataclass(frozen=True, slots=True)
class Login:
    """What a login tells: the bot's name, and what Discord recommends for its gateway connections."""

    name: str
    advice: GatewayAdvice


async def check_login(config: BotConfig) -> Login:
    """Log in and out again.

    Raises `DiscordLoginError`, also when Discord cannot be reached.
    """
    _prepare_library(config)
    async with discord.Client(intents=discord.Intents.none()) as client:
        try:
            await _explained(client.login(_checked_token(config.token)))
            advice = await aim_gateway(client, config.discord_gateway_url)
        except _OUTAGES:
            raise DiscordLoginError(
                "Discord cannot be reached: check the network, and DISCORD_API_URL if it is set"
            ) from None
        assert client.user is not None, "the login tells it"
        return Login(client.user.name, advice)


def _prepare_library(config: BotConfig) -> None:
    """Set what discord.py keeps per process: the REST address, and that nobody misses voice."""
    if config.discord_api_url is not None:
        aim_rest(config.discord_api_url)
    discord.VoiceClient.warn_nacl = False
    discord.VoiceClient.warn_dave = False


async def _is_logged_in(bot: ParleyBot) -> bool:
    """Log in; says False when Discord cannot be reached."""
    try:
        await _explained(bot.login(_checked_token(bot.config.token)))
        advice = await aim_gateway(bot, bot.config.discord_gateway_url)
    except _OUTAGES as error:
        logger.info("the login did not come through: %s", describe(error))
        return False
    bot.shard_count = bot.config.shard_count or advice.shards
    bot.identify_turns.max_concurrency = advice.max_concurrency
    return True


@asynccontextmanager
async def _leased(bot: ParleyBot) -> AsyncIterator[None]:
    """Have the bot's shards for this process alone during the block; should they be lost, the bot is closed."""
    if not bot.config.leases_shards:
        yield
        return
    assert bot.application_id is not None, "the login tells it"
    assert bot.shard_count is not None, "the login tells it"
    shard_ids = bot.shard_ids or range(bot.shard_count)
    leases = ShardLeases(bot.stores.claims, bot.application_id, shard_ids=shard_ids, shard_count=bot.shard_count)
    keeping: asyncio.Task[None] | None = None
    try:
        await leases.acquire()
        keeping = asyncio.create_task(_close_when_lost(bot, leases))
        yield
    finally:
        if keeping is not None:
            keeping.cancel()
        await leases.release()


async def _close_when_lost(bot: ParleyBot, leases: ShardLeases) -> None:
    await leases.keep()
    await bot.close()


async def _stay_connected(bot: ParleyBot) -> None:
    """Hold the gateway connection, which discord.py renews by itself; when cancelled, drain first."""
    connection = asyncio.create_task(_explained(bot.connect()))
    try:
        await asyncio.shield(connection)
    except asyncio.CancelledError:
        await bot.lanes.close(drain_seconds=bot.config.drain_seconds)
        raise
    finally:
        await bot.close()
        connection.cancel()
        await asyncio.wait([connection])


async def _explained(step: Awaitable[None]) -> None:
    """Turn Discord's refusals into one line that says what to do."""
    try:
        await step
    except discord.LoginFailure:
        raise DiscordLoginError(
            f"Discord refuses DISCORD_TOKEN: copy the bot's token again from {_PORTAL} (Bot, Reset Token)"
        ) from None
    except discord.PrivilegedIntentsRequired:
        raise DiscordLoginError(
            f"Discord refuses PARLEY_MESSAGE_CONTENT: switch Message Content on at {_PORTAL} (Bot), or unset it"
        ) from None
    except discord.ConnectionClosed as error:
        if error.code == _BAD_TOKEN:
            raise DiscordLoginError("Discord no longer takes DISCORD_TOKEN: set the bot's present token") from None
        raise DiscordLoginError(f"Discord closed the connection for good (code {error.code}): see {_PORTAL}") from None


def _checked_token(token: str) -> str:
    """Return a token that can be sent; pasted line ends and quotes are a frequent slip."""
    stripped = token.strip()
    if re.fullmatch(r"[!-~]+", stripped) is None:
        raise DiscordLoginError("DISCORD_TOKEN holds blanks or other characters no token has: copy it again")
    return stripped
