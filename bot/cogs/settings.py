"""`/settings`: the sampling options and the model of a channel.

Discord can hide a command group as a whole but not a part of it, and `/settings show` is for everyone; so the group is
visible to all and the changing commands check Manage Channels here.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from api.contract import SamplingFields
from bot.announcing import confirm
from bot.api_client import ApiClient
from bot.config import BotConfig, BotStores
from bot.dialogue import REPLY_TOKENS
from bot.errors import LeakedTokenError, RefusedError
from bot.leaks import Leaks
from bot.option_command import set_command
from bot.option_values import DESCRIPTIONS, STOP, checked, number_bounds, written
from bot.permissions import may_manage_channels, require_manage_channels
from bot.profile_errors import UnknownModelError, UnknownOptionError
from bot.profiles import MODEL, Origin, Profile, Profiles, parent_id_of, taken_options
from bot.suggesting import fitting
from bot.texts import settings as words
from bot.tree import answer_alone
from storage.channels import ChannelProfile

logger = logging.getLogger(__name__)

MAX_CHOICE_CHARACTERS = 100
SUGGESTION_SECONDS = 2.0
"""Discord waits 3 s for suggestions and shows none after that."""

_NAMED_MODELS = 8
_NAMED_MODEL_CHARACTERS = 64
_SHOWN_VALUE_CHARACTERS = 60


class Settings(commands.Cog):
    """Show and change the options of a channel."""

    settings = app_commands.Group(
        name="settings",
        description="How I choose my words in this channel",
        allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=False),
        allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
    )

    def __init__(
        self, config: BotConfig, stores: BotStores, profiles: Profiles, *, api: ApiClient, leaks: Leaks
    ) -> None:
        self._channels = stores.channels
        self._profiles = profiles
        self._api = api
        self._leaks = leaks
        self._bounds = number_bounds(context_tokens=config.context_tokens)
        self._defaults = SamplingFields(num_predict=REPLY_TOKENS, num_ctx=config.context_tokens)
        # What is set is read, changed and written again; two admins may do so at the same moment.
        self._changing = asyncio.Lock()
        self.settings.add_command(set_command(self._bounds, change=self._change, suggest_models=self._suggest_models))

    @settings.command(description="Show the options and the model of this channel")
    async def show(self, interaction: discord.Interaction[Any]) -> None:
        """Show what holds, and where it was set."""
        await interaction.response.defer(ephemeral=True, thinking=True)
        profile = await self._profiles.of(_channel_id(interaction), parent_id_of(interaction.channel))
        await answer_alone(interaction, self._report(profile))

    async def _change(self, interaction: discord.Interaction[Any], given: Mapping[str, Any]) -> None:
        """Change the given options and leave the others as they are."""
        require_manage_channels(interaction)
        if not given:
            await answer_alone(interaction, words.nothing_given())
            return
        options = checked({name: value for name, value in given.items() if name != MODEL}, self._bounds)
        await interaction.response.defer(ephemeral=True, thinking=True)
        if await self._leaks.handle_text(given.get(STOP, ""), user=interaction.user, channel=interaction.channel):
            raise LeakedTokenError
        if MODEL in given:
            await self._require_model(given[MODEL])
        async with self._changing:
            chosen = await self._chosen(interaction)
            await self._keep(interaction, chosen.options | options, given.get(MODEL, chosen.model))
        logger.info("channel %s: settings changed by %s: %s", interaction.channel_id, interaction.user.id, list(given))
        names = _listed(given)
        await confirm(
            interaction,
            words.settings_changed(names=names),
            announcement=words.announced_change(user_id=interaction.user.id, names=names),
        )

    @settings.command(description="Go back to the defaults, in one option or in all")
    @app_commands.describe(option="Which one; without it, all that is set in this channel")
    @app_commands.choices(option=[app_commands.Choice(name=name, value=name) for name in DESCRIPTIONS])
    async def reset(self, interaction: discord.Interaction[Any], option: str | None = None) -> None:
        """Take back what was set in this channel."""
        require_manage_channels(interaction)
        if option is not None and option not in DESCRIPTIONS:
            raise UnknownOptionError
        await interaction.response.defer(ephemeral=True, thinking=True)
        async with self._changing:
            was_set = await self._reset_all(interaction) if option is None else await self._unset(interaction, option)
        if not was_set:
            await answer_alone(interaction, words.nothing_set() if option is None else words.not_set(name=option))
            return
        logger.info("channel %s: settings reset by %s", interaction.channel_id, interaction.user.id)
        user_id = interaction.user.id
        if option is None:
            answer, announcement = words.settings_reset(), words.announced_reset(user_id=user_id)
        else:
            answer = words.setting_reset(name=option)
            announcement = words.announced_change(user_id=user_id, names=_listed([option]))
        await confirm(interaction, answer, announcement=announcement)

    async def _reset_all(self, interaction: discord.Interaction[Any]) -> bool:
        return await self._channels.reset_options(_channel_id(interaction))

    async def _unset(self, interaction: discord.Interaction[Any], name: str) -> bool:
        """Take one option or the model back; says whether it was set."""
        chosen = await self._chosen(interaction)
        was_set = chosen.model is not None if name == MODEL else name in chosen.options
        if was_set:
            options = {kept: value for kept, value in chosen.options.items() if kept != name}
            await self._keep(interaction, options, None if name == MODEL else chosen.model)
        return was_set

    async def _chosen(self, interaction: discord.Interaction[Any]) -> ChannelProfile:
        """Return what is set in this very channel, without what is no longer taken."""
        stored = await self._channels.get(_channel_id(interaction))
        if stored is None:
            return ChannelProfile(persona=None, persona_name=None, options={}, model=None)
        return ChannelProfile(
            persona=stored.persona,
            persona_name=stored.persona_name,
            options=taken_options(stored.options),
            model=stored.model,
        )

    async def _keep(self, interaction: discord.Interaction[Any], options: Mapping[str, Any], model: str | None) -> None:
        await self._channels.set_options(
            _channel_id(interaction),
            guild_id=interaction.guild_id,
            options=options,
            model=model,
            changed_by=interaction.user.id,
        )

    async def _require_model(self, model: str) -> None:
        """Raise `UnknownModelError` for a model the service does not have, or why the service cannot be asked."""
        names = await self._api.models()
        if model not in names:
            raise UnknownModelError(names=[_fit_for_code(name) for name in names[:_NAMED_MODELS]])

    async def _suggest_models(
        self, interaction: discord.Interaction[Any], typed: str
    ) -> list[app_commands.Choice[str]]:
        """Suggest the models there are; nothing to those who may not choose one."""
        if not may_manage_channels(interaction):
            return []
        try:
            async with asyncio.timeout(SUGGESTION_SECONDS):
                names = await self._api.models()
        except (RefusedError, TimeoutError):
            return []
        short = (name for name in names if len(name) <= MAX_CHOICE_CHARACTERS)
        return fitting((app_commands.Choice(name=name, value=name) for name in short), typed)

    def _report(self, profile: Profile) -> str:
        """Write every value, grouped by where it was set."""
        groups = [
            (words.set_here(), Origin.HERE),
            (words.set_in_parent(), Origin.PARENT),
            (words.defaults(), Origin.DEFAULT),
        ]
        report = words.heading()
        for heading, origin in groups:
            names = [name for name in DESCRIPTIONS if profile.origins.get(name, Origin.DEFAULT) is origin]
            if names:
                rows = "\n".join(f"{name:<17} {self._shown(profile, name)}" for name in names)
                report += f"\n{heading}\n```\n{rows}\n```"
        return report

    def _shown(self, profile: Profile, name: str) -> str:
        if name == MODEL:
            value = words.default_model() if profile.model is None else _fit_for_code(profile.model)
        else:
            source = profile.options if name in profile.origins else self._defaults
            value = written(getattr(source, name))
        return value if len(value) <= _SHOWN_VALUE_CHARACTERS else f"{value[:_SHOWN_VALUE_CHARACTERS]}…"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _fit_for_code(name: str) -> str:
    return written([name])[:_NAMED_MODEL_CHARACTERS]


def _channel_id(interaction: discord.Interaction[Any]) -> int:
    """Return where the command was used; Discord always says so for a command."""
    assert interaction.channel_id is not None
    return interaction.channel_id
