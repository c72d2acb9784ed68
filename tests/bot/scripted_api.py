"""A small stand-in for the HTTP API, for tests of the bot alone: says what it is told to, and keeps what it was asked.

It speaks `api/contract.py` and nothing more; the service itself has its own tests.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from aiohttp.test_utils import TestServer

from api.contract import ON_BEHALF_OF_HEADER, ChatReply, ChatRequest, ErrorReply, ReplyMessage, Usage

SERVICE_TOKEN = "parley_service"
RESETS_AT = datetime(2026, 11, 21, tzinfo=UTC)


@dataclass(frozen=True)
class Asked:
    """One request that arrived."""

    tenant: str
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


def chat_reply(text: str, *, dropped_messages: int = 0) -> ChatReply:
    """Return a whole reply with plausible counts."""
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
        model="scripted",
        created_at=now,
        message=ReplyMessage(content=text),
        done_reason="stop",
        total_duration=1,
        load_duration=0,
        prompt_eval_count=10,
        prompt_eval_duration=1,
        eval_count=5,
        eval_duration=1,
        usage=usage,
        seed=1,
        dropped_messages=dropped_messages,
        warnings=[],
    )


class ScriptedApi:
    """Answers `POST /ai/chat`. Replies come from `script`, then from `answer`; `hold` makes them wait."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.script: deque[str | Refusal | bytes] = deque()
        self.answer: Callable[[Asked], str] = lambda asked: f"You said: {asked.question.partition(': ')[2]}"
        self._open = asyncio.Event()
        self._open.set()
        self._arrived = asyncio.Event()
        self.running = 0
        self.most_running = 0
        self.hung_up = asyncio.Event()
        app = web.Application(client_max_size=2**24)
        app.router.add_post("/ai/chat", self._chat)
        self._server = TestServer(app)

    async def __aenter__(self) -> Self:
        await self._server.start_server()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
        """Answer those who wait."""
        self._open.set()

    async def arrived(self, count: int) -> None:
        """Wait until that many requests have come in."""
        async with asyncio.timeout(20):
            while len(self.asked) < count:
                arrived = self._arrived
                await arrived.wait()

    async def _chat(self, request: web.Request) -> web.Response:
        body = await request.read()
        asked = Asked(
            tenant=request.headers.get(ON_BEHALF_OF_HEADER, ""),
            authorization=request.headers.get("Authorization", ""),
            request=ChatRequest.model_validate_json(body),
            body_bytes=len(body),
        )
        self.asked.append(asked)
        self._arrived.set()
        self._arrived = asyncio.Event()
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self._open.wait()
        except asyncio.CancelledError:
            self.hung_up.set()
            raise
        finally:
            self.running -= 1
        return _render(self.script.popleft() if self.script else self.answer(asked))


def _render(reply: str | Refusal | bytes) -> web.Response:
    if isinstance(reply, bytes):
        return web.Response(body=reply, content_type="text/html")
    if isinstance(reply, Refusal):
        body: dict[str, Any] = ErrorReply.model_validate(
            {
                "error": reply.title,
                "code": reply.status,
                "message": reply.message,
                "request_id": "req-1234",
                "details": reply.details,
            }
        ).model_dump()
        return web.Response(
            status=reply.status, text=json.dumps(body), content_type="application/json", headers=reply.headers
        )
    return web.Response(text=chat_reply(reply).model_dump_json(), content_type="application/json")
