"""Talks to llama.cpp's server over its Unix socket.

Owns: the connection, the private key, the event stream, and turning every way a connection can fail into
`EngineUnavailableError`. Does not own: what is asked (`sampling.py`, `llama_cpp.py`) or whether the server lives
(`supervisor.py`).
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from generation.errors import EngineUnavailableError

_MOST_EVENT_BYTES = 64 * 1024 * 1024
"""The last event of a reply repeats the prompt; beyond this something is wrong with the server."""

_LOADING = 503
_LOST = "the connection to the model was lost"


class EngineRefusedError(Exception):
    """The server answered with an error. `status` is HTTP's; `detail`, the server's text, stays in this package.

    `kind` are the server's own names of the error, empty where it gave none.
    """

    def __init__(self, status: int, detail: str, *, kind: str = "") -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.detail = detail
        self.kind = kind


class EngineClient:
    """One server's HTTP interface. A connection serves one request: the server closes a stream's connection anyway.

    `session` is for a server elsewhere (`remote/wire.py`).
    """

    most_bytes = _MOST_EVENT_BYTES
    """Of one event, and of a reply that is read whole."""

    def __init__(self, socket_path: Path, api_key: str, *, session: aiohttp.ClientSession | None = None) -> None:
        self._session = session or aiohttp.ClientSession(
            "http://engine",
            connector=aiohttp.UnixConnector(str(socket_path), limit=0, force_close=True),
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=aiohttp.ClientTimeout(total=None),
            read_bufsize=1024 * 1024,
        )

    async def close(self) -> None:
        """Drop every connection."""
        await self._session.close()

    async def get(self, path: str) -> Any:
        """Ask for a JSON document."""
        return await self._whole("GET", path, None)

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Send a JSON document and read the reply whole."""
        return await self._whole("POST", path, body)

    async def stream(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Send a JSON document and yield the reply's events. Closing the generator hangs up.

        Raises `EngineRefusedError` for an error reply and for an error event.
        """
        async with aclosing(self.stream_together(path, body)) as arrivals:
            async for events in arrivals:
                for event in events:
                    yield event

    async def stream_together(
        self, path: str, body: Mapping[str, Any]
    ) -> AsyncGenerator[Sequence[dict[str, Any]], None]:
        """Do the same, with the events that have arrived meanwhile in one list, so that a slow reader has less to do.

        No list is empty.
        """
        async with (
            self._request("POST", path, body) as response,
            aclosing(_events(response.content, self.most_bytes)) as arrivals,
        ):
            async for events in arrivals:
                failed_at = next((at for at, event in enumerate(events) if event.get("error") is not None), None)
                if said := events[:failed_at]:
                    yield said
                if failed_at is not None:
                    raise _refusal(events[failed_at], 500)

    def _locate(self, path: str) -> str:
        return path

    async def _whole(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        async with self._request(method, path, body) as response:
            return json.loads(await self._read(response))

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        data = bytearray()
        async for chunk in response.content.iter_any():
            data += chunk
            if len(data) > self.most_bytes:
                raise ValueError("a reply without end")
        return bytes(data)

    @asynccontextmanager
    async def _request(
        self, method: str, path: str, body: Mapping[str, Any] | None
    ) -> AsyncGenerator[aiohttp.ClientResponse, None]:
        try:
            response = await self._session.request(method, self._locate(path), json=body, allow_redirects=False)
            try:
                if response.status != 200:
                    raise _refusal(_parsed(await self._read(response)), response.status)
                yield response
            finally:
                response.close()
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError, ValueError) as error:
            raise EngineUnavailableError(_LOST) from error
        except EngineRefusedError as error:
            if error.status == _LOADING:
                raise EngineUnavailableError("the model is loading") from error
            raise
        except RuntimeError as error:
            # aiohttp says so of a session closed under a request: the engine was stopped or restarted.
            if self._session.closed:
                raise EngineUnavailableError(_LOST) from error
            raise


def _refusal(document: object, status: int) -> EngineRefusedError:
    error = document.get("error") if isinstance(document, dict) else None
    if isinstance(error, dict):
        code = error.get("code")
        names = [name for name in (error.get("type"), code) if isinstance(name, str)]
        return EngineRefusedError(
            code if isinstance(code, int) else status, str(error.get("message", "")), kind=" ".join(names)
        )
    return EngineRefusedError(status, str(error or ""))


def _parsed(data: bytes | bytearray) -> object:
    try:
        document: object = json.loads(data)
    except ValueError:
        return None
    return document


async def _events(content: aiohttp.StreamReader, most_bytes: int) -> AsyncGenerator[list[dict[str, Any]], None]:
    """Parse server-sent events, of which llama.cpp uses only `data:` lines (and comments to keep a connection alive).

    https://html.spec.whatwg.org/multipage/server-sent-events.html
    """
    pending = b""
    async for chunk in content.iter_any():
        pending += chunk
        if len(pending) > most_bytes:
            raise ValueError("an event without end")
        *lines, pending = pending.split(b"\n")
        if events := [event for line in lines if line and (event := _event(line)) is not None]:
            yield events


def _event(line: bytes) -> dict[str, Any] | None:
    field, _, value = line.rstrip(b"\r").partition(b":")
    if field == b"error":
        return {"error": _parsed(value)}
    if field != b"data" or value.strip() == b"[DONE]":
        return None
    event = json.loads(value.decode())
    return event if isinstance(event, dict) else None
