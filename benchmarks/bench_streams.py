"""How close `POST /ai/chat` comes to the engine's own speed: one stream, eight together, the first token, loop lag.

The same prompts go to llama.cpp's server by hand, to the engine around it and through HTTP, in turns within one run,
for a model of random weights that takes the processor's time as a real one does, and for the tiny bundled one, where
the service's own work shows most. The ctransformers engine answers the same eight callers, unless the other engine is
the operator's own, which may compute on a GPU. Prints a table and ends in one line of JSON; the ratios are the result,
the absolute figures are only this machine's.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TypeVar

import aiohttp
from gguf import GGMLQuantizationType
from rich.console import Console
from rich.table import Table

from api.contract import ChatMessage, ChatRequest
from api.native import to_sampling
from benchmarks.load import request_bytes, stream
from generation.ctransformers_engine import CTransformersEngine
from generation.devices import ComputesOn, find_devices
from generation.engine import Message, SamplingOptions
from generation.launch import LlamaCppConfig
from generation.llama_cpp import LlamaCppEngine
from generation.sampling import completion_body
from generation.served_engine import ServedEngine
from parley.demo_model import DEMO_NAME, demo_path
from parley.native import find_native_server
from tests.generation.tiny_model import TinyModel, write_tiny_model
from tests.service import Service, running_service

ROUNDS = 6
STREAMS = 8
THREADS = 2
CONTEXT = 128
LAG_STEP_SECONDS = 0.005

RANDOM_MODEL = TinyModel(width=640, heads=10, feed_forward=1792, layers=11, weights=GGMLQuantizationType.Q8_0)
"""56 million parameters."""

LARGE_MODEL = TinyModel(width=2048, heads=32, feed_forward=5632, layers=22, weights=GGMLQuantizationType.Q4_0)
"""1.1 billion parameters, in the four bits that people run such models in. A round takes more than a minute on two
cores, so it runs only when asked for."""

MANY_WORDS_MODEL = replace(LARGE_MODEL, normal=tuple(f"▁w{number}" for number in range(31_600)))
"""The same with a vocabulary of the usual size, which sampling and its last layer have to go through for each token."""

MODELS = (
    ("random", "random weights, 56 M", RANDOM_MODEL),
    ("demo", "demo model, 3 M", None),
    ("large", "random weights, 1.1 B", LARGE_MODEL),
    ("words", "1.1 B, 32,000 words", MANY_WORDS_MODEL),
)

OPTIONS = {"temperature": 1.0, "top_k": 40, "top_p": 1.0, "num_predict": -2, "num_ctx": CONTEXT}


@dataclass(frozen=True, slots=True)
class Reply:
    """When a reply was asked for, began and ended, seconds on one clock, and how many tokens it had."""

    asked: float
    first: float
    ended: float
    tokens: int


Ask = Callable[[str], Awaitable[Reply]]
EngineT = TypeVar("EngineT", bound=ServedEngine)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is measured: on which server in place of the packaged engine, how often, with how many at once."""

    server: Path | None
    computes_on: ComputesOn
    has_ctransformers: bool
    rounds: int
    streams: int


def straight(engine: ServedEngine) -> Ask:
    """Ask the engine itself, for as many tokens as the context holds."""

    async def ask(question: str) -> Reply:
        asked = perf_counter()
        prompt = await engine.encode_chat([Message("user", question)])
        first, tokens = 0.0, 0
        async with aclosing(engine.generate(prompt, sampling(question, prompt))) as events:
            async for event in events:
                first = first or perf_counter()
                tokens = event.completion_tokens
        return Reply(asked, first, perf_counter(), tokens)

    return ask


