"""The command tree, and the one place where a failed command becomes a sentence.

Owns: error to reply for commands, and that an adult model's bot answers commands only where it may. Does not own: the
sentences (`errors.py`, `texts/`).
"""

import contextlib
import logging
from collections.abc import Mapping
from typing import Any

import discord
from discord import app_commands

from bot.errors import RefusedError, UnexpectedError
from bot.faults import log_fault
from bot.language import speak
from bot.permissions import AgeGate
from bot.screens import NETWORK_ERRORS, NO_MENTIONS
from bot.texts import refusals

logger = logging.getLogger(__name__)

_CHANGED = (app_commands.CommandNotFound, app_commands.CommandSignatureMismatch, app_commands.TransformerError)
"""What is raised while Discord, or a client, still knows the commands of another version."""

_ANYWHERE = frozenset({"forget"})
"""Commands that work wherever they are used, because people may always have their words deleted."""


class ParleyTree(app_commands.CommandTree[Any]):
    """A tree whose failures are answered to the asker alone and logged without content. Its client has a `gate`."""

    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        """Speak the person's language from here on; say whether the command may be answered where it was used.

        Discord itself offers an adult model's commands only there, but an old client may not.
        """
        speak(interaction.locale)
        try:
            self._require_suitable(interaction)
        except RefusedError as error:
            await _refuse(interaction, error)
            return False
        return True

    def _require_suitable(self, interaction: discord.Interaction[Any]) -> None:
        data: Mapping[str, object] = interaction.data or {}
        if data.get("name") not in _ANYWHERE:
            gate: AgeGate = self.client.gate
            gate.require(interaction.channel)

    async def on_error(self, interaction: discord.Interaction[Any], error: app_commands.AppCommandError, /) -> None:
        """Answer a failed command with one sentence."""
        cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
        name = interaction.command.qualified_name if interaction.command is not None else "unknown"
        await fail(interaction, f"command {name}", cause)


async def _refuse(interaction: discord.Interaction[Any], error: RefusedError) -> None:
    """Say why a command is not answered; while one is being typed, suggest nothing."""
    if interaction.type is not discord.InteractionType.autocomplete:
        await fail(interaction, "a command", error)
        return
    with contextlib.suppress(*NETWORK_ERRORS):
        await interaction.response.autocomplete([])


async def fail(interaction: discord.Interaction[Any], what: str, error: Exception) -> None:
    """Answer what failed (a command, a form, a button; `what` names it in the log) with one sentence."""
    if isinstance(error, RefusedError):
        logger.info("%s was refused: %s", what, type(error).__name__)
        sentence = error.sentence()
    elif isinstance(error, _CHANGED):
        logger.warning("%s is not what Discord thinks: %s", what, type(error).__name__)
        sentence = refusals.command_changed()
    else:
        log_fault(logger, what, error)
        sentence = UnexpectedError().sentence()
    with contextlib.suppress(*NETWORK_ERRORS):
        await answer_alone(interaction, sentence)


async def answer_alone(interaction: discord.Interaction[Any], text: str) -> None:
    """Show a text to the asker alone, as the first answer to a command or below it."""
    if interaction.response.is_done():
        await interaction.followup.send(text, ephemeral=True, allowed_mentions=NO_MENTIONS)
    else:
        await interaction.response.send_message(text, ephemeral=True, allowed_mentions=NO_MENTIONS)
