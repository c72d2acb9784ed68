"""What lies between a process and its PostgreSQL, and breaks: a TCP proxy to the server's Unix socket.

Connections can be cut and refused, can stand still, and one answer to a COMMIT, or the COMMIT itself, can be lost. TCP
because that is how a database is reached over a network.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

_COMMIT = b"COMMIT;\0"
"""How asyncpg ends a transaction: a simple query (https://www.postgresql.org/docs/current/protocol-flow.html)."""

Loss = Literal["answer", "question"]


class DatabaseProxy:
    """A running proxy; `port` stays the same while nothing listens there."""

    def __init__(self, socket_path: Path) -> None:
        self._socket_path = socket_path
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self.port = 0
        self.loses: Loss | None = None
        """What is to be lost of the next commit, with its connection; None again when it is."""
        self.cuts_at_loss = False
        """Whether every other connection is cut in that very moment, too."""

    def url(self, name: str, *, options: str = "", user: str = "postgres") -> str:
        return f"postgres://{user}@127.0.0.1:{self.port}/{name}{options}"

    async def restore(self) -> None:
        """Take connections and carry everything."""
        self._flows.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """End every connection, and refuse new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in tuple(self._writers):
            writer.transport.abort()

    def stand_still(self) -> None:
        """Take connections and bytes, and carry nothing."""
        self._flows.clear()

    async def close(self) -> None:
        await self.cut()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_unix_connection(self._socket_path)
        self._writers |= {writer, there_writer}
        directions = (self._pump(reader, there_writer, writer), self._pump(there_reader, writer, None))
        tasks = {asyncio.create_task(direction) for direction in directions}
        self._tasks |= tasks
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks -= tasks
        self._writers -= {writer, there_writer}
        for each in (writer, there_writer):
            each.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: asyncio.StreamWriter | None
    ) -> None:
        """Carry one direction; `client` is who asks, in the direction of the questions."""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(2**16):
                await self._flows.wait()
                if client is not None and self.loses is not None and _COMMIT in data:
                    await self._lose(data, writer, client)
                    return
                writer.write(data)
                await writer.drain()

    async def _lose(self, data: bytes, writer: asyncio.StreamWriter, client: asyncio.StreamWriter) -> None:
        if self.loses == "answer":
            # Sent at once; the client is gone before the server can answer.
            writer.write(data)
            client.transport.abort()
            if self.cuts_at_loss:
                await self.cut()
            else:
                await writer.drain()
        self.loses = None


@asynccontextmanager
async def proxying(socket_path: Path) -> AsyncIterator[DatabaseProxy]:
    """Run a proxy for the block."""
    proxy = DatabaseProxy(socket_path)
    await proxy.restore()
    try:
        yield proxy
    finally:
        await proxy.close()
