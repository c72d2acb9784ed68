"""The straight line from a question to its reply: take a place, show life, wait, ask, grow, keep; or say why not.

Owns: that order, and that every refusal and fault ends in a sentence or, where nobody can be told, in a log line. Does
not own: what is asked and kept (`turns.py`), or how text reaches people (`live.py`, `screens.py`).
"""

import logging
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic

import discord

from bot.api_client import Answer, Begun, Queued, Text
from bot.buttons import after_view, running_view
from bot.dialogue import Dialogue
from bot.dropping import DroppedNotes
from bot.errors import (
    EmptyReplyError,
    NoLongerAppliesError,
    RefusedError,
    ServiceRefusedTokenError,
    StoppedError,
    UnexpectedError,
    WithdrawnError,
)
from bot.faults import describe, log_fault
from bot.lanes import Lanes, Place
from bot.live import LiveReply
from bot.pacing import Pacer
from bot.person_limits import PersonCall, PersonCalls
from bot.retiring import Retiring
from bot.running import Running, RunningReplies
from bot.screens import NETWORK_ERRORS, Part, Screen
from bot.texts import conversations as words
from bot.texts.replies import in_line
from bot.turns import NewTurn, RevisedTurn, Turn, shown_parts

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Draft:
    """A reply as far as it has come.

    `prefix` is what it goes on from; `dropped` leading messages of the conversation were not read for it; `is_cut` says
    that it stopped at the length limit.
    """

    prefix: str
    dropped: int
    text: str = ""
    is_cut: bool = False

    @property
    def is_blank(self) -> bool:
        """Say whether nothing readable has come yet."""
        return not self.text[len(self.prefix) :].strip()


