"""What everybody in a channel is told about a change that one person made by a command.

Owns: posting below an answer that only its asker sees, and that nobody is pinged. Does not own: the words (`texts/`).
"""

import logging
from typing import Any

import discord

from bot.faults import describe
from bot.screens import NETWORK_ERRORS, NO_MENTIONS
from bot.tree import answer_alone

logger = logging.getLogger(__name__)


async def confirm(interaction: discord.Interaction[Any], answer: str, *, announcement: str) -> None:
    """Answer the asker alone, then tell the channel; in a DM there is nobody else to tell.

    The answer comes first: what follows a deferral first takes its place, and is as private as that. A channel that
    cannot be told is a line in the log, for the change is made.
    """
    await answer_alone(interaction, answer)
    if interaction.guild_id is None:
        return
    try:
        await interaction.followup.send(announcement, allowed_mentions=NO_MENTIONS)
    except NETWORK_ERRORS as error:
        logger.warning("channel %s was not told about a change: %s", interaction.channel_id, describe(error))
