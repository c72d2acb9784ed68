"""A bot with a few parts only: discord.py connected to the stand-in Discord, the cogs a test gives it, and ears."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import discord
from discord.ext import commands

from bot.client import intents
from bot.permissions import AgeGate
from bot.tree import ParleyTree
from tests.bot.connected import connected
from tests.doubles.discord_messages import Message
from tests.doubles.discord_places import Channel, Guild
from tests.doubles.discord_server import DiscordServer

Cogs = Callable[["LoneBot"], Sequence[commands.Cog]]


class LoneBot(commands.Bot):
    """Listens as Parley does; `heard` are the messages it was told about, `faults` what failed in its cogs."""

    def __init__(self, server: DiscordServer, cogs: Cogs, *, is_mature: bool) -> None:
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            tree_cls=ParleyTree,
            intents=intents(),
            max_messages=None,
            # discord.py waits so long for further servers before it calls itself ready.
            guild_ready_timeout=0.05,
        )
        self.gate = AgeGate(is_mature=is_mature, allows_dms=False)
        self._server = server
        self._make_cogs = cogs
        self.heard: dict[int, discord.Message] = {}
        self.faults: list[str] = []

    async def setup_hook(self) -> None:
        """Add the cogs and register their commands."""
        for cog in self._make_cogs(self):
            await self.add_cog(cog)
        if self.tree.get_commands():
            await self.tree.sync()

    async def on_message(self, message: discord.Message, /) -> None:
        """Keep it."""
        self.heard[message.id] = message
        self._server.changes.announce()

    async def on_error(self, event_method: str, /, *_args: object, **_kwargs: object) -> None:
        """Keep which listener failed."""
        self.faults.append(event_method)

    async def hears(self, message: Message) -> discord.Message:
        """Wait until a message has arrived; returns it as discord.py has it."""
        await self._server.changes.until(lambda: message.id in self.heard, "the message is heard")
        return self.heard[message.id]

    async def catches_up(self) -> None:
        """Wait until everything that Discord has told so far is dealt with; events arrive in their order."""
        person = self._server.user("Last")
        await self.hears(await self._server.user_says(self._server.dm(person), person, "the last event"))
        listeners = [task for task in asyncio.all_tasks() if task.get_name().startswith("discord.py: on_")]
        if listeners:
            await asyncio.wait(listeners)

    async def says(self, channel: Channel, text: str) -> Message:
        """Post a message; returns it as the stand-in has it."""
        sent = await self.get_partial_messageable(channel.id).send(text)
        found = channel.find(str(sent.id))
        assert found is not None
        return found


@asynccontextmanager
async def lone_bot(
    server: DiscordServer, cogs: Cogs = lambda _: (), *, is_mature: bool = False
) -> AsyncIterator[LoneBot]:
    """Keep a bot connected for the block, and fail if one of its listeners did."""
    async with connected(server, LoneBot(server, cogs, is_mature=is_mature)) as bot:
        yield bot
    assert bot.faults == []


async def joined_guild(server: DiscordServer, **options: Any) -> Guild:
    """Make a server that the bot is in already."""
    guild = server.guild(**options)
    await server.join(guild)
    return guild
