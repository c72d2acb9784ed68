"""A reply that people watch grow: its text so far is shown by edits, now and then; its last state whole and at once.

Owns: when something that stands in Discord is changed. Does not own: which changes those are (`standing.py`), which
messages a text becomes (`layout.py`), how often edits may be made (`pacing.py`), where they stand (`screens/`).
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import discord

from bot.faults import describe, log_fault
from bot.layout import Block, beginning, lay_out, lay_out_growing
from bot.pacing import MIN_SECONDS_BETWEEN_EDITS, Pacer
from bot.screens import NETWORK_ERRORS, MessageGoneError, Part, Screen
from bot.standing import Change, ShownPart, Standing
from storage.posted import PostedPart

__all__ = ["LiveReply", "ShownPart"]

logger = logging.getLogger(__name__)

CALM_SECONDS = 0.7
"""How long a first piece waits: a reply that is complete by then appears whole, without flicker."""

LINE_SECONDS = 2.5
"""How long a line waits before it is shown; most waits are shorter."""

FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS = 1.0, 16.0
"""How long a change on the way waits when one has failed; each further failure doubles it."""

LAST_CHANGE_SECONDS = 2.0
"""How long a change under way is given when the reply is broken off."""

_NEVER = float("inf")

_SMALL = "-# "
"""Begins a line in small type: https://support.discord.com/hc/en-us/articles/210298617"""