def by_hand(engine: LlamaCppEngine) -> Ask:
    """Ask llama.cpp's server for the same, and read no more of its replies than where they end."""
    session = engine._client._session  # noqa: SLF001 - nobody else has a use for the way past the engine
    assert isinstance(session.connector, aiohttp.UnixConnector)
    socket_path, secret = session.connector.path, session.headers["Authorization"].removeprefix("Bearer ")

    async def ask(question: str) -> Reply:
        asked = perf_counter()
        prompt = await engine.encode_chat([Message("user", question)])
        # Nor how far it is with the prompt, which would come before the first token.
        body = completion_body(prompt, sampling(question, prompt), context_tokens=CONTEXT) | {"return_progress": False}
        streamed = await stream(socket_path, request_bytes("/completion", secret, body))
        return Reply(asked, streamed.first, streamed.ended, streamed.last["tokens_predicted"])

    return ask


def sampling(question: str, prompt: Sequence[int]) -> SamplingOptions:
    """Say what is asked for over HTTP in the engine's words."""
    request = ChatRequest(messages=[ChatMessage(role="user", content=question)], temperature=1, top_k=40, top_p=1)
    return replace(to_sampling(request), max_tokens=CONTEXT - len(prompt), ignore_eos=True)


def through_http(service: Service) -> Ask:
    """Ask over HTTP, streaming, for the same."""
    port = int(service.url.rpartition(":")[2])

    async def ask(question: str) -> Reply:
        body = {"messages": [{"role": "user", "content": question}], "stream": True, **OPTIONS}
        streamed = await stream(port, request_bytes("/ai/chat", service.secret, body))
        return Reply(streamed.asked, streamed.first, streamed.ended, streamed.last["eval_count"])

    return ask


async def measure_one(ask: Ask, question: str) -> dict[str, float]:
    """Take one reply: milliseconds to its first token, tokens per second after it, and of the whole reply."""
    reply = await ask(question)
    return {
        "first_ms": (reply.first - reply.asked) * 1000,
        "per_second": (reply.tokens - 1) / (reply.ended - reply.first),
        "one": reply.tokens / (reply.ended - reply.asked),
    }


async def measure_together(ask: Ask, question: str, streams: int) -> float:
    """Take several replies together: tokens per second of all, from the first asked to the last ended.

    From the first token on would flatter whoever answers all prompts before it, and count against whoever answers the
    first while the others wait.
    """
    replies = await asyncio.gather(*(ask(f"{at:02}{question}") for at in range(streams)))
    seconds = max(reply.ended for reply in replies) - min(reply.asked for reply in replies)
    return sum(reply.tokens for reply in replies) / seconds


