"""Callers that misbehave, on bare sockets: they leave in every phase, stall, trickle, pipeline, send what is no HTTP.

What such a call costs is known as long as nothing is killed meanwhile; the book is told.
"""

import asyncio
import contextlib
import json
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic

from storage.tokens import IssuedToken
from tests.soak.exchanges import FailedError, read_native, read_native_stream
from tests.soak.polite import LONGEST_REPLY, NATIVE, messages
from tests.soak.world import World

SMALL_BUFFER = 2048
"""Bytes that a slow reader's socket takes before the service has to wait."""

WAIT_SECONDS = 30.0


@dataclass(kw_only=True)
class Wire:
    """A bare connection. `read` returns nothing more once it is broken or closed."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def read(self, count: int = 65536) -> bytes:
        """Return some bytes; none at the end, however it came."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                return await self.reader.read(count)
        except OSError:
            return b""

    @property
    def is_over(self) -> bool:
        """Say whether the service has ended it."""
        return self.reader.at_eof() or self.reader.exception() is not None

    async def write(self, data: bytes) -> None:
        """Send some bytes; a connection that is gone already takes them too."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except OSError:
            return

    def hang_up(self, chance: random.Random) -> None:
        """Leave, with a farewell (FIN) or without (RST)."""
        if chance.random() < 0.5:
            plug = self.writer.get_extra_info("socket")
            # The service may have been killed in this moment, and the connection be closed.
            with contextlib.suppress(OSError):
                plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.close()


@asynccontextmanager
async def wire(world: World, *, small: bool = False) -> AsyncIterator[Wire | None]:
    """Connect for the block; None when nobody answers."""
    plug = socket.socket()
    plug.setblocking(False)
    if small:
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    try:
        await asyncio.get_running_loop().sock_connect(plug, ("127.0.0.1", world.house.port))
        reader, writer = await asyncio.open_connection(sock=plug, limit=SMALL_BUFFER if small else 2**16)
    except OSError:
        plug.close()
        yield None
        return
    try:
        yield Wire(reader=reader, writer=writer)
    finally:
        writer.transport.abort()


def head(token: IssuedToken, length: int) -> bytes:
    """Write the head of an ordinary request."""
    lines = (
        f"POST {NATIVE} HTTP/1.1",
        "Host: parley",
        f"Authorization: Bearer {token.secret}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def body(chance: random.Random, *, stream: bool, reply_tokens: int = LONGEST_REPLY) -> bytes:
    """Write a body whose reply is not over at once."""
    asked = {"messages": messages(chance), "num_predict": reply_tokens, "temperature": 2, "stream": stream}
    return json.dumps(asked).encode()


async def leave_in_the_head(world: World, chance: random.Random) -> None:
    """Leave before the request is one: it costs nothing."""
    async with wire(world) as open_wire:
        if open_wire is not None:
            whole = head(world.tokens.rude, 100)
            await open_wire.write(whole[: chance.randrange(len(whole) - 4)])
            open_wire.hang_up(chance)


async def leave_in_the_body(world: World, chance: random.Random) -> None:
    """Leave before the body is whole: the call was charged with its head, unless it was not even looked at yet."""
    token = world.tokens.rude
    began_at = world.book.begin(token.token.id)
    async with wire(world) as open_wire:
        if open_wire is not None:
            content = body(chance, stream=False)
            await open_wire.write(head(token, len(content)) + content[: chance.randrange(len(content))])
            await asyncio.sleep(chance.uniform(0, 0.3))
            open_wire.hang_up(chance)
    world.book.left(token.token.id, began_at, most_completion_tokens=0)


async def leave_while_waiting(world: World, chance: random.Random) -> None:
    """Leave between the request and the first byte of the reply."""
    token = world.tokens.rude
    began_at = world.book.begin(token.token.id)
    async with wire(world) as open_wire:
        if open_wire is not None:
            content = body(chance, stream=chance.random() < 0.5)
            await open_wire.write(head(token, len(content)) + content)
            await asyncio.sleep(chance.uniform(0, 0.5))
            open_wire.hang_up(chance)
    world.book.left(token.token.id, began_at, most_completion_tokens=LONGEST_REPLY)


async def leave_midway(world: World, chance: random.Random) -> None:
    """Leave after some pieces, or with the last: then the call is charged, whatever else."""
    token = world.tokens.rude
    began_at = world.book.begin(token.token.id)
    data = b""
    async with wire(world) as open_wire:
        if open_wire is not None:
            content = body(chance, stream=True)
            await open_wire.write(head(token, len(content)) + content)
            pieces = chance.randrange(1, LONGEST_REPLY + 8)
            while data.count(b'"done":false') < pieces and b'"done":true' not in data and b'"error"' not in data:
                chunk = await open_wire.read()
                if not chunk:
                    break
                data += chunk
            open_wire.hang_up(chance)
    _close_stream(world, token, began_at, data)


async def read_slowly(world: World, chance: random.Random) -> None:
    """Read a stream in sips, to its end."""
    token = world.tokens.rude
    began_at = world.book.begin(token.token.id)
    data = b""
    async with wire(world, small=True) as open_wire:
        if open_wire is not None:
            content = body(chance, stream=True)
            await open_wire.write(head(token, len(content)) + content)
            while not data.endswith(b"0\r\n\r\n") and (chunk := await open_wire.read(512)):
                data += chunk
                await asyncio.sleep(chance.uniform(0, 0.05))
    _close_stream(world, token, began_at, data)


def _close_stream(world: World, token: IssuedToken, began_at: float, data: bytes) -> None:
    """Close the call of a stream that was read until somewhere."""
    lines = b"".join(line + b"\n" for line in data.split(b"\r\n") if line.startswith(b"{")).replace(b"\n\n", b"\n")
    try:
        cost = read_native_stream(lines)
    except FailedError:
        world.book.told(token.token.id, calls=0)
        return
    if b" 503 " in data.partition(b"\r\n")[0]:
        world.book.told(token.token.id, calls=0)
    elif cost is not None:
        world.book.told(
            token.token.id, calls=1, prompt_tokens=cost.prompt_tokens, completion_tokens=cost.completion_tokens
        )
    else:
        calls = 1 if b'"done":false' in data else None
        world.book.left(token.token.id, began_at, most_completion_tokens=LONGEST_REPLY, calls=calls)


async def pipeline(world: World, chance: random.Random) -> None:
    """Send several requests at once on one connection; the replies come in their order."""
    token = world.tokens.rude
    began_at = world.book.begin(token.token.id)
    content = body(chance, stream=False, reply_tokens=8)
    look = f"GET /ai/usage HTTP/1.1\r\nHost: x\r\nAuthorization: {token.secret}\r\n\r\n".encode()
    count = chance.randrange(1, 12)
    data = b""
    async with wire(world) as open_wire:
        if open_wire is not None:
            await open_wire.write(look * count + head(token, len(content)) + content)
            while data.count(b"HTTP/1.1 ") < count + 1 or not data.endswith(b"}"):
                chunk = await open_wire.read()
                if not chunk:
                    break
                data += chunk
    replies = data.split(b"HTTP/1.1 ")[1:]
    whole = replies[-1].partition(b"\r\n\r\n")[2] if len(replies) == count + 1 else b""
    cost = read_native(whole) if whole and replies[-1].startswith(b"200") else None
    if cost is not None:
        world.book.told(
            token.token.id, calls=1, prompt_tokens=cost.prompt_tokens, completion_tokens=cost.completion_tokens
        )
    else:
        world.book.left(token.token.id, began_at, most_completion_tokens=8)


async def send_no_http(world: World, chance: random.Random) -> None:
    """Send what nobody can read, or a head that is too large: a short refusal, and the connection ends."""
    garbage = chance.choice((
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + chance.randbytes(200) + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Large: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(500)) + b"\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /ai/chat HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ))  # fmt: skip
    began_at, data = monotonic(), b""
    async with wire(world) as open_wire:
        if open_wire is not None:
            await open_wire.write(garbage)
            while chunk := await open_wire.read():
                data += chunk
    world.book.counts["no http"] += 1
    if b" 400 " not in data.partition(b"\r\n")[0] and not world.book.is_disturbed(began_at, monotonic()):
        world.book.problem(f"what is no HTTP got {data[:60]!r}")


async def trickle_a_head(world: World, chance: random.Random) -> None:
    """Send a head byte by byte: the service has to lose its patience."""
    began_at = monotonic()
    async with wire(world) as open_wire:
        if open_wire is None:
            return
        for byte in head(world.tokens.rude, 100):
            await open_wire.write(bytes([byte]))
            await asyncio.sleep(0.5)
            if open_wire.is_over:
                world.book.counts["trickles ended"] += 1
                return
            if monotonic() >= world.ends_at:
                return
    if not world.book.is_disturbed(began_at, monotonic()):
        world.book.problem("a head that trickled was waited for")


async def stay_silent(world: World, chance: random.Random) -> None:
    """Connect and say nothing, or half of a body, and never leave: the service has to."""
    token = world.tokens.rude
    content = body(chance, stream=False)
    sends_head = chance.random() < 0.5
    began_at = world.book.begin(token.token.id)
    async with wire(world) as open_wire:
        if open_wire is not None:
            if sends_head:
                await open_wire.write(head(token, len(content)) + content[:-10])
            if world.is_long:
                await _wait_for_the_end(world, open_wire, began_at)
            else:
                await asyncio.sleep(chance.uniform(0, 5))
    # Without waiting for the end: who leaves before the head was looked at pays nothing.
    calls = (1 if world.is_long else None) if sends_head else 0
    world.book.left(token.token.id, began_at, most_completion_tokens=0, calls=calls)


async def never_read(world: World, chance: random.Random) -> None:
    """Ask for more than any buffer holds and read none of it: the service has to lose its patience."""
    began_at = monotonic()
    ask = b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n"
    async with wire(world, small=True) as open_wire:
        if open_wire is None:
            return
        open_wire.writer.write(ask * 100)
        # Nothing reads from the socket meanwhile, so that its buffer fills up.
        open_wire.writer.transport.pause_reading()  # type: ignore[attr-defined] # an asyncio.Transport
        if not world.is_long:
            await asyncio.sleep(chance.uniform(0, 5))
            return
        await asyncio.sleep(PATIENCE_SECONDS)
        open_wire.writer.transport.resume_reading()  # type: ignore[attr-defined]
        await _wait_for_the_end(world, open_wire, began_at)


PATIENCE_SECONDS = 90.0
"""Longer than the service waits for anybody who does nothing."""


async def _wait_for_the_end(world: World, open_wire: Wire, began_at: float) -> None:
    """Wait until the service ends a connection; it is a problem when it does not."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS + WAIT_SECONDS):
            while await open_wire.reader.read(65536):
                pass
    except OSError:
        pass
    except TimeoutError:
        world.book.problem(f"a connection that did nothing was kept for {monotonic() - began_at:.0f} s")
        return
    world.book.counts["silent ones ended"] += 1
