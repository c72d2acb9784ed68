"""Messages to the bot: a mention, a reply to it, a DM.

Discord sends the text of these three without any privileged intent. A reply whose ping was switched off arrives
without its text; its author is told so, because the bot cannot know what it was about.
"""

import logging

import discord
from discord.ext import commands

from bot import texts
from bot.answering import Answering
from bot.delivery import NETWORK_ERRORS, MessageDelivery, may_speak
from bot.dialogue import Question, channel_key, tenant_of
from bot.errors import RefusedError, explain
from bot.faults import describe
from bot.mentions import mention_names
from bot.permissions import require_suitable
from bot.speakers import clean_text, name_mentions, without_mention

logger = logging.getLogger(__name__)

_SPOKEN = frozenset({discord.MessageType.default, discord.MessageType.reply})


class Messages(commands.Cog):
    """Answers people who write to the bot; never other bots, webhooks or Discord's own notices."""

    def __init__(self, client: discord.Client, answering: Answering, *, is_mature: bool) -> None:
        self._client = client
        self._answering = answering
        self._is_mature = is_mature

    @commands.Cog.listener()
    async def on_message(self, message: discord.Message) -> None:
        """Answer a message that is for the bot."""
        if not self._is_for_me(message):
            return
        if not may_speak(message):
            logger.info("may not speak in channel %s", message.channel.id)
            return
        delivery = MessageDelivery(message)
        try:
            await self._answer(message, delivery)
        except RefusedError as error:
            await _say(delivery, explain(error))

    def _is_for_me(self, message: discord.Message) -> bool:
        if message.author.bot or message.webhook_id is not None or message.type not in _SPOKEN:
            return False
        return message.guild is None or self._is_mentioned(message) or self._is_reply_to_me(message)

    def _is_mentioned(self, message: discord.Message) -> bool:
        me = self._client.user
        return me is not None and any(user.id == me.id for user in message.mentions)

    def _is_reply_to_me(self, message: discord.Message) -> bool:
        reference, me = message.reference, self._client.user
        if message.type is not discord.MessageType.reply or reference is None or me is None:
            return False
        return isinstance(reference.resolved, discord.Message) and reference.resolved.author.id == me.id

    async def _answer(self, message: discord.Message, delivery: MessageDelivery) -> None:
        require_suitable(message.channel, is_mature=self._is_mature)
        text = self._text(message)
        if not text:
            await _say(delivery, self._hint(message))
            return
        guild_id = None if message.guild is None else message.guild.id
        question = Question(
            conversation_key=channel_key(message.channel.id),
            tenant=tenant_of(guild_id, message.author.id),
            author_id=message.author.id,
            speaker=message.author.display_name,
            text=text,
            message_id=message.id,
        )
        await self._answering.answer(question, delivery)

    def _text(self, message: discord.Message) -> str:
        """Return what was said: without the bot's own mention, with the names of others."""
        assert self._client.user is not None, "nothing arrives before the login"
        mine = without_mention(message.content, self._client.user.id)
        return clean_text(name_mentions(mine, mention_names(message.guild, mentioned=message.mentions)))

    def _hint(self, message: discord.Message) -> str:
        is_unreadable = message.guild is not None and not self._is_mentioned(message)
        return texts.unreadable_reply() if is_unreadable else texts.help_sentence()


async def _say(delivery: MessageDelivery, sentence: str) -> None:
    try:
        await delivery.refuse(sentence)
    except NETWORK_ERRORS as error:
        logger.warning("a sentence could not be posted: %s", describe(error))