async def watch_lag(lags: list[float]) -> None:
    """Note by how many milliseconds the event loop is late, again and again."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_STEP_SECONDS
        await asyncio.sleep(LAG_STEP_SECONDS)
        lags.append((loop.time() - due) * 1000)


@asynccontextmanager
async def running(
    model: Path, trial: Trial
) -> AsyncIterator[tuple[LlamaCppEngine, Service, CTransformersEngine | None]]:
    """Run the engine, the service on it, and ctransformers where it is compared."""
    config = LlamaCppConfig(
        model_path=model,
        model_name=DEMO_NAME,
        context_tokens=CONTEXT,
        slots=trial.streams,
        threads=THREADS,
        computes_on=trial.computes_on,
        server_binary=trial.server,
    )
    async with AsyncExitStack() as stack:

        async def start(engine: EngineT) -> EngineT:
            stack.push_async_callback(engine.close)
            await engine.start()
            return engine

        engine = await start(LlamaCppEngine(config))
        other = await start(CTransformersEngine(config)) if trial.has_ctransformers else None
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        service = await stack.enter_async_context(
            running_service(engine, folder, daily_calls=10**6, context_tokens=CONTEXT, slots=trial.streams)
        )
        yield engine, service, other


async def measure(model: Path, trial: Trial) -> dict[str, float]:
    """Take turns and give the medians and their ratios."""
    found: dict[str, list[float]] = {}
    lags: list[float] = []

    def note(name: str, figure: float) -> None:
        found.setdefault(name, []).append(figure)

    async with running(model, trial) as (engine, service, other):
        ways = {"server": by_hand(engine), "engine": straight(engine), "http": through_http(service)}
        # Equally long prompts that differ from their first letter: nobody finds in the cache what another one left.
        letters = dict(zip(ways, "ABE", strict=True))
        for number in range(trial.rounds + 1):
            if number == 1:
                # The first round warms up.
                found.clear()
                lags.clear()
            # Whoever comes later finds what the first has warmed: they take turns in that as well, and a reply that
            # does not count wakes the engine after the other one's turn.
            order = list(ways) if number % 2 else list(ways)[::-1]
            await ways["engine"](f"D{number}: tell me more.")
            for name in order:
                for key, figure in (await measure_one(ways[name], f"{letters[name]}{number}: tell me more.")).items():
                    note(f"{name}_{key}", figure)
            for name in order:
                watching = asyncio.create_task(watch_lag(lags if name == "http" else []))
                asked = f"{letters[name]}{number}: and what of it?"
                note(f"{name}_together", await measure_together(ways[name], asked, trial.streams))
                watching.cancel()
            if other is not None:
                asked = f"C{number}: and what of it?"
                note("ctransformers_together", await measure_together(straight(other), asked, trial.streams))
    return summarise(found, lags)


def summarise(found: dict[str, list[float]], lags: Sequence[float]) -> dict[str, float]:
    """Give medians; a ratio is the median of those within one round, which share what else the machine did."""

    def ratio(one: str, other: str) -> float:
        return round(statistics.median(a / b for a, b in zip(found[one], found[other], strict=True)), 3)

    added = statistics.median(a - b for a, b in zip(found["http_first_ms"], found["engine_first_ms"], strict=True))
    return {
        **{name: round(statistics.median(figures), 2) for name, figures in found.items()},
        "added_first_ms": round(added, 2),
        "one_stream_ratio": ratio("http_per_second", "engine_per_second"),
        "one_stream_to_server": ratio("http_per_second", "server_per_second"),
        "together_ratio": ratio("http_together", "engine_together"),
        "together_to_server": ratio("http_together", "server_together"),
        "together_to_one": ratio("http_together", "http_one"),
        **(
            {"together_to_ctransformers": ratio("http_together", "ctransformers_together")}
            if "ctransformers_together" in found
            else {}
        ),
        "loop_lag_p99_ms": round(sorted(lags)[int(len(lags) * 0.99)], 2),
    }


def main() -> None:
    """Run, print the table, end in JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", choices=[key for key, _, _ in MODELS], help="measure one of the models")
    parser.add_argument("--streams", type=int, default=STREAMS, help="how many together, and as many slots")
    engine = parser.add_mutually_exclusive_group()
    engine.add_argument("--native", action="store_true", help="with the engine that make native built")
    engine.add_argument("--llama-server", type=Path, help="with a llama-server of one's own, on a GPU perhaps")
    options = parser.parse_args()
    server = find_native_server() if options.native else options.llama_server
    if options.native and server is None:
        parser.error("make native has built no engine that runs here")
    trial = Trial(
        server=server,
        computes_on=ComputesOn.PROCESSOR if options.llama_server is None else find_devices(options.llama_server),
        has_ctransformers=options.llama_server is None,
        rounds=options.rounds,
        streams=options.streams,
    )
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for key, name, made_of in MODELS:
            if key == options.only or (options.only is None and key not in {"large", "words"}):
                path = write_tiny_model(Path(folder) / f"{key}.gguf", made_of) if made_of else demo_path()
                figures[name] = asyncio.run(measure(path, trial))
    where = "a GPU" if trial.computes_on is ComputesOn.GPU else f"{THREADS} threads"
    table = Table("", *figures, title=f"Median of {trial.rounds}, {trial.streams} slots, {where}")
    for key in next(iter(figures.values())):
        table.add_row(key.replace("_", " "), *(f"{found[key]:,.2f}" for found in figures.values()))
    Console().print(table)
    said = {"native": options.native, "gpu": trial.computes_on is ComputesOn.GPU, "streams": trial.streams}
    print(json.dumps({"benchmark": "streams", **said, **figures}))


if __name__ == "__main__":
    main()
