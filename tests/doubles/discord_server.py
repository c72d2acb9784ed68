"""A stand-in for Discord on loopback, good enough for discord.py to connect to and strict enough to catch a rude bot.

Owns: the driving API for tests: people say things and use commands, the network misbehaves. REST lies in
`discord_rest.py` and `discord_interactions.py`, the gateway in `discord_gateway.py`. What it does not know (uploads,
components, buckets that run empty by themselves) it refuses or leaves out.
"""

import asyncio
import re
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.doubles.discord_gateway import PRIVILEGED_INTENTS, Gateway, Session
from tests.doubles.discord_limits import encode_options
from tests.doubles.discord_model import (
    ALL_PERMISSIONS,
    DEFAULT_MESSAGE,
    DM,
    MEMBER_PERMISSIONS,
    REPLY_MESSAGE,
    Changes,
    Channel,
    Guild,
    Interaction,
    Json,
    Message,
    User,
)
from tests.doubles.discord_rest import DiscordRest
from tests.doubles.discord_state import Call, DiscordState, RateLimit

_GUILDS, _GUILD_MESSAGES, _DIRECT_MESSAGES, _MESSAGE_CONTENT = 1 << 0, 1 << 9, 1 << 12, 1 << 15
_MENTION = re.compile(r"<@!?(\d+)>")


