"""Messages to the bot: a mention, a reply to it, a DM.

Discord sends the text of these three without any privileged intent. A reply whose ping was switched off arrives
without its text; its author is told so, because the bot cannot know what it was about.
"""

import logging

import discord
from discord.ext import commands

from bot.answering import Answering
from bot.asking import Questions, asker_of, shared_venue
from bot.dialogue import Dialogue
from bot.errors import RefusedError, UnexpectedError
from bot.faults import describe, log_fault
from bot.language import speak
from bot.leaks import Leaks
from bot.message_text import text_of
from bot.peoples_locales import PeoplesLocales
from bot.permissions import AgeGate
from bot.screens import NETWORK_ERRORS, MessageScreen, Part, Screen, may_speak
from bot.texts import conversations, refusals
from bot.turns import NewTurn
from storage.errors import StorageError

logger = logging.getLogger(__name__)

_SPOKEN = frozenset({discord.MessageType.default, discord.MessageType.reply})


class Messages(commands.Cog):
    """Answers people who write to the bot; never other bots, webhooks or Discord's own notices."""

    def __init__(
        self,
        client: discord.Client,
        answering: Answering,
        dialogue: Dialogue,
        *,
        questions: Questions,
        leaks: Leaks,
        locales: PeoplesLocales,
        gate: AgeGate,
    ) -> None:
        self._client = client
        self._answering = answering
        self._dialogue = dialogue
        self._questions = questions
        self._leaks = leaks
        self._locales = locales
        self._gate = gate

    @commands.Cog.listener()
    async def on_message(self, message: discord.Message) -> None:
        """Answer a message that is for the bot."""
        if not self._is_for_me(message):
            return
        speak(self._locales.of(message.author, message.guild))
        screen = MessageScreen(message)
        try:
            if not await self._leaks.handle_message(message):
                await self._answer(message, screen)
        except RefusedError as error:
            await _say(screen, error.sentence())
        except StorageError as error:
            log_fault(logger, f"a message in channel {message.channel.id}", error)
            await _say(screen, UnexpectedError().sentence())

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

    async def _answer(self, message: discord.Message, screen: Screen) -> None:
        if not may_speak(message):
            logger.info("may not speak in channel %s", message.channel.id)
            return
        self._gate.require(message.channel)
        assert self._client.user is not None, "nothing arrives before the login"
        text = text_of(message, bot_id=self._client.user.id)
        if not text and not message.attachments:
            await _say(screen, self._hint(message))
            return
        venue = shared_venue(message.channel)
        turn = NewTurn(
            self._dialogue,
            venue,
            asker_of(message.author),
            prepare=lambda: self._questions.of_message(message, text, venue),
            question_message_id=message.id,
        )
        await self._answering.answer(turn, screen)

    def _hint(self, message: discord.Message) -> str:
        is_unreadable = message.guild is not None and not self._is_mentioned(message)
        return refusals.unreadable_reply() if is_unreadable else conversations.hello()


async def _say(screen: Screen, sentence: str) -> None:
    try:
        await screen.send(Part(content=sentence))
    except NETWORK_ERRORS as error:
        logger.warning("a sentence could not be posted: %s", describe(error))
