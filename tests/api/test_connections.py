"""Connections that say nothing, take nothing, trickle or come in crowds: each ends in time, and nobody else notices."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from api.connections import Patience
from generation.engine import Engine
from tests.service import Service, running_service
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

SHORT = Patience(head_seconds=0.3, stall_seconds=0.5, look_seconds=0.05)
LOOK = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER_SECONDS = 30.0


@asynccontextmanager
async def connected(service: Service) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(service.url.rsplit(":", 1)[1]))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def read_reply(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read one reply with a length; returns its status and body."""
    async with asyncio.timeout(ANSWER_SECONDS):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line)
        return int(head.split()[1]), await reader.readexactly(length)


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the service closes, with a farewell or without."""
    async with asyncio.timeout(ANSWER_SECONDS):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


def is_held(peer: socket.socket) -> bool:
    """Say whether this process still has the service's end of a connection open."""
    port = peer.getsockname()[1]
    return any(each.raddr and each.raddr.port == port for each in psutil.Process().net_connections(kind="tcp"))


async def test_a_head_that_never_ends_is_not_waited_for(demo_engine: Engine, tmp_path: Path) -> None:
    async with (
        running_service(demo_engine, tmp_path, patience=SHORT) as service,
        connected(service) as (reader, writer),
    ):
        writer.write(b"GET / HTTP/1.1\r\nX-Long: ")
        ending = asyncio.create_task(until_closed(reader))
        while not ending.done():
            writer.write(b"x")
            await asyncio.sleep(0.02)
        assert await ending == b""


async def test_a_connection_that_says_nothing_ends_and_one_that_has_asked_stays(
    demo_engine: Engine, tmp_path: Path
) -> None:
    async with (
        running_service(demo_engine, tmp_path, patience=SHORT) as service,
        connected(service) as (asking, writer),
    ):
        writer.write(LOOK)
        assert (await read_reply(asking))[0] == 200
        async with connected(service) as (silent, _):
            assert await until_closed(silent) == b""
        writer.write(LOOK)
        assert (await read_reply(asking))[0] == 200


@asynccontextmanager
async def asking_for_much(service: Service) -> AsyncIterator[socket.socket]:
    """Ask for more than all buffers between the two hold, on a socket that takes little at once."""
    with socket.socket() as plug:
        plug.setblocking(False)
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(plug, ("127.0.0.1", int(service.url.rsplit(":", 1)[1])))
        await loop.sock_sendall(plug, b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n" * 200)
        await eventually(lambda: is_held(plug))
        yield plug


async def test_a_reader_who_takes_nothing_is_let_go(demo_engine: Engine, tmp_path: Path) -> None:
    async with running_service(demo_engine, tmp_path, patience=SHORT) as service:
        async with asking_for_much(service) as plug:
            await eventually(lambda: not is_held(plug), within_seconds=ANSWER_SECONDS)
        assert (await service.get("/healthz"))[0] == 200


async def test_a_reader_who_takes_little_is_waited_for(demo_engine: Engine, tmp_path: Path) -> None:
    async with running_service(demo_engine, tmp_path, patience=SHORT) as service, asking_for_much(service) as plug:
        loop = asyncio.get_running_loop()
        # Four times as long as one who takes nothing may stay.
        ends_at = loop.time() + 4 * SHORT.stall_seconds
        while loop.time() < ends_at:
            assert await loop.sock_recv(plug, 2048)
            await asyncio.sleep(0.05)
        assert is_held(plug)


async def test_a_body_that_trickles_is_a_408_and_costs_the_call(demo_engine: Engine, tmp_path: Path) -> None:
    async with running_service(demo_engine, tmp_path, body_seconds=0.3) as service:
        async with connected(service) as (reader, writer):
            head = f"POST /ai/chat HTTP/1.1\r\nHost: x\r\nAuthorization: {service.secret}\r\n"
            writer.write(head.encode() + b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
            status, body = await read_reply(reader)
        assert status == 408
        error = json.loads(body)
        assert (error["error"], error["code"], error["details"]) == ("Request timeout", 408, [])
        assert await service.calls_used() == 1


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nX-SecretWord: " + b"secretword" * 2000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n"
        + b"".join(b"X-%d: secretword\r\n" % number for number in range(500))
        + b"\r\n",
        b"GET /" + b"secretword" * 2000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["value", "count", "path"],
)
async def test_a_head_that_is_too_large_is_refused_and_not_repeated(
    service: Service, request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with connected(service) as (reader, writer):
        writer.write(request_bytes)
        status, body = await read_reply(reader)
        assert (status, json.loads(body)["error"]) == (400, "Invalid request")
        await until_closed(reader)
    assert b"secretword" not in body
    assert "secretword" not in caplog.text
    assert "Traceback" not in caplog.text


async def test_one_connection_too_many_is_refused_until_another_ends(demo_engine: Engine, tmp_path: Path) -> None:
    few = Patience(most_connections=2)
    async with running_service(demo_engine, tmp_path, patience=few) as service:
        async with connected(service) as (first, writer), connected(service):
            writer.write(LOOK)
            await read_reply(first)
            async with connected(service) as (refused, _):
                status, body = await read_reply(refused)
                assert (status, json.loads(body)["error"]) == (503, "Busy")
                assert await until_closed(refused) == b""
            writer.write(LOOK)
            assert (await read_reply(first))[0] == 200, "who was there is served on"
        await eventually(lambda: not service.runner.server.connections)  # type: ignore[union-attr]
        assert (await service.get("/healthz"))[0] == 200


async def test_the_kernel_looks_for_peers_that_are_gone(service: Service) -> None:
    async with connected(service) as (reader, writer):
        writer.write(LOOK)
        await read_reply(reader)
        assert service.runner.server is not None
        (connection,) = service.runner.server.connections
        assert connection.transport is not None
        plug = connection.transport.get_extra_info("socket")
        assert plug.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_KEEPIDLE"):
            seconds = plug.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
            seconds += plug.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) * plug.getsockopt(
                socket.IPPROTO_TCP, socket.TCP_KEEPCNT
            )
            assert seconds <= 60


async def test_the_bound_leaves_file_descriptors_for_the_rest() -> None:
    assert Patience(most_connections=7).count_room() == 7
    assert 16 <= Patience().count_room() <= 4096


async def test_a_second_head_that_never_ends_is_not_waited_for_either(service: Service) -> None:
    assert service.runner.server is not None
    # What `parley up` sets to 75 s.
    service.runner.server._kwargs["keepalive_timeout"] = 0.3
    async with connected(service) as (reader, writer):
        writer.write(LOOK)
        assert (await read_reply(reader))[0] == 200
        ending = asyncio.create_task(until_closed(reader))
        writer.write(b"GET / HTTP/1.1\r\nX-Long: ")
        while not ending.done():
            writer.write(b"x")
            await asyncio.sleep(0.02)
        assert await ending == b""
