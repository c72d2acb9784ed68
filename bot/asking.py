"""What a question is made of, as Discord tells it: who asks, where, the words with what belongs to them.

Owns: turning Discord's objects into the plain values of `turns.py` and `dialogue.py`. Does not own: reading
attachments, quotes and thread starts (modules of those names), or answering.
"""

from collections.abc import Sequence
from typing import Any

import discord

from bot.attachments import joined, read_attachments
from bot.dialogue import Asker, Venue, channel_key, private_key
from bot.errors import LeakedTokenError, NotAQuestionError
from bot.leaks import Leaks
from bot.mentions import mention_names
from bot.quoting import Quote, quoted
from bot.speakers import clean_text, name_mentions
from bot.thread_start import thread_start
from bot.turns import Question
from storage.conversations import Conversations, NewMessage


def asker_of(user: discord.User | discord.Member) -> Asker:
    """Return who asks; a member of a server brings its roles."""
    if not isinstance(user, discord.Member):
        return Asker(user_id=user.id, speaker=user.display_name, guild_id=None)
    roles = tuple(role.id for role in user.roles)
    return Asker(user_id=user.id, speaker=user.display_name, guild_id=user.guild.id, role_ids=roles)


def venue_of(channel: object, conversation_key: str) -> Venue:
    """Return where a conversation takes place; `channel` is what Discord said of it."""
    return Venue(
        conversation_key=conversation_key,
        channel_id=_id_of(channel),
        parent_id=channel.parent_id if isinstance(channel, discord.Thread) else None,
    )


def shared_venue(channel: object) -> Venue:
    """Return the conversation that everybody in a channel shares."""
    return venue_of(channel, channel_key(_id_of(channel)))


def private_venue(channel: object, user_id: int) -> Venue:
    """Return a person's own conversation in a channel."""
    return venue_of(channel, private_key(_id_of(channel), user_id))


def _id_of(channel: object) -> int:
    channel_id = getattr(channel, "id", None)
    assert isinstance(channel_id, int), "Discord says where a command or message comes from"
    return channel_id


def said_in_command(text: str, guild: discord.Guild | None) -> str:
    """Return the words of a command or form, clean, with names in the place of mentions."""
    return clean_text(name_mentions(text, mention_names(guild)))


class Questions:
    """Puts questions together. `max_attachment_bytes` of text files may join one."""

    def __init__(self, conversations: Conversations, leaks: Leaks, *, max_attachment_bytes: int) -> None:
        self._conversations = conversations
        self._leaks = leaks
        self._max_attachment_bytes = max_attachment_bytes

    async def of_message(self, message: discord.Message, text: str, venue: Venue) -> Question:
        """Put together what a message says, with its attachments and what it replies to.

        Raises a `RefusedError`, or `StorageError`.
        """
        whole = await self._with_files(text, message.attachments)
        await self._require_no_token(whole, message.author, message.channel, message=message)

        async def find_quote() -> NewMessage | None:
            quote = await quoted(message, self._conversations, key=venue.conversation_key)
            if quote is None:
                return None
            await self._require_no_token(quote.text, message.author, message.channel)
            return quote.as_message()

        start = await thread_start(message.channel, self._conversations, asked_id=message.id)
        return Question(text=whole, start=start, find_quote=find_quote)

    async def of_command(
        self,
        text: str,
        files: Sequence[discord.Attachment],
        interaction: discord.Interaction[Any],
        *,
        quote: Quote | None = None,
    ) -> Question:
        """Put together what a command says. A `quote` is taken as it is. Raises a `RefusedError`, or `StorageError`."""
        user, channel = interaction.user, interaction.channel
        whole = await self._with_files(text, files)
        await self._require_no_token(whole, user, channel)

        async def find_quote() -> NewMessage | None:
            return None if quote is None else quote.as_message()

        start = await thread_start(channel, self._conversations)
        return Question(text=whole, start=start, find_quote=find_quote)

    async def _with_files(self, text: str, files: Sequence[discord.Attachment]) -> str:
        attached = await read_attachments(files, max_bytes=self._max_attachment_bytes)
        whole = joined(text, attached) if attached else text
        if not whole.strip():
            raise NotAQuestionError
        return whole

    async def _require_no_token(
        self, text: str, user: discord.abc.User, channel: object, *, message: discord.Message | None = None
    ) -> None:
        if await self._leaks.handle_text(text, user=user, channel=channel, message=message):
            raise LeakedTokenError
