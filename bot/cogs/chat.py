"""`/chat` and `/reset`: the conversation by command."""

from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot import texts
from bot.answering import Answering
from bot.delivery import InteractionDelivery
from bot.dialogue import Question, channel_key, private_key, tenant_of
from bot.mentions import mention_names
from bot.permissions import require_manage_messages, require_suitable
from bot.speakers import clean_text, name_mentions

MAX_MESSAGE_CHARACTERS = 4000
"""Two whole Discord messages; Discord itself takes up to 6,000 in an option."""


class Chat(commands.Cog):
    """Talk to the model, and make it forget."""

    def __init__(self, answering: Answering, *, is_mature: bool) -> None:
        self._answering = answering
        self._is_mature = is_mature

    @app_commands.command(description="Talk to me in this channel's conversation")
    @app_commands.describe(
        message="What you want to say",
        private="Only you see it, in a conversation of your own",
    )
    @app_commands.allowed_installs(guilds=True, users=False)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    async def chat(
        self,
        interaction: discord.Interaction[Any],
        message: app_commands.Range[str, 1, MAX_MESSAGE_CHARACTERS],
        private: bool = False,  # noqa: FBT001, FBT002 - discord.py reads the command's options from here
    ) -> None:
        """Answer a question."""
        require_suitable(interaction.channel, is_mature=self._is_mature)
        text = clean_text(name_mentions(message, mention_names(interaction.guild)))
        delivery = InteractionDelivery(interaction, is_private=private)
        if not text:
            await delivery.refuse(texts.help_sentence())
            return
        channel_id, user = _channel_id(interaction), interaction.user
        question = Question(
            conversation_key=private_key(channel_id, user.id) if private else channel_key(channel_id),
            tenant=tenant_of(interaction.guild_id, user.id),
            author_id=user.id,
            speaker=user.display_name,
            text=text,
        )
        await self._answering.answer(question, delivery)

    @app_commands.command(description="Forget this channel's conversation")
    @app_commands.default_permissions(manage_messages=True)
    @app_commands.allowed_installs(guilds=True, users=False)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    async def reset(self, interaction: discord.Interaction[Any]) -> None:
        """Forget the conversation of this channel; the persona stays."""
        require_manage_messages(interaction)
        delivery = InteractionDelivery(interaction, is_private=False)
        await self._answering.forget(channel_key(_channel_id(interaction)), delivery)


def _channel_id(interaction: discord.Interaction[Any]) -> int:
    """Return where the command was used; Discord always says so for a command."""
    assert interaction.channel_id is not None
    return interaction.channel_id
