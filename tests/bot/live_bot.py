"""A bot that answers nothing by itself: what it was asked is handed to the test, which shows replies on its screens."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import discord
from discord.ext import commands

from bot.client import intents
from bot.pacing import Pacer
from tests.bot.connected import connected
from tests.doubles.discord_model import Channel, Interaction, Message, User
from tests.doubles.discord_server import DiscordServer

Asked = discord.Interaction[Any]


class LiveBot(commands.Bot):
    """Has the commands `/ask` and `/form`, and a pacer that sees every request."""

    def __init__(self, server: DiscordServer) -> None:
        self.pacer = Pacer()
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            intents=intents(),
            max_messages=None,
            guild_ready_timeout=0.05,
            http_trace=self.pacer.trace_config(),
        )
        self._server = server
        self._asked: asyncio.Queue[Asked] = asyncio.Queue()
        self._heard: asyncio.Queue[discord.Message] = asyncio.Queue()
        self.faults: list[str] = []

    async def setup_hook(self) -> None:
        """Register the commands."""

        @self.tree.command(description="Ask something")
        async def ask(interaction: Asked) -> None:
            self._asked.put_nowait(interaction)

        @self.tree.command(description="Open a form")
        async def form(interaction: Asked) -> None:
            await interaction.response.send_modal(_Form())

        await self.tree.sync()

    async def on_interaction(self, interaction: Asked) -> None:
        """Keep presses and forms; commands come from the tree."""
        if interaction.type in (discord.InteractionType.component, discord.InteractionType.modal_submit):
            self._asked.put_nowait(interaction)

    async def on_message(self, message: discord.Message, /) -> None:
        """Keep what people say."""
        if not message.author.bot:
            self._heard.put_nowait(message)

    async def on_error(self, event_method: str, /, *_args: object, **_kwargs: object) -> None:
        """Keep which listener failed."""
        self.faults.append(event_method)

    async def asked(self, user: User, channel: Channel) -> tuple[Interaction, Asked]:
        """Let somebody use `/ask`; returns the interaction as the stand-in has it, and as discord.py has it."""
        use = await self._server.slash(user, channel, "ask")
        return use, await self._asked.get()

    async def pressed(self, user: User, message: Message, custom_id: str) -> tuple[Interaction, Asked]:
        """Let somebody press a button."""
        use = await self._server.press(user, message, custom_id)
        return use, await self._asked.get()

    async def submitted(self, user: User, channel: Channel) -> tuple[Interaction, Asked]:
        """Let somebody open the form and send it."""
        opened = await self._server.slash(user, channel, "form")
        (entry,) = (await opened.form())["components"]
        custom_id = (entry.get("component") or entry["components"][0])["custom_id"]
        use = await self._server.submit(user, opened, {custom_id: "text"})
        return use, await self._asked.get()

    async def told(self, user: User, channel: Channel, text: str) -> tuple[Message, discord.Message]:
        """Let somebody mention the bot, or write in its DM."""
        said = await self._server.user_says(channel, user, text, mentions_bot=channel.guild is not None)
        return said, await self._heard.get()


class _Form(discord.ui.Modal, title="A form"):
    text = discord.ui.TextInput[discord.ui.Modal](label="Text")


def buttons(*custom_ids: str) -> discord.ui.View:
    """Return a view as replies have them: stopped, because a listener takes the presses."""
    view = discord.ui.View(timeout=None)
    for custom_id in custom_ids:
        view.add_item(discord.ui.Button(label=custom_id, custom_id=custom_id))
    view.stop()
    return view


@asynccontextmanager
async def live_bot(server: DiscordServer) -> AsyncIterator[LiveBot]:
    """Keep a bot connected for the block, and fail if one of its listeners did."""
    async with connected(server, LiveBot(server)) as bot:
        yield bot
    assert bot.faults == []


def find(channel: Channel, message_id: int) -> Message:
    """Return a message of a channel as the stand-in has it, deleted or not."""
    return next(message for message in channel.messages if message.id == message_id)


class Clock:
    """Tells the present time, moved on by as many seconds as a test says."""

    def __init__(self) -> None:
        self.ahead_seconds = 0.0

    def __call__(self) -> datetime:
        """Return the moment, aware."""
        return discord.utils.utcnow() + timedelta(seconds=self.ahead_seconds)
