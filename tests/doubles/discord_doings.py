"""What people do in the stand-in Discord server without asking the bot for anything: write, edit, delete, come and go.

Sources: https://discord.com/developers/docs/events/gateway-events,
https://discord.com/developers/docs/topics/threads#forums and
https://discord.com/developers/docs/resources/audit-log#audit-log-entry-object-audit-log-events.
"""

import re
from collections.abc import Sequence

from tests.doubles.discord_basics import DEFAULT_MESSAGE, REPLY_MESSAGE, new_snowflake, timestamp
from tests.doubles.discord_messages import Message
from tests.doubles.discord_people import User
from tests.doubles.discord_places import Channel, Guild
from tests.doubles.discord_uploads import new_file
from tests.doubles.discord_world import World

_MENTION = re.compile(r"<@!?(\d+)>")
_BOT_ADD = 28


class Doings(World):
    """What happens around the bot."""

    async def user_says(
        self,
        channel: Channel,
        user: User,
        text: str,
        *,
        mentions_bot: bool = False,
        reply_to: Message | None = None,
        pings_reply: bool = True,
        kind: int | None = None,
        is_webhook: bool = False,
        attachments: Sequence[tuple[str, bytes] | tuple[str, bytes, str]] = (),
    ) -> Message:
        """Write a message; `mentions_bot` puts the bot's mention in front.

        `attachments` are name, content and, where Discord is not to guess it, content type.
        """
        content = f"{self.bot.mention} {text}" if mentions_bot else text
        default = DEFAULT_MESSAGE if reply_to is None else REPLY_MESSAGE
        message = Message(
            channel,
            user,
            content,
            type=default if kind is None else kind,
            reply_to=reply_to,
            mentions=self._mentioned(content, reply_to if pings_reply else None),
            webhook_id=user.id if is_webhook else None,
            files=[new_file(*attachment) for attachment in attachments],
        )
        self._cdn.keep(message)
        channel.messages.append(message)
        await self._announcer.created(message)
        return message

    def _mentioned(self, content: str, reply_to: Message | None) -> list[User]:
        people = self.state.people
        mentioned = [people[int(each)] for each in _MENTION.findall(content) if int(each) in people]
        return list(dict.fromkeys([*mentioned, *([reply_to.author] if reply_to is not None else [])]))

    async def user_edits(self, message: Message, new_text: str) -> None:
        """Let the author of a message change its text."""
        pinged = message.reply_to if message.reply_to and message.reply_to.author in message.mentions else None
        message.edit_text(new_text)
        message.mentions = self._mentioned(new_text, pinged)
        message.mark_edited()
        await self._announcer.edited(message)

    async def user_deletes(self, message: Message) -> None:
        """Delete a message, one's own or, as a moderator, anybody's."""
        message.is_deleted = True
        if not message.is_ephemeral:
            await self._announcer.deleted(message)

    async def bulk_delete(self, messages: Sequence[Message]) -> None:
        """Let a moderator delete messages of one channel at once."""
        if len({message.channel.id for message in messages}) != 1:
            raise ValueError("messages of one channel, and at least one")
        for message in messages:
            message.is_deleted = True
        await self._announcer.deleted_together(list(messages))

    async def forum_post(self, forum: Channel, user: User, title: str, text: str) -> Channel:
        """Post in a forum; returns the thread, whose first message has the thread's own id."""
        if not forum.is_forum:
            raise ValueError(f"{forum.name} is no forum")
        thread = self.thread(forum, title, owner=user)
        first = Message(thread, user, text, id=thread.id, mentions=self._mentioned(text, None))
        thread.messages.append(first)
        await self._announcer.created(first)
        return thread

    async def delete_channel(self, channel: Channel) -> None:
        """Delete a channel or thread; the threads of a channel go with it."""
        channel.is_deleted = True
        for other in self.state.channels.values():
            if other.parent is channel:
                other.is_deleted = True
        await self._announcer.channel_deleted(channel)

    async def join(self, guild: Guild, *, inviter: User | None = None) -> None:
        """Add the bot to a server that was made after it connected, or left; the audit log says by whom."""
        if guild not in self.state.guilds:
            self.state.guilds.append(guild)
        guild.has_bot = guild.is_announced = True
        guild.joined_at = timestamp()
        if inviter is not None:
            entry = {"id": str(new_snowflake()), "action_type": _BOT_ADD}
            guild.audit_log.insert(0, {**entry, "user_id": str(inviter.id), "target_id": str(self.bot.id)})
        await self._announcer.joined(guild)

    async def leave(self, guild: Guild) -> None:
        """Remove the bot from a server; whatever it asks about its channels is refused from then on."""
        self.state.guilds.remove(guild)
        guild.has_bot = guild.is_announced = False
        await self._announcer.left(guild)
