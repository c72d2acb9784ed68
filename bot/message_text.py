"""The words of a Discord message as a conversation keeps them: asked, edited, replied to or begun with.

One place, so that an edited question reads as if it had been asked that way. Does not own: the cleaning itself
(`speakers.py`), the names behind mentions (`mentions.py`), or files (`attachments.py`).
"""

import discord

from bot.mentions import mention_names
from bot.speakers import clean_text, name_mentions, without_mention


def text_of(message: discord.Message, *, bot_id: int | None = None) -> str:
    """Return what a message says: without the bot's own mention where `bot_id` is given, others by their names.

    The first message of a forum post has the post's title above it. Empty where there is nothing readable, or where
    Discord keeps the text from the bot: https://discord.com/developers/docs/events/gateway#message-content-intent
    """
    said = message.content if bot_id is None else without_mention(message.content, bot_id)
    text = clean_text(name_mentions(said, mention_names(message.guild, mentioned=message.mentions)))
    return "\n\n".join(part for part in (_title(message), text) if part)


def _title(message: discord.Message) -> str:
    """Return the title of the forum post that a message opens; both have the same id.

    Source: https://discord.com/developers/docs/topics/threads#forums
    """
    channel = message.channel
    if not isinstance(channel, discord.Thread) or channel.id != message.id:
        return ""
    return clean_text(channel.name) if isinstance(channel.parent, discord.ForumChannel) else ""
