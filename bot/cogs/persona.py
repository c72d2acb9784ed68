"""`/persona`: the system prompt of a channel, and the personas a server saves under names.

Discord can hide a command group as a whole but not a part of it, and `/persona show` is for everyone; so the group is
visible to all and the changing commands check Manage Channels here.
"""

import asyncio
import logging
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.announcing import confirm
from bot.config import BotStores
from bot.errors import LeakedTokenError
from bot.faults import describe
from bot.leaks import Leaks
from bot.permissions import may_manage_channels, require_manage_channels
from bot.persona_form import PersonaForm
from bot.persona_text import MAX_PERSONA_NAME_CHARACTERS, as_code, as_file, clean_persona, clean_persona_name
from bot.profile_errors import (
    BadPersonaNameError,
    ChannelGoneError,
    NoSuchPersonaError,
    SavedInServersError,
    TooManyPersonasError,
)
from bot.profiles import Origin, Profile, Profiles, parent_id_of
from bot.screens import NETWORK_ERRORS, NO_MENTIONS
from bot.suggesting import fitting
from bot.texts import personas as words
from bot.tree import answer_alone
from storage import errors as storage_errors

logger = logging.getLogger(__name__)

MAX_PERSONAS_PER_SERVER = 50

READ_SECONDS = 1.5
"""A form cannot be deferred: it has to open within 3 s of the command, filled or not. Suggestions wait no longer."""

_Used = discord.Interaction[Any]
_Name = app_commands.Range[str, 1, MAX_PERSONA_NAME_CHARACTERS]


