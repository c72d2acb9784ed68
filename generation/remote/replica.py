"""One of the servers: its connection, whether it is well, and what runs on it.

Owns: the health checks, and taking a server back. Does not own: which request goes to it (`pool.py`), or what a server
is (`look.py`).
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import aiohttp

from generation.client import EngineRefusedError
from generation.engine import ReplicaStatus
from generation.errors import EngineUnavailableError
from generation.remote.address import Address
from generation.remote.circuit import Circuit, State, jittered
from generation.remote.facts import Facts, Kind
from generation.remote.look import WrongServerError, look
from generation.remote.wire import RemoteClient, StalledError

_LOG = logging.getLogger(__name__)

_HEALTH = {Kind.LLAMA_SERVER: "/health", Kind.VLLM: "/health", Kind.CHAT: "/v1/models"}


_GONE = (OSError, aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, asyncio.IncompleteReadError)
"""What it looks like when nobody is there any more; anything else may come of one odd request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """How servers are watched, in seconds. `slow_checks` late answers in a row mean that a server hangs.

    `list_every` is for those that have nothing better to ask for than their list of models.
    """

    every: float = 2.0
    list_every: float = 10.0
    answer_within: float = 2.0
    slow_checks: int = 2


class Replica:
    """One server, which is taken for `expected`. `on_change` is called when it leaves or comes back."""

    def __init__(
        self,
        address: Address,
        client: RemoteClient,
        expected: Facts,
        *,
        watching: Watching,
        on_change: Callable[[], None],
    ) -> None:
        self.address = address
        self.client = client
        self._expected = expected
        self._watching = watching
        self._on_change = on_change
        self._circuit = Circuit()
        self._replies = 0
        self._failures = 0
        self._wake = asyncio.Event()
        self.running = 0

    @property
    def is_up(self) -> bool:
        """Whether it takes requests, if only one."""
        return self._circuit.state is not State.OPEN

    @property
    def may_take(self) -> bool:
        """Whether it takes one more: after a failure only while none runs."""
        return self._circuit.state is State.CLOSED or (self._circuit.state is State.HALF_OPEN and not self.running)

    @property
    def reason(self) -> str:
        """Say in a phrase why it takes no requests."""
        return self._circuit.reason

    @property
    def status(self) -> ReplicaStatus:
        """Describe it for whoever watches."""
        return ReplicaStatus(
            number=self.address.number,
            is_up=self.is_up,
            running=self.running,
            replies=self._replies,
            failures=self._failures,
        )

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Hold this for one reply: what comes of it is noted. One that its caller gave up says nothing."""
        self.running += 1
        try:
            yield
        except EngineUnavailableError as error:
            self._failures += 1
            self.fail(error)
            raise
        except EngineRefusedError as error:
            self._failures += 1
            if not _is_the_requests_fault(error.status):
                self._note_failure(f"it answers with status {error.status}", is_gone=error.status in {401, 403, 404})
            raise
        else:
            self._replies += 1
            self._circuit.succeed()
        finally:
            self.running -= 1

    def fail(self, error: EngineUnavailableError) -> None:
        """Note that the server failed a request, or could not be reached."""
        is_gone = isinstance(error, StalledError) or isinstance(error.__cause__, _GONE)
        self._note_failure(error.reason, is_gone=is_gone)

    def leave(self, reason: str) -> None:
        """Give it no more requests until it has passed a check."""
        self._note_failure(reason, is_gone=True)

    def _note_failure(self, reason: str, *, is_gone: bool) -> None:
        was_up = self.is_up
        self._circuit.fail(reason, is_gone=is_gone)
        if was_up and not self.is_up:
            _LOG.warning("%s gets no more requests: %s", self.address, reason)
            self._wake.set()
            self._on_change()

    async def watch(self) -> None:
        """Check again and again, until cancelled: whether a server that is up still is, and one that is out is back."""
        while True:
            if self.is_up:
                await self._check()
            else:
                await self._wait_for_return()

    async def _check(self) -> None:
        late = 0
        interval = self._watching.list_every if self._expected.kind is Kind.CHAT else self._watching.every
        while self.is_up:
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(jittered(interval)):
                    await self._wake.wait()
            if self._is_out():
                return
            try:
                await self.client.check(_HEALTH[self._expected.kind], within_seconds=self._watching.answer_within)
            except StalledError:
                late += 1
                if late >= self._watching.slow_checks:
                    self.leave("it does not answer its health check in time")
            except EngineUnavailableError as error:
                self.leave(error.reason)
            except EngineRefusedError as error:
                self.leave(f"it answers its health check with status {error.status}")
            else:
                late = 0

    def _is_out(self) -> bool:
        return not self.is_up

    async def _wait_for_return(self) -> None:
        checks = 0
        while not self.is_up:
            await asyncio.sleep(self._circuit.next_wait_seconds(checks))
            checks += 1
            problem = await self._find_problem()
            if problem is None:
                self._circuit.half_open()
                _LOG.info("%s is back", self.address)
                self._on_change()
            elif problem != self._circuit.reason:
                self._circuit.open(problem)
                _LOG.warning("%s stays out: %s", self.address, problem)

    async def _find_problem(self) -> str | None:
        """Look at the server again: it may have come back as another one."""
        try:
            found = await look(self.client, self._expected.names[0])
        except WrongServerError as error:
            return f"it {error}"
        except EngineUnavailableError as error:
            return error.reason
        except EngineRefusedError as error:
            return f"it answers with status {error.status}"
        return found.differs_from(self._expected)


def _is_the_requests_fault(status: int) -> bool:
    return 400 <= status < 500 and status not in {401, 403, 404, 408, 429}
