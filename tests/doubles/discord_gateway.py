"""The gateway of the stand-in Discord server: hello, identify, resume, heartbeats, events.

Owns: sessions and their numbered events, so that a resume repeats exactly what was missed; which shard hears of what,
and how fast shards may identify. Does not own: what the events say. Sources:
https://discord.com/developers/docs/events/gateway and https://discord.com/developers/docs/events/gateway#sharding.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.doubles.discord_basics import Changes, Json, new_snowflake

DISPATCH, HEARTBEAT, IDENTIFY, RESUME, RECONNECT, INVALID_SESSION, HELLO, ACK = 0, 1, 2, 6, 7, 9, 10, 11
AUTHENTICATION_FAILED = 4004
INVALID_SHARD = 4010
SESSION_CAN_RESUME = 4000
PRIVILEGED_INTENTS = (1 << 1) | (1 << 8) | (1 << 15)


WHOLE = (0, 1)
"""The shard of a bot that names none."""


@dataclass(eq=False)
class Session:
    """One identified shard; `events` are all it was, or should have been, sent, of which `sent` went out by now."""

    intents: int
    shard: tuple[int, int] = WHOLE
    id: str = field(default_factory=lambda: f"session-{new_snowflake()}")
    events: list[Json] = field(default_factory=list)
    sent: int = 0
    socket: web.WebSocketResponse | None = None
    is_resumable: bool = True

    def hears_of(self, guild_id: int | None) -> bool:
        """Say whether what happens in a server, or in DMs (None), is sent to this shard."""
        number, count = self.shard
        return number == (0 if guild_id is None else (guild_id >> 22) % count)


class Gateway:
    """Accepts bots with the right token and keeps a session for each shard.

    Between two identifies of one rate limit key (shard modulo `max_concurrency`) must lie `identify_seconds`, 5 with
    Discord; whoever is faster gets an invalid session and stands in `hurried`, as the shard that it was.
    """

    def __init__(self, token: str, changes: Changes) -> None:
        self._token = token
        self._changes = changes
        self._greeting: Callable[[Session], list[tuple[str, Json]]] = lambda _: []
        self.sessions: list[Session] = []
        self.identifies: list[Json] = []
        self.resumes: list[Json] = []
        self.close_with: int | None = None
        self.max_concurrency = 1
        self.identify_seconds = 0.0
        self.hurried: list[int] = []
        self._next_identify: dict[int, float] = {}
        self._sending = asyncio.Lock()
        self._errands: set[asyncio.Task[None]] = set()

    def greet_with(self, greeting: Callable[[Session], list[tuple[str, Json]]]) -> None:
        """Set what a new session is sent: READY and one GUILD_CREATE per server of its shard."""
        self._greeting = greeting

    @property
    def session(self) -> Session | None:
        """Return the session that was begun last."""
        return self.sessions[-1] if self.sessions else None

    @property
    def is_connected(self) -> bool:
        """Say whether a bot listens right now."""
        return bool(self.shards)

    @property
    def shards(self) -> set[tuple[int, int]]:
        """Return the shards that listen right now."""
        return {session.shard for session in self.sessions if session.socket is not None}

    def listens(self, intent: int) -> bool:
        """Say whether a bot wants to hear of something."""
        return any(session.intents & intent for session in self.sessions)

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one connection."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"op": HELLO, "d": {"heartbeat_interval": 41_250}, "s": None, "t": None})
        try:
            async for frame in socket:
                if frame.type is WSMsgType.TEXT:
                    await self._receive(socket, json.loads(frame.data))
        finally:
            for session in self.sessions:
                if session.socket is socket:
                    session.socket = None
            self._changes.announce()
        return socket

    async def _receive(self, socket: web.WebSocketResponse, frame: Json) -> None:
        match frame["op"]:
            case 1:
                await socket.send_json({"op": ACK, "d": None, "s": None, "t": None})
            case 2:
                await self._identify(socket, frame["d"])
            case 6:
                await self._resume(socket, frame["d"])

    async def _identify(self, socket: web.WebSocketResponse, data: Json) -> None:
        self.identifies.append(data)
        if self.close_with is not None:
            await socket.close(code=self.close_with)
            return
        if data["token"] != self._token:
            await socket.close(code=AUTHENTICATION_FAILED)
            return
        number, count = data.get("shard") or WHOLE
        if not 0 <= number < count:
            await socket.close(code=INVALID_SHARD)
            return
        if self._is_hurried(number):
            self.hurried.append(number)
            self._changes.announce()
            await socket.send_json({"op": INVALID_SESSION, "d": False, "s": None, "t": None})
            return
        await self._begin(Session(intents=data["intents"], shard=(number, count), socket=socket))

    def _is_hurried(self, number: int) -> bool:
        key, now = number % self.max_concurrency, asyncio.get_running_loop().time()
        is_hurried = now < self._next_identify.get(key, 0.0)
        self._next_identify[key] = now + self.identify_seconds
        return is_hurried

    async def _begin(self, session: Session) -> None:
        """Begin a session in the place of what nobody will resume: its shard's own, and those of another number."""
        number, count = session.shard
        others = [(other, count) for other in range(count) if other != number]
        self.sessions = [each for each in self.sessions if each.socket is not None or each.shard in others]
        self.sessions.append(session)
        for name, event in self._greeting(session):
            _put(session, name, event)
        await self._send()
        self._changes.announce()

    async def _resume(self, socket: web.WebSocketResponse, data: Json) -> None:
        self.resumes.append(data)
        session = next((each for each in self.sessions if each.id == data["session_id"]), None)
        if session is None or not session.is_resumable:
            await socket.send_json({"op": INVALID_SESSION, "d": False, "s": None, "t": None})
            return
        session.sent = data["seq"]
        session.socket = socket
        _put(session, "RESUMED", {})
        await self._send()
        self._changes.announce()

    async def dispatch(self, name: str, data: Any, *, guild_id: int | None = None) -> None:
        """Send an event of a server, or of DMs (None), to its shard, or keep it for the resume while nobody listens."""
        assert self.sessions, "no bot has identified yet"
        self._put(name, data, guild_id)
        await self._send()

    def dispatch_soon(self, name: str, data: Any, *, guild_id: int | None = None) -> None:
        """Put an event in its place at once and send it in a moment; nothing happens before a bot has identified."""
        if not self.sessions:
            return
        self._put(name, data, guild_id)
        errand = asyncio.get_running_loop().create_task(self._send())
        self._errands.add(errand)
        errand.add_done_callback(self._errands.discard)

    def _put(self, name: str, data: Any, guild_id: int | None) -> None:
        for session in self.sessions:
            if session.hears_of(guild_id):
                _put(session, name, data)

    async def _send(self) -> None:
        """Send what has not been sent, in order."""
        async with self._sending:
            for session in tuple(self.sessions):
                while session.socket is not None and session.sent < len(session.events):
                    event = session.events[session.sent]
                    session.sent += 1
                    with contextlib.suppress(ConnectionError):
                        await session.socket.send_json(event)

    async def drop(self, *, can_resume: bool = True) -> None:
        """Cut every connection; events go on being kept. `can_resume=False`: the sessions are lost with them."""
        assert self.is_connected
        for session in tuple(self.sessions):
            socket, session.socket = session.socket, None
            session.is_resumable = can_resume
            if socket is not None:
                await socket.close(code=SESSION_CAN_RESUME)

    async def ask_to_reconnect(self) -> None:
        """Send opcode 7, as Discord does before it restarts a gateway."""
        assert self.is_connected
        for session in self.sessions:
            if session.socket is not None:
                await session.socket.send_json({"op": RECONNECT, "d": None, "s": None, "t": None})

    async def close(self) -> None:
        """End the connections for good."""
        for errand in tuple(self._errands):
            await errand
        for session in tuple(self.sessions):
            if session.socket is not None:
                await session.socket.close()


def _put(session: Session, name: str, data: Any) -> None:
    session.events.append({"op": DISPATCH, "t": name, "s": len(session.events) + 1, "d": data})
