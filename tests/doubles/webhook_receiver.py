"""A receiver of webhooks on loopback: keeps what it gets and answers as it is told."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True, kw_only=True)
class Received:
    """One request, whole."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def accept(request: web.Request) -> web.StreamResponse:
    return web.Response(status=204)


@dataclass(kw_only=True)
class Receiver:
    """Where it listens, what came, and how it answers from now on."""

    url: str = ""
    port: int = 0
    received: list[Received] = field(default_factory=list)
    answer: Answer = accept
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, count: int, *, within_seconds: float = 60) -> list[Received]:
        """Return everything when so many requests have come."""
        async with asyncio.timeout(within_seconds), self._changed:
            await self._changed.wait_for(lambda: len(self.received) >= count)
        return self.received

    async def take(self, request: web.Request) -> web.StreamResponse:
        received = Received(path=request.path_qs, headers=dict(request.headers), body=await request.read())
        async with self._changed:
            self.received.append(received)
            self._changed.notify_all()
        return await self.answer(request)


@asynccontextmanager
async def receiving(*, context: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[Receiver]:
    """Receive for the block."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
        receiver.port = runner.addresses[0][1]
        receiver.url = f"{'http' if context is None else 'https'}://127.0.0.1:{receiver.port}"
        yield receiver
    finally:
        await runner.cleanup()
