"""Conversations with the model: what was said so far and what is asked, sent as one request; turns kept whole.

Owns: conversation keys, who pays, what a request is made of. Does not own: waiting in line (`lanes.py`), the kinds of
turns (`turns.py`), or how a reply reaches people (`live.py`).
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from api.contract import ChatMessage, SamplingFields
from bot.api_client import Answer, ApiClient, Begun, Queued, Text
from bot.forgetting import Forgetting
from bot.profiles import Profiles
from bot.window import count_to_skip, fit
from storage.computed import new_name
from storage.conversations import Conversations
from storage.posted import PostedReply

REPLY_TOKENS = 512
"""LLM tokens of a reply at most, where a channel sets nothing: about 2,000 characters, one message of Discord's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks: `guild_id` is None in a DM, `role_ids` the person's roles in the server, `speaker` a display name."""

    user_id: int
    speaker: str
    guild_id: int | None
    role_ids: tuple[int, ...] = ()

    @property
    def tenant(self) -> str:
        """Return whom Discord use is charged to: the server, or the person in a DM."""
        return tenant_of(self.guild_id, self.user_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """Where a conversation takes place: its key, its channel and, for a thread, the thread's parent."""

    conversation_key: str
    channel_id: int
    parent_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request to the model, charged to `tenant` for `person`.

    `dropped` leading messages of the conversation are not in it; `prefix` is what the reply goes on from.
    `conversation` is the name for what is computed for it; a new one is to be kept with the first turn.
    """

    messages: list[ChatMessage]
    tenant: str
    person: int
    options: SamplingFields
    model: str | None
    dropped: int
    conversation: str
    prefix: str = ""


def channel_key(channel_id: int) -> str:
    """Return the key of the conversation everybody in a channel, thread or DM shares."""
    return f"channel:{channel_id}"


def private_key(channel_id: int, user_id: int) -> str:
    """Return the key of one person's own conversation in a channel."""
    return f"private:{channel_id}:{user_id}"


def tenant_of(guild_id: int | None, user_id: int) -> str:
    """Return whom Discord use is charged to: the server, or the person in a DM."""
    return f"discord:{guild_id}" if guild_id is not None else f"discord:dm:{user_id}"


class Dialogue:
    """The bot's conversations with the model. `context_tokens` of one may be read, `max_body_bytes` sent."""

    def __init__(
        self,
        api: ApiClient,
        conversations: Conversations,
        profiles: Profiles,
        forgetting: Forgetting,
        *,
        context_tokens: int,
        max_body_bytes: int,
    ) -> None:
        self._api = api
        self._profiles = profiles
        self._defaults = {"num_predict": REPLY_TOKENS, "num_ctx": context_tokens}
        self._max_body_bytes = max_body_bytes
        self.conversations = conversations
        self.forgetting = forgetting

    async def request(
        self, venue: Venue, asker: Asker, asked: Sequence[ChatMessage], *, until_id: int | None = None
    ) -> Request:
        """Make a request of the conversation as it stands, then `asked`.

        `until_id` leaves out the stored message of that id and what follows it. Raises `StorageError`.
        """
        profile = await self._profiles.of(venue.channel_id, venue.parent_id)
        skipped = count_to_skip(await self.conversations.count(venue.conversation_key), len(asked))
        stored = await self.conversations.read(venue.conversation_key, skip=skipped)
        window = fit(
            ChatMessage(role="system", content=profile.system_prompt),
            [message for message in stored if until_id is None or message.id < until_id],
            asked,
            skipped=skipped,
            max_body_bytes=self._max_body_bytes,
        )
        return Request(
            messages=window.messages,
            tenant=asker.tenant,
            person=asker.user_id,
            options=SamplingFields(**{**self._defaults, **profile.options.model_dump(exclude_unset=True)}),
            model=profile.model,
            dropped=window.dropped,
            conversation=await self.conversations.computed_name(venue.conversation_key) or new_name(),
        )

    def stream(self, request: Request) -> AsyncGenerator[Queued | Begun | Text | Answer, None]:
        """Ask the model; see `ApiClient.stream`. Hold it in `contextlib.aclosing`."""
        return self._api.stream(
            request.messages,
            tenant=request.tenant,
            person=request.person,
            options=request.options,
            model=request.model,
            conversation=request.conversation,
        )

    async def question_message_id(self, posted: PostedReply) -> int | None:
        """Return the Discord message that a reply answers; None for a command. Raises `StorageError`."""
        stored = await self.conversations.read(posted.conversation_key)
        return next((message.discord_message_id for message in stored if message.id == posted.question_id), None)
