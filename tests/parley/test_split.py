"""Service and bot in many processes on one database, as their user starts them, against a stand-in Discord."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from rich.console import Console

from bot.texts import refusals
from parley.doctor import check_service
from parley.failure import FailureError
from parley.lifetime import serve_bot
from parley.settings import known_names, load_settings
from tests.doubles.discord_model import Channel
from tests.doubles.discord_server import DiscordServer
from tests.parley.process import Parley, run, started
from tests.ports import free_port
from tests.postgresql_server import running_server

SECRET = "a-secret-for-both-halves"
DISCORD_TOKEN = "stand-in-token"
SMALL = {"PARLEY_THREADS": "1", "PARLEY_PARALLEL": "2", "PARLEY_CONTEXT": "1024", "PARLEY_CACHE_DISK": "0"}


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in known_names():
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def discord() -> AsyncIterator[DiscordServer]:
    async with DiscordServer(token=DISCORD_TOKEN) as server:
        yield server
        assert server.state.breaches == []


@pytest.fixture
def database_url() -> Iterator[str]:
    server = running_server()
    with server.new_database() as name:
        yield server.url(name)


def bot_settings(discord: DiscordServer, service: Parley | str, **more: str) -> dict[str, str]:
    url = service if isinstance(service, str) else service.url
    return {
        "PARLEY_SERVICE_TOKEN": SECRET,
        "PARLEY_API_URL": url,
        "DISCORD_TOKEN": DISCORD_TOKEN,
        "DISCORD_API_URL": discord.api_url,
        **more,
    }


def shard(number: int) -> dict[str, str]:
    return {"SHARD_IDS": str(number), "SHARD_COUNT": "2"}


async def ask(service: Parley, token: str) -> int:
    body = {"messages": [{"role": "user", "content": "Hello!"}], "num_predict": 4}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{service.url}/ai/chat", json=body, headers={"Authorization": token}) as response,
    ):
        return response.status


async def usage(service: Parley, token: str) -> Any:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{service.url}/ai/usage", headers={"Authorization": token}) as response,
    ):
        assert response.status == 200
        return await response.json()


async def answered(discord: DiscordServer, channels: list[Channel]) -> None:
    """Say something everywhere, and see everybody answered once."""
    ada = discord.user("Ada")
    for channel in channels:
        await discord.user_says(channel, ada, "Hello!", mentions_bot=channel.guild is not None)
    for channel in channels:
        await discord.posted(channel)
        (message,) = channel.own_messages(discord.bot)
        await discord.changes.until(lambda message=message: "Regenerate" in message.buttons, "the reply is whole")  # type: ignore[misc]
        assert message.content.strip()
    assert [len(channel.own_messages(discord.bot)) for channel in channels] == [1] * len(channels)


async def test_two_services_and_two_bots_on_one_postgresql_work_as_one(
    tmp_path: Path, discord: DiscordServer, database_url: str
) -> None:
    channels = [discord.channel(discord.guild_of_shard(number, 2)) for number in range(2)]
    grace = discord.admin()
    discord.gateway.identify_seconds = 5.0
    shared = {"DATABASE_URL": database_url, "PARLEY_SERVICE_TOKEN": SECRET, **SMALL}
    async with AsyncExitStack() as stack:
        services = [await stack.enter_async_context(started(tmp_path, "api", **shared)) for _ in range(2)]
        bots = [
            await stack.enter_async_context(
                started(tmp_path, "bot", **bot_settings(discord, services[number], **shared, **shard(number)))
            )
            for number in range(2)
        ]
        panels = "".join([await service.until_printed("Stop with Ctrl-C.") for service in services])
        assert panels.count("Your first API token") == 1
        await discord.connected((0, 2), (1, 2))
        assert discord.gateway.hurried == []
        assert discord.state.command_syncs == 1
        await answered(discord, [*channels, discord.dm(grace)])
        created = await discord.slash(grace, channels[0], "developer token create", name="everywhere", daily_calls=5)
        (text,) = await created.replied()
        found = re.search(r"parley_[\w-]{43}", text)
        assert found
        token = found[0]
        statuses = await asyncio.gather(*(ask(services[number % 2], token) for number in range(8)))
        assert sorted(statuses) == [200] * 5 + [429] * 3
        first, second = [await usage(service, token) for service in services]
        assert first == second
        assert first["calls"] == {"used": 5, "limit": 5, "remaining": 0}
        reported = await discord.slash(grace, channels[0], "developer usage")
        assert "everywhere" in (await reported.replied())[0]
        await asyncio.gather(*(stopped(each) for each in (*bots, *services)))


async def stopped(parley: Parley) -> None:
    parley.signal(signal.SIGTERM)
    assert await parley.stopped() == 0, parley.printed()


async def test_a_service_and_two_bots_on_one_sqlite_file_work_as_one(tmp_path: Path, discord: DiscordServer) -> None:
    channels = [discord.channel(discord.guild_of_shard(number, 2)) for number in range(2)]
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(started(tmp_path, "api", PARLEY_SERVICE_TOKEN=SECRET, **SMALL))
        # Before the service answers: it is waited for.
        for number in range(2):
            await stack.enter_async_context(started(tmp_path, "bot", **bot_settings(discord, service, **shard(number))))
        await service.until_ready()
        await discord.connected((0, 2), (1, 2))
        await answered(discord, channels)


async def test_a_service_that_does_not_take_a_bots_token_says_so_and_the_bot_ends_with_one_line(
    tmp_path: Path, discord: DiscordServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with started(tmp_path, "api", **SMALL) as service:
        printed = await service.until_printed("Stop with Ctrl-C.")
        assert "no bot can use this service" in printed
        assert "PARLEY_SERVICE_TOKEN=<secret>" in printed
        status, _, err = await run(tmp_path, "bot", **bot_settings(discord, service))
        assert status == 1
        said = f"PARLEY_SERVICE_TOKEN: the service at {service.url} refuses it"
        assert err == f"parley: {said}; set the same secret for `parley api` and `parley bot`\n"
        monkeypatch.setenv("PARLEY_SERVICE_TOKEN", SECRET)
        monkeypatch.setenv("PARLEY_API_URL", service.url)
        with pytest.raises(FailureError, match=said):
            await check_service(load_settings(tmp_path / ".env"))


async def test_a_bot_waits_for_its_service_and_people_are_told(tmp_path: Path, discord: DiscordServer) -> None:
    port = free_port()
    channel, ada = discord.channel(discord.guild()), discord.user("Ada")
    async with started(tmp_path, "bot", **bot_settings(discord, f"http://127.0.0.1:{port}")) as bot:
        printed = await bot.until_printed("does not answer")
        assert "Traceback" not in printed
        await discord.connected()
        await discord.user_says(channel, ada, "Hello!", mentions_bot=True)
        await discord.changes.until(
            lambda: (
                [each.content for each in channel.own_messages(discord.bot)]
                == [refusals.model_unavailable(retry_after_seconds=None)]
            ),
            "the sentence",
        )
        assert bot.process.returncode is None


async def test_a_bot_without_what_it_needs_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for present, line in (
        ({}, "DISCORD_TOKEN: needed for `parley bot`"),
        ({"DISCORD_TOKEN": "x"}, "PARLEY_API_URL: needed for `parley bot`; set the address of `parley api`"),
        ({"PARLEY_API_URL": "http://127.0.0.1:1"}, "PARLEY_SERVICE_TOKEN: needed for `parley bot`; set the secret"),
    ):
        for name, value in present.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(FailureError, match=line):
            await serve_bot(load_settings(tmp_path / ".env"), console=Console())
