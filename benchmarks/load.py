"""Puts load on an HTTP service over kept-alive connections, at as little cost to itself as can be.

A client library would take as long over a request as the service does, and share its core's time when the machine has
few. So requests are ready bytes, and of a reply only its status and its length are read.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

_TAIL_BYTES = 4096
"""More than a stream's last line has."""


@dataclass(slots=True)
class Measured:
    """What became of many requests: seconds each took, and how many were no 200."""

    seconds: list[float] = field(default_factory=list)
    failures: int = 0
    wall_seconds: float = 0.0

    @property
    def per_second(self) -> float:
        """Requests answered per second."""
        return len(self.seconds) / self.wall_seconds

    def milliseconds(self, share: float) -> float:
        """Give the time that so large a share of the requests stayed within."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000


def request_bytes(path: str, secret: str, body: Mapping[str, Any]) -> bytes:
    """Write one POST request."""
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {secret}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


class Connection(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self) -> None:
        self._received = b""
        self._reply: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, port: int) -> "Connection":
        """Connect to this machine."""
        _, connection = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Collect a reply, and hand on its status when it is whole."""
        self._received += data
        head, blank, body = self._received.partition(b"\r\n\r\n")
        if not blank:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) >= length and self._reply is not None:
            self._received = b""
            self._reply.set_result(int(head[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        """Tell whoever waits."""
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(error or ConnectionResetError("closed"))

    async def ask(self, request: bytes) -> int:
        """Send a request and return its reply's status."""
        assert self._transport is not None
        self._reply = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._reply

    def close(self) -> None:
        """Hang up."""
        assert self._transport is not None
        self._transport.close()


async def closed_loop(port: int, *requests_in_turn: bytes, connections: int, requests: int) -> Measured:
    """Ask from so many connections, each as soon as it has its reply."""
    lines = [await Connection.open(port) for _ in range(connections)]
    measured = Measured()
    left = iter(range(requests))

    async def repeat(line: Connection) -> None:
        for number in left:
            started = perf_counter()
            status = await line.ask(requests_in_turn[number % len(requests_in_turn)])
            measured.seconds.append(perf_counter() - started)
            measured.failures += status != 200

    started = perf_counter()
    await asyncio.gather(*map(repeat, lines))
    measured.wall_seconds = perf_counter() - started
    _close(lines)
    return measured


async def open_loop(port: int, request: bytes, *, connections: int, per_second: float, seconds: float) -> Measured:
    """Ask at a steady pace, whatever becomes of the replies. A request's time counts from when it was due."""
    lines = [await Connection.open(port) for _ in range(connections)]
    measured = Measured()
    started = perf_counter()

    async def repeat(line: Connection, first: int) -> None:
        for number in range(first, int(per_second * seconds), connections):
            due = started + number / per_second
            await asyncio.sleep(max(0.0, due - perf_counter()))
            status = await line.ask(request)
            measured.seconds.append(perf_counter() - due)
            measured.failures += status != 200

    await asyncio.gather(*(repeat(line, first) for first, line in enumerate(lines)))
    measured.wall_seconds = perf_counter() - started
    _close(lines)
    return measured


@dataclass(slots=True)
class Streamed:
    """A streamed reply: when it was asked for, when its first line and its last bytes came, and its last line."""

    asked: float
    first: float = 0.0
    ended: float = 0.0
    last: Mapping[str, Any] = field(default_factory=dict)


class _Stream(asyncio.Protocol):
    """Takes in a reply until the server closes the connection, and looks at its last line only."""

    def __init__(self, streamed: Streamed) -> None:
        self._streamed = streamed
        self._tail = b""
        self.ended: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        # The head may come long before: no header holds a brace.
        if not self._streamed.first and b"{" in data:
            self._streamed.first = perf_counter()
        self._tail = (self._tail + data)[-_TAIL_BYTES:]

    def connection_lost(self, error: Exception | None) -> None:
        self._streamed.ended = perf_counter()
        lines = [line.removeprefix(b"data: ") for line in self._tail.splitlines()]
        self._streamed.last = json.loads([line for line in lines if line.startswith(b"{")][-1])
        self.ended.set_result(error)


async def stream(at: int | str, request: bytes) -> Streamed:
    """Ask once, over a connection of its own to a port of this machine or a Unix socket, and take in the stream."""
    streamed = Streamed(perf_counter())
    closing = request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
    loop = asyncio.get_running_loop()
    if isinstance(at, int):
        transport, reply = await loop.create_connection(lambda: _Stream(streamed), "127.0.0.1", at)
    else:
        transport, reply = await loop.create_unix_connection(lambda: _Stream(streamed), at)
    transport.write(closing)
    await reply.ended
    return streamed


def _close(lines: Sequence[Connection]) -> None:
    for line in lines:
        line.close()
