"""Connections that reach public machines only, whatever a name resolves to.

Each connection resolves anew, checks every address found, connects to one of those very addresses and looks at its
peer before anything is sent. Host header, server name and certificate stay those of the name. Owns: resolving and
connecting. Does not own: which machines are public (`addresses.py`).
"""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from api.webhooks.addresses import AddressRefusedError, check_reached

RESOLVING_THREADS = 4
"""Of its own, so that names that take for ever to resolve hold up nobody but other webhooks."""


class SystemNames(AbstractResolver):
    """Asks the operating system, in threads of its own."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVING_THREADS, thread_name_prefix="webhook-names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a name; raises `OSError`."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        )
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class CheckedNames(AbstractResolver):
    """Gives a name's addresses only when all of them are public: one that is not is a mistake or an attack."""

    def __init__(self, names: AbstractResolver) -> None:
        self._names = names

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a name; raises `OSError`, or `AddressRefusedError`."""
        found = await self._names.resolve(host, port, family)
        if not found:
            raise OSError("the name has no address")
        for each in found:
            check_reached(each["host"])
        return found

    async def close(self) -> None:
        """Close what was asked."""
        await self._names.close()


class CheckedConnector(aiohttp.TCPConnector):
    """Connects to public machines only. Every request has a connection of its own."""

    def __init__(self, names: AbstractResolver, **options: Any) -> None:
        super().__init__(
            resolver=CheckedNames(names),
            use_dns_cache=False,
            force_close=True,
            socket_factory=_open_checked,
            **options,
        )

    async def connect(
        self,
        req: ClientRequest,
        traces: Sequence[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's
    ) -> Connection:
        """Connect and look whom one has reached; raises `AddressRefusedError` before anything is sent."""
        connection = await super().connect(req, traces, timeout)  # type: ignore[arg-type] # its own callers pass these
        try:
            transport = connection.transport
            peer = transport.get_extra_info("peername") if transport is not None else None
            if peer is None:
                raise AddressRefusedError("name a host that is public")
            check_reached(str(peer[0]))
        except AddressRefusedError:
            connection.close()
            raise
        return connection


def _open_checked(info: tuple[Any, ...]) -> socket.socket:
    """Make the socket for one address, which is connected to that very address next."""
    family, kind, protocol, _, address = info
    check_reached(str(address[0]))
    return socket.socket(family, kind, protocol)


def make_connector(*, allows_private: bool, names: AbstractResolver | None = None) -> aiohttp.TCPConnector:
    """Make the connector that the operator's setting asks for. Whoever closes it closes `names`."""
    names = names or SystemNames()
    if allows_private:
        return aiohttp.TCPConnector(resolver=names, use_dns_cache=False, force_close=True)
    return CheckedConnector(names)
