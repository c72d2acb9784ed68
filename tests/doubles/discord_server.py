"""A stand-in for Discord on loopback: good enough for discord.py to connect to, strict enough to catch a rude bot."""

from types import TracebackType
from typing import Self

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.doubles.discord_announcer import GUILDS
from tests.doubles.discord_application import ApplicationRoutes
from tests.doubles.discord_basics import Json
from tests.doubles.discord_buckets import ANSWER_EDITS, ANSWER_POSTS, MESSAGE_EDITS, MESSAGE_POSTS, Buckets, Size
from tests.doubles.discord_doings import Doings
from tests.doubles.discord_gateway import PRIVILEGED_INTENTS, Session
from tests.doubles.discord_interactions import InteractionRoutes
from tests.doubles.discord_message_routes import MessageRoutes
from tests.doubles.discord_oauth import OAuthRoutes
from tests.doubles.discord_places import Channel
from tests.doubles.discord_rest import DiscordRest
from tests.doubles.discord_state import Call, RateLimit
from tests.doubles.discord_uploads import CDN_PATH
from tests.doubles.discord_uses import Uses

_MAX_BODY_BYTES = 256 * 1024 * 1024


class DiscordServer(Doings, Uses):
    """One Discord with one bot. Use as an async context manager: `async with DiscordServer() as server`.

    What there is (`discord_world.py`), made before the bot connects or while it listens::

        guild = server.guild(bot_permissions=MEMBER_PERMISSIONS, locale="de", owner=grace)
        channel = server.channel(guild, is_nsfw=True, may_bot_speak=False, is_system=True)
        forum, thread = server.forum(guild), server.thread(channel, starter=message)
        ada, grace = server.user("Ada", locale="fr", permissions=...), server.admin()
        ada.roles.append(server.role(guild, "Testers"))
        dm = server.dm(ada)                                 # `dm_of(ada)` finds the one that the bot has opened
        ada.dms_closed = True                               # sending is refused, 403/50007
        ada.has_mature_commands_in_dms = True               # age-restricted commands are hidden in DMs otherwise

    What people do (`discord_doings.py`), each announced to the bot as far as its intents go::

        message = await server.user_says(channel, ada, "hi", mentions_bot=True, reply_to=message,
                                         attachments=[("notes.txt", b"...", "text/plain; charset=utf-8")])
        await server.user_edits(message, "hello")
        await server.user_deletes(message)                  # also the bot's own: a moderator does it
        await server.bulk_delete([message, other])
        thread = await server.forum_post(forum, ada, "title", "text")
        await server.delete_channel(channel)                # threads go with it; later calls: 404/10003
        await server.join(later, inviter=ada)               # later = server.guild(), made after the bot connected
        await server.leave(guild)

    What people use (`discord_uses.py`); each returns an `Interaction`, or raises `ValueError` where Discord's client
    would not offer it::

        interaction = await server.slash(ada, channel, "settings set", top_p=0.5, who=bob, file=("a.txt", b"..."))
        values = await server.autocomplete(ada, channel, "settings set", "model", "par")
        choices = await server.suggestions(ada, channel, "settings set", "model", "par")     # with names
        interaction = await server.message_menu(ada, channel, "Ask about this message", message)
        pressed = await server.press(ada, message, message.custom_id("Stop"))    # forged=True: any custom id
        picked = await server.select(ada, message, "persona", ["pirate"])
        sent = await server.submit(ada, pressed, {"question": "why?"})           # custom_id=..., forged=True
        server.state.shows_mature_commands = True            # age-restricted commands are offered everywhere

    What became of it: `await interaction.deferred()` (seconds), `.answered()` (callback number: 4 message, 5
    thinking, 6 and 7 the pressed message changes, 9 form), `.replied(count)` (texts), `.form()` (JSON, also
    `.modal`), then `.replies`, `.original`, `.message`, `.choices`. `interaction.expire()` ends its 15 minutes;
    `may_stay_unanswered = True` excuses it. A message has `content`, `versions` (every text it had), `components`,
    `buttons`, `embeds`, `files` (`.data`, `.url`, `.content_type`, `.description`), `is_ephemeral`, `is_deleted`,
    `edits`; `age_seconds` makes it older. Ephemeral messages are in `interaction.replies` only, never in
    `channel.messages`.

    Shards: every server's events go to its own shard, those of DMs to shard 0; `gateway.shards` are those that listen,
    `guild_of_shard(number, count)` makes a server for one. `state.recommended_shards`, `gateway.max_concurrency` and
    `gateway.identify_seconds` set what `GET /gateway/bot` says and what is asked of those who identify.

    Who logs in with Discord in a browser (`discord_oauth.py`): `server.oauth.person = ada`, or None, who declines.

    What the network does: `drop_gateway`, `fail_next`, `rate_limit_next`, and for limits that run empty by themselves
    `edit_bucket(limit=5, window_seconds=5.0)`, `bucket(route, ...)`, `global_limit(50)`. `server.state.rate_limited`
    names the route of every 429; `server.state.breaches` every broken rule, which the fixture `server` of the bot's
    tests checks at the end: limits of messages, components, forms, commands and files, first answers that come late,
    twice or never, pings, and repeats before `Retry-After`. Missing permissions are a 403, as with Discord, and no
    breach.

    Waiting: `connected()`, `posted(channel, count)`, `changes.until(claim, what)`; every request is in `calls`.
    """

    def __init__(self, *, token: str = "stand-in-token") -> None:
        super().__init__(token)
        self.gateway.greet_with(self._greeting)
        self._buckets = Buckets()
        self._application = ApplicationRoutes(self.state, self.gateway)
        messages = MessageRoutes(self.state, self._announcer, self._cdn)
        interactions = InteractionRoutes(self.state, self._announcer, self._cdn)
        routes = [*self._application.routes(), *messages.routes(), *interactions.routes()]
        self.oauth = OAuthRoutes(self.state)
        app = web.Application(client_max_size=_MAX_BODY_BYTES, middlewares=[self.oauth.answer_bearer])
        self.oauth.add_routes(app)
        DiscordRest(self.state, self._buckets, routes).add_routes(app)
        app.router.add_get("/gateway", self.gateway.handle)
        app.router.add_get(CDN_PATH, self._cdn.serve)
        self._server = TestServer(app)

    async def __aenter__(self) -> Self:
        await self._server.start_server()
        self.state.lived.start()
        self._application.gateway_url = self.gateway_url
        self._cdn.url = str(self._server.make_url("")).rstrip("/")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.state.lived.stop()
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
    def calls(self) -> list[Call]:
        """Return the REST requests so far."""
        return self.state.calls

    # What the network does ----------------------------------------------------------------------------------------

    async def drop_gateway(self, *, resume: bool = True) -> None:
        """Cut the gateway connection; what happens meanwhile is kept for a resume, unless that is refused."""
        await self.gateway.drop(can_resume=resume)

    def edit_bucket(self, limit: int = 5, window_seconds: float = 5.0) -> None:
        """Give edits and posts of messages buckets that run empty: one per channel, or per interaction for its own.

        Call it before the bot connects: a bot keeps to the limits it was last told. A window begins with the first
        request in it. The four kinds (edit or post, by the bot's token or an interaction's) do not share a bucket.
        """
        for family in (MESSAGE_EDITS, MESSAGE_POSTS, ANSWER_EDITS, ANSWER_POSTS):
            self._buckets.sizes[family] = Size(limit, window_seconds)

    def bucket(self, route: str, *, limit: int, window_seconds: float) -> None:
        """Give one other route, such as `POST /channels/{channel}/typing`, a bucket that runs empty."""
        self._buckets.sizes[route] = Size(limit, window_seconds)

    def global_limit(self, requests: int = 50, window_seconds: float = 1.0) -> None:
        """Limit all requests with the bot's token together; the endpoints of interactions are exempt."""
        self._buckets.global_limit = Size(requests, window_seconds)

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

    async def connected(self, *shards: tuple[int, int]) -> None:
        """Wait until a bot listens, or until exactly these shards (number and count) do."""

        def is_connected() -> bool:
            return self.gateway.shards == set(shards) if shards else self.gateway.is_connected

        await self.changes.until(is_connected, f"the bot connects {shards or ''}")

    async def posted(self, channel: Channel, count: int = 1) -> list[str]:
        """Wait until the bot has posted that many messages in a channel; returns the texts of all."""
        await self.changes.until(lambda: len(channel.own_messages(self.bot)) >= count, f"{count} messages of the bot")
        return [message.content for message in channel.own_messages(self.bot)]

    def _greeting(self, session: Session) -> list[tuple[str, Json]]:
        here = [guild for guild in self.state.guilds if session.hears_of(guild.id)]
        ready = {
            "v": 10,
            "user": self.bot.json(),
            "guilds": [{"id": str(guild.id), "unavailable": True} for guild in here],
            "session_id": session.id,
            "resume_gateway_url": self.gateway_url,
            "shard": list(session.shard),
            "application": {"id": str(self.bot.id), "flags": 0},
        }
        for guild in here:
            guild.is_announced = True
        guilds = [("GUILD_CREATE", guild.json(self.bot)) for guild in here]
        return [("READY", ready), *(guilds if session.intents & GUILDS else [])]


def asks_privileged(identify: Json) -> bool:
    """Say whether an IDENTIFY asks for an intent that Discord grants on review only."""
    return bool(identify["intents"] & PRIVILEGED_INTENTS)
