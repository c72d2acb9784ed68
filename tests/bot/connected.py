"""Whatever client a test makes, connected to the stand-in Discord for a while."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import discord

from bot.addresses import aim_gateway, aim_rest
from tests.bot.conftest import DISCORD_TOKEN
from tests.doubles.discord_server import DiscordServer

Client = TypeVar("Client", bound=discord.Client)


@asynccontextmanager
async def connected(server: DiscordServer, client: Client) -> AsyncIterator[Client]:
    """Log a client in, keep it connected for the block, and close it."""
    aim_rest(server.api_url)
    async with client:
        await client.login(DISCORD_TOKEN)
        await aim_gateway(client, None)
        connection = asyncio.create_task(client.connect())
        try:
            await client.wait_until_ready()
            yield client
        finally:
            await client.close()
            await asyncio.wait([connection])
