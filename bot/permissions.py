"""Who may do what, checked here whatever Discord let through: server admins can open commands to anyone there."""

from typing import Any

import discord

from bot.errors import NotAgeRestrictedError, NotInServerError, NotPermittedError

MANAGE_SERVER = "Manage Server"
MANAGE_MESSAGES = "Manage Messages"


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


def require_manage_messages(interaction: discord.Interaction[Any]) -> None:
    """Raise `NotPermittedError` unless the person may manage messages; in a DM everybody may."""
    permissions = interaction.permissions
    if interaction.guild_id is not None and not (permissions.administrator or permissions.manage_messages):
        raise NotPermittedError(permission=MANAGE_MESSAGES)


def require_suitable(channel: object, *, is_mature: bool) -> None:
    """Raise `NotAgeRestrictedError` where an adult model may not answer; threads follow their parent channel."""
    if not is_mature:
        return
    is_nsfw = getattr(channel, "is_nsfw", None)
    if is_nsfw is None or not is_nsfw():
        raise NotAgeRestrictedError
