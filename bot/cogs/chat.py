"""`/chat`, `/reset` and "Ask about this message": the conversation by command."""

from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.answering import Answering
from bot.asking import Questions, asker_of, private_venue, said_in_command, shared_venue
from bot.dialogue import Dialogue, Venue
from bot.errors import LeakedTokenError, NotAQuestionError
from bot.language import speak
from bot.leaks import Leaks
from bot.message_text import text_of
from bot.permissions import AgeGate, require_manage_messages
from bot.quoting import MAX_QUOTE_CHARACTERS, Quote, shortened
from bot.screens import InteractionScreen
from bot.texts import conversations as words
from bot.tree import answer_alone, fail
from bot.turns import NewTurn, Question

MAX_MESSAGE_CHARACTERS = 4000
"""Two whole Discord messages; Discord itself takes up to 6,000 in an option."""

FORM_SECONDS = 3600.0
"""How long a form is waited for: Discord never tells about one that was closed."""

_Used = discord.Interaction[Any]


class Chat(commands.Cog):
    """Talk to the model, and make it forget."""

    def __init__(
        self,
        answering: Answering,
        dialogue: Dialogue,
        *,
        questions: Questions,
        leaks: Leaks,
        gate: AgeGate,
    ) -> None:
        self._answering = answering
        self._dialogue = dialogue
        self._questions = questions
        self._leaks = leaks
        self._gate = gate
        self._menu = app_commands.ContextMenu(
            name=words.ASK_ABOUT,
            callback=self._ask_about,
            allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=False),
            allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
        )

    @property
    def menu(self) -> app_commands.ContextMenu:
        """Return the message menu's command; a cog cannot register it by itself."""
        return self._menu

    @app_commands.command(description="Talk to me in this channel's conversation")
    @app_commands.describe(
        message="What you want to say",
        private="Only you see it, in a conversation of your own",
        file="A text file that belongs to it",
    )
    @app_commands.allowed_installs(guilds=True, users=False)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    async def chat(
        self,
        interaction: _Used,
        message: app_commands.Range[str, 1, MAX_MESSAGE_CHARACTERS],
        private: bool = False,  # noqa: FBT001, FBT002 - discord.py reads the command's options from here
        file: discord.Attachment | None = None,
    ) -> None:
        """Answer a question."""
        self._gate.require(interaction.channel)
        text = said_in_command(message, interaction.guild)
        if not text and file is None:
            await answer_alone(interaction, words.hello())
            return
        venue = (
            private_venue(interaction.channel, interaction.user.id) if private else shared_venue(interaction.channel)
        )
        await self._answer(interaction, venue, text, [] if file is None else [file], is_private=private)

    async def _answer(
        self,
        interaction: _Used,
        venue: Venue,
        text: str,
        files: list[discord.Attachment],
        *,
        is_private: bool,
        quote: Quote | None = None,
    ) -> None:
        async def prepare() -> Question:
            return await self._questions.of_command(text, files, interaction, quote=quote)

        turn = NewTurn(self._dialogue, venue, asker_of(interaction.user), prepare=prepare)
        await self._answering.answer(turn, InteractionScreen(interaction, is_private=is_private))

    async def _ask_about(self, interaction: _Used, message: discord.Message) -> None:
        """Open the form that asks what to say about a message."""
        self._gate.require(interaction.channel)
        text = text_of(message)
        if not text:
            raise NotAQuestionError
        if await self._leaks.is_live_in(message):
            # Telling everybody takes longer than the 3 s that Discord waits.
            await interaction.response.defer(ephemeral=True, thinking=True)
            await self._leaks.handle_message(message)
            raise LeakedTokenError
        quote = Quote(
            speaker=message.author.display_name,
            text=shortened(text, MAX_QUOTE_CHARACTERS),
            author_id=None if message.author == interaction.client.user else message.author.id,
            message_id=message.id,
        )
        await interaction.response.send_modal(_AskAbout(self, quote))

    async def answer_about(self, interaction: _Used, text: str, quote: Quote) -> None:
        """Answer a question about a message, in the channel's conversation."""
        self._gate.require(interaction.channel)
        clean = said_in_command(text[:MAX_MESSAGE_CHARACTERS], interaction.guild)
        if not clean:
            raise NotAQuestionError
        await self._answer(interaction, shared_venue(interaction.channel), clean, [], is_private=False, quote=quote)

    @app_commands.command(description="Forget this channel's conversation")
    @app_commands.default_permissions(manage_messages=True)
    @app_commands.allowed_installs(guilds=True, users=False)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    async def reset(self, interaction: _Used) -> None:
        """Forget the conversation of this channel; the persona stays."""
        require_manage_messages(interaction)
        venue = shared_venue(interaction.channel)
        await self._answering.forget(venue.conversation_key, InteractionScreen(interaction, is_private=False))


class _AskAbout(discord.ui.Modal):
    """One field: the question about a message."""

    def __init__(self, chat: Chat, quote: Quote) -> None:
        super().__init__(title=words.ask_about_title(), timeout=FORM_SECONDS)
        self._chat = chat
        self._quote = quote
        self._question = discord.ui.TextInput[Any](
            style=discord.TextStyle.paragraph, min_length=1, max_length=MAX_MESSAGE_CHARACTERS
        )
        self.add_item(discord.ui.Label(text=words.ask_about_label(), component=self._question))

    async def on_submit(self, interaction: _Used, /) -> None:
        """Ask."""
        speak(interaction.locale)
        await self._chat.answer_about(interaction, self._question.value, self._quote)

    async def on_error(self, interaction: _Used, error: Exception, _item: Any = None, /) -> None:
        """Answer a form that failed with one sentence."""
        await fail(interaction, "ask about", error)
