"""A bot without manners or a library, to try the stand-in Discord server itself: it sends and hears raw JSON.

Owns: one `DiscordServer` whose breaches do not fail the test by themselves, one HTTP session, one gateway connection.
"""

import asyncio
import contextlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp

from tests.doubles.discord_basics import Json
from tests.doubles.discord_model import Channel, Interaction
from tests.doubles.discord_server import DiscordServer

TOKEN = "stand-in-token"
GUILDS, GUILD_MESSAGES, DIRECT_MESSAGES, MESSAGE_CONTENT = 1 << 0, 1 << 9, 1 << 12, 1 << 15


@dataclass(frozen=True)
class Reply:
    """What Discord answered; `body` is None for a 204."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def code(self) -> int:
        """Return Discord's own number of the refusal."""
        code = self.body["code"]
        assert isinstance(code, int)
        return code


class Probe:
    """Use as an async context manager; `server` is the Discord it talks to."""

    def __init__(self) -> None:
        self.server = DiscordServer(token=TOKEN)
        self.heard: list[tuple[str, Json]] = []
        self._stack = contextlib.AsyncExitStack()
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.server)
        self._session = await self._stack.enter_async_context(aiohttp.ClientSession())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
        await self._stack.aclose()

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        files: Mapping[str, bytes] | None = None,
        token: str | None = TOKEN,
    ) -> Reply:
        """Send a request below `/api/v10`; `files` by name make it a form with the body in `payload_json`."""
        headers = {} if token is None else {"Authorization": f"Bot {token}"}
        if files is None:
            content: dict[str, Any] = {} if body is None else {"json": body}
        else:
            form = aiohttp.FormData(quote_fields=False)
            form.add_field("payload_json", json.dumps(body or {}), content_type="application/json")
            for number, (name, data) in enumerate(files.items()):
                form.add_field(
                    f"files[{number}]", io.BytesIO(data), filename=name, content_type="application/octet-stream"
                )
            content = {"data": form}
        url = self.server.api_url + path
        async with self._session.request(method, url, headers=headers, **content) as response:
            is_json = response.content_type == "application/json"
            return Reply(response.status, await response.json() if is_json else None, response.headers)

    async def say(self, channel: Channel, **body: Any) -> Reply:
        """Post in a channel."""
        return await self.ask("POST", f"/channels/{channel.id}/messages", body)

    async def answer(self, interaction: Interaction, kind: int, **data: Any) -> Reply:
        """Give an interaction its first answer."""
        path = f"/interactions/{interaction.id}/{interaction.token}/callback?with_response=1"
        return await self.ask("POST", path, {"type": kind, "data": data}, token=None)

    async def original(self, method: str, interaction: Interaction, **body: Any) -> Reply:
        """Do something with the message that an interaction was answered with."""
        return await self.ask(method, f"{self.webhook(interaction)}/messages/@original", body or None, token=None)

    def webhook(self, interaction: Interaction) -> str:
        """Return where an interaction is followed up."""
        return f"/webhooks/{self.server.bot.id}/{interaction.token}"

    async def fetch(self, url: str) -> tuple[int, bytes]:
        """Get something from the CDN, without any authorisation."""
        async with self._session.get(url) as response:
            return response.status, await response.read()

    async def listen(self, intents: int = GUILDS | GUILD_MESSAGES | DIRECT_MESSAGES) -> None:
        """Connect to the gateway, and forget the greeting."""
        socket = await self._stack.enter_async_context(self._session.ws_connect(self.server.gateway_url))
        await socket.send_json({"op": 2, "d": {"token": TOKEN, "intents": intents}})
        self._listening = asyncio.create_task(self._hear(socket))
        await self.server.connected()
        await self.hears("READY")

    async def identify_again(self, shard: tuple[int, int]) -> None:
        """Connect once more, as a shard, and listen to nothing."""
        socket = await self._stack.enter_async_context(self._session.ws_connect(self.server.gateway_url))
        await socket.send_json({"op": 2, "d": {"token": TOKEN, "intents": 0, "shard": list(shard)}})

    async def _hear(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for frame in socket:
            event = json.loads(frame.data)
            if event["op"] == 0:
                self.heard.append((event["t"], event["d"]))
                self.server.changes.announce()

    async def hears(self, name: str) -> Json:
        """Wait for an event that has not been taken yet, and take it."""
        await self.server.changes.until(lambda: any(each == name for each, _ in self.heard), f"event {name}")
        found = next(each for each in self.heard if each[0] == name)
        self.heard.remove(found)
        return found[1]

    async def register(self, *commands: Json) -> Reply:
        """Tell Discord about commands."""
        return await self.ask("PUT", f"/applications/{self.server.bot.id}/commands", list(commands))
