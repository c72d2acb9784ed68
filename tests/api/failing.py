"""How each kind of error is brought about in a running service, for the tables of what clients make of it.

One service is shared by all cases (`conftest.py`); each case has an API token of its own, whose calls are counted.
"""

import asyncio
import enum
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from api import keys, pipeline
from api.contract import ON_BEHALF_OF_HEADER
from api.errors import Kind
from generation.engine import Engine
from generation.errors import EngineUnavailableError, FormatRefusedError
from storage.errors import DatabaseBusyError
from tests.api.scripted_engine import ScriptedEngine
from tests.service import Service, running_service
from tests.storage.conftest import ManualClock
from tests.waiting import eventually

HELLO: Any = [{"role": "user", "content": "Hello!"}]

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
CONTEXT_TOKENS = 256
TOO_LONG_TEXT = "hello " * 600
TOO_LARGE_TEXT = "x" * 2**17
SECRET_TEXT = "xylophonicus"
"""What the unforeseen says of itself; nobody may read it."""

RETRY_SECONDS = 7
"""What an engine that is lost says of its return."""

CAUSES: tuple[tuple[Kind, str], ...] = tuple(
    (kind, cause)
    for kind in Kind
    for cause in (("none", "unknown", "revoked", "expired") if kind is Kind.UNAUTHORIZED else ("",))
)
"""Every kind; those with several causes once for each."""

TOKEN_ADVICE: Mapping[str, str] = {
    "none": "Send your API token in the Authorization header: Authorization: Bearer <API token>.",
    "unknown": "This API token is unknown; check that it was copied whole.",
    "revoked": "This API token was revoked or rotated; ask for a new one.",
    "expired": "This API token has expired; ask for a new one.",
}
"""What each cause of a 401 is told, by the dialects that carry the token in a header."""

COSTS = dict.fromkeys(Kind, 0) | dict.fromkeys(
    (Kind.INVALID, Kind.TOO_LONG, Kind.BALANCE_SPENT, Kind.UNKNOWN_MODEL, Kind.TOO_LARGE, Kind.NOT_JSON), 1
)
"""Calls that an attempt has used afterwards: what the caller did wrong is kept, what we did is given back."""

MIDWAY = (Kind.INTERNAL, Kind.UNAVAILABLE, Kind.TIMED_OUT, Kind.BUSY, Kind.TOO_LONG, Kind.INVALID)
"""Kinds that can come after a stream began; the others are known before the first event."""


class Retry(enum.Enum):
    """What a client does that may ask once more."""

    NEVER = "asks once"
    AS_TOLD = "asks again after Retry-After"
    SOON = "asks again after a pause of its own"


@dataclass(kw_only=True)
class Scene:
    """One case: who asks, and what became of the calls."""

    service: Service
    secret: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    tenant_id: str = ""
    used_before: int = 0

    @property
    def all_headers(self) -> dict[str, str]:
        """For clients that know headers alone."""
        return {**({"Authorization": f"Bearer {self.secret}"} if self.secret else {}), **self.headers}

    async def calls_used(self) -> int:
        return (await self.service.ledger.usage(self.tenant_id)).used_today - self.used_before


