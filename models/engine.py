"""Reaching an engine that runs the model: llama.cpp's server in a process of its own, or a running Parley.

Owns the ways to sample that are measured, and the requests. The server listens on a Unix socket, never on a port.
"""

import asyncio
import multiprocessing
import secrets
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

Ask = Callable[[list[dict[str, str]]], Awaitable[str]]

LONGEST_REPLY: Final = 96
"""Tokens; the longest expected reply has about 70."""

_CONTEXT: Final = 2048
_AT_ONCE: Final = 4
_THREADS: Final = 1
"""The model is too small for a second one to gain anything, and on a busy machine two wait for each other."""
_START_SECONDS: Final = 60
_BETWEEN_TRIES_SECONDS: Final = 0.2


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen."""

    temperature: float
    repeat_penalty: float
    top_k: int = 40
    top_p: float = 0.9
    seed: int = 1


SAMPLINGS: Final = {
    "greedy": Sampling(0.0, 1.0),
    "penalised": Sampling(0.0, 1.1),
    "default": Sampling(0.8, 1.1),
}
"""Always the likeliest token; the same with the service's repeat penalty; and the service's defaults."""


@asynccontextmanager
async def llama(model: Path, sampling: Sampling, *, adapter: Path | None = None) -> AsyncIterator[Ask]:
    """Serve a model file, with an adapter where one is given, and give a way to ask it."""
    with tempfile.TemporaryDirectory(prefix="parley-") as folder:
        socket, key = str(Path(folder) / "engine.sock"), secrets.token_urlsafe(32)
        server = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(str(model), socket, key, adapter and str(adapter)), daemon=True
        )
        server.start()
        try:
            headers = {"Authorization": f"Bearer {key}"}
            async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(socket), headers=headers) as session:
                await _ready(session)
                yield lambda messages: _ask_llama(session, messages, sampling)
        finally:
            server.terminate()
            server.join()


@asynccontextmanager
async def parley(url: str, token: str, sampling: Sampling) -> AsyncIterator[Ask]:
    """Give a way to ask a running Parley."""
    async with aiohttp.ClientSession(headers={"Authorization": token}) as session:
        yield lambda messages: _ask_parley(session, url, messages, sampling)


def _serve(model: str, socket: str, key: str, adapter: str | None) -> None:
    import xllamacpp  # noqa: PLC0415 - only this process needs the engine

    params = xllamacpp.CommonParams()
    params.model.path = model
    if adapter is not None:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(adapter, 1.0)]
    params.n_ctx = _CONTEXT * _AT_ONCE
    params.n_parallel = _AT_ONCE
    params.cpuparams.n_threads = _THREADS
    params.hostnames = [socket]
    params.api_keys = [key]
    params.use_jinja = True
    params.ui = False
    server = xllamacpp.Server(params)
    multiprocessing.Event().wait()
    del server


async def _ready(session: aiohttp.ClientSession) -> None:
    for _ in range(int(_START_SECONDS / _BETWEEN_TRIES_SECONDS)):
        try:
            async with session.get("http://engine/health") as response:
                if response.ok:
                    return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(_BETWEEN_TRIES_SECONDS)
    raise TimeoutError("the engine did not start")


async def _ask_llama(session: aiohttp.ClientSession, messages: list[dict[str, str]], sampling: Sampling) -> str:
    body = {
        "messages": messages,
        "max_tokens": LONGEST_REPLY,
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": 0.0,
        "repeat_penalty": sampling.repeat_penalty,
        "repeat_last_n": 64,
        "seed": sampling.seed,
    }
    async with session.post("http://engine/v1/chat/completions", json=body) as response:
        response.raise_for_status()
        answer = await response.json()
    return str(answer["choices"][0]["message"]["content"])


async def _ask_parley(
    session: aiohttp.ClientSession, url: str, messages: list[dict[str, str]], sampling: Sampling
) -> str:
    body = {
        "messages": messages,
        "temperature": sampling.temperature,
        "repeat_penalty": sampling.repeat_penalty,
        "num_predict": LONGEST_REPLY,
        "stream": False,
    }
    async with session.post(f"{url.rstrip('/')}/ai/chat", json=body) as response:
        response.raise_for_status()
        answer = await response.json()
    return str(answer["message"]["content"])
