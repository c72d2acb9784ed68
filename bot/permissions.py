"""Who may do what, checked here whatever Discord let through: server admins can open commands to anyone there."""

from dataclasses import dataclass
from typing import Any

import discord

from bot.errors import NotAgeRestrictedError, NotInServerError, NotPermittedError

MANAGE_SERVER = "Manage Server"
MANAGE_MESSAGES = "Manage Messages"
MANAGE_CHANNELS = "Manage Channels"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeGate:
    """Where the model may answer: an adult one in age-restricted channels, and in DMs when `allows_dms`.

    Discord itself keeps DMs from nobody.
    """

    is_mature: bool
    allows_dms: bool

    def require(self, channel: object) -> None:
        """Raise `NotAgeRestrictedError` where the model may not answer; threads follow their parent channel."""
        if not self.is_mature or (self.allows_dms and isinstance(channel, discord.DMChannel)):
            return
        is_nsfw = getattr(channel, "is_nsfw", None)
        if is_nsfw is None or not is_nsfw():
            raise NotAgeRestrictedError


def may_manage_server(interaction: discord.Interaction[Any]) -> bool:
    """Say whether the person may manage the server; never outside of one."""
    permissions = interaction.permissions
    return interaction.guild_id is not None and (permissions.administrator or permissions.manage_guild)


def require_server(interaction: discord.Interaction[Any]) -> int:
    """Return the server's id, or raise `NotInServerError`."""
    if interaction.guild_id is None:
        raise NotInServerError
    return interaction.guild_id


def require_manage_server(interaction: discord.Interaction[Any]) -> int:
    """Return the server's id; raises `NotInServerError` or `NotPermittedError`."""
    guild_id = require_server(interaction)
    if not may_manage_server(interaction):
        raise NotPermittedError(permission=MANAGE_SERVER)
    return guild_id


def may_manage_messages(interaction: discord.Interaction[Any]) -> bool:
    """Say whether the person may manage messages there; in a DM everybody may."""
    permissions = interaction.permissions
    return interaction.guild_id is None or permissions.administrator or permissions.manage_messages


def require_manage_messages(interaction: discord.Interaction[Any]) -> None:
    """Raise `NotPermittedError` unless the person may manage messages there."""
    if not may_manage_messages(interaction):
        raise NotPermittedError(permission=MANAGE_MESSAGES)


def may_manage_channels(interaction: discord.Interaction[Any]) -> bool:
    """Say whether the person may change the bot in this channel; in a DM everybody may."""
    permissions = interaction.permissions
    return interaction.guild_id is None or permissions.administrator or permissions.manage_channels


def require_manage_channels(interaction: discord.Interaction[Any]) -> None:
    """Raise `NotPermittedError` unless the person may manage this channel; in a DM everybody may."""
    if not may_manage_channels(interaction):
        raise NotPermittedError(permission=MANAGE_CHANNELS)
