"""One turn of a conversation: what was said so far, the question, the model's reply, both kept together.

Owns: conversation keys and the order of a turn. Does not own: waiting in line (`lanes.py`), or how a reply reaches
people (`delivery.py`).
"""

from dataclasses import dataclass

from api.contract import ChatMessage, SamplingFields
from bot.api_client import Answer, ApiClient
from bot.errors import EmptyReplyError
from bot.speakers import spoken
from bot.window import fit
from storage.conversations import Conversations, NewMessage

REPLY_TOKENS = 512
"""LLM tokens of a reply at most: about 2,000 characters, one message of Discord's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What somebody said to the bot: `text` is clean, `speaker` a display name as Discord has it.

    `tenant` is whom the call is charged to; `message_id` Discord's id of the message, None for a command.
    """

    conversation_key: str
    tenant: str
    author_id: int
    speaker: str
    text: str
    message_id: int | None = None


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
    """The bot's conversations with the model."""

    def __init__(
        self,
        api: ApiClient,
        conversations: Conversations,
        *,
        system_prompt: str,
        context_tokens: int,
        max_body_bytes: int,
    ) -> None:
        self._api = api
        self._conversations = conversations
        self._system = ChatMessage(role="system", content=system_prompt)
        self._options = SamplingFields(num_predict=REPLY_TOKENS, num_ctx=context_tokens)
        self._max_body_bytes = max_body_bytes

    async def answer(self, question: Question) -> Answer:
        """Ask the model and keep question and reply, in one transaction, before anybody reads the reply.

        A question that got no reply leaves no trace. Raises a `RefusedError`, or `StorageError`.
        """
        asked = ChatMessage(role="user", content=spoken(question.speaker, question.text))
        stored = await self._conversations.read(question.conversation_key)
        messages = fit(self._system, stored, asked, max_body_bytes=self._max_body_bytes)
        answer = await self._api.reply(messages, tenant=question.tenant, options=self._options)
        if not answer.text.strip():
            raise EmptyReplyError
        await self._conversations.append(
            question.conversation_key,
            NewMessage(
                role="user",
                content=asked.content,
                author_id=question.author_id,
                discord_message_id=question.message_id,
            ),
            NewMessage(role="assistant", content=answer.text),
        )
        return answer

    async def forget(self, conversation_key: str) -> int:
        """Forget a conversation; returns how many messages it had."""
        return await self._conversations.clear(conversation_key)
