"""What people edit and delete in Discord is edited and deleted in the conversations.

Owns: listening, without any privileged intent, and ending a reply whose question is gone. What happens while the bot is
not connected it never hears of; such words stay until they are forgotten or too old. When the bot is removed from a
server, the conversations of the channels it knew there go, because nobody there could have them forgotten any more; the
server's personas, settings and API tokens stay, for when it is invited again.

Does not own: how a change is brought into a conversation (`amending.py`).
"""

import logging
from collections.abc import Collection, Mapping

import discord
from discord.ext import commands

from bot.amending import Amending
from bot.attachments import joined, read_attachments
from bot.dialogue import channel_key
from bot.errors import RefusedError
from bot.leaks import Leaks
from bot.message_text import text_of
from bot.retiring import Retiring
from bot.running import RunningReplies
from bot.speakers import spoken
from storage.channels import ChannelSettings
from storage.conversations import Conversations

logger = logging.getLogger(__name__)


class Changes(commands.Cog):
    """Follows messages, threads, channels and servers until they are gone."""

    def __init__(
        self,
        client: discord.Client,
        conversations: Conversations,
        channels: ChannelSettings,
        *,
        amending: Amending,
        running: RunningReplies,
        retiring: Retiring,
        leaks: Leaks,
        max_attachment_bytes: int,
    ) -> None:
        self._client = client
        self._conversations = conversations
        self._channels = channels
        self._amending = amending
        self._running = running
        self._retiring = retiring
        self._leaks = leaks
        self._max_attachment_bytes = max_attachment_bytes

    @commands.Cog.listener()
    async def on_raw_message_edit(self, payload: discord.RawMessageUpdateEvent) -> None:
        """Let a question say what it says now, or go where Discord now hides its text or it holds a live token."""
        me, message = self._client.user, payload.message
        # Discord also tells of link previews and pins this way; only an edit by a person has a time, see
        # https://discord.com/developers/docs/resources/message#message-object-message-structure
        if me is None or message.author.id == me.id or message.edited_at is None:
            return
        is_unfit = _is_hidden(message, me.id) or await self._leaks.handle_message(message)
        said = "" if is_unfit else await self._read(message, me.id)
        content = spoken(message.author.display_name, said) if said.strip() else None
        await self._amend(payload.channel_id, {payload.message_id: content})

    async def _read(self, message: discord.Message, bot_id: int) -> str:
        """Return what a question says, with those of its files that can still be read."""
        text = text_of(message, bot_id=bot_id)
        try:
            return joined(text, await read_attachments(message.attachments, max_bytes=self._max_attachment_bytes))
        except RefusedError as error:
            logger.info("the files of an edited message are left out: %s", type(error).__name__)
            return text

    @commands.Cog.listener()
    async def on_raw_message_delete(self, payload: discord.RawMessageDeleteEvent) -> None:
        """Take a deleted message out of its conversation."""
        await self._delete(payload.channel_id, {payload.message_id})

    @commands.Cog.listener()
    async def on_raw_bulk_message_delete(self, payload: discord.RawBulkMessageDeleteEvent) -> None:
        """Take many deleted messages out of their conversation."""
        await self._delete(payload.channel_id, payload.message_ids)

    async def _delete(self, channel_id: int, message_ids: set[int]) -> None:
        for message_id in message_ids:
            self._running.cancel_by_message(message_id)
        await self._amend(channel_id, dict.fromkeys(message_ids))

    async def _amend(self, channel_id: int, changes: Mapping[int, str | None]) -> None:
        """Bring changes into the conversation; a last reply that loses its question by them loses its buttons."""
        key = channel_key(channel_id)
        before = await self._conversations.last_reply(key)
        await self._amending.amend(channel_id, changes)
        if before is None or before.question_id is None:
            return
        after = await self._conversations.last_reply(key)
        if after is not None and after.reply_id == before.reply_id and after.question_id is None:
            self._retiring.retire(after)

    @commands.Cog.listener()
    async def on_raw_thread_delete(self, payload: discord.RawThreadDeleteEvent) -> None:
        """Forget a deleted thread."""
        await self._forget_channel(payload.thread_id)

    @commands.Cog.listener()
    async def on_guild_channel_delete(self, channel: discord.abc.GuildChannel) -> None:
        """Forget a deleted channel; Discord tells of its threads one by one."""
        await self._forget_channel(channel.id)

    async def _forget_channel(self, channel_id: int) -> None:
        messages = await self._forget_conversations({channel_id})
        await self._channels.delete_channel(channel_id)
        if messages:
            logger.info("channel %s is gone, and with it %d messages", channel_id, messages)

    @commands.Cog.listener()
    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """Forget the conversations of a server that the bot was removed from."""
        channel_ids = {each.id for each in (*guild.channels, *guild.threads)}
        messages = await self._forget_conversations(channel_ids)
        logger.info("removed from server %s, and with it %d messages", guild.id, messages)

    async def _forget_conversations(self, channel_ids: Collection[int]) -> int:
        """Forget what was said in channels at once, and again what a reply brought back that was just being kept."""
        withdrawn = self._running.cancel_by_channels(channel_ids)
        messages = await self._amending.forget_channels(channel_ids)
        for each in withdrawn:
            await each.ended.wait()
        return messages + (await self._amending.forget_channels(channel_ids) if withdrawn else 0)


def _is_hidden(message: discord.Message, bot_id: int) -> bool:
    """Say whether Discord keeps a message's text from the bot, because it does not mention the bot.

    Source: https://discord.com/developers/docs/events/gateway#message-content-intent
    """
    is_for_me = message.guild is None or any(user.id == bot_id for user in message.mentions)
    return not is_for_me and not message.content