class DiscordServer:
    """One Discord with one bot. Use as an async context manager; make servers and channels before the bot connects."""

    def __init__(self, *, token: str = "stand-in-token") -> None:
        self.state = DiscordState(token)
        self.gateway = Gateway(token, self.state.changes)
        self.gateway.greet_with(self._greeting)
        self._rest = DiscordRest(self.state, post=self._announce_message)
        app = web.Application()
        self._rest.add_routes(app)
        app.router.add_get("/gateway", self.gateway.handle)
        self._server = TestServer(app)
        self._people: dict[int, User] = {self.state.bot.id: self.state.bot}

    async def __aenter__(self) -> Self:
        await self._server.start_server()
        self._rest.gateway_url = self.gateway_url
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.gateway.close()
        await self._server.close()

    @property
    def api_url(self) -> str:
        """Return what `DISCORD_API_URL` is to be."""
        return str(self._server.make_url("/api/v10"))

    @property
    def gateway_url(self) -> str:
        """Return what `DISCORD_GATEWAY_URL` may be; `GET /gateway/bot` says the same."""
        return str(self._server.make_url("/gateway").with_scheme("ws"))

    @property
    def bot(self) -> User:
        """Return the bot's user."""
        return self.state.bot

    @property
    def changes(self) -> Changes:
        """Return what wakes those who wait."""
        return self.state.changes

    @property
    def calls(self) -> list[Call]:
        """Return the REST requests so far."""
        return self.state.calls

    # What there is ------------------------------------------------------------------------------------------------

    def guild(self, name: str = "Test Server", *, bot_permissions: int = MEMBER_PERMISSIONS) -> Guild:
        """Make a Discord server."""
        guild = Guild(name, bot_permissions)
        self.state.guilds.append(guild)
        return guild

    def channel(
        self, guild: Guild, name: str = "general", *, is_nsfw: bool = False, may_bot_speak: bool = True
    ) -> Channel:
        """Make a text channel."""
        return self._keep(Channel(name, guild, is_nsfw=is_nsfw, may_bot_speak=may_bot_speak))

    def thread(self, parent: Channel, name: str = "thread") -> Channel:
        """Make a thread of a channel."""
        return self._keep(Channel(name, parent.guild, parent=parent))

    def dm(self, user: User) -> Channel:
        """Open the DM of a person with the bot."""
        return self._keep(Channel("dm", recipient=user))

    def _keep(self, channel: Channel) -> Channel:
        self.state.channels[channel.id] = channel
        if channel.guild is not None:
            channel.guild.channels.append(channel)
        return channel

    def user(self, display_name: str = "Ada", *, permissions: int = MEMBER_PERMISSIONS, is_bot: bool = False) -> User:
        """Make a person (or another bot) who is in every server."""
        name = "".join(filter(str.isalnum, display_name.lower())) or "someone"
        user = User(name, display_name, is_bot=is_bot, permissions=permissions)
        self._people[user.id] = user
        return user

    def admin(self, display_name: str = "Grace") -> User:
        """Make a person who may do everything."""
        return self.user(display_name, permissions=ALL_PERMISSIONS)

    # What people do -----------------------------------------------------------------------------------------------

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
    ) -> Message:
        """Write a message; `mentions_bot` puts the bot's mention in front."""
        content = f"{self.bot.mention} {text}" if mentions_bot else text
        mentioned = [self._people[int(each)] for each in _MENTION.findall(content) if int(each) in self._people]
        if reply_to is not None and pings_reply:
            mentioned.append(reply_to.author)
        default = DEFAULT_MESSAGE if reply_to is None else REPLY_MESSAGE
        message = Message(
            channel,
            user,
            content,
            type=default if kind is None else kind,
            reply_to=reply_to,
            mentions=list(dict.fromkeys(mentioned)),
            webhook_id=user.id if is_webhook else None,
        )
        channel.messages.append(message)
        await self._announce_message(message)
        return message

    async def slash(self, user: User, channel: Channel, command: str, **options: Any) -> Interaction:
        """Use a command, such as `chat` or `developer token create`; Discord has let the person do it."""
        return await self._interact(user, channel, command, options, kind=2)

    async def autocomplete(self, user: User, channel: Channel, command: str, option: str, typed: str) -> list[str]:
        """Type into an option and return the values that are suggested."""
        interaction = await self._interact(user, channel, command, {option: typed}, kind=4)
        await interaction.deferred()
        assert interaction.choices is not None
        return [choice["value"] for choice in interaction.choices]

    async def _interact(
        self, user: User, channel: Channel, command: str, options: dict[str, Any], *, kind: int
    ) -> Interaction:
        name, *path = command.split()
        known = next((each for each in self.state.commands if each["name"] == name), None)
        if known is None:
            raise ValueError(f"Discord was not told about /{name}")
        context = 1 if channel.type == DM else 0
        if context not in (known.get("contexts") or (0, 1)):
            raise ValueError(f"/{name} is not shown here")
        interaction = Interaction(user, channel, command, self.changes, created_at=asyncio.get_running_loop().time())
        self.state.interactions[interaction.token] = interaction
        encoded = encode_options(known, path, options)
        if kind == 4:
            _innermost(encoded)[0]["focused"] = True
        data = {"id": known["id"], "name": name, "type": 1, "options": encoded}
        await self.gateway.dispatch("INTERACTION_CREATE", self._interaction_json(interaction, kind, data))
        return interaction

    def _interaction_json(self, interaction: Interaction, kind: int, data: Json) -> Json:
        channel, user = interaction.channel, interaction.user
        rendered: Json = {
            "id": str(interaction.id),
            "application_id": str(self.bot.id),
            "type": kind,
            "data": data,
            "channel": channel.json(),
            "channel_id": str(channel.id),
            "token": interaction.token,
            "version": 1,
            "app_permissions": str(MEMBER_PERMISSIONS),
            "locale": "en-US",
            "entitlements": [],
            "authorizing_integration_owners": {},
            "context": 1 if channel.guild is None else 0,
            "attachment_size_limit": 10 * 1024 * 1024,
        }
        if channel.guild is None:
            return {**rendered, "user": user.json()}
        member = {"user": user.json(), **user.member_json(), "permissions": str(user.permissions)}
        guild = {"id": str(channel.guild.id), "locale": "en-US", "features": []}
        return {**rendered, "guild_id": guild["id"], "guild": guild, "guild_locale": "en-US", "member": member}

    # What the network does ----------------------------------------------------------------------------------------

    async def drop_gateway(self, *, resume: bool = True) -> None:
        """Cut the gateway connection; what happens meanwhile is kept for a resume, unless that is refused."""
        await self.gateway.drop(can_resume=resume)

    def rate_limit_next(
        self,
        route: str,
        *,
        retry_after_seconds: float,
        times: int = 1,
        is_global: bool = False,
        has_via: bool = True,
    ) -> None:
        """Answer the next requests of a route, such as `POST /channels/{channel}/messages`, with 429."""
        self.state.limits[route] = RateLimit(retry_after_seconds, times, is_global, has_via)

    def fail_next(self, route: str, *statuses: int) -> None:
        """Answer the next requests of a route with these statuses."""
        self.state.failures[route] = list(statuses)

    # What tests wait for ------------------------------------------------------------------------------------------

    async def connected(self) -> None:
        """Wait until a bot listens."""
        await self.changes.until(lambda: self.gateway.is_connected, "the bot connects")

    async def posted(self, channel: Channel, count: int = 1) -> list[str]:
        """Wait until the bot has posted that many messages in a channel; returns the texts of all."""
        await self.changes.until(lambda: len(channel.own_messages(self.bot)) >= count, f"{count} messages of the bot")
        return [message.content for message in channel.own_messages(self.bot)]

    # What the bot is told -----------------------------------------------------------------------------------------

    def _greeting(self, session: Session) -> list[tuple[str, Json]]:
        ready = {
            "v": 10,
            "user": self.bot.json(),
            "guilds": [{"id": str(guild.id), "unavailable": True} for guild in self.state.guilds],
            "session_id": session.id,
            "resume_gateway_url": self.gateway_url,
            "application": {"id": str(self.bot.id), "flags": 0},
        }
        guilds = [("GUILD_CREATE", guild.json(self.bot)) for guild in self.state.guilds]
        return [("READY", ready), *(guilds if session.intents & _GUILDS else [])]

    async def _announce_message(self, message: Message) -> None:
        """Tell the bot about a message, as far as its intents go."""
        self.changes.announce()
        session = self.gateway.session
        needed = _DIRECT_MESSAGES if message.channel.guild is None else _GUILD_MESSAGES
        if session is None or not session.intents & needed:
            return
        event = message.json(with_content=self._may_read(message, session))
        if message.reply_to is not None and not self._may_read(message.reply_to, session):
            event["referenced_message"]["content"] = ""
        if message.channel.guild is not None:
            event["guild_id"] = str(message.channel.guild.id)
            if message.webhook_id is None:
                event["member"] = message.author.member_json()
        await self.gateway.dispatch("MESSAGE_CREATE", event)

    def _may_read(self, message: Message, session: Session) -> bool:
        """Say whether the bot is given a message's text: its own, DMs, mentions, or with the privileged intent."""
        return (
            bool(session.intents & _MESSAGE_CONTENT)
            or message.channel.guild is None
            or message.author is self.bot
            or self.bot in message.mentions
        )


def asks_privileged(identify: Json) -> bool:
    """Say whether an IDENTIFY asks for an intent that Discord grants on review only."""
    return bool(identify["intents"] & PRIVILEGED_INTENTS)


def _innermost(options: list[Json]) -> list[Json]:
    """Return the options below all subcommands."""
    while options and options[0]["type"] in (1, 2):
        options = options[0]["options"]
    return options
