"""The ctransformers engine's process: `python -m generation.ctransformers_child`.

Serves the routes of llama.cpp's server that Parley uses, on a private Unix socket, so that both engines are supervised,
asked and understood by the same code. Owns: the routes, the contexts, and who computes when. Does not own: the native
library (`native_model.py`), one reply (`native_reply.py`).

All computing happens in one thread: the library is from a time before it was asked to be safe with several, and two
threads of it on the same cores wait for each other, spinning. Replies take turns there, token by token.
"""

import asyncio
import hmac
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from aiohttp import web

from generation.chat_template import ChatTemplate, TemplateFailedError
from generation.child import CANNOT_LOAD, ChildSettings
from generation.constrained import Constrainer, Constraint, SchemaUnusableError
from generation.gguf_file import GgufHeader, read_gguf_header
from generation.native_model import NativeModel, PlainTokenizer
from generation.native_reply import Job, Reply
from generation.orphan import die_with_parent, when_orphaned
from generation.text_tokens import TextTokens

_MOST_BODY_BYTES = 64 * 1024 * 1024
"""The parent bounds what people send; this only bounds a mistake."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ResultT = TypeVar("ResultT")


class Contexts:
    """The contexts of one model, each lent to one reply at a time, and the one thread that computes."""

    def __init__(self, models: Sequence[NativeModel]) -> None:
        self._free = list(models)
        self._count = len(models)
        self._turn = asyncio.Semaphore(len(models))
        self._thread = ThreadPoolExecutor(max_workers=1)

    @property
    def busy(self) -> list[bool]:
        """Whether each slot is at work."""
        return [number >= len(self._free) for number in range(self._count)]

    async def run(self, work: Callable[[], ResultT]) -> ResultT:
        """Do one step of work in the computing thread; steps of several replies take turns."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    @asynccontextmanager
    async def lend(self, prompt: Sequence[int]) -> AsyncIterator[NativeModel]:
        """Lend the free context that has computed most of the prompt already, waiting while there is none.

        A cancelled reply may give its context back while its last step still computes: the next reply's first step
        comes after it, in the same thread.
        """
        async with self._turn:
            context = max(self._free, key=lambda model: model.count_cached(prompt))
            self._free.remove(context)
            try:
                yield context
            finally:
                self._free.append(context)


class ChildServer:
    """The routes."""

    def __init__(self, settings: ChildSettings, header: GgufHeader, models: Sequence[NativeModel]) -> None:
        self._settings = settings
        self._contexts = Contexts(models)
        first = models[0]
        self._vocabulary = TextTokens(
            header, bos=first.bos, eos=first.eos, tokenize_plain=PlainTokenizer(first, header).tokenize
        )
        texts = self._vocabulary.texts
        self._bos_text = texts[first.bos] if header.adds_bos else ""
        self._template = ChatTemplate(header.chat_template, bos=texts[first.bos], eos=texts[first.eos])
        self._constrainer = Constrainer(
            self._vocabulary.bytes, sorted(self._vocabulary.ends), self._vocabulary.tokenize_plain
        )

    def app(self) -> web.Application:
        """Assemble the routes."""
        app = web.Application(client_max_size=_MOST_BODY_BYTES, middlewares=[self._require_key])
        app.router.add_get("/health", self._health)
        app.router.add_get("/slots", self._slots)
        app.router.add_post("/tokenize", self._tokenize)
        app.router.add_post("/apply-template", self._apply_template)
        app.router.add_post("/completion", self._completion)
        return app

    @web.middleware
    async def _require_key(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._settings.api_key}".encode()):
            return _refuse("wrong key", status=401)
        return await handler(request)

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _slots(self, _: web.Request) -> web.Response:
        context = self._settings.context_tokens
        return web.json_response(
            [{"id": at, "n_ctx": context, "is_processing": busy} for at, busy in enumerate(self._contexts.busy)]
        )

    async def _tokenize(self, request: web.Request) -> web.Response:
        body = await request.json()
        tokens = await self._contexts.run(
            lambda: self._vocabulary.tokenize(
                body["content"],
                add_special=body.get("add_special", False),
                parse_special=body.get("parse_special", False),
            )
        )
        return web.json_response({"tokens": tokens})

    async def _apply_template(self, request: web.Request) -> web.Response:
        body = await request.json()
        try:
            prompt = self._template.render(body["messages"], body.get("tools"))
        except TemplateFailedError:
            return _refuse("the chat template refuses these messages")
        # The tokenizer adds it, and some templates write it too.
        return web.json_response({"prompt": prompt.removeprefix(self._bos_text)})

    async def _completion(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        job = Job.read(body, self._vocabulary)
        room = self._settings.context_tokens - len(job.prompt)
        if room < 1 or not job.prompt:
            return _refuse("the prompt does not fit the context")
        try:
            constraint = await self._constrain(job)
        except SchemaUnusableError:
            return _refuse("the schema cannot be enforced")
        async with self._contexts.lend(job.prompt) as context:
            reply = Reply(
                job,
                context,
                self._vocabulary,
                most_tokens=min(room, job.options.max_tokens),
                constraint=constraint,
            )
            return await (self._stream(request, reply) if body.get("stream") else self._whole(reply))

    async def _constrain(self, job: Job) -> Constraint | None:
        schema = job.options.json_schema
        if schema is None:
            return None
        # Not in the computing thread: a large schema takes a while, and replies go on meanwhile.
        return await asyncio.to_thread(self._constrainer.start, schema)

    async def _events(self, reply: Reply) -> AsyncGenerator[dict[str, Any], None]:
        while not await self._contexts.run(lambda: reply.compute_prompt(at_most=self._settings.batch_tokens)):
            pass
        while not reply.is_finished:
            yield await self._contexts.run(reply.step)

    async def _stream(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        async with aclosing(self._events(reply)) as events:
            try:
                async for event in events:
                    await _send(response, event)
            except SchemaUnusableError:
                # Some schemas prove too much for the library only on the way.
                await _send(response, _error("the schema cannot be enforced", 400))
        await response.write_eof()
        return response

    async def _whole(self, reply: Reply) -> web.Response:
        events = [event async for event in self._events(reply)]
        return web.json_response(events[-1] | {"content": "".join(event["content"] for event in events)})


def _refuse(message: str, *, status: int = 400) -> web.Response:
    return web.json_response(_error(message, status), status=status)


def _error(message: str, status: int) -> dict[str, Any]:
    return {"error": {"code": status, "message": message}}


async def _send(response: web.StreamResponse, event: Mapping[str, Any]) -> None:
    await response.write(b"data: " + json.dumps(event).encode() + b"\n\n")


def main() -> NoReturn:
    """Read the settings, load the model and serve until told to stop or orphaned."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    settings = ChildSettings(**json.loads(sys.stdin.buffer.readline()))
    when_orphaned(lambda: os._exit(0))
    header = read_gguf_header(Path(settings.model_path))
    try:
        models = [
            NativeModel(Path(settings.model_path), context_tokens=settings.context_tokens, threads=settings.threads)
            for _ in range(settings.slots)
        ]
    except RuntimeError:
        sys.exit(CANNOT_LOAD)
    asyncio.run(_serve(settings, header, models))
    sys.exit()


async def _serve(settings: ChildSettings, header: GgufHeader, models: Sequence[NativeModel]) -> None:
    # A caller that hangs up cancels its handler, and with it the reply, between two tokens.
    runner = web.AppRunner(ChildServer(settings, header, models).app(), handler_cancellation=True, access_log=None)
    await runner.setup()
    await web.UnixSite(runner, settings.socket_path).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    main()
