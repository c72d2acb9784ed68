"""aiohttp's runner, saying less: what cannot be read as HTTP is answered in our form and logged without its text.

aiohttp answers such a request before any middleware sees it, with the offending bytes in the reply and in a traceback;
they may hold a token. Does not own: anything that happens to a request that can be read.
"""

import asyncio
import secrets
from typing import Any, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_server import Server

from api import keys
from api.connections import Guard, Patience
from api.dialect import NATIVE
from api.errors import ApiError, internal, too_many_connections

ABORT_SECONDS = 1.0
"""How long aiohttp may wait for a handler that was cancelled already (it waits twice)."""


def _refuse_raw() -> bytes:
    """Write the refusal of a connection, which no request is read from."""
    refusal = too_many_connections()
    body = NATIVE.say(refusal, secrets.token_hex(8)).model_dump_json().encode()
    headers = {
        **refusal.headers,
        "Content-Type": "application/json",
        "Content-Length": len(body),
        "Connection": "close",
    }
    head = [f"HTTP/1.1 {refusal.status} {refusal.title}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


_TOO_MANY = _refuse_raw()


class _Handler(RequestHandler):
    """One connection."""

    __slots__ = ("_guard",)

    def __init__(self, manager: Server, *, guard: Guard, **options: Any) -> None:
        super().__init__(manager, **options)
        self._guard = guard

    @property
    def has_asked(self) -> bool:
        """Say whether a request's head was read whole, or refused."""
        return self._request_count > 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or refuse it where there are too many."""
        super().connection_made(transport)
        wire = cast("asyncio.Transport", transport)
        if not self._guard.open(self, wire):
            wire.write(_TOO_MANY)
            self.force_close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Let go of it."""
        self._guard.close(self)
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it quotes the request
    ) -> web.StreamResponse:
        """Answer what could not be read, and close the connection."""
        self.log_exception("A request could not be read", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("the reply has begun already")
        refusal = internal()
        if status < 500:
            refusal = ApiError(status, "Invalid request", "The request is not valid HTTP/1.1; check its headers.")
        response = NATIVE.render(refusal, secrets.token_hex(8))
        response.force_close()
        return response

    def log_exception(self, *args: Any, **options: Any) -> None:
        """Log what happened and the exception's type, never its text."""
        error = options.get("exc_info")
        self.logger.warning("%s: %s", str(args[0]).partition("%")[0].strip(), type(error).__name__)


class _Server(Server):
    """Makes a handler for each connection."""

    guard: Guard

    def __call__(self) -> RequestHandler:
        return _Handler(self, guard=self.guard, loop=self._loop, **self._kwargs)


class ServiceRunner(web.AppRunner):
    """Runs the service. A caller that hangs up cancels its handler, which is what frees its slot."""

    __slots__ = ("_guard", "_watching")

    def __init__(self, app: web.Application, *, patience: Patience | None = None, **options: Any) -> None:
        super().__init__(app, handler_cancellation=True, access_log=None, shutdown_timeout=ABORT_SECONDS, **options)
        self._guard = Guard(patience or Patience())
        self._watching: asyncio.Task[None] | None = None

    async def _make_server(self) -> Server:
        server = await super()._make_server()
        # The same server, other handlers: aiohttp has no setting for their class.
        server.__class__ = _Server
        assert isinstance(server, _Server)
        server.guard = self._guard
        self._watching = asyncio.create_task(self._guard.watch())
        return server

    async def cleanup(self) -> None:
        """Close everything. Safe to call twice."""
        await super().cleanup()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def drain(self, seconds: float, *, hurry: asyncio.Event | None = None) -> None:
        """Take no more requests, let running ones finish for so long, end the rest. Safe to call twice.

        `hurry` ends the wait when it is set.
        """
        for site in list(self.sites):
            await site.stop()
        if isinstance(self.server, Server):
            # Idle connections are closed, busy ones after their reply.
            self.server.pre_shutdown()
        draining = self.app[keys.DRAINING]
        await draining.wait(seconds, hurry=hurry)
        # From here on a cancelled request is our doing, not its caller's: its call is given back.
        self.app[keys.ALLOWANCE].is_stopping = True
        draining.cancel()
        await self.cleanup()
