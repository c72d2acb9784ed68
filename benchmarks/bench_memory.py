"""Memory over 10,000 requests: the resident size of the service and of its engine, at intervals.

The real service with the bundled demo model, whole replies and streams in turns. What matters is the slope over the
second half, when caches are full. Prints a table and ends in one line of JSON.
"""

import argparse
import asyncio
import json
import os
import statistics
from collections.abc import Sequence

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.load import closed_loop, request_bytes, stream
from benchmarks.served import Served, served

REQUESTS = 10_000
LOOKS = 20
CONNECTIONS = 8
STREAMED_EVERY = 10

_MIB = 1 << 20


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


def slope(sizes: Sequence[tuple[int, float]]) -> float:
    """Give the growth over the second half, KiB per 1,000 requests."""
    half = sizes[len(sizes) // 2 :]
    line = statistics.linear_regression([float(done) for done, _ in half], [size for _, size in half])
    return round(line.slope * 1000 * 1024, 1)


def main() -> None:
    """Run, print the table, end in JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--engine", choices=("demo", "instant"), default="demo")
    options = parser.parse_args()
    core = min(os.sched_getaffinity(0))
    with served(options.engine, core=core) as where:
        seen = asyncio.run(look(where, options.requests))
    table = Table("requests", "service, MiB", "engine, MiB")
    for done, service, engine in seen:
        table.add_row(f"{done:,}", f"{service:.1f}", f"{engine:.1f}")
    Console().print(table)
    figures = {
        "requests": options.requests,
        "service_kib_per_1000": slope([(done, service) for done, service, _ in seen]),
        "engine_kib_per_1000": slope([(done, engine) for done, _, engine in seen]),
        "service_mib": [round(service, 1) for _, service, _ in seen],
        "engine_mib": [round(engine, 1) for _, _, engine in seen],
    }
    print(json.dumps({"benchmark": "memory", "engine": options.engine, **figures}))


if __name__ == "__main__":
    main()
