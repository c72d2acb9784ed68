"""Ordinary messages of the bot in a channel, and the screen that answers a message with them.

Owns: typing, and what the bot's own token can reach. Does not own: what an interaction's token can (`interactions.py`).
"""

import asyncio
import contextlib

import discord

from bot.pacing import channel_edits
from bot.screens.base import NETWORK_ERRORS, UNKNOWN_MESSAGE, MessageGoneError, Part, editing, sending

TYPING_SECONDS = 8.0
"""Discord shows typing for 10 s: https://discord.com/developers/docs/resources/channel#trigger-typing-indicator"""

TYPING_END_SECONDS = 0.5
"""How long a typing indicator on its way may hold a message up; Discord would show it after the message."""

PostingChannel = (
    discord.TextChannel
    | discord.VoiceChannel
    | discord.StageChannel
    | discord.Thread
    | discord.DMChannel
    | discord.PartialMessageable
)
"""The channels in which a bot can post; it is never in a group DM."""


class ChannelPosts:
    """The bot's messages in one channel."""

    def __init__(self, channel: PostingChannel) -> None:
        self._channel = channel

    @property
    def channel_id(self) -> int:
        """Return the channel's id."""
        return self._channel.id

    async def send(self, part: Part, *, reply_to: discord.Message | None = None) -> int:
        """Post a message; returns its id. `reply_to` may have been deleted meanwhile."""
        options = sending(part)
        if reply_to is not None:
            options["reference"] = reply_to.to_reference(fail_if_not_exists=False)
        message: discord.Message = await self._channel.send(part.content, **options)
        return message.id

    async def edit(self, message_id: int, part: Part) -> None:
        """Change a message of the bot's, whichever way it was posted. Raises `MessageGoneError`."""
        try:
            await self._channel.get_partial_message(message_id).edit(**editing(part))
        except discord.NotFound as error:
            if error.code == UNKNOWN_MESSAGE:
                raise MessageGoneError from None
            raise

    async def delete(self, message_id: int) -> None:
        """Delete a message; one that is gone already is fine."""
        try:
            await self._channel.get_partial_message(message_id).delete()
        except discord.NotFound as error:
            if error.code != UNKNOWN_MESSAGE:
                raise


class MessageScreen:
    """Answers a message: the first part as a reply to it, the rest below.

    Typing is shown until something is posted: Discord takes it away then, and would not after a last edit.
    """

    def __init__(self, message: discord.Message) -> None:
        assert not isinstance(message.channel, discord.GroupChannel), "no bot is in a group DM"
        self._message = message
        self._posts = ChannelPosts(message.channel)
        self._typing: asyncio.Task[None] | None = None
        self._is_typing_over = asyncio.Event()
        self._has_replied = False

    @property
    def channel_id(self) -> int:
        """Return the id of the message's channel."""
        return self._posts.channel_id

    @property
    def pacing_key(self) -> str:
        """Return the key for edits in the message's channel."""
        return channel_edits(self.channel_id)

    async def begin(self) -> None:
        """Show typing. A failure to do so is no reason not to answer."""
        self._typing = asyncio.create_task(_type(self._message.channel, self._is_typing_over))

    async def end(self) -> None:
        """Stop typing."""
        typing, self._typing = self._typing, None
        if typing is not None:
            self._is_typing_over.set()
            # Not cancelled: discord.py, cancelled while it waits out a global limit, never sends anything again.
            await asyncio.wait([typing], timeout=TYPING_END_SECONDS)

    async def send(self, part: Part) -> int:
        """Post a message, the first one as a reply where Discord allows that."""
        await self.end()
        reply_to = self._message if not self._has_replied and _may_read_history(self._message) else None
        message_id = await self._posts.send(part, reply_to=reply_to)
        self._has_replied = True
        return message_id

    async def edit(self, message_id: int, part: Part) -> None:
        """Change a message. Raises `MessageGoneError`."""
        await self._posts.edit(message_id, part)

    async def delete(self, message_id: int) -> None:
        """Delete a message."""
        await self._posts.delete(message_id)

    async def tell_asker(self, sentence: str) -> None:
        """Reply with the sentence; a message in a channel is for everybody."""
        await self.end()
        reply_to = self._message if _may_read_history(self._message) else None
        await self._posts.send(Part(content=sentence), reply_to=reply_to)


def may_speak(message: discord.Message) -> bool:
    """Say whether the bot may post where a message stands."""
    permissions = _own_permissions(message)
    if permissions is None:
        return True
    is_thread = isinstance(message.channel, discord.Thread)
    return permissions.send_messages_in_threads if is_thread else permissions.send_messages


def _may_read_history(message: discord.Message) -> bool:
    """Say whether the bot may reply to a message; Discord refuses (160002) without Read Message History."""
    permissions = _own_permissions(message)
    return permissions is None or permissions.read_message_history


def _own_permissions(message: discord.Message) -> discord.Permissions | None:
    """Return the bot's permissions there; None in a DM and where they are unknown."""
    if message.guild is None or isinstance(message.channel, discord.PartialMessageable):
        return None
    try:
        return message.channel.permissions_for(message.guild.me)
    except discord.ClientException:
        # A thread whose parent channel is not known.
        return None


async def _type(channel: discord.abc.Messageable, is_over: asyncio.Event) -> None:
    """Keep the typing indicator on until it is over."""
    # RuntimeError: the client was closed meanwhile.
    with contextlib.suppress(*NETWORK_ERRORS, RuntimeError):
        while not is_over.is_set():
            await channel.typing()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TYPING_SECONDS):
                    await is_over.wait()
