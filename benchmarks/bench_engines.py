"""Both local engines side by side: prompt and decode speed, one stream and eight, and what tail-free stepping costs.

Prints a table and ends in one line of JSON. The engines take turns within one run, so a machine that changes its speed
changes it for both; the ratios are the result, the absolute figures are only this machine's. `--model PATH` takes
another GGUF of llama's architecture than the bundled one. What `make native` has built takes part where it is there.
"""

import argparse
import asyncio
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.table import Table

from generation.ctransformers_engine import CTransformersEngine
from generation.engine import Finished, SamplingOptions
from generation.launch import LlamaCppConfig
from generation.llama_cpp import LlamaCppEngine
from generation.served_engine import ServedEngine
from parley.demo_model import demo_path
from parley.native import find_native_server

ROUNDS = 5
STREAMS = 8
PROMPT_TOKENS = 384
REPLY_TOKENS = 96
THREADS = 2

SAMPLING = SamplingOptions(
    temperature=0.8, top_k=40, top_p=0.9, min_p=0.0, typical_p=1.0, tfs_z=1.0, mirostat=0, mirostat_tau=5.0,
    mirostat_eta=0.1, repeat_last_n=64, repeat_penalty=1.1, presence_penalty=0.0, frequency_penalty=0.0, seed=1,
    max_tokens=REPLY_TOKENS, ignore_eos=True,
)  # fmt: skip
TAIL_FREE = SamplingOptions(**{name: getattr(SAMPLING, name) for name in SAMPLING.__slots__} | {"tfs_z": 0.95})

ROWS: Mapping[str, str] = {
    "prompt_tokens_per_s": "prompt, one stream, tokens/s",
    "decode_tokens_per_s": "decode, one stream, tokens/s",
    "tail_free_tokens_per_s": "decode with tfs_z 0.95, one stream, tokens/s",
    "eight_prompt_tokens_per_s": f"prompt, {STREAMS} streams together, tokens/s",
    "eight_decode_tokens_per_s": f"decode, {STREAMS} streams together, tokens/s",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """When a reply's first token came and when it ended, seconds on one clock, and what it cost."""

    first: float
    ended: float
    tokens: int


def make_prompt(number: int) -> list[int]:
    """Make a prompt that shares no beginning with another, so that none is cached."""
    return [1, *(300 + (number * 7919 + at * (number + 3)) % 1000 for at in range(PROMPT_TOKENS - 1))]


async def ask(engine: ServedEngine, prompt: Sequence[int], sampling: SamplingOptions) -> Reply:
    """Take a reply to its end."""
    first, tokens = 0.0, 0
    async for event in engine.generate(prompt, sampling):
        first = first or perf_counter()
        if isinstance(event, Finished):
            tokens = event.completion_tokens
    return Reply(first, perf_counter(), tokens)


async def measure_round(engine: ServedEngine, number: int) -> dict[str, float]:
    """Measure everything once; `number` makes the prompts new."""
    started = perf_counter()
    one = await ask(engine, make_prompt(number * 100), SAMPLING)
    stepped = await ask(engine, make_prompt(number * 100), TAIL_FREE)
    together_started = perf_counter()
    eight = await asyncio.gather(
        *(ask(engine, make_prompt(number * 100 + at), SAMPLING) for at in range(1, STREAMS + 1))
    )
    prompts_done = max(reply.first for reply in eight)
    return {
        "prompt_tokens_per_s": PROMPT_TOKENS / (one.first - started),
        "decode_tokens_per_s": one.tokens / (one.ended - one.first),
        "tail_free_tokens_per_s": stepped.tokens / (stepped.ended - stepped.first),
        "eight_prompt_tokens_per_s": STREAMS * PROMPT_TOKENS / (prompts_done - together_started),
        "eight_decode_tokens_per_s": sum(reply.tokens for reply in eight)
        / (max(reply.ended for reply in eight) - min(reply.first for reply in eight)),
    }


async def measure(model: Path) -> dict[str, dict[str, float]]:
    """Take turns and give each engine's medians."""
    config = LlamaCppConfig(model_path=model, model_name="model", context_tokens=512, slots=STREAMS, threads=THREADS)
    engines: dict[str, ServedEngine] = {
        "llama.cpp": LlamaCppEngine(config),
        "ctransformers": CTransformersEngine(config),
    }
    if (server := find_native_server()) is not None:
        engines["make native"] = LlamaCppEngine(replace(config, server_binary=server))
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in engines}
    try:
        for engine in engines.values():
            await engine.start()
        for number in range(1, ROUNDS + 1):
            for name, engine in engines.items():
                rounds[name].append(await measure_round(engine, number))
    finally:
        for engine in engines.values():
            await engine.close()
    return {
        name: {key: round(statistics.median(figures[key] for figures in found), 1) for key in ROWS}
        for name, found in rounds.items()
    }


def main() -> None:
    """Run, print the table, end in JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=demo_path())
    model = parser.parse_args().model
    figures = asyncio.run(measure(model))
    first, *others = figures
    ratios = [f"{first} to {other}" for other in others]
    table = Table("", *figures, *ratios, title=f"{model.name}, {THREADS} threads, median of {ROUNDS}")
    for key, words in ROWS.items():
        ours, *theirs = (figures[name][key] for name in figures)
        table.add_row(words, *(f"{each:,.0f}" for each in (ours, *theirs)), *(f"{ours / each:.2f}" for each in theirs))
    Console().print(table)
    print(json.dumps({"benchmark": "engines", "model": model.name, **figures}))


if __name__ == "__main__":
    main()