class Stage:
    """A service of one slot with a place to wait, whose engine and clock a test holds."""

    def __init__(self, service: Service, engine: ScriptedEngine, clock: ManualClock) -> None:
        self.service = service
        self.engine = engine
        self.clock = clock

    def requests(self) -> int:
        """Count the requests that were answered so far."""
        samples = [sample for each in self.service.app[keys.METRICS]._requests.collect() for sample in each.samples]
        return int(sum(sample.value for sample in samples if sample.name.endswith("_total")))

    @asynccontextmanager
    async def failing(self, kind: Kind, cause: str = "") -> AsyncIterator[Scene]:
        """Let requests fail so for the block; what is wrong with a request itself is the client's part."""
        scene = await self.caller(kind, cause)
        async with AsyncExitStack() as stack:
            match kind:
                case Kind.INTERNAL:
                    await stack.enter_async_context(self.failing_engine(ZeroDivisionError(SECRET_TEXT)))
                case Kind.UNAVAILABLE:
                    error = EngineUnavailableError("lost", retry_after_seconds=RETRY_SECONDS)
                    await stack.enter_async_context(self.failing_engine(error))
                case Kind.BUSY:
                    await stack.enter_async_context(self.held(2))
                case Kind.TIMED_OUT:
                    await stack.enter_async_context(self._deadline(0.02))
            yield scene

    async def caller(self, kind: Kind | None = None, cause: str = "") -> Scene:
        """Issue a token that is refused so, or one that is good."""
        tokens, scene = self.service.tokens, Scene(service=self.service)
        if cause in {"none", "unknown"}:
            scene.secret = "" if cause == "none" else "parley_" + "x" * 43
            return scene
        issued = await tokens.create(
            "case",
            daily_calls=1 if kind is Kind.CALLS_USED else 100,
            llm_balance=0 if kind is Kind.BALANCE_SPENT else None,
            expires_at=NOON - timedelta(days=1) if cause == "expired" else None,
        )
        scene.secret, scene.tenant_id = issued.secret, issued.token.tenant_id
        if cause == "revoked":
            await tokens.revoke(issued.token.id)
        if kind is Kind.FORBIDDEN:
            scene.headers = {ON_BEHALF_OF_HEADER: "discord:1"}
        if kind is Kind.CALLS_USED:
            ledger = self.service.ledger
            await ledger.keep(await ledger.charge(scene.tenant_id, limit=1))
            scene.used_before = 1
        return scene

    @asynccontextmanager
    async def failing_engine(self, error: Exception, *, after_pieces: int = 0) -> AsyncIterator[None]:
        self.engine.error, self.engine.pieces_before_failure = error, after_pieces
        try:
            yield
        finally:
            self.engine.pieces_before_failure = None

    @asynccontextmanager
    async def held(self, requests: int) -> AsyncIterator[None]:
        """Hold the slot, and with 2 the place in line, until the end of the block or `let_go`."""
        body = {"messages": HELLO, "num_predict": 1}
        self.engine.may_go_on.clear()
        asking = [asyncio.ensure_future(self.service.post("/ai/chat", body)) for _ in range(requests)]
        queue = self.service.app[keys.PIPELINE].queue
        try:
            await eventually(lambda: queue.running + queue.waiting == requests)
            yield
        finally:
            self.let_go()
            await asyncio.gather(*asking)

    def let_go(self) -> None:
        self.engine.may_go_on.set()

    @asynccontextmanager
    async def _deadline(self, seconds: float) -> AsyncIterator[None]:
        line = self.service.app[keys.PIPELINE]
        before, line._deadline_seconds = line._deadline_seconds, seconds
        self.engine.may_go_on.clear()
        try:
            yield
        finally:
            line._deadline_seconds = before
            self.let_go()

    @asynccontextmanager
    async def failing_midway(self, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
        """Let a stream fail after it began: with pieces, with its place in line, or with all but its last words."""
        scene = await self.caller()
        with monkeypatch.context() as patched:
            patched.setattr(pipeline, "PLACE_SECONDS", 0.01)
            match kind:
                case Kind.BUSY:
                    patched.setattr(self.service.ledger, "settle", _locked)
                    yield scene
                case Kind.TOO_LONG:
                    async with self.held(1):
                        yield scene
                case Kind.INVALID:
                    async with self.held(1), self.failing_engine(FormatRefusedError("cannot be enforced")):
                        yield scene
                case _:
                    # The deadline is a `TimeoutError` at the same place.
                    errors = {
                        Kind.INTERNAL: ZeroDivisionError(SECRET_TEXT),
                        Kind.UNAVAILABLE: EngineUnavailableError("lost", retry_after_seconds=RETRY_SECONDS),
                        Kind.TIMED_OUT: TimeoutError(),
                    }
                    async with self.failing_engine(errors[kind], after_pieces=2):
                        yield scene

    async def settled(self) -> None:
        """Wait until no call is open: a stream's last words are sent before it is closed."""
        await eventually(lambda: not self.service.app[keys.ALLOWANCE].open)


async def _locked(*_: object, **__: object) -> None:
    raise DatabaseBusyError


@asynccontextmanager
async def open_stage(demo_engine: Engine) -> AsyncIterator[Stage]:
    """Run the service for the block."""
    engine, clock = ScriptedEngine(demo_engine), ManualClock(NOON)
    with TemporaryDirectory() as folder:
        async with running_service(
            engine,
            Path(folder),
            clock=clock,
            slots=1,
            max_waiting=1,
            context_tokens=CONTEXT_TOKENS,
            max_body_bytes=2**16,
        ) as service:
            yield Stage(service, engine, clock)
