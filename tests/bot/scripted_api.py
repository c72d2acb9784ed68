"""A small stand-in for the HTTP API, for tests of the bot alone: says what it is told to, and keeps what it was asked.

It speaks `api/contract.py` and nothing more, whole replies and streams alike; the service itself has its own tests.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import BaseModel

from api.contract import (
    CONVERSATION_HEADER,
    ON_BEHALF_OF_HEADER,
    PERSON_HEADER,
    ChatPiece,
    ChatReply,
    ChatRequest,
    ErrorReply,
    Forgotten,
    ModelCard,
    ModelList,
    QueuePlace,
    ReplyMessage,
    Usage,
)
from tests.doubles.discord_model import Changes

SERVICE_TOKEN = "parley_service"
RESETS_AT = datetime(2026, 11, 21, tzinfo=UTC)
MODEL = "scripted"
PIECES = 4
"""How many pieces a plain text is streamed in, at most."""


@dataclass(frozen=True)
class Asked:
    """One request that arrived. `person` and `conversation` are empty where the request named none."""

    tenant: str
    person: str
    conversation: str
    authorization: str
    request: ChatRequest
    body_bytes: int

    @property
    def question(self) -> str:
        """Return the last message's text."""
        return self.request.messages[-1].content


@dataclass(frozen=True)
class Refusal:
    """An error to answer with."""

    status: int
    title: str = "Error"
    message: str = "what to do"
    headers: dict[str, str] = field(default_factory=dict)
    details: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Stream:
    """A reply with control over its making. To a request that wants no stream it is sent whole.

    `queue` are places in line, `(position, wait_seconds)`, told before the first piece. The reply waits for
    `ScriptedApi.release` when it has sent `hold_after` pieces (0: after the queue lines), once for each number given.
    It ends with `error` as its last line if there is one; `is_cut_off` ends it as a service that dies does.
    """

    pieces: Sequence[str] = ()
    done_reason: Literal["stop", "length"] = "stop"
    dropped_messages: int = 0
    warnings: Sequence[str] = ()
    queue: Sequence[tuple[int, int | None]] = ()
    hold_after: int | Sequence[int] = ()
    error: Refusal | None = None
    is_cut_off: bool = False

    @property
    def text(self) -> str:
        """Return the whole reply."""
        return "".join(self.pieces)

    @property
    def holds(self) -> Sequence[int]:
        """Return after how many pieces it waits, one number or several."""
        return (self.hold_after,) if isinstance(self.hold_after, int) else self.hold_after


