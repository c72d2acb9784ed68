"""What the pages need from start to stop: the key of their cookies, and a way to Discord where one may log in there."""

from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web

from api import keys
from api.web.discord_oauth import TIMEOUT_SECONDS, DiscordOAuth
from api.web.sessions import Sessions

SIGNING_KEY_NAME = "pages"


async def run_pages(app: web.Application) -> AsyncIterator[None]:
    """Make the sessions' key and hold a client open for Discord (a clean-up context of aiohttp)."""
    config = app[keys.CONFIG]
    key = await app[keys.SIGNING_KEYS].get(SIGNING_KEY_NAME)
    app[keys.SESSIONS] = Sessions(key, clock=app[keys.CLOCK], address=config.public_url)
    app[keys.DISCORD_OAUTH] = None
    if config.discord_login is None:
        yield
        return
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)) as http:
        app[keys.DISCORD_OAUTH] = DiscordOAuth(config.discord_login, http)
        yield
