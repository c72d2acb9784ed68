"""What the stand-in Discord server tells a connected bot of its own accord, as far as the bot's intents go.

Owns: the events about messages, threads and channels, and whether a message's text is in them. Sources:
https://discord.com/developers/docs/events/gateway#gateway-intents,
https://discord.com/developers/docs/events/gateway#message-content-intent and
https://discord.com/developers/docs/events/gateway-events.
"""

from tests.doubles.discord_basics import PUBLIC_THREAD, Json
from tests.doubles.discord_gateway import Gateway
from tests.doubles.discord_messages import Message
from tests.doubles.discord_places import Channel, Guild
from tests.doubles.discord_state import DiscordState

GUILDS, GUILD_MESSAGES, DIRECT_MESSAGES, MESSAGE_CONTENT = 1 << 0, 1 << 9, 1 << 12, 1 << 15


class Announcer:
    """Puts what happened into events."""

    def __init__(self, state: DiscordState, gateway: Gateway) -> None:
        self._state = state
        self._gateway = gateway

    async def created(self, message: Message) -> None:
        """Tell about a new message."""
        await self._tell("MESSAGE_CREATE", message.channel, self._message_event(message))

    async def edited(self, message: Message) -> None:
        """Tell about a changed message; Discord sends all of it, not only what changed."""
        await self._tell("MESSAGE_UPDATE", message.channel, self._message_event(message))

    async def deleted(self, message: Message) -> None:
        """Tell that a message is gone, without its text."""
        event = {"id": str(message.id), "channel_id": str(message.channel.id), **_guild_id(message.channel)}
        await self._tell("MESSAGE_DELETE", message.channel, event)

    async def deleted_together(self, messages: list[Message]) -> None:
        """Tell that messages of one channel were deleted at once."""
        channel = messages[0].channel
        ids = [str(message.id) for message in messages]
        await self._tell(
            "MESSAGE_DELETE_BULK", channel, {"ids": ids, "channel_id": str(channel.id), **_guild_id(channel)}
        )

    def thread_made(self, thread: Channel) -> None:
        """Tell about a new thread."""
        if self._listens(GUILDS) and thread.guild is not None and thread.guild.is_announced:
            event = {**thread.json(), "newly_created": True}
            self._gateway.dispatch_soon("THREAD_CREATE", event, guild_id=thread.guild.id)

    def channel_made(self, channel: Channel) -> None:
        """Tell about a new channel of a server the bot is in."""
        if self._listens(GUILDS) and channel.guild is not None and channel.guild.is_announced:
            self._gateway.dispatch_soon("CHANNEL_CREATE", channel.json(), guild_id=channel.guild.id)

    async def channel_deleted(self, channel: Channel) -> None:
        """Tell that a channel or thread is gone."""
        self._state.changes.announce()
        if not self._listens(GUILDS):
            return
        if channel.type != PUBLIC_THREAD:
            await self._gateway.dispatch("CHANNEL_DELETE", channel.json(), guild_id=_shard_key(channel))
            return
        rendered = channel.json()
        event = {key: rendered[key] for key in ("id", "guild_id", "parent_id", "type")}
        await self._gateway.dispatch("THREAD_DELETE", event, guild_id=_shard_key(channel))

    async def joined(self, guild: Guild) -> None:
        """Tell that the bot was added to a server."""
        if self._listens(GUILDS):
            event = guild.json(self._state.bot)
            # Its absence is how discord.py tells a server that is new from one that is back after an outage.
            del event["unavailable"]
            await self._gateway.dispatch("GUILD_CREATE", event, guild_id=guild.id)

    async def left(self, guild: Guild) -> None:
        """Tell that the bot was removed from a server; an outage would say `unavailable`."""
        if self._listens(GUILDS):
            await self._gateway.dispatch("GUILD_DELETE", {"id": str(guild.id)}, guild_id=guild.id)

    def may_read(self, message: Message) -> bool:
        """Say whether the bot is given a message's text: its own, DMs, mentions, or with the privileged intent."""
        return (
            self._listens(MESSAGE_CONTENT)
            or message.channel.guild is None
            or message.author is self._state.bot
            or self._state.bot in message.mentions
        )

    def message_json(self, message: Message) -> Json:
        """Render a message as far as the bot may read it and what it replies to."""
        rendered = message.json(with_content=self.may_read(message))
        if rendered.get("referenced_message") is not None and message.reply_to is not None:
            rendered["referenced_message"] = message.reply_to.json(
                with_content=self.may_read(message.reply_to), with_reply=False
            )
        return rendered

    def _message_event(self, message: Message) -> Json:
        event = {**self.message_json(message), **_guild_id(message.channel)}
        if message.channel.guild is not None and message.webhook_id is None:
            event["member"] = message.author.member_json(message.channel.guild)
        return event

    async def _tell(self, name: str, channel: Channel, event: Json) -> None:
        self._state.changes.announce()
        if self._listens(DIRECT_MESSAGES if channel.guild is None else GUILD_MESSAGES):
            await self._gateway.dispatch(name, event, guild_id=_shard_key(channel))

    def _listens(self, intent: int) -> bool:
        return self._gateway.listens(intent)


def _guild_id(channel: Channel) -> Json:
    return {} if channel.guild is None else {"guild_id": str(channel.guild.id)}


def _shard_key(channel: Channel) -> int | None:
    return None if channel.guild is None else channel.guild.id
