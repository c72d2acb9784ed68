"""A bot that really connects: discord.py on one side, the stand-in Discord, a scripted API and SQLite on the other."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot import live
from bot.api_client import ApiClient
from bot.config import BotConfig, BotStores
from bot.forgetting import Forgetting
from bot.language import ENGLISH, speaking
from bot.runner import run_bot
from storage.channels import ChannelSettings
from storage.claims import Claims
from storage.clock import SystemClock
from storage.conversations import Conversations
from storage.database import Database
from storage.days import DayZone
from storage.ledger import Ledger
from storage.notes import Notes
from storage.open_questions import OpenQuestions
from storage.person_limits import PersonLimits
from storage.personas import Personas
from storage.stop_requests import StopRequests
from storage.tokens import TokenStore
from tests.bot.scripted_api import SERVICE_TOKEN, ScriptedApi
from tests.doubles.discord_people import User
from tests.doubles.discord_places import Channel
from tests.doubles.discord_server import DiscordServer
from tests.new_database import url_of_new
from tests.noon import NOON_ZONE

DISCORD_TOKEN = "stand-in-token"
SYSTEM_PROMPT = "You are Parley."


class RunningBot:
    """A bot task; `stop` ends it the way the process does."""

    def __init__(self, task: asyncio.Task[None]) -> None:
        self.task = task

    async def stop(self) -> None:
        """Cancel it and wait for its orderly end."""
        self.task.cancel()
        await asyncio.wait([self.task])
        if not self.task.cancelled() and (error := self.task.exception()) is not None:
            raise error


class StartBot(Protocol):
    """Starts a bot that is connected when the call returns."""

    def __call__(self, **changes: Any) -> Awaitable[RunningBot]:
        """Start it with changed fields of `BotConfig`."""


@pytest.fixture(autouse=True)
def discord_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put discord.py's addresses back after each test; they are class attributes."""
    monkeypatch.setattr(Route, "BASE", Route.BASE)
    monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", DiscordWebSocket.DEFAULT_GATEWAY)


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """Begin each test in English, whatever the one before has spoken."""
    with speaking(ENGLISH):
        yield


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    """Run a Discord whose rules nobody may have broken when the test ends."""
    async with DiscordServer(token=DISCORD_TOKEN) as running:
        yield running
        assert running.state.breaches == []


@pytest.fixture
def channel(server: DiscordServer) -> Channel:
    return server.channel(server.guild())


@pytest.fixture
def ada(server: DiscordServer) -> User:
    return server.user("Ada")


@pytest.fixture
async def api() -> AsyncIterator[ScriptedApi]:
    async with ScriptedApi() as running:
        yield running


@pytest.fixture
async def forgetting(stores: BotStores, api: ScriptedApi) -> AsyncIterator[Forgetting]:
    async with ApiClient(api.url, SERVICE_TOKEN) as client:
        yield Forgetting(stores.conversations, client)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(url_of_new(tmp_path / "parley.db"))
    yield opened
    await opened.close()


@pytest.fixture
def stores(database: Database) -> BotStores:
    return make_stores(database)


def make_stores(database: Database) -> BotStores:
    """Return what the bot uses of a database."""
    clock = SystemClock()
    return BotStores(
        conversations=Conversations(database, clock=clock),
        channels=ChannelSettings(database, clock=clock),
        personas=Personas(database, clock=clock),
        person_limits=PersonLimits(database, clock=clock),
        tokens=TokenStore(database, clock=clock),
        ledger=Ledger(database, zone=DayZone(NOON_ZONE), clock=clock),
        notes=Notes(database),
        claims=Claims(database, clock=clock),
        open_questions=OpenQuestions(database, clock=clock),
        stop_requests=StopRequests(database, clock=clock),
    )


@pytest.fixture
def config(server: DiscordServer, api: ScriptedApi) -> BotConfig:
    return BotConfig(
        token=DISCORD_TOKEN,
        api_url=api.url,
        service_token=SERVICE_TOKEN,
        public_url="http://127.0.0.1:8080",
        system_prompt=SYSTEM_PROMPT,
        discord_api_url=server.api_url,
        drain_seconds=5.0,
    )


@pytest.fixture
async def start_bot(
    server: DiscordServer, config: BotConfig, stores: BotStores
) -> AsyncIterator[Callable[..., Awaitable[RunningBot]]]:
    """Start bots; those still running at the end of the test are stopped."""
    started: list[RunningBot] = []

    async def start(**changes: Any) -> RunningBot:
        used_stores = changes.pop("stores", stores)
        running = RunningBot(asyncio.create_task(run_bot(replace(config, **changes), used_stores)))
        started.append(running)
        await server.connected()
        return running

    yield start
    for running in started:
        if not running.task.done():
            await running.stop()


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show no reply that still grows and no place in line, however long a machine that many share takes."""
    monkeypatch.setattr(live, "CALM_SECONDS", 60.0)
    monkeypatch.setattr(live, "LINE_SECONDS", 60.0)
