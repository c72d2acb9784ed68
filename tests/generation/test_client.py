"""The wire, against a server that says what a test wants, down to the byte."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from generation.client import EngineClient, EngineRefusedError
from generation.errors import EngineUnavailableError

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


class Server:
    """Answers every request with the same bytes, in the pieces given, and hangs up."""

    def __init__(self, socket_path: Path) -> None:
        self.socket_path = socket_path
        self.pieces: list[bytes] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in self.pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()
        await writer.wait_closed()


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    server = Server(tmp_path / "s")
    listening = await asyncio.start_unix_server(server.answer, server.socket_path)
    async with listening:
        yield server


@pytest_asyncio.fixture
async def client(server: Server) -> AsyncIterator[EngineClient]:
    client = EngineClient(server.socket_path, "key")
    yield client
    await client.close()


async def events_of(client: EngineClient) -> list[dict[str, Any]]:
    return [event async for event in client.stream("/completion", {})]


async def test_events_are_read_however_the_bytes_arrive(server: Server, client: EngineClient) -> None:
    body = ': keep-alive\n\ndata: {"content":"né"}\r\n\r\nevent: x\ndata:{"stop":true}\n\ndata: [DONE]\n\n'.encode()
    for size in (1, 2, 7, len(body)):
        server.pieces = [STREAM, *(body[at : at + size] for at in range(0, len(body), size))]
        assert await events_of(client) == [{"content": "né"}, {"stop": True}]


async def test_an_unfinished_last_line_is_no_event(server: Server, client: EngineClient) -> None:
    server.pieces = [STREAM, b'data: {"content":"a"}\n\ndata: {"content":"b"}']
    assert await events_of(client) == [{"content": "a"}]


@pytest.mark.parametrize(
    "line", [b'data: {"error":{"code":400,"message":"no"}}', b'error: {"code":400,"message":"no"}']
)
async def test_an_error_event_is_a_refusal(server: Server, client: EngineClient, line: bytes) -> None:
    server.pieces = [STREAM, line + b"\n\n"]
    with pytest.raises(EngineRefusedError) as caught:
        await events_of(client)
    assert (caught.value.status, caught.value.detail) == (400, "no")
    assert "no" not in str(caught.value)


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [b"HTTP/1.1 200 OK\r\n"],
        [b"nonsense\r\n\r\n"],
        [STREAM, b"data: {nonsense\n\n"],
        [STREAM, b'data: "\xff"\n\n'],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b"short"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"5\r\nab"],
    ],
)
async def test_a_broken_connection_means_unavailable(server: Server, client: EngineClient, pieces: list[bytes]) -> None:
    server.pieces = pieces
    with pytest.raises(EngineUnavailableError):
        await events_of(client)


async def test_a_server_that_still_loads_is_unavailable(server: Server, client: EngineClient) -> None:
    server.pieces = [b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\n{}"]
    with pytest.raises(EngineUnavailableError, match="loading"):
        await client.get("/health")


async def test_a_refusal_that_is_no_json_is_still_one(server: Server, client: EngineClient) -> None:
    server.pieces = [b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\n<>"]
    with pytest.raises(EngineRefusedError) as caught:
        await client.get("/health")
    assert caught.value.status == 500


async def test_no_server_at_all_is_unavailable(tmp_path: Path) -> None:
    client = EngineClient(tmp_path / "none", "key")
    with pytest.raises(EngineUnavailableError):
        await client.get("/health")
    await client.close()
    with pytest.raises(EngineUnavailableError):
        await client.get("/health")
