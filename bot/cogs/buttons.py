"""What a press on a reply's button does; works for replies of any age, also from before a restart.

Only the person who asked and those who may manage messages there may press. Whatever a client makes up, a press counts
for the message it stands on and for nothing else.
"""

from typing import Any

import discord
from discord.ext import commands

from bot.answering import Answering
from bot.asking import asker_of, venue_of
from bot.buttons import CONTINUE, REGENERATE, STOP
from bot.dialogue import Dialogue
from bot.errors import NoLongerAppliesError, NotYoursError
from bot.language import speak
from bot.permissions import AgeGate, may_manage_messages
from bot.screens import ButtonScreen
from bot.tree import fail
from bot.turns import ContinuedTurn, RegeneratedTurn, RevisedTurn

_Press = discord.Interaction[Any]


class ReplyButtons(discord.ui.View):
    """Listens to every reply's buttons at once."""

    def __init__(self, answering: Answering, dialogue: Dialogue, gate: AgeGate) -> None:
        super().__init__(timeout=None)
        self._answering = answering
        self._dialogue = dialogue
        self._gate = gate

    async def interaction_check(self, interaction: _Press, /) -> bool:
        """Speak the presser's language."""
        speak(interaction.locale)
        return True

    async def on_error(self, interaction: _Press, error: Exception, _item: discord.ui.Item[Any], /) -> None:
        """Answer a press that failed with one sentence."""
        await fail(interaction, "a press on a button", error)

    @discord.ui.button(label="Stop", custom_id=STOP)
    async def stop_reply(self, interaction: _Press, _button: discord.ui.Button[Any]) -> None:
        """Stop a reply that is being written; what has come stays."""
        running = self._answering.running.find(_message_id(interaction))
        if running is not None:
            _require_own(interaction, running.asker_id)
            # First of all: the slot is free at once, whatever Discord takes its time for.
            running.stop()
            await interaction.response.defer()
            return
        # Left over from a process that ended in the middle of a reply, or the reply has just ended by itself.
        await interaction.response.defer()
        if await self._dialogue.conversations.find_posted(_message_id(interaction)) is None:
            await self._take_buttons_away(interaction)

    @discord.ui.button(label="Regenerate", custom_id=REGENERATE)
    async def regenerate(self, interaction: _Press, _button: discord.ui.Button[Any]) -> None:
        """Make the last reply anew."""
        await self._revise(interaction, RegeneratedTurn)

    @discord.ui.button(label="Continue", custom_id=CONTINUE)
    async def go_on(self, interaction: _Press, _button: discord.ui.Button[Any]) -> None:
        """Let a reply that was cut go on."""
        await self._revise(interaction, ContinuedTurn)

    async def _revise(self, interaction: _Press, kind: type[RevisedTurn]) -> None:
        self._gate.require(interaction.channel)
        screen = ButtonScreen(interaction)
        await screen.begin()
        message_id = _message_id(interaction)
        posted = await self._dialogue.conversations.find_posted(message_id)
        if posted is not None:
            _require_own(interaction, posted.asker_id)
        is_stale = posted is None or not posted.is_last or (kind is ContinuedTurn and not posted.is_cut)
        if posted is None or is_stale:
            await self._take_buttons_away(interaction)
            raise NoLongerAppliesError
        if self._answering.running.find(message_id) is not None:
            raise NoLongerAppliesError
        venue = venue_of(interaction.channel, posted.conversation_key)
        turn = kind(self._dialogue, venue, asker_of(interaction.user), message_id=message_id)
        await self._answering.revise(turn, screen)

    async def _take_buttons_away(self, interaction: _Press) -> None:
        await interaction.edit_original_response(view=None)


class Buttons(commands.Cog):
    """Keeps the listener registered while the bot runs."""

    def __init__(self, client: discord.Client, view: ReplyButtons) -> None:
        self._client = client
        self._view = view

    async def cog_load(self) -> None:
        """Listen; buttons without a view of their own come here."""
        self._client.add_view(self._view)

    async def cog_unload(self) -> None:
        """Listen no more."""
        self._view.stop()


def _message_id(interaction: _Press) -> int:
    assert interaction.message is not None, "a button stands on a message"
    return interaction.message.id


def _require_own(interaction: _Press, asker_id: int) -> None:
    if interaction.user.id != asker_id and not may_manage_messages(interaction):
        raise NotYoursError
