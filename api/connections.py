"""How many connections there may be, and how long each may say nothing or take nothing.

aiohttp waits for ever for whoever does not read, also after it has closed a connection; each such holds a file
descriptor, which the bot and the database need too. Owns: that bound, dead peers, and the patience. Does not own: how
long a body may take (`body.py`), a streamed reply's reader (`replying.py`), or idle connections (aiohttp's keep-alive).
"""

import asyncio
import fcntl
import logging
import resource
import socket
import sys
import termios
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol

logger = logging.getLogger(__name__)

SPARE_DESCRIPTORS = 128
"""Left to the database, the engine, webhooks and Discord."""

MOST_CONNECTIONS = 4096

_DEAD_PEER = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""Seconds, seconds, times: a machine that is gone is noticed after a minute; Linux would wait for two hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """For how long, in seconds, and how many; looked at every `look_seconds`.

    `head_seconds` from the connection to the end of its first request's head, `stall_seconds` in which a reader takes
    nothing of what there is.
    """

    head_seconds: float = 20.0
    stall_seconds: float = 60.0
    look_seconds: float = 2.0
    most_connections: int | None = None
    """None: as many as the process may open files, less some."""

    def count_room(self) -> int:
        """Say how many connections there may be at once."""
        if self.most_connections is not None:
            return self.most_connections
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else _bounded(soft - SPARE_DESCRIPTORS)


def _bounded(count: int) -> int:
    return min(MOST_CONNECTIONS, max(16, count))


class Connection(Hashable, Protocol):
    """What the guard has to know of a connection's handler."""

    @property
    def has_asked(self) -> bool:
        """Say whether a request's head was read whole."""


class _Watched:
    """One connection's transport, and since when nothing has left it."""

    def __init__(self, transport: asyncio.Transport, now: float) -> None:
        self.transport = transport
        self.opened_at = now
        self._moved_at = now
        self._unsent_bytes = 0

    def stalled_seconds(self, now: float) -> float:
        """Look at what has not left yet; returns for how long none of it has.

        While it grows somebody writes, who is soon held up by what lies there; from then on it changes only by leaving.
        """
        unsent_bytes = self.transport.get_write_buffer_size()
        if unsent_bytes:
            unsent_bytes += _unread_bytes(self.transport)
        if unsent_bytes == 0 or unsent_bytes != self._unsent_bytes:
            self._moved_at = now
        self._unsent_bytes = unsent_bytes
        return now - self._moved_at


def _unread_bytes(transport: asyncio.Transport) -> int:
    """Count what the kernel holds and the peer has not taken yet (SIOCOUTQ, tcp(7)); 0 where it does not say.

    It asks for more only when a third of its buffer is free, which a slow reader takes minutes for.
    """
    plug = transport.get_extra_info("socket")
    try:
        answer = fcntl.ioctl(plug.fileno(), termios.TIOCOUTQ, bytes(4))
    except (AttributeError, OSError):
        return 0
    return int.from_bytes(answer, sys.byteorder)


class Guard:
    """Watches every connection of one service, from its opening until it is really gone."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._room = patience.count_room()
        self._watched: dict[Connection, _Watched] = {}
        self._is_full = False

    def open(self, connection: Connection, transport: asyncio.Transport) -> bool:
        """Take a connection in; False when there are too many, and it is to be refused."""
        if len(self._watched) >= self._room:
            if not self._is_full:
                logger.warning("%d connections are open, further ones are refused", self._room)
            self._is_full = True
            return False
        self._is_full = False
        _notice_a_dead_peer(transport)
        self._watched[connection] = _Watched(transport, asyncio.get_running_loop().time())
        return True

    def close(self, connection: Connection) -> None:
        """Forget a connection that is gone."""
        self._watched.pop(connection, None)

    async def watch(self) -> None:
        """Look at all of them again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._patience.look_seconds)
            now = asyncio.get_running_loop().time()
            for connection, watched in list(self._watched.items()):
                if self._is_over(connection, watched, now):
                    # Not close(): that waits for a reader who does not read.
                    watched.transport.abort()

    def _is_over(self, connection: Connection, watched: _Watched, now: float) -> bool:
        if watched.stalled_seconds(now) > self._patience.stall_seconds:
            return True
        return not connection.has_asked and now - watched.opened_at > self._patience.head_seconds


def _notice_a_dead_peer(transport: asyncio.Transport) -> None:
    """Have the kernel ask whether a silent peer is still there; aiohttp has switched that on."""
    plug = transport.get_extra_info("socket")
    if plug is None or plug.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    for name, value in _DEAD_PEER.items():
        option = getattr(socket, name, None)
        if option is not None:
            plug.setsockopt(socket.IPPROTO_TCP, option, value)