class Answering:
    """Answers questions, one at a time per conversation, in the order they were asked."""

    def __init__(
        self,
        dialogue: Dialogue,
        *,
        lanes: Lanes,
        pacer: Pacer,
        person_calls: PersonCalls,
        retiring: Retiring,
        max_messages: int,
    ) -> None:
        self._dialogue = dialogue
        self._lanes = lanes
        self._pacer = pacer
        self._person_calls = person_calls
        self._retiring = retiring
        self._max_messages = max_messages
        self._notes = DroppedNotes()
        self.running = RunningReplies()

    async def answer(self, turn: NewTurn, screen: Screen) -> None:
        """Answer a question. Raises nothing but a cancellation."""
        await self._run(turn, screen, LiveReply(screen, self._pacer, max_messages=self._max_messages))

    async def revise(self, turn: RevisedTurn, screen: Screen) -> None:
        """Make the last reply anew or let it go on, in its own messages. Raises nothing but a cancellation.

        Of two who want that at once the second one gets nothing: the reply can be seen to be at work.
        """
        if self.running.find(turn.message_id) is not None:
            return
        shown = shown_parts(turn.posted)
        await self._run(turn, screen, LiveReply(screen, self._pacer, max_messages=self._max_messages, shown=shown))

    async def _run(self, turn: Turn, screen: Screen, live: LiveReply) -> None:
        key = turn.venue.conversation_key

        def say_place(position: int) -> None:
            mean = self._lanes.mean_turn_seconds
            wait_seconds = None if mean is None else max(1, round(mean * position))
            live.say(in_line(position=position, wait_seconds=wait_seconds))

        try:
            # Taken before anything is awaited: the order of questions is the order of events.
            with self._lanes.place(key, on_move=say_place) as place:
                running = Running(
                    place=place,
                    asker_id=turn.owner_id,
                    channel_id=turn.venue.channel_id,
                    question_message_id=turn.question_message_id,
                    message_ids=lambda: live.message_ids,
                )
                with self.running.entry(running):
                    await self._reply(turn, live, running)
        except RefusedError as error:
            await self._tell(screen, error)
        except NETWORK_ERRORS as error:
            logger.warning("a reply in %s could not be posted: %s", key, describe(error))

    async def _reply(self, turn: Turn, live: LiveReply, running: Running) -> None:
        """Write a reply, or a refusal in its place; whoever is next in line begins when this is posted."""
        live.running_view = running_view()
        async with live:
            try:
                await self._write_and_keep(turn, live, running)
            except WithdrawnError:
                await live.withdraw()
            except RefusedError as error:
                _log_refusal(turn, error)
                await live.refuse(error.sentence(), view=_former_view(turn, error))
            except NETWORK_ERRORS:
                raise
            except Exception as error:  # noqa: BLE001 - the border: a person is waiting, whatever it was
                log_fault(logger, f"a question in {turn.venue.conversation_key}", error)
                await live.refuse(UnexpectedError().sentence(), view=_former_view(turn, error))

    async def _write_and_keep(self, turn: Turn, live: LiveReply, running: Running) -> None:
        asker, key = turn.asker, turn.venue.conversation_key
        async with running.place.interruptible():
            await turn.prepare()
            await running.place.reached()
        live.say("")
        async with self._person_calls.charged(
            guild_id=asker.guild_id, user_id=asker.user_id, role_ids=asker.role_ids
        ) as call:
            draft = await self._write(turn, live, running.place, call)
            running.is_written = True
            previous = await self._retiring.find(turn)
            reply_id = await turn.keep(draft.text, is_cut=draft.is_cut)
        parts = await live.finish(
            draft.text,
            view=after_view(can_continue=draft.is_cut),
            note=self._notes.note(key, dropped=draft.dropped),
        )
        await self._dialogue.conversations.link(reply_id, parts, asker_id=turn.owner_id)
        self._retiring.retire(previous)
        self._retiring.remember(key, live)

    async def _write(self, turn: Turn, live: LiveReply, place: Place, call: PersonCall) -> Draft:
        """Ask and let the reply grow. A stop keeps what has come; raises `StoppedError` if that is nothing."""
        started_at = monotonic()
        draft = Draft(prefix="", dropped=0)
        try:
            async with place.interruptible():
                request = await turn.request()
                draft = Draft(prefix=request.prefix, dropped=request.dropped, text=request.prefix)
                async with aclosing(self._dialogue.stream(request)) as events:
                    async for event in events:
                        call.is_waiting = isinstance(event, Queued)
                        _follow(event, draft, live)
        except StoppedError:
            if draft.is_blank:
                raise
        if not draft.text.strip():
            raise EmptyReplyError
        self._lanes.note_turn(started_at)
        return draft

    async def _tell(self, screen: Screen, error: RefusedError) -> None:
        """Say a refusal where nothing was shown yet."""
        logger.info("refused before anything was asked: %s", type(error).__name__)
        try:
            await screen.tell_asker(error.sentence())
        except NETWORK_ERRORS as failure:
            logger.warning("a sentence could not be posted: %s", describe(failure))

    async def forget(self, conversation_key: str, screen: Screen) -> None:
        """Forget a conversation once the questions asked before are answered, and say so.

        Raises `RefusedError` where it was refused before anything was shown.
        """
        with self._lanes.place(conversation_key) as place:
            await screen.begin()
            async with place.turn():
                previous = await self._dialogue.conversations.last_reply(conversation_key)
                forgotten = await self._dialogue.conversations.clear(conversation_key)
                await self._dialogue.forgetting.clean_up()
            self._retiring.retire(previous)
            self._notes.reset(conversation_key)
            await screen.send(Part(content=words.conversation_forgotten(messages=forgotten)))


def _follow(event: Queued | Begun | Text | Answer, draft: Draft, live: LiveReply) -> None:
    """Take in what the service says; raises `WithdrawnError` once somebody has deleted the growing message."""
    if live.is_gone:
        raise WithdrawnError
    match event:
        case Queued(position=position, wait_seconds=wait_seconds):
            live.say(in_line(position=position, wait_seconds=wait_seconds))
        case Text(text=text):
            draft.text += text
            live.write(draft.text)
        case Answer() as answer:
            draft.is_cut = answer.is_cut
            draft.dropped += answer.dropped_messages


def _former_view(turn: Turn, error: Exception) -> discord.ui.View | None:
    """Return the buttons that a reply has again which could not be made anew."""
    if not isinstance(turn, RevisedTurn) or isinstance(error, NoLongerAppliesError):
        return None
    return after_view(can_continue=turn.posted.is_cut)


def _log_refusal(turn: Turn, error: RefusedError) -> None:
    tenant = turn.asker.tenant
    if isinstance(error, ServiceRefusedTokenError):
        logger.error("the service refuses the bot's token; PARLEY_SERVICE_TOKEN must be the same on both sides")
    elif isinstance(error, UnexpectedError):
        logger.error("the service failed on a question of %s, request %s", tenant, error.request_id)
    else:
        logger.info("a question of %s was refused: %s", tenant, type(error).__name__)
