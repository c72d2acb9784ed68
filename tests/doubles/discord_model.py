"""What the stand-in Discord server knows, and how Discord writes it as JSON.

Owns: people, servers, channels, messages, interactions as records. Does not own: who asked for what (`discord_rest.py`,
`discord_gateway.py`). Field names follow https://discord.com/developers/docs/reference.
"""

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

DISCORD_EPOCH_MS = 1_420_070_400_000
ALL_PERMISSIONS = (1 << 53) - 1
SEND_MESSAGES = 1 << 11
READ_MESSAGE_HISTORY = 1 << 16
MANAGE_MESSAGES = 1 << 13
MANAGE_GUILD = 1 << 5
SEND_MESSAGES_IN_THREADS = 1 << 38
VIEW_CHANNEL = 1 << 10
MEMBER_PERMISSIONS = VIEW_CHANNEL | SEND_MESSAGES | READ_MESSAGE_HISTORY | SEND_MESSAGES_IN_THREADS

TEXT, DM, PUBLIC_THREAD = 0, 1, 11
EPHEMERAL, LOADING = 1 << 6, 1 << 7
DEFAULT_MESSAGE, REPLY_MESSAGE, JOIN_MESSAGE = 0, 19, 7

INTERACTION_ANSWER_SECONDS = 3.0
INTERACTION_TOKEN_SECONDS = 900.0

_counter = itertools.count(1)


def new_snowflake() -> int:
    """Return a new id that carries the present moment, as Discord's do."""
    return ((int(time.time() * 1000) - DISCORD_EPOCH_MS) << 22) | (next(_counter) & 0x3FFFFF)


def timestamp() -> str:
    """Return the present moment as Discord writes it."""
    return datetime.now(UTC).isoformat()


class Changes:
    """Lets tests wait for something to become true instead of sleeping."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def announce(self) -> None:
        """Wake everybody who waits, to look again."""
        self._next.set()
        self._next = asyncio.Event()

    async def until(self, claim: Callable[[], bool], what: str, *, timeout_seconds: float = 20.0) -> None:
        """Wait until the claim holds; fails with `what` after the time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                while not claim():
                    await self._next.wait()
        except TimeoutError:
            raise AssertionError(f"did not happen within {timeout_seconds:.0f} s: {what}") from None


@dataclass(eq=False)
class User:
    """A person or a bot; `permissions` hold in every server."""

    name: str
    display_name: str
    is_bot: bool = False
    permissions: int = MEMBER_PERMISSIONS
    id: int = field(default_factory=new_snowflake)

    @property
    def mention(self) -> str:
        """Return what mentions this user."""
        return f"<@{self.id}>"

    def json(self) -> Json:
        """Render a user object."""
        return {
            "id": str(self.id),
            "username": self.name,
            "global_name": self.display_name,
            "discriminator": "0",
            "avatar": None,
            "bot": self.is_bot,
            "system": False,
            "public_flags": 0,
            "flags": 0,
            "primary_guild": None,
        }

    def member_json(self) -> Json:
        """Render a guild member object, without its user."""
        return {
            "roles": [],
            "nick": None,
            "avatar": None,
            "joined_at": "2026-01-01T00:00:00+00:00",
            "premium_since": None,
            "deaf": False,
            "mute": False,
            "pending": False,
            "flags": 0,
        }


@dataclass(eq=False)
class Guild:
    """A Discord server; `bot_permissions` are what @everyone, and so the bot, may do."""

    name: str
    bot_permissions: int = MEMBER_PERMISSIONS
    id: int = field(default_factory=new_snowflake)
    channels: list["Channel"] = field(default_factory=list)

    def json(self, bot: User) -> Json:
        """Render what GUILD_CREATE carries."""
        return {
            "id": str(self.id),
            "name": self.name,
            "owner_id": "1",
            "roles": [_everyone_role(self)],
            "channels": [channel.json() for channel in self.channels if channel.type != PUBLIC_THREAD],
            "threads": [channel.json() for channel in self.channels if channel.type == PUBLIC_THREAD],
            "members": [{"user": bot.json(), **bot.member_json()}],
            "member_count": 2,
            "emojis": [],
            "stickers": [],
            "features": [],
            "unavailable": False,
            "preferred_locale": "en-US",
        }


def _everyone_role(guild: Guild) -> Json:
    return {
        "id": str(guild.id),
        "name": "@everyone",
        "permissions": str(guild.bot_permissions),
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "position": 0,
        "managed": False,
        "mentionable": False,
        "flags": 0,
    }


