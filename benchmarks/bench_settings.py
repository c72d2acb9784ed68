"""Which threads, batches, attention and speculation suit llama.cpp: the choices of docs/decisions/0023-speed.md.

One server for each choice, all on the same model; they take turns within one run. Speed is measured with a model of
random weights, speculation with the bundled model on its held-out dialogues, for it lives on what people really say.
Prints a table for each and ends in one line of JSON; a figure is a median, beside its ratio to the first choice.
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.bench_streams import RANDOM_MODEL
from benchmarks.random_model import write_random_model
from benchmarks.tried_server import Tried
from generation.client import EngineClient
from generation.errors import EngineUnavailableError
from models.heldout import PATH as DIALOGUES
from parley.demo_model import demo_path
from tests.generation.tiny_model import write_tiny_model

ROUNDS = 5
PROMPT_TOKENS = 256
REPLY_TOKENS = 48
DIALOGUES_TRIED = 40
RATIO = " ratio"

SETTINGS: Mapping[str, Tried] = {
    "2 threads, batch 512": Tried(),
    "1 thread": Tried(threads=1, batch_threads=1),
    "2 threads, 1 for prompts": Tried(batch_threads=1),
    "batch 64": Tried(batch=64, micro_batch=64),
    "batch 128": Tried(batch=128, micro_batch=128),
    "batch 2048, micro-batch 512": Tried(batch=2048),
    "batch 512, micro-batch 128": Tried(micro_batch=128),
    "no continuous batching": Tried(continuous=False),
}
ATTENTION: Mapping[str, Tried] = {"flash": Tried(flash_attention=True), "plain": Tried()}
LENGTHS = (256, 1024, 1900)
"""Tokens of a conversation, and of its next turn."""
TURN_TOKENS = 46

SPECULATION: Mapping[str, Tried] = {
    "none": Tried(threads=1, batch_threads=1),
    **{
        name: Tried(threads=1, batch_threads=1, speculation=name)
        for name in ("ngram_simple", "ngram_map_k", "ngram_mod", "ngram_cache")
    },
}


@asynccontextmanager
async def serving(choices: Mapping[str, Tried], model: Path) -> AsyncIterator[dict[str, EngineClient]]:
    """Run a server for each choice."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        clients = {}
        for number, (name, tried) in enumerate(choices.items()):
            socket_path = folder / f"{number}.sock"
            argument = tried.to_argument(str(model), str(socket_path))
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "benchmarks.tried_server", argument),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                env={**os.environ, "GOMP_SPINCOUNT": "1000"},
            )
            stack.push_async_callback(_end, child)
            clients[name] = EngineClient(socket_path, "")
            stack.push_async_callback(clients[name].close)
        for client in clients.values():
            await _wait_for(client)
        yield clients


