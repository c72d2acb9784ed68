"""Questions with two buttons before something that cannot be undone.

Owns: who may answer, that a question is answered once, by whichever process the answer reaches, and its end after two
minutes. Does not own: what is asked (`texts/`), or whether the person still has the right to it: what is done checks
that again, at the press.

Presses come to a listener here and not to discord.py's views, because a view that has ended, or that a restart has
forgotten, leaves a press without any answer. Open questions stand in the database, so that they outlive a restart.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import discord
from discord.ext import commands

from bot.faults import describe, log_fault
from bot.language import speak
from bot.screens import NETWORK_ERRORS, NO_MENTIONS
from bot.texts import confirming as words
from bot.tree import answer_alone, fail
from storage.errors import StorageError
from storage.open_questions import OpenQuestion, OpenQuestions

logger = logging.getLogger(__name__)

OPEN_SECONDS = 120.0

_PREFIX = "confirm:"
_YES, _NO = "yes", "no"

Arguments = Mapping[str, Any]
"""What an action has to know, as JSON knows it."""

Action = Callable[[discord.Interaction[Any], Arguments], Awaitable[str]]
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


class Confirming(commands.Cog):
    """Asks, and does what was asked when the person who was asked says yes."""

    def __init__(self, questions: OpenQuestions, *, open_seconds: float = OPEN_SECONDS) -> None:
        self._questions = questions
        self._open_seconds = open_seconds
        self._actions: dict[str, Action] = {}
        self._expiring: dict[str, asyncio.Task[None]] = {}
        self._is_over = False

    def register(self, name: str, action: Action) -> None:
        """Say what a yes to questions under this name does, in whichever process asked them."""
        self._actions[name] = action

    async def ask(
        self,
        interaction: discord.Interaction[Any],
        confirmation: Confirmation,
        name: str,
        arguments: Arguments | None = None,
    ) -> None:
        """Ask the person who used a command, and nobody else sees it; the action of that name runs at most once.

        An interaction that was deferred must have been deferred for the person alone. Raises what Discord raises, or
        `StorageError`.
        """
        assert name in self._actions, "an action is registered before anybody is asked"
        # First: the database may be locked for longer than Discord waits for an answer.
        if not interaction.response.is_done():
            await interaction.response.defer(ephemeral=True, thinking=True)
        question_id = await self._questions.open(
            asked_id=interaction.user.id,
            deed={"name": name, "arguments": dict(arguments or {})},
            lasts=timedelta(seconds=self._open_seconds),
        )
        try:
            await interaction.edit_original_response(
                content=confirmation.text, view=_buttons(confirmation, question_id), allowed_mentions=NO_MENTIONS
            )
        except BaseException:
            await self._questions.close(question_id)
            raise
        if self._is_over:
            # The bot ended while Discord was told.
            return
        self._expiring[question_id] = asyncio.create_task(self._expire_later(question_id, interaction))

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
        except StorageError as error:
            await fail(interaction, "the answer to a question", error)

    async def _take(self, press: discord.Interaction[Any], pressed: str) -> None:
        # First, as in `ask`.
        await press.response.defer()
        question_id, _, answer = pressed.partition(":")
        question = await self._questions.find(question_id)
        if question is None or answer not in (_YES, _NO):
            await answer_alone(press, words.question_closed())
            return
        if press.user.id != question.asked_id:
            await answer_alone(press, words.not_your_question())
            return
        # Of two presses, wherever they arrive, the second one finds no question.
        if not await self._questions.close(question_id):
            await answer_alone(press, words.question_closed())
            return
        self._forget(question_id)
        if answer == _NO:
            await press.edit_original_response(content=words.nothing_changed(), view=None)
            return
        await press.edit_original_response(view=None)
        await self._act(press, question)

    async def _act(self, press: discord.Interaction[Any], question: OpenQuestion) -> None:
        try:
            text = await self._actions[question.deed["name"]](press, question.deed["arguments"])
        except Exception as error:  # noqa: BLE001 - the border: a person is waiting, whatever it was
            await fail(press, "a confirmed command", error)
        else:
            await press.edit_original_response(content=text, allowed_mentions=NO_MENTIONS)

    async def _expire_later(self, question_id: str, asked: discord.Interaction[Any]) -> None:
        """Say that a question is no longer open, when nobody has answered it in time."""
        await asyncio.sleep(self._open_seconds)
        self._expiring.pop(question_id, None)
        try:
            if not await self._questions.close(question_id):
                return
        except StorageError as error:
            log_fault(logger, "closing a question", error)
        with contextlib.suppress(*NETWORK_ERRORS):
            await asked.edit_original_response(content=words.question_expired(), view=None)

    def _forget(self, question_id: str) -> None:
        expiring = self._expiring.pop(question_id, None)
        if expiring is not None:
            expiring.cancel()

    async def cog_unload(self) -> None:
        """Leave the open questions to whichever process takes the answers."""
        self._is_over = True
        for question_id in tuple(self._expiring):
            self._forget(question_id)


def _buttons(confirmation: Confirmation, question_id: str) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    for label, style, answer in (
        (confirmation.yes, discord.ButtonStyle.danger, _YES),
        (confirmation.no, discord.ButtonStyle.secondary, _NO),
    ):
        view.add_item(discord.ui.Button(label=label, style=style, custom_id=f"{_PREFIX}{question_id}:{answer}"))
    # Ended before it is sent: discord.py would keep each view; one listener takes all presses.
    view.stop()
    return view
