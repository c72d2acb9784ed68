"""What there is in the stand-in Discord server, as tests make it: people, servers, channels, roles.

Owns: the making, before a bot connects or while it listens. Does not own: what people do (`discord_doings.py`,
`discord_uses.py`).
"""

from tests.doubles.discord_announcer import Announcer
from tests.doubles.discord_basics import ALL_PERMISSIONS, HAS_THREAD, MEMBER_PERMISSIONS, Changes
from tests.doubles.discord_gateway import Gateway
from tests.doubles.discord_messages import Message
from tests.doubles.discord_people import Role, User
from tests.doubles.discord_places import Channel, Guild
from tests.doubles.discord_state import DiscordState
from tests.doubles.discord_uploads import Cdn


class World:
    """Makes what there is. What is made while a bot listens is announced to it, except servers: see `join`."""

    def __init__(self, token: str) -> None:
        self.state = DiscordState(token)
        self.gateway = Gateway(token, self.state.changes)
        self._announcer = Announcer(self.state, self.gateway)
        self._cdn = Cdn()

    @property
    def bot(self) -> User:
        """Return the bot's user."""
        return self.state.bot

    @property
    def changes(self) -> Changes:
        """Return what wakes those who wait."""
        return self.state.changes

    def guild(
        self,
        name: str = "Test Server",
        *,
        bot_permissions: int = MEMBER_PERMISSIONS,
        locale: str = "en-US",
        owner: User | None = None,
    ) -> Guild:
        """Make a Discord server; it takes the feature COMMUNITY to have another language than American English."""
        guild = Guild(name, bot_permissions, locale=locale, owner=owner)
        if locale != "en-US":
            guild.features.append("COMMUNITY")
        self.state.guilds.append(guild)
        return guild

    def guild_of_shard(self, number: int, count: int, name: str = "Test Server") -> Guild:
        """Make a Discord server that is shard `number`'s of `count`: its id decides, which says when it was made.

        See https://discord.com/developers/docs/events/gateway#sharding-sharding-formula.
        """
        guild = self.guild(name)
        guild.id += ((number - (guild.id >> 22)) % count) << 22
        return guild

    def role(self, guild: Guild, name: str, *, permissions: int = 0) -> Role:
        """Make a role; people have it once it is in their `roles`."""
        role = Role(name, guild, permissions)
        guild.roles.append(role)
        return role

    def channel(
        self,
        guild: Guild,
        name: str = "general",
        *,
        is_nsfw: bool = False,
        may_bot_speak: bool = True,
        is_system: bool = False,
    ) -> Channel:
        """Make a text channel; `is_system`: Discord's own messages about newcomers appear there."""
        channel = self._keep(Channel(name, guild, is_nsfw=is_nsfw, may_bot_speak=may_bot_speak))
        if is_system:
            guild.system_channel = channel
        return channel

    def forum(self, guild: Guild, name: str = "questions", *, is_nsfw: bool = False) -> Channel:
        """Make a forum; it takes no messages itself, see `forum_post`."""
        return self._keep(Channel(name, guild, is_nsfw=is_nsfw, is_forum=True))

    def thread(
        self, parent: Channel, name: str = "thread", *, starter: Message | None = None, owner: User | None = None
    ) -> Channel:
        """Make a thread of a channel; one that starts from a message has that message's id.

        See https://discord.com/developers/docs/resources/channel#start-thread-from-message.
        """
        thread = Channel(name, parent.guild, parent=parent, owner=owner)
        if starter is not None:
            thread.id, thread.owner = starter.id, owner or starter.author
            starter.thread = thread
            starter.flags |= HAS_THREAD
        return self._keep(thread)

    def dm(self, user: User) -> Channel:
        """Open the DM of a person with the bot."""
        return self._keep(Channel("dm", recipient=user))

    def dm_of(self, user: User) -> Channel:
        """Return the DM of a person that the test or the bot has opened; raises `ValueError` when nobody has."""
        for channel in self.state.channels.values():
            if channel.recipient is user:
                return channel
        raise ValueError(f"nobody has opened a DM with {user.display_name}")

    def _keep(self, channel: Channel) -> Channel:
        self.state.channels[channel.id] = channel
        if channel.guild is not None:
            channel.guild.channels.append(channel)
            if channel.parent is not None:
                self._announcer.thread_made(channel)
            else:
                self._announcer.channel_made(channel)
        return channel

    def user(
        self,
        display_name: str = "Ada",
        *,
        permissions: int = MEMBER_PERMISSIONS,
        is_bot: bool = False,
        locale: str = "en-US",
    ) -> User:
        """Make a person (or another bot) who is in every server."""
        name = "".join(filter(str.isalnum, display_name.lower())) or "someone"
        user = User(name, display_name, is_bot=is_bot, permissions=permissions, locale=locale)
        self.state.people[user.id] = user
        return user

    def admin(self, display_name: str = "Grace") -> User:
        """Make a person who may do everything."""
        return self.user(display_name, permissions=ALL_PERMISSIONS)
