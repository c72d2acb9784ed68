"""The command tree, and the one place where a failed command becomes a sentence.

Owns: error to reply for commands. Does not own: the sentences (`errors.py`, `texts.py`).
"""

import contextlib
import logging
from typing import Any

import discord
from discord import app_commands

from bot import texts
from bot.delivery import NETWORK_ERRORS, NO_MENTIONS
from bot.errors import RefusedError, UnexpectedError, explain
from bot.faults import log_fault

logger = logging.getLogger(__name__)

_CHANGED = (app_commands.CommandNotFound, app_commands.CommandSignatureMismatch, app_commands.TransformerError)


class ParleyTree(app_commands.CommandTree[Any]):
    """A tree whose failures are answered to the asker alone and logged without content."""

    async def on_error(self, interaction: discord.Interaction[Any], error: app_commands.AppCommandError, /) -> None:
        """Answer a failed command with one sentence."""
        cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
        name = interaction.command.qualified_name if interaction.command is not None else "unknown"
        if isinstance(cause, RefusedError):
            logger.info("command %s was refused: %s", name, type(cause).__name__)
            sentence = explain(cause)
        elif isinstance(cause, _CHANGED):
            logger.warning("command %s is not what Discord thinks: %s", name, type(cause).__name__)
            sentence = texts.command_changed()
        else:
            log_fault(logger, f"command {name}", cause)
            sentence = explain(UnexpectedError())
        with contextlib.suppress(*NETWORK_ERRORS):
            await answer_alone(interaction, sentence)


async def answer_alone(interaction: discord.Interaction[Any], text: str) -> None:
    """Show a text to the asker alone, as the first answer to a command or below it."""
    if interaction.response.is_done():
        await interaction.followup.send(text, ephemeral=True, allowed_mentions=NO_MENTIONS)
    else:
        await interaction.response.send_message(text, ephemeral=True, allowed_mentions=NO_MENTIONS)
