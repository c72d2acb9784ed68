"""Memory over 10,000 requests: the resident size of the service and of its engine, at intervals.

The real service with the bundled demo model, whole replies and streams in turns, eight callers at once. What matters is
the slope over the last quarter, when caches are full: flat is one that cannot be told from none. Prints a table, ends
in one line of JSON.
"""

import argparse
import asyncio
import json
import math
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.load import closed_loop, request_bytes, stream
from benchmarks.served import Served, served

REQUESTS = 10_000
LOOKS = 100
SHOWN = 10
"""Rows of the table."""

CONNECTIONS = 8
STREAMED_EVERY = 10
CACHE_MIB = 2
"""Full after some 2,000 requests. What Parley gives the engine, an eighth of the machine's memory and 2 GiB at most,
would fill for a million, 8 KiB for each new prompt, and nothing else could be seen."""

_MIB = 1 << 20

PAGE_KIB = 4

TWO_SIDED = 2.06
"""Standard errors on either side in 95 of 100 cases, with 25 looks."""


def body(number: int, *, is_streamed: bool = False) -> dict[str, object]:
    """Ask something that was not asked before."""
    content = f"Hello! Tell me about the number {number}, please."
    return {"messages": [{"role": "user", "content": content}], "num_predict": 4, "stream": is_streamed}


async def look(where: Served, requests: int) -> list[tuple[int, float, float]]:
    """Send the requests and note, at intervals: how many so far, MiB of the service, MiB of the engine."""
    service = psutil.Process(where.service_pid)
    engine = None if where.engine_pid is None else psutil.Process(where.engine_pid)
    seen = []
    for part in range(LOOKS + 1):
        size = 0 if engine is None else engine.memory_info().rss
        done = part * (requests // LOOKS)
        seen.append((done, service.memory_info().rss / _MIB, size / _MIB))
        if part < LOOKS:
            await send(where, done, requests // LOOKS)
    return seen


async def send(where: Served, first: int, count: int) -> None:
    """Send some requests, of which one in `STREAMED_EVERY` is streamed."""
    streamed = count // STREAMED_EVERY
    whole = request_bytes("/ai/chat", where.secret, body(first))
    measured = await closed_loop(where.port, whole, connections=CONNECTIONS, requests=count - streamed)
    assert not measured.failures, "every request is answered"
    for number in range(streamed):
        await stream(where.port, request_bytes("/ai/chat", where.secret, body(first + number, is_streamed=True)))


@dataclass(frozen=True, slots=True)
class Slope:
    """Growth over the last quarter, KiB per 1,000 requests, and how far it may be off in 95 of 100 cases."""

    growth: float
    error: float

    @classmethod
    def of(cls, sizes: Sequence[tuple[int, float]]) -> Self:
        """Fit a line through what was seen."""
        quarter = sizes[len(sizes) * 3 // 4 :]
        xs, ys = [done / 1000 for done, _ in quarter], [size * 1024 for _, size in quarter]
        line = statistics.linear_regression(xs, ys)
        rests = sum((y - line.intercept - line.slope * x) ** 2 for x, y in zip(xs, ys, strict=True))
        spread = sum((x - statistics.fmean(xs)) ** 2 for x in xs)
        error = math.sqrt(rests / (len(xs) - 2) / spread)
        return cls(round(line.slope, 1), round(TWO_SIDED * error, 1))

    @property
    def is_flat(self) -> bool:
        """Say whether it cannot be told from none, or is below a page: memory comes by pages, so sizes are steps."""
        return abs(self.growth) <= max(self.error, PAGE_KIB)


def main() -> None:
    """Run, print the table, end in JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--engine", choices=("demo", "instant"), default="demo")
    parser.add_argument(
        "--cache-mib", type=int, default=CACHE_MIB, help="what the engine may keep of prompts in memory"
    )
    options = parser.parse_args()
    core = min(os.sched_getaffinity(0))
    with served(options.engine, core=core, cache_mib=options.cache_mib) as where:
        seen = asyncio.run(look(where, options.requests))
    table = Table("requests", "service, MiB", "engine, MiB")
    for done, service, engine in seen[:: LOOKS // SHOWN]:
        table.add_row(f"{done:,}", f"{service:.1f}", f"{engine:.1f}")
    Console().print(table)
    slopes = {
        "service": Slope.of([(done, service) for done, service, _ in seen]),
        "engine": Slope.of([(done, engine) for done, _, engine in seen]),
    }
    for name, slope in slopes.items():
        kind = "flat" if slope.is_flat else "not flat"
        print(f"{name}: {slope.growth} \N{PLUS-MINUS SIGN} {slope.error} KiB per 1,000 requests, {kind}")
    figures = {
        "requests": options.requests,
        "cache_mib": options.cache_mib,
        **{f"{name}_kib_per_1000": [slope.growth, slope.error] for name, slope in slopes.items()},
        "service_mib": [round(service, 1) for _, service, _ in seen],
        "engine_mib": [round(engine, 1) for _, _, engine in seen],
    }
    print(json.dumps({"benchmark": "memory", "engine": options.engine, **figures}))


if __name__ == "__main__":
    main()
