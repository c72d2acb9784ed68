"""`/developer limit`: the calls per day of one person in a server, for everyone and for roles."""

import re
from typing import Any

import discord
from discord import app_commands

from bot.errors import NoSuchLimitError, TooManyLimitsError
from bot.permissions import may_manage_server, require_manage_server, require_server
from bot.person_limits import PersonCalls
from bot.speakers import clean_token_name
from bot.splitting import split
from bot.suggesting import fitting
from bot.texts import limits as words
from bot.tree import answer_alone
from storage import errors as storage_errors
from storage.errors import StorageError
from storage.person_limits import PersonLimit, PersonLimits

MAX_DAILY_CALLS = 1_000_000

_MAX_ROLE_CHARACTERS = 100
_ROLE = re.compile(r"(?:<@&)?([0-9]{1,20})>?")
"""A role's id, or its mention."""


class LimitCommands(app_commands.Group):
    """The commands about limits per person."""

    def __init__(self, limits: PersonLimits, person_calls: PersonCalls) -> None:
        super().__init__(name="limit", description="Calls a day of one person in this server")
        self._limits = limits
        self._person_calls = person_calls

    @app_commands.command(name="set", description="Limit the calls a day of each person")
    @app_commands.describe(calls="Calls a day of one person; 0 for none", role="For people with this role only")
    async def set_limit(
        self,
        interaction: discord.Interaction[Any],
        calls: app_commands.Range[int, 0, MAX_DAILY_CALLS],
        role: discord.Role | None = None,
    ) -> None:
        """Set a limit for everyone, or for a role."""
        guild_id = require_manage_server(interaction)
        await interaction.response.defer(ephemeral=True, thinking=True)
        # Discord's own role of everyone has the server's id.
        role_id = None if role is None or role.id == guild_id else role.id
        try:
            await self._limits.set(guild_id, calls, role_id=role_id, changed_by=interaction.user.id)
        except storage_errors.TooManyLimitsError as error:
            raise TooManyLimitsError(limit=error.limit) from None
        if role_id is None:
            await answer_alone(interaction, words.everyones_limit_set(daily_calls=calls))
        else:
            text = words.role_limit_set(role=_mention(interaction.guild, role_id), daily_calls=calls)
            await answer_alone(interaction, text)

    @app_commands.command(name="clear", description="Take a limit away")
    @app_commands.describe(role="Whose limit; without it, the one for everyone")
    async def clear_limit(
        self,
        interaction: discord.Interaction[Any],
        role: app_commands.Range[str, 1, _MAX_ROLE_CHARACTERS] | None = None,
    ) -> None:
        """Clear the limit for everyone, or for a role, also one that was deleted since."""
        guild_id = require_manage_server(interaction)
        await interaction.response.defer(ephemeral=True, thinking=True)
        role_id = None if role is None else await self._find(interaction.guild, guild_id, role)
        if not await self._limits.clear(guild_id, role_id=role_id):
            raise NoSuchLimitError
        if role_id is None:
            await answer_alone(interaction, words.everyones_limit_cleared())
        else:
            await answer_alone(interaction, words.role_limit_cleared(role=_mention(interaction.guild, role_id)))

    @app_commands.command(name="show", description="Show the limits of this server, and where you stand today")
    async def show_limits(self, interaction: discord.Interaction[Any]) -> None:
        """Show the limits to everyone."""
        guild_id = require_server(interaction)
        await interaction.response.defer(ephemeral=True, thinking=True)
        limits = await self._limits.list(guild_id)
        lines = [_line(limit, interaction.guild) for limit in limits]
        if all(limit.role_id is not None for limit in limits):
            lines.insert(0, words.default_limit(daily_calls=self._person_calls.default_daily_calls))
        standing = await self._standing(interaction, guild_id)
        for part in split("\n".join([words.limits_heading(), *lines, standing])):
            await answer_alone(interaction, part)

    @clear_limit.autocomplete("role")
    async def suggest(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        """Suggest the roles with a limit; nothing to those who may not manage the server."""
        if interaction.guild_id is None or not may_manage_server(interaction):
            return []
        try:
            limits = await self._limits.list(interaction.guild_id)
        except StorageError:
            return []
        return fitting((_choice(limit, interaction.guild) for limit in limits if limit.role_id is not None), typed)

    async def _find(self, guild: discord.Guild | None, guild_id: int, wanted: str) -> int:
        """Return the role with a limit that has that id, mention or name."""
        limited = [limit.role_id for limit in await self._limits.list(guild_id) if limit.role_id is not None]
        written = _ROLE.fullmatch(wanted.strip())
        if written is not None and int(written[1]) in limited:
            return int(written[1])
        name = wanted.strip().removeprefix("@").casefold()
        for role_id in limited:
            role = None if guild is None else guild.get_role(role_id)
            if role is not None and role.name.casefold() == name:
                return role_id
        raise NoSuchLimitError

    async def _standing(self, interaction: discord.Interaction[Any], guild_id: int) -> str:
        user = interaction.user
        role_ids = [role.id for role in user.roles] if isinstance(user, discord.Member) else []
        standing = await self._person_calls.standing(guild_id=guild_id, user_id=user.id, role_ids=role_ids)
        if standing is None:
            return words.no_own_limit()
        return words.own_standing(used=standing.used, limit=standing.limit, resets_at=standing.resets_at)


def _is_deleted(guild: discord.Guild | None, role_id: int) -> bool:
    """Say whether a role is gone; while the server is not known yet, none is."""
    return guild is not None and not guild.unavailable and guild.get_role(role_id) is None


def _mention(guild: discord.Guild | None, role_id: int) -> str:
    """Name a role in an answer, where nobody is pinged."""
    return words.deleted_role(role_id=role_id) if _is_deleted(guild, role_id) else f"<@&{role_id}>"


def _line(limit: PersonLimit, guild: discord.Guild | None) -> str:
    if limit.role_id is None:
        return words.everyones_limit(daily_calls=limit.daily_calls)
    return words.role_limit(role=_mention(guild, limit.role_id), daily_calls=limit.daily_calls)


def _choice(limit: PersonLimit, guild: discord.Guild | None) -> app_commands.Choice[str]:
    assert limit.role_id is not None
    role = None if guild is None else guild.get_role(limit.role_id)
    name = words.deleted_role(role_id=limit.role_id) if role is None else clean_token_name(role.name)
    shown = words.suggested_limit(role=name or str(limit.role_id), daily_calls=limit.daily_calls)
    return app_commands.Choice(name=shown[:100], value=str(limit.role_id))
