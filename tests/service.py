"""The real service on a real socket, for every test that talks HTTP: real app, real SQLite file, real engine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from api import keys
from api.app import create_app
from api.config import ApiConfig
from api.connections import Patience
from api.runner import ServiceRunner
from generation.abilities import LLAMA_CPP
from generation.engine import Engine
from storage.chats import Chats
from storage.clock import Clock, SystemClock
from storage.computed import ComputedNames
from storage.conversations import Conversations
from storage.database import BUSY_TIMEOUT_SECONDS, Database
from storage.days import DayZone
from storage.errors import DatabaseBusyError
from storage.health import DatabaseHealth
from storage.ledger import Ledger
from storage.login_links import LoginLinks
from storage.notes import Notes
from storage.outbox import Outbox
from storage.signing_keys import SigningKeys
from storage.tokens import ApiToken, TokenStore
from tests.new_database import url_of_new
from tests.noon import NOON_ZONE

SERVICE_TOKEN = "service-token-of-the-tests"
MODEL_NAME = "parley-demo"


@dataclass(kw_only=True)
class Service:
    """A running service and what a test needs to look behind it."""

    url: str
    app: web.Application
    runner: ServiceRunner
    session: aiohttp.ClientSession
    tokens: TokenStore
    ledger: Ledger
    conversations: Conversations
    chats: Chats
    computed_names: ComputedNames
    notes: Notes
    token: ApiToken
    secret: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secret}"}

    async def post(
        self, path: str, body: Any, *, headers: dict[str, str] | None = None
    ) -> tuple[int, Any, aiohttp.ClientResponse]:
        """Send JSON; return status, decoded reply and the response for its headers."""
        response = await self.session.post(
            self.url + path, json=body, headers=self.headers if headers is None else headers
        )
        async with response:
            return response.status, await response.json(), response

    async def get(self, path: str, *, headers: dict[str, str] | None = None) -> tuple[int, Any, aiohttp.ClientResponse]:
        response = await self.session.get(self.url + path, headers=self.headers if headers is None else headers)
        async with response:
            is_json = response.content_type == "application/json"
            return response.status, await (response.json() if is_json else response.text()), response

    async def ask(self, *contents: str, **options: Any) -> dict[str, Any]:
        """Hold a conversation whose turns alternate, starting with the user; the reply must be a 200."""
        roles = ("user", "assistant")
        messages = [{"role": roles[index % 2], "content": content} for index, content in enumerate(contents)]
        status, reply, _ = await self.post("/ai/chat", {"messages": messages, **options})
        assert status == 200, reply
        assert isinstance(reply, dict)
        return reply

    async def calls_used(self) -> int:
        """Count today's calls, once those are closed whose callers have left."""
        await self.app[keys.ALLOWANCE].drain()
        return (await self.ledger.usage(self.token.tenant_id)).used_today

    async def until_quiet(self) -> None:
        """Wait until the service has written what it writes at its start: writers take turns in the order they came."""
        while True:
            with suppress(DatabaseBusyError):
                return await self.notes.put("quiet", "")


@asynccontextmanager
async def running_service(
    engine: Engine,
    folder: Path,
    *,
    daily_calls: int = 1000,
    llm_balance: int | None = None,
    clock: Clock | None = None,
    zone: str | None = None,
    busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS,
    port: int = 0,
    patience: Patience | None = None,
    database_url: str | None = None,
    **config: Any,
) -> AsyncIterator[Service]:
    """Run the service for the block, with one API token; on a database of its own unless `database_url` names one."""
    zone = zone or ("Europe/London" if clock else NOON_ZONE)
    clock = clock or SystemClock()
    url = database_url or url_of_new(folder / "parley.db")
    database = await Database.open(url, busy_timeout_seconds=busy_timeout_seconds)
    tokens = TokenStore(database, clock=clock)
    ledger = Ledger(database, zone=DayZone(zone), clock=clock)
    settings: dict[str, Any] = {
        "service_token": SERVICE_TOKEN,
        "model_name": MODEL_NAME,
        "abilities": LLAMA_CPP,
        "public_url": "http://127.0.0.1:8080",
        "daily_calls": 1000,
        "context_tokens": 4096,
        "slots": 4,
        "max_waiting": 64,
        "max_body_bytes": 2**20,
    } | config
    app = create_app(
        ApiConfig(**settings),
        engine=engine,
        tokens=tokens,
        ledger=ledger,
        chats=Chats(database, clock=clock),
        outbox=Outbox(database, clock=clock),
        login_links=LoginLinks(database, clock=clock),
        signing_keys=SigningKeys(database),
        health=DatabaseHealth(database, clock=clock),
        clock=clock,
    )
    # Before the service runs, whose own writing would be in the way where a test lets nobody wait for long.
    issued = await tokens.create("tests", daily_calls=daily_calls, llm_balance=llm_balance)
    runner = ServiceRunner(app, patience=patience)
    # unsafe: cookies of an address without a name are kept, too.
    session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
    try:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        yield Service(
            url=f"http://127.0.0.1:{runner.addresses[0][1]}",
            app=app,
            runner=runner,
            session=session,
            tokens=tokens,
            ledger=ledger,
            conversations=Conversations(database, clock=clock),
            chats=app[keys.CHATS],
            computed_names=ComputedNames(database),
            notes=Notes(database),
            token=issued.token,
            secret=issued.secret,
        )
    finally:
        await session.close()
        await runner.drain(5)
        await database.close()
