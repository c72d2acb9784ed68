"""Looks at every message and edit whose text Discord gives to the bot, for live API tokens.

Also those of other bots and of webhooks: a token in an error report is as public as one that a person pastes. The cog
`messages` asks `bot.leaks` itself before it answers, since the order of listeners is nobody's promise.
"""

import discord
from discord.ext import commands

from bot.leaks import Leaks


class LeakWatch(commands.Cog):
    """Hands what was posted to the watcher."""

    def __init__(self, leaks: Leaks) -> None:
        self._leaks = leaks

    @commands.Cog.listener()
    async def on_message(self, message: discord.Message) -> None:
        """Look at a new message."""
        await self._leaks.handle_message(message)

    @commands.Cog.listener()
    async def on_raw_message_edit(self, payload: discord.RawMessageUpdateEvent) -> None:
        """Look at an edited message, or one to which Discord has added the preview of a link."""
        await self._leaks.handle_message(payload.message)

    async def cog_unload(self) -> None:
        """Let those be told who are being told."""
        await self._leaks.drain()
