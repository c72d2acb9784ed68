"""Questions with two buttons before something that cannot be undone.

Owns: who may answer, that a question is answered once, and its end after two minutes. Does not own: what is asked
(`texts/`), or whether the person still has the right to it: what is done checks that again, at the press.

Presses come to a listener here and not to discord.py's views, because a view that has ended, or that a restart has
forgotten, leaves a press without any answer.
"""

import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import discord
from discord.ext import commands

from bot.faults import describe
from bot.language import speak
from bot.screens import NETWORK_ERRORS, NO_MENTIONS
from bot.texts import confirming as words
from bot.tree import answer_alone, fail

logger = logging.getLogger(__name__)

OPEN_SECONDS = 120.0

_PREFIX = "confirm:"
_YES, _NO = "yes", "no"

Action = Callable[[discord.Interaction[Any]], Awaitable[str]]
"""What a yes does, given the press; returns the text that takes the question's place, below 2,000 characters.

A `RefusedError` is said in its sentence below the question, anything else as an apology.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """A question: its text below 2,000 characters, and the labels of its buttons, at most 80 characters each.

    Source: https://discord.com/developers/docs/components/reference#button
    """

    text: str
    yes: str
    no: str


class _Buttons(discord.ui.View):
    """The buttons of one open question, and how long they stay."""

    def __init__(
        self,
        confirmation: Confirmation,
        *,
        asked: discord.Interaction[Any],
        action: Action,
        on_expiry: Callable[["_Buttons"], Awaitable[None]],
        open_seconds: float,
    ) -> None:
        super().__init__(timeout=open_seconds)
        self.asked = asked
        self.action = action
        self._on_expiry = on_expiry
        for label, style, answer in (
            (confirmation.yes, discord.ButtonStyle.danger, _YES),
            (confirmation.no, discord.ButtonStyle.secondary, _NO),
        ):
            self.add_item(discord.ui.Button(label=label, style=style, custom_id=f"{_PREFIX}{self.id}:{answer}"))

    async def interaction_check(self, _interaction: discord.Interaction[Any], /) -> bool:
        """Leave presses to `Confirming`; here they would only keep the question open for longer."""
        return False

    async def on_timeout(self) -> None:
        """Say that the question is no longer open."""
        await self._on_expiry(self)


class Confirming(commands.Cog):
    """Asks, and does what was asked when the person who was asked says yes."""

    def __init__(self, *, open_seconds: float = OPEN_SECONDS) -> None:
        self._open_seconds = open_seconds
        self._open: dict[str, _Buttons] = {}

    async def ask(self, interaction: discord.Interaction[Any], confirmation: Confirmation, action: Action) -> None:
        """Ask the person who used a command, and nobody else sees it; `action` runs at most once.

        An interaction that was deferred must have been deferred for the person alone. Raises what Discord raises.
        """
        buttons = _Buttons(
            confirmation,
            asked=interaction,
            action=action,
            on_expiry=self._expire,
            open_seconds=self._open_seconds,
        )
        self._open[buttons.id] = buttons
        try:
            await _show(interaction, confirmation.text, buttons)
        except BaseException:
            self._close(buttons)
            raise

    @commands.Cog.listener()
    async def on_interaction(self, interaction: discord.Interaction[Any]) -> None:
        """Take a press on a button of a question, whatever became of that question."""
        if interaction.type is not discord.InteractionType.component:
            return
        data: Mapping[str, object] = interaction.data or {}
        custom_id = str(data.get("custom_id"))
        if not custom_id.startswith(_PREFIX):
            return
        speak(interaction.locale)
        try:
            await self._take(interaction, custom_id.removeprefix(_PREFIX))
        except NETWORK_ERRORS as error:
            logger.warning("the press of a button could not be answered: %s", describe(error))

    async def _take(self, press: discord.Interaction[Any], pressed: str) -> None:
        question_id, _, answer = pressed.partition(":")
        buttons = self._open.get(question_id)
        if buttons is None or answer not in (_YES, _NO):
            await answer_alone(press, words.question_closed())
            return
        if press.user.id != buttons.asked.user.id:
            await answer_alone(press, words.not_your_question())
            return
        # Closed before anything is awaited: a second press finds no question.
        self._close(buttons)
        if answer == _NO:
            await press.response.edit_message(content=words.nothing_changed(), view=None)
            return
        await press.response.edit_message(view=None)
        try:
            text = await buttons.action(press)
        except Exception as error:  # noqa: BLE001 - the border: a person is waiting, whatever it was
            await fail(press, "a confirmed command", error)
        else:
            await press.edit_original_response(content=text, allowed_mentions=NO_MENTIONS)

    def _close(self, buttons: _Buttons) -> None:
        self._open.pop(buttons.id, None)
        buttons.stop()

    async def _expire(self, buttons: _Buttons) -> None:
        if self._open.pop(buttons.id, None) is None:
            return
        with contextlib.suppress(*NETWORK_ERRORS):
            await buttons.asked.edit_original_response(content=words.question_expired(), view=None)

    async def cog_unload(self) -> None:
        """End every open question; a later press is told that it is no longer open."""
        for buttons in tuple(self._open.values()):
            self._close(buttons)


async def _show(interaction: discord.Interaction[Any], text: str, view: discord.ui.View) -> None:
    if interaction.response.is_done():
        await interaction.edit_original_response(content=text, view=view, allowed_mentions=NO_MENTIONS)
    else:
        await interaction.response.send_message(text, view=view, ephemeral=True, allowed_mentions=NO_MENTIONS)