class LiveReply:
    """One reply on a screen. Use as an async context manager; it leaves no task behind.

    `shown` are the messages of an earlier reply that this one takes over. Set `running_view` before the block: the
    message that grows carries it. `gone` is set when somebody has deleted that message, or nothing can be shown there
    any more: whoever writes may as well stop.
    """

    def __init__(self, screen: Screen, pacer: Pacer, *, max_messages: int, shown: Sequence[ShownPart] = ()) -> None:
        self.running_view: discord.ui.View | None = None
        self.gone = asyncio.Event()
        self._screen = screen
        self._pacer = pacer
        self._max_messages = max_messages
        self._standing = Standing(screen, shown)
        self._takes_over = bool(shown)
        self._text, self._line = "", ""
        self._laid_out: tuple[str, list[str]] = ("", [])
        # From when on what is shown, on the event loop's clock.
        self._text_at = self._line_at = self._old_at = _NEVER
        self._may_edit_at = 0.0
        self._is_text_shown = False
        self._news = asyncio.Event()
        self._painter: asyncio.Task[None] | None = None
        self._change: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Show a sign of life and begin to show what is written."""
        try:
            await self._screen.begin()
        except BaseException:
            await self._screen.end()
            raise
        self._old_at = _now() + CALM_SECONDS
        self._painter = asyncio.create_task(self._paint())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop showing. Messages that the finished reply needs no longer are deleted now."""
        try:
            await self._end()
            if error is None:
                await self._standing.delete_surplus()
        finally:
            await self._screen.end()

    @property
    def is_gone(self) -> bool:
        """Say whether `gone` is set."""
        return self.gone.is_set()

    @property
    def message_ids(self) -> tuple[int, ...]:
        """Return the Discord messages the reply stands in so far, those taken over included."""
        return self._standing.message_ids

    def say(self, sentence: str) -> None:
        """Show a line in place of the reply, or below one that was taken over, while nothing of the reply has come.

        It is shown when it is still true after `LINE_SECONDS` and kept up to date then; an empty one is shown no more.
        """
        if sentence and self._line_at == _NEVER:
            self._line_at = _now() + LINE_SECONDS
        self._line = sentence
        self._news.set()

    def write(self, text: str) -> None:
        """Show the whole text so far, soon: the latest wins. Returns at once; a blank text shows nothing."""
        if not text.strip():
            return
        if self._text_at == _NEVER:
            self._text_at = _now() + CALM_SECONDS
        self._text = text
        self._news.set()

    async def finish(self, text: str, *, view: discord.ui.View | None, note: str = "") -> tuple[PostedPart, ...]:
        """Show the whole text with its last buttons, and `note` as a small line below; returns what stands where.

        The characters of what is returned add up to the text's, unless somebody deleted a part meanwhile: then nothing
        is sent below it. What failed is tried once more; then it raises one of `NETWORK_ERRORS`.
        """
        if not text.strip() and not note:
            raise ValueError("text: there is nothing to show; use refuse")
        await self._stop_painting()
        line = f"{_SMALL}{note}" if note else ""
        blocks = lay_out(text, max_messages=self._max_messages, note=line)
        if self.is_gone:
            return self._standing.posted(blocks)
        try:
            await self._settle(blocks, view)
        except discord.Forbidden:
            if all(block.file is None for block in blocks):
                raise
            # Files are not allowed there; the whole text is wanted all the same.
            blocks = lay_out(text, note=line)
            await self._settle(blocks, view)
        return self._standing.posted(blocks)

    async def refuse(self, sentence: str, *, view: discord.ui.View | None = None) -> None:
        """Show a sentence in place of the reply.

        Where text stands already it stays, without buttons, and the asker is told; messages that were taken over show
        again what they did, with the buttons of `view` if they had lost theirs. Raises one of `NETWORK_ERRORS`.
        """
        if self._painter is None:
            await self._screen.tell_asker(sentence)
            return
        await self._stop_painting()
        if not self._takes_over and not self._is_text_shown:
            await self._standing.settle([Part(content=sentence)])
            if not self._standing.is_gone:
                return
        else:
            await self._leave(view)
        await self._screen.tell_asker(sentence)

    async def withdraw(self) -> None:
        """Take everything of the reply away; messages that were taken over show again what they did."""
        await self._stop_painting()
        with _logged("a reply that was withdrawn"):
            if self._takes_over:
                await self._standing.put_back(view=None)
            else:
                await self._standing.clear()

    async def take_view_away(self) -> None:
        """Take the buttons away from the finished reply, when the pacer has a turn. Raises one of `NETWORK_ERRORS`."""
        await self._pacer.turn_to_edit(self._screen.pacing_key)
        await self._standing.take_buttons_away()

    async def _leave(self, view: discord.ui.View | None) -> None:
        with _logged("what stands of a refused reply"):
            if self._takes_over:
                await self._standing.put_back(view=view)
            else:
                await self._standing.take_buttons_away()

    async def _settle(self, blocks: Sequence[Block], view: discord.ui.View | None) -> None:
        views = [None] * (len(blocks) - 1) + [view]
        parts = [
            Part(content=block.content, view=each, file=block.file) for block, each in zip(blocks, views, strict=True)
        ]
        await self._standing.settle(parts)
        if self._standing.is_gone:
            self.gone.set()

    # What is shown on the way --------------------------------------------------------------------------------------

    async def _paint(self) -> None:
        """Show what is written until cancelled."""
        try:
            await self._paint_on()
        except Exception as error:  # noqa: BLE001 - the end of the reply is still to be shown, whatever it was
            log_fault(logger, "showing a reply on its way", error)

    async def _paint_on(self) -> None:
        retry_seconds = FIRST_RETRY_SECONDS
        while not self.is_gone:
            self._news.clear()
            change = self._next_change()
            if change is None:
                await self._wait_for_news()
                continue
            if not change.is_new:
                await _sleep_until(self._may_edit_at)
                await self._pacer.turn_to_edit(self._screen.pacing_key)
                # Meanwhile more has come.
                change = self._next_change()
            if change is None or await self._make(change):
                retry_seconds = FIRST_RETRY_SECONDS
                continue
            await asyncio.sleep(retry_seconds)
            retry_seconds = min(2 * retry_seconds, MAX_RETRY_SECONDS)

    def _next_change(self) -> Change | None:
        wanted = self._wanted()
        return None if wanted is None else self._standing.first_change(wanted)

    def _wanted(self) -> list[Part] | None:
        """Return what is to stand right now; None where whatever stands may stay."""
        now = _now()
        if now >= self._text_at:
            return self._growing()
        line = self._line if now >= self._line_at else ""
        if self._takes_over and now >= self._old_at:
            return self._standing.old_parts(view=self.running_view, note=f"{_SMALL}{line}" if line else "")
        return [Part(content=line, view=self.running_view)] if line and not self._takes_over else None

    def _growing(self) -> list[Part]:
        # Laid out anew only when that can change something: text may come in hundreds of pieces per second.
        text = beginning(self._text, max_messages=self._max_messages)
        if self._laid_out[0] != text:
            self._laid_out = (text, lay_out_growing(text, max_messages=self._max_messages))
        *full, growing = self._laid_out[1]
        return [Part(content=content) for content in full] + [Part(content=growing, view=self.running_view)]

    async def _wait_for_news(self) -> None:
        """Wait until something was written, or what was written is to be shown."""
        now = _now()
        moments = [moment for moment in (self._text_at, self._line_at, self._old_at) if moment > now]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(min(moments, default=None)):
                await self._news.wait()

    async def _make(self, change: Change) -> bool:
        """Make a change; says whether it came through. One that was begun is never broken off half-way."""
        self._is_text_shown = self._is_text_shown or _now() >= self._text_at
        self._change = asyncio.create_task(self._standing.make(change))
        self._change.add_done_callback(_take_note)
        try:
            await asyncio.shield(self._change)
        except (MessageGoneError, discord.Forbidden, discord.NotFound) as error:
            logger.info("a reply on its way can be shown no more: %s", describe(error))
            self.gone.set()
        except NETWORK_ERRORS as error:
            logger.info("a reply on its way was not shown: %s", describe(error))
            return False
        if change.is_new:
            self._may_edit_at = _now() + MIN_SECONDS_BETWEEN_EDITS
        return True

    async def _stop_painting(self) -> None:
        """End the painter and let its last change end: a later one must not overtake it."""
        await _cancelled(self._painter)
        if self._change is not None:
            await asyncio.wait([self._change])
        if self._standing.is_gone:
            self.gone.set()

    async def _end(self) -> None:
        """Leave no task behind, also where the reply was broken off."""
        await _cancelled(self._painter)
        if self._change is not None and not self._change.done():
            # discord.py, cancelled while it waits out a global limit, never sends anything again.
            await asyncio.wait([self._change], timeout=LAST_CHANGE_SECONDS)
        await _cancelled(self._change)


@contextmanager
def _logged(what: str) -> Iterator[None]:
    """Let Discord's errors be a log line."""
    try:
        yield
    except NETWORK_ERRORS as error:
        logger.warning("%s stays as it is: %s", what, describe(error))


def _take_note(task: asyncio.Task[None]) -> None:
    """Look at how a change ended, in place of a painter that was cancelled meanwhile: `finish` makes it again."""
    if not task.cancelled():
        task.exception()


async def _cancelled(task: asyncio.Task[None] | None) -> None:
    if task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task])


async def _sleep_until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - _now()))


def _now() -> float:
    return asyncio.get_running_loop().time()
