"""The servers together: who takes a request, and whether anybody can.

Owns: the choice, with its bound on what one server gets. Does not own: what a server is asked (`engine.py`), its checks
(`replica.py`), the order in which a conversation wants servers (`affinity.py`).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeVar

from generation.engine import EngineState, EngineStatus
from generation.errors import EngineUnavailableError
from generation.remote.affinity import rank
from generation.remote.replica import Replica
from generation.remote.wire import RemoteClient

_RETRY_SECONDS = 3
"""When a caller should come back: a server that returns is taken back within seconds."""

ResultT = TypeVar("ResultT")


class Pool:
    """Some servers with the same model, between them `slots` requests at once."""

    def __init__(self, *, slots: int) -> None:
        self._slots = slots
        self._replicas: Sequence[Replica] = ()
        self._changed = asyncio.Event()
        self._watchers: list[asyncio.Task[None]] = []
        self._is_closed = False

    def start(self, replicas: Sequence[Replica]) -> None:
        """Begin to watch the servers."""
        self._replicas = replicas
        self._watchers = [
            asyncio.create_task(replica.watch(), name=f"engine server {replica.address.number}") for replica in replicas
        ]

    async def close(self) -> None:
        """Let go of every server. Safe to call twice."""
        self._is_closed = True
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        for replica in self._replicas:
            await replica.client.close()
        self.notice()

    def notice(self) -> None:
        """Wake whoever waits for a server: one has left or come back."""
        self._changed.set()
        self._changed = asyncio.Event()

    @property
    def status(self) -> EngineStatus:
        """Say whether anybody takes requests, and who does not."""
        replicas = tuple(replica.status for replica in self._replicas)
        if self._is_closed:
            return EngineStatus(EngineState.STOPPED, "the engine is stopped")
        if not replicas:
            return EngineStatus(EngineState.STARTING, "no engine server was asked yet")
        out = [f"number {replica.address.number}: {replica.reason}" for replica in self._replicas if not replica.is_up]
        told = f"{len(out)} of {len(replicas)} engine servers are out ({'; '.join(out)})" if out else ""
        if len(out) == len(replicas):
            return EngineStatus(EngineState.RESTARTING, told, replicas=replicas)
        return EngineStatus(EngineState.READY, worry=told, replicas=replicas)

    async def wait_until_ready(self, timeout_seconds: float) -> None:
        """Return when a server takes requests; raises `EngineUnavailableError` after the timeout."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                while self.status.state is not EngineState.READY and not self._is_closed:
                    await self._changed.wait()
        if self.status.state is not EngineState.READY:
            raise self._nobody()

    def choose(self, key: bytes, *, without: Collection[Replica] = ()) -> Replica:
        """Choose for a conversation: the server it wants most that is up and has less than its share.

        The share is an equal part of the slots among those that are up, so that somebody always has room. Where nobody
        should take one more, who has least does. Raises `EngineUnavailableError` when nobody is left.
        """
        up = [replica for replica in self._replicas if replica.is_up and replica not in without]
        if not up:
            raise self._nobody()
        share = -(-self._slots // len(up))
        by_address = {replica.address: replica for replica in up}
        ordered = [by_address[address] for address in rank(key, by_address)]
        fitting = (replica for replica in ordered if replica.may_take and replica.running < share)
        return next(fitting, min(ordered, key=lambda replica: (not replica.may_take, replica.running)))

    async def call(self, step: Callable[[RemoteClient], Awaitable[ResultT]]) -> ResultT:
        """Do something that any server can do and that can be repeated, on the least busy one, or on another.

        Raises `EngineUnavailableError`, and what the step raises.
        """
        failed: list[Replica] = []
        while True:
            up = [replica for replica in self._replicas if replica.is_up and replica not in failed]
            if not up:
                raise self._nobody()
            replica = min(up, key=lambda each: (not each.may_take, each.running))
            try:
                return await step(replica.client)
            except EngineUnavailableError as error:
                replica.fail(error)
                failed.append(replica)

    def _nobody(self) -> EngineUnavailableError:
        reason = self.status.reason or "no engine server takes requests"
        return EngineUnavailableError(reason, retry_after_seconds=_RETRY_SECONDS)
