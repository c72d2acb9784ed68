"""Discord servers, channels, threads, forums and DMs of the stand-in, and how Discord writes them as JSON.

Sources: https://discord.com/developers/docs/resources/guild, https://discord.com/developers/docs/resources/channel and
https://discord.com/developers/docs/topics/threads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.doubles.discord_basics import (
    ADMINISTRATOR,
    ALL_PERMISSIONS,
    DM,
    FORUM,
    MEMBER_PERMISSIONS,
    PUBLIC_THREAD,
    SEND_MESSAGES,
    SEND_MESSAGES_IN_THREADS,
    TEXT,
    Json,
    new_snowflake,
)
from tests.doubles.discord_people import Role, User, role_json

if TYPE_CHECKING:
    from tests.doubles.discord_messages import Message


@dataclass(eq=False)
class Guild:
    """A Discord server; `bot_permissions` are what @everyone, and so the bot, may do.

    `locale` is its preferred language, which only servers with the feature COMMUNITY can set. `audit_log` holds
    rendered entries, newest first. `has_bot`: the bot has not been removed; `is_announced`: it was told that it is in.
    `joined_at`: since when it is in, which is long ago unless `join` says otherwise.
    """

    name: str
    bot_permissions: int = MEMBER_PERMISSIONS
    id: int = field(default_factory=new_snowflake)
    channels: list[Channel] = field(default_factory=list)
    roles: list[Role] = field(default_factory=list)
    locale: str = "en-US"
    features: list[str] = field(default_factory=list)
    owner: User | None = None
    system_channel: Channel | None = None
    audit_log: list[Json] = field(default_factory=list)
    has_bot: bool = True
    is_announced: bool = False
    joined_at: str = "2026-01-01T00:00:00+00:00"

    def json(self, bot: User) -> Json:
        """Render what GUILD_CREATE carries."""
        threads = [channel for channel in self.channels if channel.type == PUBLIC_THREAD and not channel.is_deleted]
        others = [channel for channel in self.channels if channel.type != PUBLIC_THREAD and not channel.is_deleted]
        everyone = role_json(self.id, "@everyone", permissions=self.bot_permissions)
        return {
            **self.partial_json(),
            "name": self.name,
            "owner_id": str(self.owner.id) if self.owner is not None else "1",
            "roles": [everyone, *(role.json() for role in self.roles)],
            "channels": [channel.json() for channel in others],
            "threads": [channel.json() for channel in threads],
            "joined_at": self.joined_at,
            "members": [{"user": bot.json(), **bot.member_json(self), "joined_at": self.joined_at}],
            "member_count": 2,
            "emojis": [],
            "stickers": [],
            "unavailable": False,
            "preferred_locale": self.locale,
            "system_channel_id": str(self.system_channel.id) if self.system_channel is not None else None,
            "system_channel_flags": 0,
        }

    def partial_json(self) -> Json:
        """Render what an interaction says of the server it was used in."""
        return {"id": str(self.id), "locale": self.locale, "features": list(self.features)}


@dataclass(eq=False)
class Channel:
    """A text channel, thread, forum or DM (`guild` is None, `recipient` the person)."""

    name: str
    guild: Guild | None = None
    recipient: User | None = None
    parent: Channel | None = None
    is_nsfw: bool = False
    may_bot_speak: bool = True
    id: int = field(default_factory=new_snowflake)
    messages: list[Message] = field(default_factory=list)
    typing_calls: int = 0
    is_deleted: bool = False
    is_forum: bool = False
    owner: User | None = None

    @property
    def type(self) -> int:
        """Return Discord's number for this kind of channel."""
        if self.guild is None:
            return DM
        if self.parent is not None:
            return PUBLIC_THREAD
        return FORUM if self.is_forum else TEXT

    @property
    def is_age_restricted(self) -> bool:
        """Say whether the channel, or the one a thread belongs to, is age-restricted."""
        return self.is_nsfw if self.parent is None else self.parent.is_nsfw

    @property
    def bot_permissions(self) -> int:
        """Return what the bot may do here, as Discord works it out from @everyone and the channel."""
        if self.guild is None:
            return MEMBER_PERMISSIONS
        if not self.guild.has_bot:
            return 0
        if self.guild.bot_permissions & ADMINISTRATOR:
            return ALL_PERMISSIONS
        speaks = self.may_bot_speak and (self.parent is None or self.parent.may_bot_speak)
        return self.guild.bot_permissions & ~(0 if speaks else SEND_MESSAGES | SEND_MESSAGES_IN_THREADS)

    def json(self) -> Json:
        """Render a channel object."""
        common: Json = {"id": str(self.id), "type": self.type, "last_message_id": None, "flags": 0}
        if self.guild is None:
            assert self.recipient is not None
            return {**common, "recipients": [self.recipient.json()]}
        common |= {"guild_id": str(self.guild.id), "name": self.name}
        if self.parent is not None:
            return {**common, **self._thread_json(self.parent)}
        denied = SEND_MESSAGES | SEND_MESSAGES_IN_THREADS
        deny = {"id": str(self.guild.id), "type": 0, "allow": "0", "deny": str(denied)}
        return {
            **common,
            "position": 0,
            "nsfw": self.is_nsfw,
            "topic": None,
            "parent_id": None,
            "rate_limit_per_user": 0,
            "permission_overwrites": [] if self.may_bot_speak else [deny],
            **({"available_tags": [], "default_reaction_emoji": None} if self.is_forum else {}),
        }

    def _thread_json(self, parent: Channel) -> Json:
        return {
            "parent_id": str(parent.id),
            "owner_id": str(self.owner.id) if self.owner is not None else "1",
            "message_count": 0,
            "total_message_sent": 0,
            "member_count": 1,
            "rate_limit_per_user": 0,
            "thread_metadata": {
                "archived": False,
                "auto_archive_duration": 60,
                "archive_timestamp": "2026-01-01T00:00:00+00:00",
                "locked": False,
            },
        }

    def own_messages(self, author: User) -> list[Message]:
        """Return what somebody has posted here and not deleted, oldest first."""
        return [message for message in self.messages if message.author is author and not message.is_deleted]

    def find(self, message_id: str) -> Message | None:
        """Return a message that is still there."""
        return next((each for each in self.messages if str(each.id) == message_id and not each.is_deleted), None)
