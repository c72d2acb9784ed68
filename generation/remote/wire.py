"""One server elsewhere: connections, the key, and how long and how much may come.

Owns: the bounds that a server of somebody else's needs. Does not own: what is read from it and how a failure is told
(`generation/client.py`), or what is asked (`look.py`, `completions.py`, `chat.py`).
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import hdrs

from generation.client import EngineClient
from generation.errors import EngineUnavailableError
from generation.remote.address import Address

_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a server may take, all in seconds.

    `first_piece` is for a prompt to be computed, and to be waited with in the server's own queue; `next_piece` for a
    token more. A comment or an empty event counts for nothing. `document` is for what is no reply.
    """

    connect: float = 3.0
    document: float = 15.0
    first_piece: float = 180.0
    next_piece: float = 30.0


class StalledError(EngineUnavailableError):
    """The server kept the connection and said nothing more."""


class RemoteClient(EngineClient):
    """A server's HTTP interface over TCP. Redirects are not followed: the key is for this server."""

    most_bytes = 8 * _MIB

    def __init__(self, address: Address, api_key: str | None, *, patience: Patience) -> None:
        self.patience = patience
        self._root = address.root
        session = aiohttp.ClientSession(
            # llama-server closes a connection after a stream; one that is used again would fail now and then.
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            headers={hdrs.AUTHORIZATION: f"Bearer {api_key}"} if api_key else None,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=patience.connect, sock_read=patience.first_piece),
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=_MIB,
        )
        super().__init__(Path(), "", session=session)

    def _locate(self, path: str) -> str:
        return self._root + path

    async def get(self, path: str, *, within_seconds: float | None = None) -> Any:
        """Ask for a JSON document."""
        return await self._in_time(self._whole("GET", path, None), within_seconds)

    async def post(self, path: str, body: Mapping[str, Any], *, within_seconds: float | None = None) -> Any:
        """Send a JSON document and read the reply whole."""
        return await self._in_time(self._whole("POST", path, body), within_seconds)

    async def check(self, path: str, *, within_seconds: float) -> None:
        """Ask whether the server is well; its answer may say anything. Raises as `get` does."""

        async def ask() -> None:
            async with self._request("GET", path, None) as response:
                await self._read(response)

        await self._in_time(ask(), within_seconds)

    async def _in_time(self, step: Any, within_seconds: float | None) -> Any:
        try:
            async with asyncio.timeout(within_seconds or self.patience.document):
                return await step
        except TimeoutError:
            raise StalledError("it does not answer in time") from None

    async def stream_together(
        self, path: str, body: Mapping[str, Any]
    ) -> AsyncGenerator[Sequence[dict[str, Any]], None]:
        """Send a JSON document and yield the reply's events, those that came together in one list.

        Raises `StalledError` when the reply does not begin or does not go on.
        """
        ends_at = _now() + self.patience.first_piece
        async with aclosing(super().stream_together(path, body)) as arrivals:
            while True:
                try:
                    async with asyncio.timeout_at(ends_at):
                        events = await anext(arrivals)
                except StopAsyncIteration:
                    return
                except TimeoutError:
                    raise StalledError("it stopped in the middle of a request") from None
                yield events
                if any(map(says_something, events)):
                    ends_at = _now() + self.patience.next_piece
                elif any("prompt_progress" in event for event in events):
                    ends_at = _now() + self.patience.first_piece


def says_something(event: Mapping[str, Any]) -> bool:
    """Say whether an event takes a reply further: text of any of the wires, a thought, or the end."""
    if event.get("content") or event.get("stop"):
        return True
    choices = event.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return False
    choice = choices[0]
    delta = choice.get("delta")
    said = delta.values() if isinstance(delta, dict) else [choice.get("text")]
    return bool(choice.get("finish_reason")) or any(text for text in said if text != "assistant")


def _now() -> float:
    return asyncio.get_running_loop().time()
