"""What a press on a reply's button does; works for replies of any age, also from before a restart.

Only the person who asked and those who may manage messages there may press. Whatever a client makes up, a press counts
for the message it stands on and for nothing else.

Presses come to a listener and not to a view of discord.py's: that one would leave a press on a button it does not know
without any answer.
"""

import logging
from collections.abc import Mapping
from typing import Any

import discord
from discord.ext import commands

from bot.answering import Answering
from bot.asking import asker_of, venue_of
from bot.buttons import CONTINUE, PREFIX, REGENERATE, STOP, can_be_stopped, has_buttons
from bot.dialogue import Dialogue
from bot.distant_stops import DistantStops
from bot.errors import NoLongerAppliesError, NotYoursError
from bot.faults import describe
from bot.language import speak
from bot.permissions import AgeGate, may_manage_messages
from bot.screens import NETWORK_ERRORS, ButtonScreen
from bot.tree import fail
from bot.turns import ContinuedTurn, RegeneratedTurn, RevisedTurn

logger = logging.getLogger(__name__)

_Press = discord.Interaction[Any]

_REVISIONS: Mapping[str, type[RevisedTurn]] = {REGENERATE: RegeneratedTurn, CONTINUE: ContinuedTurn}


class Buttons(commands.Cog):
    """Takes the presses on every reply's buttons."""

    def __init__(self, answering: Answering, dialogue: Dialogue, distant_stops: DistantStops, gate: AgeGate) -> None:
        self._answering = answering
        self._dialogue = dialogue
        self._distant_stops = distant_stops
        self._gate = gate

    @commands.Cog.listener()
    async def on_interaction(self, interaction: _Press) -> None:
        """Take a press, and answer one that fails with a sentence."""
        data: Mapping[str, object] = interaction.data or {}
        custom_id = str(data.get("custom_id"))
        if interaction.type is not discord.InteractionType.component or not custom_id.startswith(PREFIX):
            return
        speak(interaction.locale)
        try:
            await self._take(interaction, custom_id)
        except NETWORK_ERRORS as error:
            logger.warning("the press of a button could not be answered: %s", describe(error))
        except Exception as error:  # noqa: BLE001 - the border: a person is waiting, whatever it was
            await fail(interaction, "a press on a button", error)

    async def _take(self, press: _Press, custom_id: str) -> None:
        if custom_id == STOP:
            await self._stop(press)
        elif custom_id in _REVISIONS:
            await self._revise(press, _REVISIONS[custom_id])
        else:
            raise NoLongerAppliesError

    async def _stop(self, press: _Press) -> None:
        """Stop a reply that is being written; what has come stays."""
        running = self._answering.running.find(_message_of(press).id)
        if running is not None:
            _require_own(press, running.asker_id)
            # First of all: the slot is free at once, whatever Discord takes its time for.
            running.stop()
            await press.response.defer()
            return
        await press.response.defer()
        message = _message_of(press)
        # Where no such button stands the reply has just ended by itself, or the press is made up.
        if not can_be_stopped(message) or await self._distant_stops.stop(
            message.id, presser_id=press.user.id, may_manage=may_manage_messages(press)
        ):
            return
        # Left over from a process that ended in the middle of a reply.
        if await self._dialogue.conversations.find_posted(message.id) is None:
            await _take_buttons_away(press)

    async def _revise(self, press: _Press, kind: type[RevisedTurn]) -> None:
        """Make the last reply anew, or let it go on."""
        self._gate.require(press.channel)
        screen = ButtonScreen(press)
        await screen.begin()
        message_id = _message_of(press).id
        if not await self._answering.running.is_settled(message_id):
            # Pressed twice: it can be seen to be at work.
            return
        posted = await self._dialogue.conversations.find_posted(message_id)
        if posted is not None:
            _require_own(press, posted.asker_id)
        if posted is None or not RevisedTurn.fits(posted):
            await _take_buttons_away(press)
            raise NoLongerAppliesError
        if not kind.fits(posted):
            raise NoLongerAppliesError
        turn = kind(
            self._dialogue,
            venue_of(press.channel, posted.conversation_key),
            asker_of(press.user),
            posted=posted,
            question_message_id=await self._dialogue.question_message_id(posted),
        )
        await self._answering.revise(turn, screen)


async def _take_buttons_away(press: _Press) -> None:
    """Take a reply's buttons away from the message they were pressed on, if they really stand there."""
    if not has_buttons(_message_of(press)):
        return
    try:
        await press.edit_original_response(view=None)
    except NETWORK_ERRORS as error:
        logger.info("buttons that do nothing stay: %s", describe(error))


def _message_of(press: _Press) -> discord.Message:
    assert press.message is not None, "a button stands on a message"
    return press.message


def _require_own(press: _Press, asker_id: int) -> None:
    if press.user.id != asker_id and not may_manage_messages(press):
        raise NotYoursError
