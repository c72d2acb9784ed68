"""The message that a question replies to, where the conversation does not end with it anyway.

Owns: finding it, as far as Discord lets the bot read it, and shortening it. Does not own: the question's own words
(`message_text.py`).
"""

from dataclasses import dataclass

import discord

from bot.graphemes import is_boundary
from bot.message_text import text_of
from bot.speakers import spoken
from storage.conversations import Conversations, NewMessage
from storage.posted import PostedReply

MAX_QUOTE_CHARACTERS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a question replies to: at most 1,000 characters of it, and a display name as Discord has it.

    `message_id` is Discord's id of the message; `author_id` is None where the bot itself spoke.
    """

    speaker: str
    text: str
    author_id: int | None
    message_id: int

    def as_message(self) -> NewMessage:
        """Return it as a message of the conversation, to stand right before the question.

        Kept so, and not inside the question, it goes when its author is to be forgotten, and follows edits and
        deletions in Discord, as every other copy does.
        """
        return NewMessage(
            role="user",
            content=spoken(self.speaker, _as_quotation(self.text)),
            author_id=self.author_id,
            discord_message_id=self.message_id,
        )


async def quoted(message: discord.Message, conversations: Conversations, *, key: str) -> Quote | None:
    """Return what a message replies to; None where it replies to nothing, or the conversation ends with that anyway.

    A reply of the bot is looked up; of a long one, the part that stands in the message replied to. Other messages are
    taken from what Discord sent along: None where that is deleted or hidden. Raises `StorageError`.
    """
    reference = message.reference
    if message.type is not discord.MessageType.reply or reference is None or reference.message_id is None:
        return None
    original = reference.resolved
    if isinstance(original, discord.DeletedReferencedMessage):
        return None
    me = _own_user(message)
    posted = await conversations.find_posted(reference.message_id)
    if posted is not None:
        if posted.is_last and posted.conversation_key == key:
            return None
        speaker = me if original is None else original.author
        name = "" if speaker is None else speaker.display_name
        text = _said_there(posted, reference.message_id)
        return _quote(name, text, author_id=None, message_id=reference.message_id)
    if original is None or await _is_last(conversations, key, original.id):
        return None
    author_id = None if me is not None and original.author.id == me.id else original.author.id
    return _quote(original.author.display_name, text_of(original), author_id=author_id, message_id=original.id)


def shortened(text: str, limit: int) -> str:
    """Return a text of at most `limit` characters: whole, or cut between two characters and with an ellipsis."""
    if len(text) <= limit:
        return text
    end = next((end for end in range(limit - 1, 0, -1) if is_boundary(text, end)), limit - 1)
    return f"{text[:end].rstrip()}…"


def _own_user(message: discord.Message) -> discord.Member | discord.ClientUser | None:
    """Return the bot as it stands where a message was written; None where that is not known."""
    if message.guild is not None:
        return message.guild.me
    return message.channel.me if isinstance(message.channel, discord.DMChannel) else None


def _quote(speaker: str, text: str, *, author_id: int | None, message_id: int) -> Quote | None:
    if not text.strip():
        return None
    short = shortened(text.strip(), MAX_QUOTE_CHARACTERS)
    return Quote(speaker=speaker, text=short, author_id=author_id, message_id=message_id)


def _said_there(posted: PostedReply, message_id: int) -> str:
    """Return a whole reply, or of a long one the part that stands in one message; the last has everything left."""
    if len(posted.text) <= MAX_QUOTE_CHARACTERS:
        return posted.text
    start = 0
    for part in posted.parts[:-1]:
        end = start + part.characters
        if part.discord_message_id == message_id:
            return posted.text[start:end]
        start = end
    return posted.text[start:]


async def _is_last(conversations: Conversations, key: str, message_id: int) -> bool:
    count = await conversations.count(key)
    last = await conversations.read(key, skip=count - 1) if count else []
    return bool(last) and last[-1].discord_message_id == message_id


def _as_quotation(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))
