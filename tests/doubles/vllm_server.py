"""A stand-in for vLLM's server, as the documentation of 0.33 describes it; no GPU is needed to speak to one.

Owns: the routes that Parley uses, with their checks, errors and streams. Does not own: the model (`vllm_text.py`).

https://docs.vllm.ai/en/stable/serving/openai_compatible_server.html
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from generation.finishing import Finisher
from tests.doubles import vllm_text

KEY = "key-of-the-stand-in"
MODEL = "acme/parrot-7b"
ADAPTER = "acme-poems"
CONTEXT_TOKENS = 2048
REPLY = "the sea is wide and blue and the sea is blue "
_BLOCK = 16
"""Tokens of a block of the prefix cache."""

Fault = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


class VllmServer:
    """One server. `bodies` are what was asked for; a `fault` answers a generating request in its place."""

    def __init__(self, *, has_details: bool = True) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.url = ""
        self.fault: Fault | None = None
        self.models = [MODEL, ADAPTER]
        self.context_tokens = CONTEXT_TOKENS
        self.real_context_tokens = CONTEXT_TOKENS
        self._has_details = has_details
        self._seen: list[list[int]] = []
        self.app = web.Application(middlewares=[self._guard])
        self.app.router.add_get("/health", self._health)
        self.app.router.add_get("/version", self._version)
        self.app.router.add_get("/v1/models", self._list)
        self.app.router.add_post("/v1/completions", self._complete)
        self.app.router.add_post("/tokenize", self._tokenize)
        self.app.router.add_post("/detokenize", self._detokenize)

    @property
    def asked(self) -> dict[str, Any]:
        """What the last reply was asked with."""
        return self.bodies[-1]

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        # Only what begins with /v1 is behind the key.
        if request.path.startswith("/v1") and request.headers.get("Authorization") != f"Bearer {KEY}":
            return web.json_response({"error": "Unauthorized"}, status=401)
        return await handler(request)

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response()

    async def _version(self, request: web.Request) -> web.Response:
        return web.json_response({"version": "0.33.0"})

    async def _list(self, request: web.Request) -> web.Response:
        data = [
            {"id": name, "object": "model", "owned_by": "vllm", "root": name, "parent": None if not at else MODEL}
            | ({"max_model_len": self.context_tokens} if not at else {})
            for at, name in enumerate(self.models)
        ]
        return web.json_response({"object": "list", "data": data})

    async def _tokenize(self, request: web.Request) -> web.Response:
        body = await request.json()
        if "messages" in body:
            try:
                text = vllm_text.render(body["messages"], body.get("tools") or ())
            except ValueError:
                return _error("unknown role")
        else:
            text = body["prompt"]
        tokens = vllm_text.encode(text)
        document = {"count": len(tokens), "max_model_len": self.context_tokens, "tokens": tokens, "token_strs": None}
        if body.get("return_token_strs"):
            document["token_strs"] = [vllm_text.spell(token).decode("latin-1") for token in tokens]
        return web.json_response(document)

    async def _detokenize(self, request: web.Request) -> web.Response:
        try:
            return web.json_response({"prompt": vllm_text.decode((await request.json())["tokens"])})
        except IndexError:
            return _error("token id out of range")

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if self.fault is not None and (answer := await self.fault(request)) is not None:
            return answer
        if problem := self._find_problem(body):
            return problem
        self.bodies.append(body)
        texts = self._write(body)
        if not body.get("stream"):
            text, reason = "".join(texts), "length" if len(texts) == body["max_tokens"] else "stop"
            choice = {"index": 0, "text": text, "finish_reason": reason, "logprobs": _logprobs(text, body)}
            return web.json_response({"object": "text_completion", "choices": [choice]})
        return await self._stream(request, body, texts)

    def _find_problem(self, body: Mapping[str, Any]) -> web.Response | None:
        if body["model"] not in self.models:
            return _error(f"The model `{body['model']}` does not exist.", status=404, kind="NotFoundError")
        if type(body.get("ignore_eos", False)) is not bool:
            return _error("ignore_eos: Input should be a valid boolean")
        for name, is_sound in _RANGES.items():
            if name in body and not is_sound(body[name]):
                return _error(f"{name} must be in range, got {body[name]}.")
        total = len(body["prompt"]) + body["max_tokens"]
        if total > self.real_context_tokens:
            return _error(
                f"This model's maximum context length is {self.real_context_tokens} tokens. However, you requested "
                f"{total} tokens. Please reduce the length of the input prompt or the number of output tokens."
            )
        return None

    def _write(self, body: Mapping[str, Any]) -> list[str]:
        """Write the reply, in pieces of a token each."""
        text = REPLY * (1000 if body.get("ignore_eos") else 1)
        if "response_format" in body:
            text = Finisher().finish(body["response_format"]["json_schema"]["schema"], "")
        texts = text.split(" ")
        return [f"{each} " if at < len(texts) - 1 else each for at, each in enumerate(texts)][: body["max_tokens"]]

    async def _stream(self, request: web.Request, body: Mapping[str, Any], texts: list[str]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        usage: dict[str, Any] = {"prompt_tokens": len(body["prompt"]), "completion_tokens": 0}
        options = body.get("stream_options") or {}
        said, stopped_by = "", None
        for at, text in enumerate(texts, 1):
            usage["completion_tokens"] = at
            new, stopped_by = _cut(said, text, body.get("stop") or [])
            said += new
            is_last = at == len(texts) or stopped_by is not None
            reason = None
            if is_last:
                reason = "length" if at == body["max_tokens"] and stopped_by is None else "stop"
            choice = {"index": 0, "text": new, "finish_reason": reason, "stop_reason": stopped_by}
            choice["logprobs"] = _logprobs(new, body)
            chunk = {"object": "text_completion", "choices": [choice]}
            await _send(response, chunk | ({"usage": usage} if options.get("continuous_usage_stats") else {}))
            await asyncio.sleep(0)
            if is_last:
                break
        if options.get("include_usage"):
            details = {"cached_tokens": self._count_cached(body["prompt"])} if self._has_details else None
            await _send(response, {"choices": [], "usage": {**usage, "prompt_tokens_details": details}})
        await response.write(b"data: [DONE]\n\n")
        return response

    def _count_cached(self, prompt: list[int]) -> int:
        most = 0
        for seen in self._seen:
            common = next((at for at, (a, b) in enumerate(zip(seen, prompt, strict=False)) if a != b), len(seen))
            most = max(most, min(common, len(prompt) - 1) // _BLOCK * _BLOCK)
        self._seen.append(prompt)
        return most


_RANGES: Mapping[str, Callable[[Any], bool]] = {
    "temperature": lambda value: value >= 0,
    "top_p": lambda value: 0 < value <= 1,
    "top_k": lambda value: value >= -1,
    "min_p": lambda value: 0 <= value <= 1,
    "repetition_penalty": lambda value: value > 0,
    "presence_penalty": lambda value: -2 <= value <= 2,
    "frequency_penalty": lambda value: -2 <= value <= 2,
    "max_tokens": lambda value: value >= 1,
}


def _error(message: str, *, status: int = 400, kind: str = "BadRequestError") -> web.Response:
    error = {"message": message, "type": kind, "param": None, "code": status}
    return web.json_response({"error": error}, status=status)


def _cut(said: str, text: str, stop: list[str]) -> tuple[str, str | None]:
    whole = said + text
    for each in stop:
        at = whole.find(each)
        if at >= 0:
            return whole[len(said) : at], each
    return text, None


def _logprobs(text: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
    if body.get("logprobs") is None:
        return None
    others = {text: -0.5, "other ": -1.5, "third ": -2.5}
    top = dict(list(others.items())[: max(1, body["logprobs"])])
    return {"tokens": [text], "token_logprobs": [-0.5], "top_logprobs": [top], "text_offset": [0]}


async def _send(response: web.StreamResponse, document: Mapping[str, Any]) -> None:
    await response.write(f"data: {json.dumps(document)}\n\n".encode())


@asynccontextmanager
async def serving(app: web.Application, *, port: int = 0) -> AsyncIterator[str]:
    """Serve on loopback for the block; gives the base address."""
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()
