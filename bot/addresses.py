"""Where discord.py connects: Discord itself, or a proxy or compatible server.

discord.py 2.7 keeps both addresses as class attributes, so they hold for every client of the process; this module is
the only place that sets them.
"""

from dataclasses import dataclass

import discord
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route


def aim_rest(api_url: str) -> None:
    """Send REST requests to `api_url`, such as `http://127.0.0.1:3001/api/v9`, from now on."""
    Route.BASE = api_url.rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayAdvice:
    """What Discord recommends: how many shards, and how many of them may identify together every five seconds."""

    shards: int
    max_concurrency: int


async def aim_gateway(client: discord.Client, gateway_url: str | None) -> GatewayAdvice:
    """Connect gateways to `gateway_url`, or, when it is None, to where `GET /gateway/bot` says.

    Returns what else that says. The client must be logged in. Raises `discord.GatewayNotFound` when nobody says.
    Source: https://discord.com/developers/docs/events/gateway#get-gateway-bot
    """
    shards, said_url, limits = await client.http.get_bot_gateway()
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway_url or said_url)
    return GatewayAdvice(shards=max(1, shards), max_concurrency=max(1, limits["max_concurrency"]))
