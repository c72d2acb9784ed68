"""What stands in Discord of one reply: its messages in order, and the least that turns them into what should stand.

Owns: that record, and changes one at a time. Does not own: when they are made (`live.py`), or where (`screens/`).
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import discord

from bot.faults import describe
from bot.layout import Block, lay_out, with_note
from bot.screens import NETWORK_ERRORS, MessageGoneError, MessageOutOfReachError, Part, Screen
from storage.posted import PostedPart

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
"""How long a failed change waits before it is tried again."""

SUPERSEDED = "…"
"""What a message shows that is still there but no longer part of the reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPart:
    """A Discord message of an earlier reply, and the part of that reply's text that stands there or in its file."""

    message_id: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One request to Discord: what the message at `index` is to show; `is_new` when there is no such message yet."""

    index: int
    part: Part
    is_new: bool


@dataclass(slots=True, kw_only=True, eq=False)
class _Slot:
    """A message and what it shows; unless that `is_certain` it may have other buttons, or a line below its text.

    `was_touched`: a change was tried, and may have been made even if it failed.
    """

    message_id: int
    channel_id: int
    part: Part
    is_certain: bool = True
    was_touched: bool = False
    is_gone: bool = False

    def shows(self, part: Part) -> bool:
        """Say whether nothing would change. Discord does not show blanks at the ends."""
        shown = self.part
        is_same_text = shown.content.strip() == part.content.strip()
        return self.is_certain and is_same_text and shown.view is part.view and shown.file == part.file


class Standing:
    """The messages of one reply. `shown` are those of an earlier reply that this one takes over."""

    def __init__(self, screen: Screen, shown: Sequence[ShownPart]) -> None:
        self._screen = screen
        self._old = [
            _Slot(message_id=each.message_id, channel_id=screen.channel_id, part=part)
            for each, part in zip(shown, _shown(shown), strict=True)
        ]
        self._old_parts = [slot.part for slot in self._old]
        if self._old:
            self._old[-1].is_certain = False
        self._slots = self._old.copy()
        self._surplus: list[_Slot] = []

    @property
    def message_ids(self) -> tuple[int, ...]:
        """Return the messages the reply stands in."""
        return tuple(slot.message_id for slot in self._slots)

    @property
    def is_gone(self) -> bool:
        """Say whether a message was found deleted; nothing is sent below it any more."""
        return any(slot.is_gone for slot in self._slots)

    def old_parts(self, *, view: discord.ui.View | None, note: str = "") -> list[Part]:
        """Return what the messages that were taken over showed; the last one with other buttons and a line below."""
        *others, last = self._old_parts
        noted = with_note(last.content, note) if note else None
        return [*others, Part(content=last.content if noted is None else noted, view=view, file=last.file)]

    def first_change(self, parts: Sequence[Part]) -> Change | None:
        """Return the first request on the way to `parts`; None when they stand.

        Messages beyond them lose their text. Buttons are taken away before others come, so that there are never two
        messages that have some.
        """
        beyond = [Part(content=SUPERSEDED)] * (len(self._slots) - len(parts))
        needed = [
            Change(index=index, part=part, is_new=index >= len(self._slots))
            for index, part in enumerate([*parts, *beyond])
            if self._needs(index, part)
        ]
        return next((change for change in needed if self._takes_buttons(change)), needed[0] if needed else None)

    def _needs(self, index: int, part: Part) -> bool:
        if index >= len(self._slots):
            return not self.is_gone
        slot = self._slots[index]
        return not slot.is_gone and not slot.shows(part)

    def _takes_buttons(self, change: Change) -> bool:
        if change.is_new or change.part.view is not None:
            return False
        slot = self._slots[change.index]
        return slot.part.view is not None or not slot.is_certain

    async def make(self, change: Change) -> None:
        """Make a change. Raises `MessageGoneError` or one of `NETWORK_ERRORS`.

        A message out of reach is given up with those below it; the next change shows them anew, where they can stand.
        """
        if change.is_new:
            message_id = await self._screen.send(change.part)
            self._slots.append(_Slot(message_id=message_id, channel_id=self._screen.channel_id, part=change.part))
            return
        slot = self._slots[change.index]
        slot.is_certain, slot.was_touched = False, True
        try:
            await self._screen.edit(slot.message_id, change.part)
        except MessageOutOfReachError:
            self._give_up_from(change.index)
        except MessageGoneError:
            slot.is_gone = True
            raise
        else:
            slot.part, slot.is_certain = change.part, True

    async def settle(self, parts: Sequence[Part]) -> None:
        """Make all changes on the way to `parts`, each tried twice. Raises one of `NETWORK_ERRORS`.

        Messages beyond them wait for `delete_surplus`. A message that somebody has deleted is left out.
        """
        while (change := self.first_change(parts)) is not None:
            await self._make_surely(change)
        self._give_up_from(len(parts))

    async def take_buttons_away(self) -> None:
        """Take the buttons away from what stands, and leave what is out of reach. Raises one of `NETWORK_ERRORS`."""
        while (change := self.first_change(self._without_buttons())) is not None:
            await self._make_surely(change)

    async def clear(self) -> None:
        """Delete all messages."""
        self._give_up_from(0)
        await self.delete_surplus()

    async def put_back(self, *, view: discord.ui.View | None) -> None:
        """Let the messages that were taken over show what they did, as far as they can be reached, and delete others.

        Where nothing was touched nothing is done; else the last one gets the buttons of `view`.
        """
        in_reach = [slot for slot in self._slots if slot in self._old]
        self._surplus = [slot for slot in (*self._surplus, *self._slots) if slot not in self._old]
        self._slots = in_reach
        await self.delete_surplus()
        if any(slot.was_touched for slot in self._old):
            await self.settle(self.old_parts(view=view)[: len(in_reach)])

    async def delete_surplus(self) -> None:
        """Delete the messages that are no longer part of the reply. One that cannot be deleted is a log line."""
        while self._surplus:
            slot = self._surplus.pop()
            try:
                await self._screen.delete(slot.message_id)
            except NETWORK_ERRORS as error:
                logger.info("a message that is no longer needed stays: %s", describe(error))

    def posted(self, blocks: Sequence[Block]) -> tuple[PostedPart, ...]:
        """Return which of the blocks stands where."""
        return tuple(
            PostedPart(discord_message_id=slot.message_id, channel_id=slot.channel_id, characters=block.characters)
            for slot, block in zip(self._slots, blocks, strict=False)
        )

    def _without_buttons(self) -> list[Part]:
        return [Part(content=slot.part.content, file=slot.part.file) for slot in self._slots]

    def _give_up_from(self, index: int) -> None:
        self._surplus += self._slots[index:]
        del self._slots[index:]

    async def _make_surely(self, change: Change) -> None:
        """Make a change and try it once more when it fails; one that will never come through fails at once."""
        with contextlib.suppress(MessageGoneError):
            try:
                await self.make(change)
            except (discord.Forbidden, discord.NotFound):
                raise
            except NETWORK_ERRORS as error:
                logger.warning("a last change of a reply is tried again: %s", describe(error))
                await asyncio.sleep(RETRY_SECONDS)
                await self.make(change)


def _shown(shown: Sequence[ShownPart]) -> list[Part]:
    """Return what the messages of an earlier reply show: their text with its fences, and the file with the rest."""
    readable = [part for part in shown if part.text.strip()]
    blocks = lay_out("".join(part.text for part in readable), max_messages=len(readable)) if readable else []
    if [block.characters for block in blocks] != [len(part.text) for part in readable]:
        # Cut otherwise than it would be today, or a part was deleted.
        blocks = [lay_out(part.text, max_messages=1)[0] for part in readable]
    parts = iter([Part(content=block.content, file=block.file) for block in blocks])
    return [next(parts) if part.text.strip() else Part(content=SUPERSEDED) for part in shown]