def in_pieces(text: str) -> Stream:
    """Return a text as a stream of a few pieces, cut anywhere."""
    size = -(-len(text) // PIECES) or 1
    return Stream(pieces=[text[at : at + size] for at in range(0, len(text), size)])


def chat_reply(
    text: str,
    *,
    dropped_messages: int = 0,
    done_reason: Literal["stop", "length"] = "stop",
    warnings: Sequence[str] = (),
) -> ChatReply:
    """Return a whole reply, or the last line of a stream, with plausible counts."""
    now = datetime.now(UTC)
    usage = Usage(
        prompt_tokens=10,
        completion_tokens=5,
        total_tokens=15,
        cached_tokens=0,
        calls_remaining=99,
        llm_tokens_remaining=None,
        resets_at=now + timedelta(hours=3),
    )
    return ChatReply(
        model=MODEL,
        created_at=now,
        message=ReplyMessage(content=text),
        done_reason=done_reason,
        total_duration=1,
        load_duration=0,
        prompt_eval_count=10,
        prompt_eval_duration=1,
        eval_count=5,
        eval_duration=1,
        usage=usage,
        seed=1,
        dropped_messages=dropped_messages,
        warnings=list(warnings),
    )


class ScriptedApi:
    """Answers `POST /ai/chat`, `GET /v1/models` and `POST /ai/conversations/forgotten`, which `cleaned_up` counts.

    Replies come from `script`, then from `answer`: a text, a `Stream`, a `Refusal`, or bytes that are no reply at all.
    `hold` makes requests wait from the start; `Stream.hold_after` makes one reply wait midway. `release` lets both go
    on, also a reply that has not yet come to its hold; `held` waits until replies stand at theirs. `hung_up` is set
    when a caller leaves.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.script: deque[str | Stream | Refusal | bytes] = deque()
        self.answer: Callable[[Asked], str | Stream] = lambda asked: f"You said: {asked.question.partition(': ')[2]}"
        self.models: list[str] | Refusal = [MODEL]
        self.models_asked = 0
        self.cleaned_up = 0
        self.running = 0
        self.most_running = 0
        self.hung_up = asyncio.Event()
        self._open = asyncio.Event()
        self._open.set()
        self._changes = Changes()
        self._is_closing = False
        self._releases = 0
        self._standing: list[int] = []
        app = web.Application(client_max_size=2**24)
        app.router.add_post("/ai/chat", self._chat)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/ai/conversations/forgotten", self._clean_up)
        self._server = TestServer(app)

    async def __aenter__(self) -> Self:
        await self._server.start_server()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closing = True
        self.release()
        await self._server.close()

    @property
    def url(self) -> str:
        """Return the base address."""
        return str(self._server.make_url("/"))

    @property
    def questions(self) -> list[str]:
        """Return the last message of every request so far."""
        return [asked.question for asked in self.asked]

    def hold(self) -> None:
        """Let requests wait until `release`."""
        self._open.clear()

    def release(self) -> None:
        """Answer those who wait; replies that wait midway go on to their next hold."""
        self._releases += 1
        self._open.set()
        self._changes.announce()

    async def arrived(self, count: int) -> None:
        """Wait until that many requests have come in."""
        await self._changes.until(lambda: len(self.asked) >= count, f"{count} requests arrived")

    async def held(self, count: int = 1) -> None:
        """Wait until that many replies stand at a `Stream.hold_after`, with all before it sent."""
        await self._changes.until(lambda: self._count_held() >= count, f"{count} replies are held midway")

    def _count_held(self) -> int:
        return sum(releases > self._releases for releases in self._standing)

    async def _models(self, request: web.Request) -> web.Response:
        self.models_asked += 1
        if isinstance(self.models, Refusal):
            return _refuse(self.models)
        assert request.headers["Authorization"] == f"Bearer {SERVICE_TOKEN}"
        return _json(ModelList(data=[ModelCard(id=name, created=0) for name in self.models]))

    async def _clean_up(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {SERVICE_TOKEN}"
        self.cleaned_up += 1
        return _json(Forgotten())

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        asked = Asked(
            tenant=request.headers.get(ON_BEHALF_OF_HEADER, ""),
            person=request.headers.get(PERSON_HEADER, ""),
            conversation=request.headers.get(CONVERSATION_HEADER, ""),
            authorization=request.headers.get("Authorization", ""),
            request=ChatRequest.model_validate_json(body),
            body_bytes=len(body),
        )
        self.asked.append(asked)
        async with self._counted():
            await self._open.wait()
            released = self._releases
            reply = self.script.popleft() if self.script else self.answer(asked)
            if isinstance(reply, bytes):
                return web.Response(body=reply, content_type="text/html")
            if isinstance(reply, Refusal):
                return _refuse(reply)
            stream = in_pieces(reply) if isinstance(reply, str) else reply
            if asked.request.stream:
                return await self._send(request, stream, released=released)
            return _json(_end(stream, stream.text)) if stream.error is None else _refuse(stream.error)

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        """Count a request as running for the block, and notice when its caller leaves."""
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self._changes.announce()
        try:
            yield
        except (asyncio.CancelledError, ConnectionError):
            self.hung_up.set()
            raise
        finally:
            self.running -= 1
            self._changes.announce()

    async def _send(self, request: web.Request, stream: Stream, *, released: int) -> web.StreamResponse:
        """Send a reply line by line; `released` counts the releases before it began."""
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        for position, wait_seconds in stream.queue:
            await _write(response, _piece("", QueuePlace(position=position, wait_seconds=wait_seconds)))
        holds = sorted(stream.holds)
        for sent in range(len(stream.pieces) + 1):
            if holds and holds[0] == sent:
                released += 1
                await self._stand(released)
                holds.pop(0)
            if sent < len(stream.pieces):
                await _write(response, _piece(stream.pieces[sent]))
        if stream.error is not None:
            await _write(response, _error(stream.error))
        elif not stream.is_cut_off:
            await _write(response, _end(stream, ""))
        elif request.transport is not None:
            request.transport.close()
        return response

    async def _stand(self, releases: int) -> None:
        """Hold a reply until there were so many releases."""
        self._standing.append(releases)
        self._changes.announce()
        try:
            await self._changes.until(
                lambda: self._releases >= releases or self._is_closing, "a held reply is released", timeout_seconds=60
            )
        finally:
            self._standing.remove(releases)


def _piece(text: str, queue: QueuePlace | None = None) -> ChatPiece:
    return ChatPiece(model=MODEL, created_at=datetime.now(UTC), message=ReplyMessage(content=text), queue=queue)


def _end(stream: Stream, text: str) -> ChatReply:
    return chat_reply(
        text,
        dropped_messages=stream.dropped_messages,
        done_reason=stream.done_reason,
        warnings=stream.warnings,
    )


async def _write(response: web.StreamResponse, line: BaseModel) -> None:
    await response.write(line.model_dump_json().encode() + b"\n")


def _json(body: BaseModel) -> web.Response:
    return web.Response(text=body.model_dump_json(), content_type="application/json")


def _error(refusal: Refusal) -> ErrorReply:
    fields: dict[str, Any] = {
        "error": refusal.title,
        "code": refusal.status,
        "message": refusal.message,
        "request_id": "req-1234",
        "details": refusal.details,
    }
    return ErrorReply.model_validate(fields)


def _refuse(refusal: Refusal) -> web.Response:
    return web.Response(
        status=refusal.status,
        text=json.dumps(_error(refusal).model_dump()),
        content_type="application/json",
        headers=refusal.headers,
    )
