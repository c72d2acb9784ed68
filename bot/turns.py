"""The kinds of turns: a question asked for the first time, its reply made anew, its reply going on.

Owns: what each asks the model and what each keeps. Does not own: when, in which order, or what people see
(`answering.py`).
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime

from api.contract import ChatMessage
from bot.dialogue import Asker, Dialogue, Request, Venue
from bot.errors import ForgottenMeanwhileError, NoLongerAppliesError
from bot.live import ShownPart
from bot.speakers import spoken
from storage.conversations import NewMessage
from storage.errors import AuthorForgottenError
from storage.posted import PostedReply


async def _about_nothing() -> NewMessage | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What somebody says to the bot; `text` is clean, with attachments in it.

    `start` is what the conversation begins with while it is empty: the message a thread was made from. `find_quote`
    finds the message it is about, to stand right before it; it is called when the turn has come, because that depends
    on what the conversation ends with then. It may raise a `RefusedError` or `StorageError`.
    """

    text: str
    start: NewMessage | None = None
    find_quote: Callable[[], Awaitable[NewMessage | None]] = _about_nothing


class Turn(ABC):
    """One request to the model and what becomes of its reply.

    `question_message_id` is the Discord message that asks; None for a command.
    """

    def __init__(self, dialogue: Dialogue, venue: Venue, asker: Asker, *, question_message_id: int | None) -> None:
        self.dialogue = dialogue
        self.venue = venue
        self.asker = asker
        self.question_message_id = question_message_id

    @property
    def owner_id(self) -> int:
        """Return whose reply it is: who may press its buttons."""
        return self.asker.user_id

    @abstractmethod
    async def prepare(self) -> None:
        """Read what belongs to the question while it waits in line. Raises a `RefusedError` or `StorageError`."""

    @abstractmethod
    async def request(self) -> Request:
        """Make the request, once the turn has come. Raises a `RefusedError` or `StorageError`."""

    @abstractmethod
    async def keep(self, text: str, *, is_cut: bool) -> int:
        """Keep the whole reply; returns its id. Raises a `RefusedError` when it is not wanted any more."""


class NewTurn(Turn):
    """A question and the first reply to it, kept together with what comes before them, or not at all."""

    def __init__(
        self,
        dialogue: Dialogue,
        venue: Venue,
        asker: Asker,
        *,
        prepare: Callable[[], Awaitable[Question]],
        question_message_id: int | None = None,
    ) -> None:
        super().__init__(dialogue, venue, asker, question_message_id=question_message_id)
        self._prepare = prepare
        self._epoch = dialogue.forgetting.epoch(asker.user_id)
        self._question = Question(text="")
        self._before: list[tuple[NewMessage, int]] = []
        self._computed_name: str | None = None
        self._marks: dict[int, datetime | None] = {}

    async def prepare(self) -> None:
        """Read the attachments and what a thread begins with."""
        await self._note_marks([self.asker.user_id])
        self._question = await self._prepare()

    async def request(self) -> Request:
        """Ask the question after everything that was said before."""
        self._before = [(message, self._epoch_of(message)) for message in await self._find_before()]
        await self._note_marks([message.author_id for message, _ in self._before if message.author_id is not None])
        said = [ChatMessage(role=message.role, content=message.content) for message, _ in self._before]
        request = await self.dialogue.request(
            self.venue, self.asker, [*said, ChatMessage(role="user", content=self._content())]
        )
        self._computed_name = request.conversation
        return request

    async def keep(self, text: str, *, is_cut: bool) -> int:
        """Add question and reply, unless the person had everything forgotten meanwhile, here or in another process."""
        if self.dialogue.forgetting.epoch(self.asker.user_id) != self._epoch:
            raise ForgottenMeanwhileError
        question = NewMessage(
            role="user",
            content=self._content(),
            author_id=self.asker.user_id,
            discord_message_id=self.question_message_id,
        )
        # Without the words of those who had everything forgotten meanwhile.
        before = [message for message, epoch in self._before if epoch == self._epoch_of(message)]
        try:
            ids = await self.dialogue.conversations.append_turn(
                self.venue.conversation_key,
                question,
                NewMessage(role="assistant", content=text),
                is_cut=is_cut,
                before=before,
                # What was computed holds those words, too.
                first_name=self._computed_name if len(before) == len(self._before) else None,
                marks=self._marks,
            )
        except AuthorForgottenError:
            raise ForgottenMeanwhileError from None
        return ids.reply_id

    async def _find_before(self) -> list[NewMessage]:
        start = self._question.start
        is_begun = start is None or await self.dialogue.conversations.count(self.venue.conversation_key)
        found = [None if is_begun else start, await self._question.find_quote()]
        return [message for message in found if message is not None]

    async def _note_marks(self, author_ids: Collection[int]) -> None:
        new = set(author_ids) - self._marks.keys()
        if new:
            self._marks |= await self.dialogue.conversations.marks(new)

    def _epoch_of(self, message: NewMessage) -> int:
        return 0 if message.author_id is None else self.dialogue.forgetting.epoch(message.author_id)

    def _content(self) -> str:
        return spoken(self.asker.speaker, self._question.text)


