"""Logging in to the pages, as the operator and with the stand-in Discord."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Page, expect

from api import keys
from api.config import DiscordApplication
from generation.engine import Engine
from tests.doubles.discord_oauth import CLIENT_SECRET
from tests.doubles.discord_server import DiscordServer
from tests.ports import free_port
from tests.service import Service, running_service


async def login_link(service: Service) -> str:
    return "/login#" + await service.app[keys.LOGIN_LINKS].create()


async def log_in_as_operator(page: Page, service: Service) -> None:
    await page.goto(await login_link(service))
    await page.wait_for_url("**/")
    await page.goto("/tokens")
    await expect(page.get_by_role("heading", name="API tokens")).to_be_visible()


async def log_in_with_discord(page: Page) -> None:
    await page.goto("/tokens")
    await page.get_by_role("link", name="Log in with Discord").click()


@asynccontextmanager
async def service_with_discord(
    engine: Engine, folder: Path, discord: DiscordServer, **config: Any
) -> AsyncIterator[Service]:
    """A service whose visitors may log in with that Discord, and come back to its real address."""
    port = free_port()
    application = DiscordApplication(
        bot_token=discord.state.token, client_secret=CLIENT_SECRET, api_url=discord.api_url
    )
    async with running_service(
        engine,
        folder,
        port=port,
        public_url=f"http://127.0.0.1:{port}",
        discord_login=application,
        **config,
    ) as service:
        yield service
