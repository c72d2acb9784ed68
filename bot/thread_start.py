"""The message that a thread was made from, as the beginning of the thread's own conversation.

Owns: finding it, as far as Discord lets the bot read it. Does not own: when a conversation begins (`turns.py`).
"""

import logging

import discord

from bot.dialogue import channel_key
from bot.faults import describe
from bot.message_text import text_of
from bot.screens import NETWORK_ERRORS
from bot.speakers import spoken
from storage.conversations import Conversations, NewMessage

logger = logging.getLogger(__name__)


async def thread_start(
    channel: object, conversations: Conversations, *, asked_id: int | None = None
) -> NewMessage | None:
    """Return what the conversation of a thread begins with while it is empty; None where there is no such thing.

    A thread has the id of the message it was made from, a forum post that of its first message:
    https://discord.com/developers/docs/topics/threads. `asked_id` is the message that is a question itself, which may
    be that first message. One of the bot's own replies is looked up, anything else asked of Discord, which keeps the
    text of messages that do not mention the bot. Raises `StorageError`; what Discord refuses is logged.
    """
    if not isinstance(channel, discord.Thread) or channel.id == asked_id:
        return None
    if await conversations.count(channel_key(channel.id)):
        return None
    posted = await conversations.find_posted(channel.id)
    if posted is not None:
        return _said_by_me(posted.text, channel.id)
    message = channel.starter_message or await _fetch(channel)
    if message is None or message.is_system() or not message.content:
        return None
    me = channel.guild.me
    text = text_of(message, bot_id=me.id)
    if not text:
        return None
    if message.author.id == me.id:
        return _said_by_me(text, message.id)
    return NewMessage(
        role="user",
        content=spoken(message.author.display_name, text),
        author_id=message.author.id,
        discord_message_id=message.id,
    )


def _said_by_me(text: str, message_id: int) -> NewMessage:
    return NewMessage(role="assistant", content=text, discord_message_id=message_id)


async def _fetch(thread: discord.Thread) -> discord.Message | None:
    """Fetch the message with the thread's id: from the forum post itself, else from the parent channel.

    Nothing is asked that Discord would refuse: https://discord.com/developers/docs/topics/rate-limits#invalid-request-limit-aka-cloudflare-bans
    """
    parent = thread.parent
    if parent is None or not parent.permissions_for(thread.guild.me).read_message_history:
        return None
    place = thread if isinstance(parent, discord.ForumChannel) else parent
    try:
        return await place.fetch_message(thread.id)
    except discord.NotFound:
        # Made without a message, or that is gone.
        return None
    except NETWORK_ERRORS as error:
        logger.warning("the beginning of thread %s could not be read: %s", thread.id, describe(error))
        return None
