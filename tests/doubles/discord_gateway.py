"""The gateway of the stand-in Discord server: hello, identify, resume, heartbeats, events.

Owns: sessions and their numbered events, so that a resume repeats exactly what was missed. Does not own: what the
events say. Source: https://discord.com/developers/docs/events/gateway.
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
SESSION_CAN_RESUME = 4000
PRIVILEGED_INTENTS = (1 << 1) | (1 << 8) | (1 << 15)


@dataclass(eq=False)
class Session:
    """One identified bot; `events` are all it was, or should have been, sent, of which `sent` went out by now."""

    intents: int
    id: str = field(default_factory=lambda: f"session-{new_snowflake()}")
    events: list[Json] = field(default_factory=list)
    sent: int = 0
    socket: web.WebSocketResponse | None = None
    is_resumable: bool = True


class Gateway:
    """Accepts bots with the right token and keeps one session."""

    def __init__(self, token: str, changes: Changes) -> None:
        self._token = token
        self._changes = changes
        self._greeting: Callable[[Session], list[tuple[str, Json]]] = lambda _: []
        self.session: Session | None = None
        self.identifies: list[Json] = []
        self.resumes: list[Json] = []
        self.close_with: int | None = None
        self._sending = asyncio.Lock()
        self._errands: set[asyncio.Task[None]] = set()

    def greet_with(self, greeting: Callable[[Session], list[tuple[str, Json]]]) -> None:
        """Set what a new session is sent: READY and one GUILD_CREATE per server."""
        self._greeting = greeting

    @property
    def is_connected(self) -> bool:
        """Say whether a bot listens right now."""
        return self.session is not None and self.session.socket is not None

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
            if self.session is not None and self.session.socket is socket:
                self.session.socket = None
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
        session = self.session = Session(intents=data["intents"], socket=socket)
        for name, event in self._greeting(session):
            await self.dispatch(name, event)
        self._changes.announce()

    async def _resume(self, socket: web.WebSocketResponse, data: Json) -> None:
        self.resumes.append(data)
        session = self.session
        if session is None or session.id != data["session_id"] or not session.is_resumable:
            await socket.send_json({"op": INVALID_SESSION, "d": False, "s": None, "t": None})
            return
        session.sent = data["seq"]
        session.socket = socket
        await self.dispatch("RESUMED", {})
        self._changes.announce()

    async def dispatch(self, name: str, data: Any) -> None:
        """Send an event, or keep it for the resume while nobody listens."""
        self._put(name, data)
        await self._send()

    def dispatch_soon(self, name: str, data: Any) -> None:
        """Put an event in its place at once and send it in a moment; nothing happens before a bot has identified."""
        if self.session is None:
            return
        self._put(name, data)
        errand = asyncio.get_running_loop().create_task(self._send())
        self._errands.add(errand)
        errand.add_done_callback(self._errands.discard)

    def _put(self, name: str, data: Any) -> None:
        session = self.session
        assert session is not None, "no bot has identified yet"
        session.events.append({"op": DISPATCH, "t": name, "s": len(session.events) + 1, "d": data})

    async def _send(self) -> None:
        """Send what has not been sent, in order."""
        async with self._sending:
            session = self.session
            while session is not None and session.socket is not None and session.sent < len(session.events):
                event = session.events[session.sent]
                session.sent += 1
                with contextlib.suppress(ConnectionError):
                    await session.socket.send_json(event)

    async def drop(self, *, can_resume: bool = True) -> None:
        """Cut the connection; events go on being kept. `can_resume=False`: the session is lost with it."""
        session = self.session
        assert session is not None
        assert session.socket is not None
        socket, session.socket = session.socket, None
        session.is_resumable = can_resume
        await socket.close(code=SESSION_CAN_RESUME)

    async def ask_to_reconnect(self) -> None:
        """Send opcode 7, as Discord does before it restarts a gateway."""
        session = self.session
        assert session is not None
        assert session.socket is not None
        await session.socket.send_json({"op": RECONNECT, "d": None, "s": None, "t": None})

    async def close(self) -> None:
        """End the connection for good."""
        for errand in tuple(self._errands):
            await errand
        if self.session is not None and self.session.socket is not None:
            await self.session.socket.close()
