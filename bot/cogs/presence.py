"""`/help`, and the bot's introduction of itself when it joins a server.

It introduces itself once: in the system channel, else to whoever invited it, else to the server's owner; where none of
them can be reached, not at all. What it notes is the moment it joined, so that a new invitation is a new beginning,
whether it noticed that it had been removed or not.
"""

import logging
from datetime import timedelta
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.faults import describe
from bot.language import speak
from bot.permissions import AgeGate
from bot.screens import NETWORK_ERRORS, NO_MENTIONS
from bot.speakers import clean_token_name
from bot.texts import presence
from bot.tree import answer_alone
from storage.errors import StorageError
from storage.notes import Notes

logger = logging.getLogger(__name__)

LATE = timedelta(days=1)
"""How long after it joined the bot may still introduce itself: it may have been away, but not that long."""

_LOOKED_AT_ENTRIES = 10
"""How far back the audit log is searched for the invitation, which is a moment old."""


class Presence(commands.Cog):
    """Says what the bot is for."""

    def __init__(self, client: discord.Client, notes: Notes, *, gate: AgeGate) -> None:
        self._client = client
        self._notes = notes
        self._gate = gate

    @app_commands.command(name="help", description="What I can do, on one screen")
    @app_commands.allowed_installs(guilds=True, users=False)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    async def show_help(self, interaction: discord.Interaction[Any]) -> None:
        """Show the commands to the asker."""
        await answer_alone(interaction, presence.overview())

    @commands.Cog.listener()
    async def on_guild_join(self, guild: discord.Guild) -> None:
        """Look at a server that the bot was added to."""
        await self._greet(guild)

    @commands.Cog.listener()
    async def on_guild_available(self, guild: discord.Guild) -> None:
        """Look at a server that the bot may have been added to while it was not connected."""
        await self._greet(guild)

    async def _greet(self, guild: discord.Guild) -> None:
        """Introduce the bot to a server that has just invited it, in the server's language."""
        joined_at = guild.me.joined_at
        if joined_at is None or discord.utils.utcnow() - joined_at > LATE:
            return
        try:
            if not await self._is_first_time(guild, joined_at.isoformat()):
                return
        except StorageError as error:
            logger.warning("no introduction to server %s: %s", guild.id, describe(error))
            return
        speak(guild.preferred_locale)
        await self._introduce(guild)

    async def _is_first_time(self, guild: discord.Guild, joined_at: str) -> bool:
        """Take note of a server before anything is said there: twice would be worse than not at all."""
        return await self._notes.put_new(f"discord.introduced.{guild.id}", joined_at)

    async def _introduce(self, guild: discord.Guild) -> None:
        """Say hello where it can be said."""
        text = presence.introduction()
        if self._gate.is_mature:
            text = f"{text}\n{presence.for_adults()}"
        channel = guild.system_channel
        if channel is not None and channel.permissions_for(guild.me).send_messages and await _is_said(channel, text):
            return
        text = f"{presence.invited(server=clean_token_name(guild.name) or str(guild.id))}\n\n{text}"
        for user_id in dict.fromkeys([await self._find_inviter(guild), guild.owner_id]):
            if user_id is not None and await self._is_told(user_id, text):
                return
        logger.info("nobody of server %s could be greeted", guild.id)

    async def _is_told(self, user_id: int, text: str) -> bool:
        try:
            dm = await self._client.create_dm(discord.Object(user_id))
        except NETWORK_ERRORS as error:
            logger.info("a DM could not be opened: %s", describe(error))
            return False
        return await _is_said(dm, text)

    async def _find_inviter(self, guild: discord.Guild) -> int | None:
        """Look in the audit log, where the bot may; Discord tells it nowhere else."""
        if not guild.me.guild_permissions.view_audit_log:
            return None
        try:
            async for entry in guild.audit_logs(limit=_LOOKED_AT_ENTRIES, action=discord.AuditLogAction.bot_add):
                if getattr(entry.target, "id", None) == guild.me.id:
                    return entry.user_id
        except NETWORK_ERRORS as error:
            logger.info("the audit log of server %s could not be read: %s", guild.id, describe(error))
        return None


async def _is_said(channel: discord.abc.Messageable, text: str) -> bool:
    """Post the introduction; says whether that came through."""
    try:
        await channel.send(text, allowed_mentions=NO_MENTIONS)
    except NETWORK_ERRORS as error:
        logger.info("an introduction could not be posted: %s", describe(error))
        return False
    return True