async def _end(child: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        child.kill()
    await child.wait()


async def _wait_for(client: EngineClient) -> None:
    async with asyncio.timeout(120):
        while True:
            with contextlib.suppress(EngineUnavailableError):
                await client.get("/health")
                return
            await asyncio.sleep(0.05)


async def complete(client: EngineClient, prompt: Sequence[int], **options: Any) -> tuple[float, float, int]:
    """Take a reply: when its first token came and when it ended, seconds on one clock, and its tokens."""
    body = {"prompt": list(prompt), "stream": True, "cache_prompt": True, "temperature": 0.8, **options}
    first, tokens = 0.0, 0
    async with aclosing(client.stream("/completion", body)) as events:
        async for event in events:
            first = first or perf_counter()
            tokens = event["tokens_predicted"]
    return first, perf_counter(), tokens


def new_prompt(number: int, tokens: int = PROMPT_TOKENS) -> list[int]:
    """Make a prompt that shares no beginning with another, so that none is cached."""
    return [1, *(7 + (number * 7919 + at * (number + 3)) % 300 for at in range(tokens - 1))]


async def measure_speed(client: EngineClient, number: int) -> dict[str, float]:
    """Measure prompt and decode speed of one stream, and what 4 and 8 give together; tokens of replies per second.

    What they give counts from the first asked to the last ended: from the first token on would flatter a batch that
    takes all prompts before it.
    """
    figures: dict[str, float] = {}
    options = {"n_predict": REPLY_TOKENS, "ignore_eos": True}
    for streams in (1, 4, 8):
        started = perf_counter()
        prompts = [new_prompt(number * 100 + streams * 10 + at) for at in range(streams)]
        replies = await asyncio.gather(*(complete(client, prompt, **options) for prompt in prompts))
        firsts, ends, tokens = zip(*replies, strict=True)
        if streams == 1:
            figures["prompt"] = PROMPT_TOKENS / (firsts[0] - started)
            figures["decode"] = (tokens[0] - 1) / (ends[0] - firsts[0])
        else:
            figures[f"{streams} replies"] = sum(tokens) / (max(ends) - started)
    return figures


async def measure_attention(client: EngineClient, number: int) -> dict[str, float]:
    """Measure conversations of several lengths: all of it new, a reply behind it, and the turn after it; tokens/s."""
    figures: dict[str, float] = {}
    for tokens in LENGTHS:
        prompt = new_prompt(number * 10_000 + tokens, tokens)
        began = perf_counter()
        first, ended, count = await complete(client, prompt, n_predict=REPLY_TOKENS, ignore_eos=True)
        figures[f"new {tokens}"] = tokens / (first - began)
        figures[f"reply {tokens}"] = (count - 1) / (ended - first)
        began = perf_counter()
        first, _, _ = await complete(client, [*prompt, *new_prompt(number + 5, TURN_TOKENS)], n_predict=1)
        figures[f"turn {tokens}"] = TURN_TOKENS / (first - began)
    return figures


async def measure_talk(client: EngineClient, dialogues: Sequence[Sequence[Mapping[str, str]]]) -> dict[str, float]:
    """Have the last replies of real dialogues written; tokens per second over all of them."""
    seconds, tokens = 0.0, 0
    for messages in dialogues:
        prompt = (await client.post("/apply-template", {"messages": messages}))["prompt"]
        ids = (await client.post("/tokenize", {"content": prompt, "parse_special": True}))["tokens"]
        first, ended, count = await complete(client, ids, n_predict=REPLY_TOKENS, temperature=0.0)
        seconds, tokens = seconds + ended - first, tokens + count
    return {"decode": tokens / seconds}


async def try_settings(rounds: int) -> dict[str, dict[str, float]]:
    """Let the settings take turns on a model of random weights."""
    with tempfile.TemporaryDirectory() as folder:
        model = write_tiny_model(Path(folder) / "random.gguf", RANDOM_MODEL)
        async with serving(SETTINGS, model) as clients:
            return summarise(
                [
                    {name: await measure_speed(client, number) for name, client in clients.items()}
                    for number in range(rounds)
                ]
            )


async def try_attention(rounds: int) -> dict[str, dict[str, float]]:
    """Let both ways of attention take turns on a layer as wide as those of a model of a billion parameters."""
    with tempfile.TemporaryDirectory() as folder:
        async with serving(ATTENTION, write_random_model(Path(folder) / "random.gguf")) as clients:
            return summarise(
                [
                    {name: await measure_attention(client, number) for name, client in clients.items()}
                    for number in range(rounds)
                ]
            )


async def try_speculation(rounds: int) -> dict[str, dict[str, float]]:
    """Let the ways to speculate take turns on what people say to the bundled model."""
    lines = DIALOGUES.read_text("utf-8").splitlines()
    dialogues = [json.loads(line)["messages"] for line in lines[:: len(lines) // DIALOGUES_TRIED]]
    async with serving(SPECULATION, demo_path()) as clients:
        return summarise(
            [{name: await measure_talk(client, dialogues) for name, client in clients.items()} for _ in range(rounds)]
        )


TRIALS = {"settings": try_settings, "attention": try_attention, "speculation": try_speculation}


def summarise(rounds: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    """Give each choice's medians, and the median of its ratios to the first choice within one round."""
    names = list(rounds[0])
    found: dict[str, dict[str, float]] = {}
    for name in names:
        found[name] = {}
        for key in rounds[0][name]:
            found[name][key] = round(statistics.median(each[name][key] for each in rounds), 1)
            ratio = statistics.median(each[name][key] / each[names[0]][key] for each in rounds)
            found[name][key + RATIO] = round(ratio, 2)
    return found


def main() -> None:
    """Run, print the tables, end in JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", choices=tuple(TRIALS), help="make one of the trials")
    options = parser.parse_args()
    wanted = [options.only] if options.only else list(TRIALS)
    figures = {name: asyncio.run(TRIALS[name](options.rounds)) for name in wanted}
    for title, choices in figures.items():
        keys = [key for key in next(iter(choices.values())) if not key.endswith(RATIO)]
        table = Table(title, *keys, title=f"tokens/s (ratio to the first), median of {options.rounds}")
        for name, found in choices.items():
            table.add_row(name, *(f"{found[key]:,.0f} ({found[key + RATIO]:.2f})" for key in keys))
        Console().print(table)
    print(json.dumps({"benchmark": "settings", **figures}))


if __name__ == "__main__":
    main()
