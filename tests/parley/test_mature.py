"""An adult model, everything real: the mark that API tokens carry, from whoever issues them to `GET /ai/usage`."""

import re
from pathlib import Path

import aiohttp

from bot.texts import refusals
from tests.doubles.discord_server import DiscordServer
from tests.parley.process import Parley, run, started

DISCORD_TOKEN = "stand-in-token"


async def _is_mature(parley: Parley, secret: str) -> bool:
    headers = {"Authorization": f"Bearer {secret}"}
    async with aiohttp.ClientSession() as session, session.get(f"{parley.url}/ai/usage", headers=headers) as response:
        assert response.status == 200
        is_mature = (await response.json())["mature"]
        assert isinstance(is_mature, bool)
        return is_mature


async def test_tokens_of_an_adult_model_carry_the_mark_and_older_ones_do_not(tmp_path: Path) -> None:
    _, ordinary, _ = await run(tmp_path, "token", "create", "--name", "before")
    _, adult, _ = await run(tmp_path, "token", "create", "--name", "after", PARLEY_MATURE="true")
    async with DiscordServer(token=DISCORD_TOKEN) as discord:
        guild, grace = discord.guild(), discord.admin()
        restricted, open_to_all = discord.channel(guild, is_nsfw=True), discord.channel(guild)
        settings = {"DISCORD_TOKEN": DISCORD_TOKEN, "DISCORD_API_URL": discord.api_url, "PARLEY_MATURE": "true"}
        async with started(tmp_path, **settings) as parley:
            await discord.connected()
            created = await discord.slash(grace, restricted, "developer token create", name="in Discord")
            secret = re.search(r"parley_[\w-]{43}", (await created.replied())[0])
            assert secret is not None
            assert await _is_mature(parley, secret[0])
            assert await _is_mature(parley, adult.strip())
            assert not await _is_mature(parley, ordinary.strip())
            await discord.user_says(open_to_all, grace, "Hello!", mentions_bot=True)
            assert await discord.posted(open_to_all) == [refusals.not_age_restricted()]
            await discord.user_says(restricted, grace, "Hello!", mentions_bot=True)
            assert (await discord.posted(restricted))[0].strip()
        assert discord.state.breaches == []
