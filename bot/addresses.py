"""Where discord.py connects: Discord itself, or a proxy or compatible server.

discord.py 2.7 keeps both addresses as class attributes, so they hold for every client of the process; this module is
the only place that sets them.
"""

import discord
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route


def aim_rest(api_url: str) -> None:
    """Send REST requests to `api_url`, such as `http://127.0.0.1:3001/api/v9`, from now on."""
    Route.BASE = api_url.rstrip("/")


async def aim_gateway(client: discord.Client, gateway_url: str | None) -> None:
    """Connect gateways to `gateway_url`, or, when it is None, to where `GET /gateway/bot` says.

    The client must be logged in. Raises `discord.GatewayNotFound` when nobody says.
    """
    if gateway_url is None:
        _, gateway_url, _ = await client.http.get_bot_gateway()
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway_url)