@dataclass(eq=False)
class Channel:
    """A text channel, thread or DM (`guild` is None, `recipient` the person)."""

    name: str
    guild: Guild | None = None
    recipient: User | None = None
    parent: "Channel | None" = None
    is_nsfw: bool = False
    may_bot_speak: bool = True
    id: int = field(default_factory=new_snowflake)
    messages: list["Message"] = field(default_factory=list)
    typing_calls: int = 0
    is_deleted: bool = False

    @property
    def type(self) -> int:
        """Return Discord's number for this kind of channel."""
        if self.guild is None:
            return DM
        return TEXT if self.parent is None else PUBLIC_THREAD

    def json(self) -> Json:
        """Render a channel object."""
        common: Json = {"id": str(self.id), "type": self.type, "last_message_id": None, "flags": 0}
        if self.guild is None:
            assert self.recipient is not None
            return {**common, "recipients": [self.recipient.json()]}
        common |= {"guild_id": str(self.guild.id), "name": self.name}
        if self.parent is not None:
            return {**common, **self._thread_json(self.parent)}
        deny = {"id": str(self.guild.id), "type": 0, "allow": "0", "deny": str(SEND_MESSAGES)}
        return {
            **common,
            "position": 0,
            "nsfw": self.is_nsfw,
            "topic": None,
            "parent_id": None,
            "rate_limit_per_user": 0,
            "permission_overwrites": [] if self.may_bot_speak else [deny],
        }

    @staticmethod
    def _thread_json(parent: "Channel") -> Json:
        return {
            "parent_id": str(parent.id),
            "owner_id": "1",
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

    def own_messages(self, author: User) -> list["Message"]:
        """Return what somebody has posted here and not deleted, oldest first."""
        return [message for message in self.messages if message.author is author and not message.is_deleted]


@dataclass(eq=False)
class Message:
    """One message; `pings` names who was, or would have been, notified by it."""

    channel: Channel
    author: User
    content: str
    type: int = DEFAULT_MESSAGE
    reply_to: "Message | None" = None
    mentions: list[User] = field(default_factory=list)
    flags: int = 0
    webhook_id: int | None = None
    pings: set[str] = field(default_factory=set)
    edits: int = 0
    is_deleted: bool = False
    id: int = field(default_factory=new_snowflake)
    created: str = field(default_factory=timestamp)

    @property
    def is_ephemeral(self) -> bool:
        """Say whether only the asker sees it."""
        return bool(self.flags & EPHEMERAL)

    def json(self, *, with_content: bool = True, with_reply: bool = True) -> Json:
        """Render a message object; Discord leaves the text out for bots that may not read it."""
        rendered: Json = {
            "id": str(self.id),
            "channel_id": str(self.channel.id),
            "author": self.author.json(),
            "content": self.content if with_content else "",
            "timestamp": self.created,
            "edited_timestamp": timestamp() if self.edits else None,
            "tts": False,
            "mention_everyone": False,
            "mentions": [user.json() for user in self.mentions],
            "mention_roles": [],
            "attachments": [],
            "embeds": [],
            "components": [],
            "pinned": False,
            "type": self.type,
            "flags": self.flags,
        }
        if self.webhook_id is not None:
            rendered["webhook_id"] = str(self.webhook_id)
        if self.reply_to is not None:
            rendered["message_reference"] = {
                "type": 0,
                "message_id": str(self.reply_to.id),
                "channel_id": str(self.channel.id),
            }
            if with_reply:
                rendered["referenced_message"] = self.reply_to.json(with_reply=False)
        return rendered


@dataclass(eq=False)
class Interaction:
    """A command somebody used, and how it was answered. Times are of the event loop's clock, in seconds."""

    user: User
    channel: Channel
    command: str
    changes: Changes
    created_at: float
    id: int = field(default_factory=new_snowflake)
    token: str = field(default_factory=lambda: f"interaction-{new_snowflake()}")
    answered_at: float | None = None
    is_thinking: bool = False
    is_deferred_ephemeral: bool = False
    is_expired: bool = False
    original: Message | None = None
    replies: list[Message] = field(default_factory=list)
    choices: list[Json] | None = None

    @property
    def deferred_after_seconds(self) -> float | None:
        """Return how long the first answer took; None while there is none."""
        return None if self.answered_at is None else self.answered_at - self.created_at

    async def deferred(self) -> float:
        """Wait for the first answer; returns how long it took."""
        await self.changes.until(lambda: self.answered_at is not None, f"first answer to /{self.command}")
        assert self.deferred_after_seconds is not None
        return self.deferred_after_seconds

    async def replied(self, count: int = 1) -> list[str]:
        """Wait for that many messages in answer; returns their texts."""
        await self.changes.until(lambda: len(self.replies) >= count, f"{count} replies to /{self.command}")
        return [message.content for message in self.replies]
