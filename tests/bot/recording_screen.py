"""A screen in memory: what people would see, and every request that led there. And replies to show on it."""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import discord

from bot.live import LiveReply
from bot.pacing import Pacer, channel_edits
from bot.screens import MessageGoneError, MessageOutOfReachError, Part
from bot.splitting import MAX_CHARACTERS
from bot.standing import ShownPart

CHANNEL_ID = 7


def http_error(status: int, code: int = 0) -> discord.HTTPException:
    """Return what discord.py raises for an answer of Discord's."""
    kinds: dict[int, type[discord.HTTPException]] = {403: discord.Forbidden, 404: discord.NotFound}
    kind = kinds.get(status, discord.DiscordServerError if status >= 500 else discord.HTTPException)
    response: Any = SimpleNamespace(status=status, reason="on demand")
    return kind(response, {"code": code, "message": "on demand"})


@dataclass(frozen=True)
class Request:
    """One request: `send`, `edit` or `delete`, when it ended, on the event loop's clock, and what it was to show."""

    kind: str
    at: float
    part: Part | None = None


@dataclass
class RecordingScreen:
    """Keeps Discord's rules. `faults` are what the next requests meet: an error, or None for none.

    An edit that meets an error has been made all the same if `are_faults_late`.
    """

    latency_seconds: float = 0.1
    faults: deque[Exception | None] = field(default_factory=deque)
    are_faults_late: bool = False
    messages: dict[int, Part] = field(default_factory=dict)
    out_of_reach: set[int] = field(default_factory=set)
    requests: list[Request] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    is_begun: bool = False
    is_ended: bool = False

    @property
    def channel_id(self) -> int:
        return CHANNEL_ID

    @property
    def pacing_key(self) -> str:
        return channel_edits(CHANNEL_ID)

    @property
    def contents(self) -> list[str]:
        """Return what stands, in order."""
        return [part.content for part in self.messages.values()]

    def count(self, kind: str) -> int:
        return sum(request.kind == kind for request in self.requests)

    def meet(self, faults: Iterable[Exception | None]) -> None:
        """Let the next requests meet these and no others."""
        self.faults = deque(faults)

    async def begin(self) -> None:
        self.is_begun = True

    async def end(self) -> None:
        self.is_ended = True

    async def send(self, part: Part) -> int:
        await self._travel("send", part, is_late=False)
        message_id = 100 + self.count("send")
        self.messages[message_id] = part
        self._check()
        return message_id

    async def edit(self, message_id: int, part: Part) -> None:
        if message_id in self.out_of_reach:
            raise MessageOutOfReachError
        if message_id not in self.messages:
            raise MessageGoneError
        if self.are_faults_late:
            self.messages[message_id] = part
        await self._travel("edit", part, is_late=self.are_faults_late)
        if message_id in self.messages:
            self.messages[message_id] = part
        self._check()

    async def delete(self, message_id: int) -> None:
        await self._travel("delete", None, is_late=False)
        if message_id not in self.out_of_reach:
            self.messages.pop(message_id, None)

    async def tell_asker(self, sentence: str) -> None:
        self.told.append(sentence)

    async def _travel(self, kind: str, part: Part | None, *, is_late: bool) -> None:
        if part is not None:
            assert part.content.strip()
            assert len(part.content) <= MAX_CHARACTERS
        await asyncio.sleep(self.latency_seconds)
        fault = self.faults.popleft() if self.faults else None
        if fault is not None:
            raise fault
        self.requests.append(Request(kind, asyncio.get_running_loop().time(), part))

    def _check(self) -> None:
        with_buttons = [part for part in self.messages.values() if part.view is not None]
        assert len(with_buttons) <= 1, "buttons on two messages"


async def type_out(live: LiveReply, text: str, *, seconds: float) -> None:
    """Write a text in a hundred equal steps."""
    for step in range(1, 101):
        live.write(text[: len(text) * step // 100])
        await asyncio.sleep(seconds / 100)


async def posted_before(screen: RecordingScreen, text: str) -> list[ShownPart]:
    """Post a reply as it was finished earlier; returns what another one is given to take it over."""
    async with LiveReply(screen, Pacer(), max_messages=100) as live:
        posted = await live.finish(text, view=discord.ui.View())
    at, shown = 0, []
    for part in posted:
        shown.append(ShownPart(message_id=part.discord_message_id, text=text[at : at + part.characters]))
        at += part.characters
    return shown