class Persona(commands.Cog):
    """Show, change and save personas."""

    persona = app_commands.Group(
        name="persona",
        description="Who I am in this channel",
        allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=False),
        allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
    )

    def __init__(self, stores: BotStores, profiles: Profiles, leaks: Leaks) -> None:
        self._channels = stores.channels
        self._personas = stores.personas
        self._profiles = profiles
        self._leaks = leaks

    @persona.command(description="Show the persona of this channel")
    async def show(self, interaction: _Used) -> None:
        """Show the persona that holds, and where it comes from."""
        await interaction.response.defer(ephemeral=True, thinking=True)
        profile = await self._profile(interaction)
        text, code = profile.system_prompt, as_code(profile.system_prompt)
        if not text.strip():
            await answer_alone(interaction, words.no_default_persona())
        elif code is not None:
            await answer_alone(interaction, f"{_heading(profile)}\n{code}")
        else:
            file = as_file(text, description=words.file_description())
            await interaction.followup.send(_heading(profile), file=file, ephemeral=True, allowed_mentions=NO_MENTIONS)

    @persona.command(name="set", description="Give me a persona in this channel: a saved one, or one you write")
    @app_commands.describe(name="A saved persona; without it, a form opens in which you write one")
    async def set_persona(self, interaction: _Used, name: _Name | None = None) -> None:
        """Apply a saved persona, or open the form for a new one."""
        require_manage_channels(interaction)
        if name is None:
            present = await self._present_text(interaction)
            form = PersonaForm(self._take_form, present=present, may_save=interaction.guild_id is not None)
            await interaction.response.send_modal(form)
            return
        guild_id = _require_saving(interaction)
        await interaction.response.defer(ephemeral=True, thinking=True)
        saved = await self._personas.get(guild_id, name)
        if saved is None:
            raise NoSuchPersonaError
        await self._apply(interaction, saved.text, name=saved.name)
        await _confirm_set(interaction, words.persona_set())

    async def _take_form(self, interaction: _Used, written: str, name: str) -> None:
        """Take what was written in the form: minutes may have passed since it was opened."""
        require_manage_channels(interaction)
        text = clean_persona(written)
        await interaction.response.defer(ephemeral=True, thinking=True)
        if await self._leaks.handle_text(text, user=interaction.user, channel=interaction.channel):
            raise LeakedTokenError
        await _require_channel(interaction)
        await self._apply(interaction, text, name=None)
        await _confirm_set(interaction, await self._save_too(interaction, text, name))

    async def _save_too(self, interaction: _Used, text: str, name: str) -> str:
        """Save a persona that is set already, where a name was given; returns what is said about both.

        A name that cannot be had costs nobody the text they have just written.
        """
        if not name.strip() or interaction.guild_id is None:
            return words.persona_set()
        try:
            cleaned = clean_persona_name(name)
            await self._save(interaction, interaction.guild_id, cleaned, text)
        except (BadPersonaNameError, TooManyPersonasError) as error:
            return words.persona_set_but_not_saved(reason=error.sentence())
        await self._apply(interaction, text, name=cleaned)
        return words.persona_set_and_saved(name=cleaned)

    @persona.command(description="Take the persona of this channel away, so that I am as usual again")
    async def clear(self, interaction: _Used) -> None:
        """Go back to the parent channel's persona, or the default."""
        require_manage_channels(interaction)
        await interaction.response.defer(ephemeral=True, thinking=True)
        if not await self._channels.clear_persona(_channel_id(interaction)):
            await answer_alone(interaction, words.nothing_to_clear())
            return
        logger.info("channel %s: persona cleared by %s", interaction.channel_id, interaction.user.id)
        announcement = words.announced_clear(user_id=interaction.user.id)
        await confirm(interaction, words.persona_cleared(), announcement=announcement)

    @persona.command(description="Save the persona of this channel under a name, for other channels of this server")
    @app_commands.describe(name="The name; a persona saved under it before is replaced")
    async def save(self, interaction: _Used, name: _Name) -> None:
        """Save the persona that holds here."""
        require_manage_channels(interaction)
        guild_id = _require_saving(interaction)
        cleaned = clean_persona_name(name)
        await interaction.response.defer(ephemeral=True, thinking=True)
        profile = await self._profile(interaction)
        if profile.persona_origin is Origin.DEFAULT:
            await answer_alone(interaction, words.nothing_to_save())
            return
        await self._save(interaction, guild_id, cleaned, profile.system_prompt)
        await answer_alone(interaction, words.persona_saved(name=cleaned))

    @persona.command(description="Delete a saved persona; channels that have it keep it")
    @app_commands.describe(name="Which one")
    async def delete(self, interaction: _Used, name: _Name) -> None:
        """Delete a saved persona."""
        require_manage_channels(interaction)
        guild_id = _require_saving(interaction)
        await interaction.response.defer(ephemeral=True, thinking=True)
        saved = await self._personas.get(guild_id, name)
        if saved is None or not await self._personas.delete(guild_id, name):
            raise NoSuchPersonaError
        logger.info("server %s: a saved persona deleted by %s", guild_id, interaction.user.id)
        await answer_alone(interaction, words.persona_deleted(name=saved.name))

    @set_persona.autocomplete("name")
    @save.autocomplete("name")
    @delete.autocomplete("name")
    async def suggest(self, interaction: _Used, typed: str) -> list[app_commands.Choice[str]]:
        """Suggest the server's saved personas; nothing to those who may not change anything."""
        if interaction.guild_id is None or not may_manage_channels(interaction):
            return []
        try:
            async with asyncio.timeout(READ_SECONDS):
                saved = await self._personas.list(interaction.guild_id)
        except (storage_errors.StorageError, TimeoutError):
            return []
        return fitting((app_commands.Choice(name=each.name, value=each.name) for each in saved), typed)

    async def _profile(self, interaction: _Used) -> Profile:
        return await self._profiles.of(_channel_id(interaction), parent_id_of(interaction.channel))

    async def _present_text(self, interaction: _Used) -> str:
        """Return the persona that holds now, or nothing where the database does not tell in time."""
        try:
            async with asyncio.timeout(READ_SECONDS):
                return (await self._profile(interaction)).system_prompt
        except (storage_errors.StorageError, TimeoutError) as error:
            logger.warning("channel %s: a persona form opens empty: %s", interaction.channel_id, describe(error))
            return ""

    async def _apply(self, interaction: _Used, text: str, *, name: str | None) -> None:
        await self._channels.set_persona(
            _channel_id(interaction),
            guild_id=interaction.guild_id,
            text=text,
            name=name,
            changed_by=interaction.user.id,
        )
        logger.info("channel %s: persona set by %s", interaction.channel_id, interaction.user.id)

    async def _save(self, interaction: _Used, guild_id: int, name: str, text: str) -> None:
        """Save a persona; raises `TooManyPersonasError`."""
        user_id = interaction.user.id
        try:
            await self._personas.save(guild_id, name, text, created_by=user_id, limit=MAX_PERSONAS_PER_SERVER)
        except storage_errors.TooManyPersonasError as error:
            raise TooManyPersonasError(limit=error.limit) from None
        logger.info("server %s: a persona saved by %s", guild_id, user_id)


async def _confirm_set(interaction: _Used, answer: str) -> None:
    await confirm(interaction, answer, announcement=words.announced_set(user_id=interaction.user.id))


async def _require_channel(interaction: _Used) -> None:
    """Raise `ChannelGoneError` when the channel was deleted; where Discord does not say so, it is there."""
    try:
        await interaction.client.fetch_channel(_channel_id(interaction))
    except discord.NotFound:
        raise ChannelGoneError from None
    except (discord.DiscordException, *NETWORK_ERRORS) as error:
        logger.info("channel %s could not be looked up: %s", interaction.channel_id, describe(error))


def _require_saving(interaction: _Used) -> int:
    """Return the server whose personas these are, or raise `SavedInServersError` in a DM."""
    if interaction.guild_id is None:
        raise SavedInServersError
    return interaction.guild_id


def _heading(profile: Profile) -> str:
    name = profile.persona_name
    match profile.persona_origin:
        case Origin.HERE:
            return words.own_persona() if name is None else words.own_named_persona(name=name)
        case Origin.PARENT:
            return words.parent_persona() if name is None else words.parent_named_persona(name=name)
        case Origin.DEFAULT:
            return words.default_persona()


def _channel_id(interaction: _Used) -> int:
    """Return where the command was used; Discord always says so for a command and its form."""
    assert interaction.channel_id is not None
    return interaction.channel_id
