"""What the HTTP service costs on top of the engine: the same prompts, straight and through `POST /ai/chat`.

Prints a table and ends in one line of JSON. The two ways take turns within one run, so a machine that changes its
speed changes it for both; the ratios are the result, the absolute times are only this machine's.
"""

import asyncio
import json
import statistics
import tempfile
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.table import Table

from api.contract import ChatMessage, ChatRequest
from api.native import to_sampling
from generation.engine import Message, Piece
from generation.launch import LlamaCppConfig
from generation.llama_cpp import LlamaCppEngine
from parley.demo_model import DEMO_NAME, demo_path
from tests.service import Service, running_service

ROUNDS = 30
REPLY_TOKENS = 128
OPTIONS = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "num_predict": -2, "num_ctx": 256}


async def straight(engine: LlamaCppEngine, question: str) -> tuple[float, float]:
    """Ask the engine itself: milliseconds to the first piece, tokens per second after it."""
    started = perf_counter()
    prompt = await engine.encode_chat([Message("user", question)])
    request = ChatRequest(messages=[ChatMessage(role="user", content=question)], temperature=1, top_k=0, top_p=1)
    options = replace(to_sampling(request), max_tokens=REPLY_TOKENS, ignore_eos=True)
    first = 0.0
    tokens = 0
    async with aclosing(engine.generate(prompt, options)) as events:
        async for event in events:
            if isinstance(event, Piece) and not first:
                first = perf_counter()
            tokens = event.completion_tokens
    return (first - started) * 1000, tokens / (perf_counter() - first)


async def through_http(service: Service, question: str) -> tuple[float, float]:
    """Ask over HTTP, streaming: the same two figures."""
    body = {"messages": [{"role": "user", "content": question}], "stream": True, **OPTIONS}
    started = perf_counter()
    first = 0.0
    last: dict[str, int] = {}
    async with service.session.post(f"{service.url}/ai/chat", json=body, headers=service.headers) as response:
        async for line in response.content:
            first = first or perf_counter()
            last = json.loads(line)
    return (first - started) * 1000, last["eval_count"] / (perf_counter() - first)


async def measure() -> dict[str, float]:
    """Take turns and give the medians and their ratios."""
    config = LlamaCppConfig(
        model_path=demo_path(), model_name=DEMO_NAME, context_tokens=2048, slots=1, threads=2, server_binary=None
    )
    engine = LlamaCppEngine(config)
    await engine.start()
    engine_figures, http_figures = [], []
    try:
        with tempfile.TemporaryDirectory() as folder:
            async with running_service(engine, Path(folder), daily_calls=10_000) as service:
                for number in range(ROUNDS):
                    question = f"Tell me about the number {number}."
                    engine_figures.append(await straight(engine, question))
                    http_figures.append(await through_http(service, question))
    finally:
        await engine.close()
    first_engine, rate_engine = (statistics.median(column) for column in zip(*engine_figures, strict=True))
    first_http, rate_http = (statistics.median(column) for column in zip(*http_figures, strict=True))
    return {
        "engine_first_ms": round(first_engine, 2),
        "http_first_ms": round(first_http, 2),
        "added_first_ms": round(first_http - first_engine, 2),
        "engine_tokens_per_s": round(rate_engine, 1),
        "http_tokens_per_s": round(rate_http, 1),
        "decode_ratio": round(rate_http / rate_engine, 3),
    }


def main() -> None:
    """Run, print the table, end in JSON."""
    figures = asyncio.run(measure())
    table = Table("", "engine itself", "POST /ai/chat", title=f"Demo model, one stream, median of {ROUNDS}")
    table.add_row("first piece, ms", str(figures["engine_first_ms"]), str(figures["http_first_ms"]))
    table.add_row("decode, tokens/s", str(figures["engine_tokens_per_s"]), str(figures["http_tokens_per_s"]))
    Console().print(table)
    print(json.dumps({"benchmark": "service", **figures}))


if __name__ == "__main__":
    main()
