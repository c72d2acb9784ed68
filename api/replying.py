"""Turns a run's events into an HTTP reply, whole or streamed; a dialect says what each looks like.

Owns: the fold, the stream with its errors midway, readers that stall. Does not own: any dialect's form (`Renderer` is
implemented beside it).
"""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web
from pydantic import BaseModel

from api import keys
from api.calls import dialect_of
from api.errors import from_exception
from api.job import Choice, Done, Ended, Event, Piece, Queued, ToolCall, Whole
from generation.engine import Finished, TokenLogprob

READER_SECONDS = 60.0

UNHELD_BYTES = 16_384
"""So much an empty connection takes at once; asyncio lets a writer wait from 64 KiB on."""

NDJSON = "application/x-ndjson"
SSE = "text/event-stream"


class Renderer(ABC):
    """How one reply of a dialect looks; made for each request, so it may remember what it has sent."""

    content_type: str = NDJSON

    @abstractmethod
    def whole(self, reply: Whole) -> BaseModel:
        """Render a reply that is sent at once."""

    @abstractmethod
    def event(self, event: Event) -> bytes:
        """Render one event of a stream; empty sends nothing. Nothing may follow `Done` but `end`."""

    @abstractmethod
    def error(self, body: BaseModel) -> bytes:
        """Render a refusal, as `Dialect.say` words it, that came after the stream began."""

    def begin(self) -> bytes:
        """Render what comes before the first event."""
        return b""


async def answer(
    request: web.Request, events: AsyncGenerator[Event, None], renderer: Renderer, *, is_streamed: bool
) -> web.StreamResponse:
    """Answer with a run of the pipeline. An error before the first event is an ordinary error reply."""
    if is_streamed:
        return await _stream(request, events, renderer)
    return web.json_response(text=renderer.whole(await fold(events)).model_dump_json())


async def fold(events: AsyncGenerator[Event, None]) -> Whole:
    """Wait for the end of a run and put together what it yielded."""
    texts: dict[int, list[str]] = {}
    logprobs: dict[int, list[TokenLogprob]] = {}
    calls: dict[int, list[ToolCall]] = {}
    ends: dict[int, Finished] = {}
    async with aclosing(events):
        async for event in events:
            match event:
                case Piece(text, choice):
                    texts.setdefault(choice, []).append(text)
                    logprobs.setdefault(choice, []).extend(event.logprobs)
                    calls.setdefault(choice, []).extend(event.tool_calls)
                case Ended(choice, finished):
                    ends[choice] = finished
                case Done():
                    done = event
    choices = [
        Choice(
            text="".join(texts.get(at, ())),
            finished=ends[at],
            logprobs=logprobs.get(at, ()),
            tool_calls=calls.get(at, ()),
        )
        for at in sorted(ends)
    ]
    return Whole(choices=choices, done=done)


async def _stream(request: web.Request, events: AsyncGenerator[Event, None], renderer: Renderer) -> web.StreamResponse:
    """Send what the renderer makes of each event. An error later is the last thing sent."""
    async with aclosing(events):
        first = await anext(events)
        response = web.StreamResponse(headers={"Content-Type": renderer.content_type, "Cache-Control": "no-store"})
        await response.prepare(request)
        request[keys.STREAM] = response
        try:
            await _send(request, response, renderer.begin() + renderer.event(first))
            async for event in events:
                await _send(request, response, renderer.event(event))
        except ConnectionError:
            raise
        except Exception as error:
            body = dialect_of(request).say(from_exception(error), request[keys.REQUEST_ID])
            # Whoever leaves on reading of the failure has not hung up: it stays ours.
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await _send(request, response, renderer.error(body))
                await response.write_eof()
            raise
        await response.write_eof()
        return response


async def _send(request: web.Request, response: web.StreamResponse, data: bytes) -> None:
    """Send some bytes; a reader that takes none for a minute counts as gone, for others wait for the slot."""
    if not data:
        return
    transport = request.transport
    if transport is not None and len(data) <= UNHELD_BYTES and not transport.get_write_buffer_size():
        # The reader has taken everything so far: this cannot wait, and a timeout would cost more than the rest.
        await response.write(data)
        return
    try:
        async with asyncio.timeout(READER_SECONDS):
            await response.write(data)
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the reader stalled") from None


def line(body: BaseModel) -> bytes:
    """Render one line of newline-delimited JSON."""
    return body.model_dump_json().encode() + b"\n"


def server_sent(body: BaseModel, *, event: str | None = None, exclude: set[str] | None = None) -> bytes:
    """Render one server-sent event (https://html.spec.whatwg.org/multipage/server-sent-events.html).

    `exclude` are fields of the body that are left out.
    """
    name = b"" if event is None else b"event: " + event.encode() + b"\n"
    return name + b"data: " + body.model_dump_json(exclude=exclude).encode() + b"\n\n"


def comment(text: str) -> bytes:
    """Render a comment of server-sent events: readers skip it, and the connection is not silent."""
    return f": {text}\n\n".encode()


def waiting(queued: Queued) -> bytes:
    """Render a place in line as a comment of server-sent events."""
    about = "" if queued.wait_seconds is None else f", about {queued.wait_seconds} s"
    return comment(f"waiting in line, place {queued.position}{about}")
