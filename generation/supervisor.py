"""Keeps one engine process alive.

Owns: the private folder and key, when the engine counts as ready, noticing that it died or hangs, restarting with
backoff, and leaving nothing behind. Does not own: what is asked of the engine (`llama_cpp.py`).
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from generation.client import EngineClient, EngineRefusedError
from generation.engine import EngineState, EngineStatus
from generation.errors import EngineUnavailableError, ModelError
from generation.private_folder import PrivateFolder
from generation.process import EngineProcess, Launch

_LOG = logging.getLogger(__name__)

_POLL_SECONDS = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How patient the supervisor is, all in seconds."""

    start_deadline: float = 600.0
    """Loading a large model from a slow disk takes minutes; longer than this it hangs."""
    health_interval: float = 2.0
    unresponsive_after: float = 15.0
    """In two looks of half of it each. The server answers `/health` from a thread of its own, within milliseconds also
    when all slots compute."""
    first_backoff: float = 0.2
    longest_backoff: float = 30.0
    healthy_after: float = 60.0
    """An engine that lived so long is restarted at once again when it dies."""
    stop_grace: float = 5.0


Plan = Callable[[Path, str], Launch]
"""`(socket path, key) -> what to run`."""


class Supervisor:
    """The engine process of one loaded model, restarted whenever it ends; `plan` says how each is launched."""

    def __init__(self, plan: Plan, *, model_path: Path, timing: Timing | None = None) -> None:
        self._plan = plan
        self._model_path = model_path
        self._timing = timing or Timing()
        self._status = EngineStatus(EngineState.STARTING, "the model is loading")
        self._changed = asyncio.Condition()
        self._folder: PrivateFolder | None = None
        self._launches = 0
        self._process: EngineProcess | None = None
        self._client: EngineClient | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def status(self) -> EngineStatus:
        """Say where the engine is in its life."""
        return self._status

    @property
    def pid(self) -> int | None:
        """Process id of the running child."""
        return self._process.pid if self._process else None

    @property
    def client(self) -> EngineClient:
        """The connection to a ready engine; raises `EngineUnavailableError` while there is none."""
        if self._client is None or self._status.state is not EngineState.READY:
            raise EngineUnavailableError(self._status.reason or "the model is not ready")
        return self._client

    async def start(self) -> None:
        """Launch the engine and return when it has answered once.

        Raises `ModelError` when it does not come up.
        """
        self._folder = PrivateFolder()
        try:
            await self._launch()
        except BaseException:
            await self.close()
            raise
        await self._enter(EngineState.READY)
        self._watching = asyncio.create_task(self._watch(), name="engine supervisor")

    async def close(self) -> None:
        """Stop the engine for good and remove its folder. Safe to call twice."""
        if self._watching is not None:
            await _cancel(self._watching)
            self._watching = None
        await self._enter(EngineState.STOPPED, "the model is stopped")
        await self._discard(grace_seconds=self._timing.stop_grace)
        if self._folder is not None:
            self._folder.close()
            self._folder = None

    async def wait_until_ready(self, timeout_seconds: float) -> None:
        """Return when ready; raises `EngineUnavailableError` after the timeout or when stopped."""
        if self.status.state is EngineState.READY:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds), self._changed:
                await self._changed.wait_for(
                    lambda: self._status.state in (EngineState.READY, EngineState.STOPPED),
                )
        if self._status.state is not EngineState.READY:
            raise EngineUnavailableError(self._status.reason)

    async def _enter(self, state: EngineState, reason: str = "", *, restarts: int | None = None) -> None:
        count = self._status.restarts if restarts is None else restarts
        self._status = EngineStatus(state, reason, count)
        async with self._changed:
            self._changed.notify_all()

    async def _launch(self) -> None:
        assert self._folder is not None
        self._launches += 1
        # A name of its own each time: a socket file left by a killed engine would make the next start fail.
        socket_path = self._folder.path / f"{self._launches}.sock"
        api_key = secrets.token_urlsafe(32)
        self._process = await EngineProcess.spawn(self._plan(socket_path, api_key))
        self._client = EngineClient(socket_path, api_key)
        answering = asyncio.create_task(_answer_once(self._client))
        ending = asyncio.create_task(self._process.wait())
        try:
            done, _ = await asyncio.wait(
                (answering, ending), timeout=self._timing.start_deadline, return_when=asyncio.FIRST_COMPLETED
            )
            if answering in done:
                await answering
            elif ending in done:
                raise ModelError(f"the model {self._model_path} cannot be used: {self._process.explain_end()}")
            else:
                raise ModelError(f"the model did not answer within {self._timing.start_deadline:.0f} s of its start")
        finally:
            await _cancel(answering, ending)

    async def _discard(self, *, grace_seconds: float) -> None:
        """Stop the current process, if any; whoever still waits for it gets `EngineUnavailableError`."""
        client, self._client = self._client, None
        process, self._process = self._process, None
        if process is not None:
            await process.stop(grace_seconds=grace_seconds)
        if client is not None:
            await client.close()

    async def _watch(self) -> None:
        backoff = 0.0
        while True:
            began = monotonic()
            reason = await self._wait_for_failure()
            if monotonic() - began >= self._timing.healthy_after:
                backoff = 0.0
            backoff = await self._restart(reason, backoff)

    async def _restart(self, reason: str, backoff: float) -> float:
        """Launch until it succeeds, waiting longer each time; returns the wait to use after the next failure."""
        while True:
            await self._enter(EngineState.RESTARTING, reason, restarts=self._status.restarts + 1)
            _LOG.warning("engine restarts in %.1f s: %s", backoff, reason)
            # No grace: it is dead, or too deep in its hang to take a hint.
            await self._discard(grace_seconds=0)
            await asyncio.sleep(backoff)
            backoff = min(max(self._timing.first_backoff, backoff * 2), self._timing.longest_backoff)
            try:
                await self._launch()
            except (ModelError, EngineUnavailableError, EngineRefusedError, OSError) as error:
                reason = str(error)
                continue
            await self._enter(EngineState.READY)
            return backoff

    async def _wait_for_failure(self) -> str:
        """Return the reason when the engine has ended or no longer answers."""
        assert self._process is not None
        assert self._client is not None
        ending = asyncio.create_task(self._process.wait())
        hanging = asyncio.create_task(self._wait_for_hang(self._client))
        try:
            await asyncio.wait((ending, hanging), return_when=asyncio.FIRST_COMPLETED)
            if ending.done():
                return f"the model stopped: {self._process.explain_end()}"
            return "the model no longer answered"
        finally:
            await _cancel(ending, hanging)

    async def _wait_for_hang(self, client: EngineClient) -> None:
        # In two looks: where our own process has stood still, the time of one may be up when its answer is there.
        missed = 0
        while missed < 2:
            await asyncio.sleep(self._timing.health_interval)
            try:
                async with asyncio.timeout(self._timing.unresponsive_after / 2):
                    await client.get("/health")
                missed = 0
            except TimeoutError:
                missed += 1
            except (EngineUnavailableError, EngineRefusedError):
                # Not listening any more: if it is dying, its end is noticed by itself.
                continue


async def _answer_once(client: EngineClient) -> None:
    """Return when the server listens, has loaded the model and has produced a token."""
    while True:
        try:
            await client.get("/health")
            await client.post("/completion", {"prompt": "a", "n_predict": 1, "cache_prompt": False})
        except EngineUnavailableError:
            await asyncio.sleep(_POLL_SECONDS)
        else:
            return


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
