"""The kinds of turns: a question asked for the first time, its reply made anew, its reply going on.

Owns: what each asks the model and what each keeps. Does not own: when, in which order, or what people see
(`answering.py`).
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from api.contract import ChatMessage
from bot.dialogue import Asker, Dialogue, Request, Venue
from bot.errors import ForgottenMeanwhileError, NoLongerAppliesError
from bot.live import ShownPart
from bot.speakers import spoken
from storage.conversations import NewMessage
from storage.posted import PostedReply


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What somebody says to the bot.

    `text` is clean, with attachments in it; `message_id` is Discord's id of the message, None for a command. `quote` is
    the message it is about, to stand right before it; `start` what the conversation begins with while it is empty: the
    message a thread was made from.
    """

    text: str
    message_id: int | None = None
    quote: NewMessage | None = None
    start: NewMessage | None = None


class Turn(ABC):
    """One request to the model and what becomes of its reply."""

    def __init__(self, dialogue: Dialogue, venue: Venue, asker: Asker) -> None:
        self.dialogue = dialogue
        self.venue = venue
        self.asker = asker
        self.prefix = ""

    @property
    def owner_id(self) -> int:
        """Return whose reply it is: who may press its buttons."""
        return self.asker.user_id

    @abstractmethod
    async def prepare(self) -> None:
        """Read what belongs to the question while it waits in line. Raises a `RefusedError`."""

    @abstractmethod
    async def request(self) -> Request:
        """Make the request, once the turn has come. Raises a `RefusedError` or `StorageError`."""

    @abstractmethod
    async def keep(self, text: str, *, is_cut: bool) -> int:
        """Keep the whole reply; returns its id. Raises a `RefusedError` when it is not wanted any more."""


class NewTurn(Turn):
    """A question and the first reply to it, kept together or not at all."""

    def __init__(
        self,
        dialogue: Dialogue,
        venue: Venue,
        asker: Asker,
        *,
        prepare: Callable[[], Awaitable[Question]],
    ) -> None:
        super().__init__(dialogue, venue, asker)
        self._prepare = prepare
        self._epoch = dialogue.forgetting.epoch(asker.user_id)
        self._quoted_epoch = 0
        self._question = Question(text="")

    async def prepare(self) -> None:
        """Read the attachments and what it replies to."""
        self._question = await self._prepare()
        self._quoted_epoch = self._quoted_author_epoch()

    async def request(self) -> Request:
        """Ask the question after everything that was said before."""
        start = self._question.start
        if start is not None and not await self.dialogue.conversations.count(self.venue.conversation_key):
            await self.dialogue.conversations.append(self.venue.conversation_key, start)
        said = [message.content for message in self._before()]
        asked = [ChatMessage(role="user", content=content) for content in (*said, self._content())]
        return await self.dialogue.request(self.venue, self.asker, asked)

    async def keep(self, text: str, *, is_cut: bool) -> int:
        """Add question and reply, unless the person had everything forgotten meanwhile."""
        if self.dialogue.forgetting.epoch(self.asker.user_id) != self._epoch:
            raise ForgottenMeanwhileError
        question = NewMessage(
            role="user",
            content=self._content(),
            author_id=self.asker.user_id,
            discord_message_id=self._question.message_id,
        )
        reply = NewMessage(role="assistant", content=text)
        ids = await self.dialogue.conversations.append_turn(
            self.venue.conversation_key, question, reply, is_cut=is_cut, before=self._before()
        )
        return ids.reply_id

    def _before(self) -> list[NewMessage]:
        """Return what the question is about, unless its author had everything forgotten meanwhile."""
        quote = self._question.quote
        return [] if quote is None or self._quoted_author_epoch() != self._quoted_epoch else [quote]

    def _quoted_author_epoch(self) -> int:
        quote = self._question.quote
        return 0 if quote is None or quote.author_id is None else self.dialogue.forgetting.epoch(quote.author_id)

    def _content(self) -> str:
        return spoken(self.asker.speaker, self._question.text)


class RevisedTurn(Turn):
    """Another go at the reply that stands last in a conversation; the present one stays until it is replaced."""

    def __init__(self, dialogue: Dialogue, venue: Venue, asker: Asker, *, message_id: int) -> None:
        super().__init__(dialogue, venue, asker)
        self._message_id = message_id
        self._reply_id = 0
        self._owner_id = asker.user_id
        self.was_cut = False

    @property
    def owner_id(self) -> int:
        """Return who asked the question, whoever wants another go at it."""
        return self._owner_id

    async def prepare(self) -> None:
        """Need nothing: the question is in the conversation."""

    async def posted(self) -> PostedReply:
        """Return the reply as it stands now. Raises `NoLongerAppliesError` when it is gone or no longer the last."""
        posted = await self.dialogue.conversations.find_posted(self._message_id)
        if posted is None or not posted.is_last or posted.question_id is None:
            raise NoLongerAppliesError
        self._reply_id, self._owner_id = posted.reply_id, posted.asker_id
        self.was_cut = posted.is_cut
        return posted

    async def keep(self, text: str, *, is_cut: bool) -> int:
        """Put the new text in the place of the old one.

        Its Discord messages are let go until they show the new text: one that is deleted meanwhile, as surplus, must
        not take its part out of it.
        """
        if not await self.dialogue.conversations.replace_reply(self._reply_id, text, is_cut=is_cut):
            raise NoLongerAppliesError
        await self.dialogue.conversations.link(self._reply_id, [], asker_id=self._owner_id)
        return self._reply_id


class RegeneratedTurn(RevisedTurn):
    """The reply made anew: the same question, nothing of the old reply, another seed."""

    async def request(self) -> Request:
        """Ask everything up to and with the question."""
        posted = await self.posted()
        request = await self.dialogue.request(self.venue, self.asker, [], until_id=posted.reply_id)
        return replace(request, options=request.options.model_copy(update={"seed": 0}))


class ContinuedTurn(RevisedTurn):
    """The reply that stopped at its length limit going on where it stopped."""

    async def request(self) -> Request:
        """Ask for the rest: a last message by the assistant is continued."""
        posted = await self.posted()
        if not posted.is_cut:
            raise NoLongerAppliesError
        self.prefix = posted.text
        rest = [ChatMessage(role="assistant", content=posted.text)]
        return await self.dialogue.request(self.venue, self.asker, rest, until_id=posted.reply_id)


def shown_parts(posted: PostedReply) -> list[ShownPart]:
    """Return which text stands in which Discord message of a reply; the last one holds the rest."""
    shown, at = [], 0
    for part in posted.parts:
        end = len(posted.text) if part is posted.parts[-1] else at + part.characters
        shown.append(ShownPart(message_id=part.discord_message_id, text=posted.text[at:end]))
        at = end
    return shown