class RevisedTurn(Turn):
    """Another go at the reply that stands last in a conversation; the present one stays until it is replaced.

    `posted` is the reply as it was found when somebody wanted that; `fits` has said that it can be done.
    """

    def __init__(
        self, dialogue: Dialogue, venue: Venue, asker: Asker, *, posted: PostedReply, question_message_id: int | None
    ) -> None:
        super().__init__(dialogue, venue, asker, question_message_id=question_message_id)
        self.posted = posted

    @classmethod
    def fits(cls, posted: PostedReply) -> bool:
        """Say whether it can be done: the reply is the last of its conversation, and its question still there."""
        return posted.is_last and posted.question_id is not None

    @property
    def owner_id(self) -> int:
        """Return who asked the question, whoever wants another go at it."""
        return self.posted.asker_id

    @property
    def message_id(self) -> int:
        """Return the Discord message that has the reply's buttons."""
        return self.posted.parts[-1].discord_message_id

    async def prepare(self) -> None:
        """Need nothing: the question is in the conversation."""

    async def keep(self, text: str, *, is_cut: bool) -> int:
        """Put the new text in the place of the old one."""
        if not await self.dialogue.conversations.replace_reply(self.posted.reply_id, text, is_cut=is_cut):
            raise NoLongerAppliesError
        return self.posted.reply_id

    async def _require_fit(self) -> None:
        """Raise `NoLongerAppliesError` when something has come between since."""
        posted = await self.dialogue.conversations.find_posted(self.message_id)
        if posted is None or not self.fits(posted):
            raise NoLongerAppliesError


class RegeneratedTurn(RevisedTurn):
    """The reply made anew: the same question, nothing of the old reply, another seed."""

    async def request(self) -> Request:
        """Ask everything up to and with the question."""
        await self._require_fit()
        request = await self.dialogue.request(self.venue, self.asker, [], until_id=self.posted.reply_id)
        return replace(request, options=request.options.model_copy(update={"seed": 0}))


class ContinuedTurn(RevisedTurn):
    """The reply that stopped at its length limit going on where it stopped."""

    @classmethod
    def fits(cls, posted: PostedReply) -> bool:
        """Say whether there is more to come, too."""
        return super().fits(posted) and posted.is_cut

    async def request(self) -> Request:
        """Ask for the rest: a last message by the assistant is continued."""
        await self._require_fit()
        rest = [ChatMessage(role="assistant", content=self.posted.text)]
        request = await self.dialogue.request(self.venue, self.asker, rest, until_id=self.posted.reply_id)
        return replace(request, prefix=self.posted.text)


def shown_parts(posted: PostedReply) -> list[ShownPart]:
    """Return which text stands in which Discord message of a reply; the last one holds the rest."""
    shown, at = [], 0
    for part in posted.parts:
        end = len(posted.text) if part is posted.parts[-1] else at + part.characters
        shown.append(ShownPart(message_id=part.discord_message_id, text=posted.text[at:end]))
        at = end
    return shown
