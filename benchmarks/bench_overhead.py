"""What a call costs beside the engine: authentication, validation, allowance and ledger, on one core.

The real service with a real database file runs in a process pinned to one core, its engine replaced by one that answers
at once. The load comes from another core, in turns with a bare aiohttp handler in the same process that answers a
constant; the ratio of the two is the result, the absolute figures are only this machine's. Prints a table and ends in
one line of JSON.
"""

import argparse
import asyncio
import json
import os
import statistics
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.load import Measured, closed_loop, open_loop, request_bytes
from benchmarks.served import Served, served

ROUNDS = 5
REQUESTS = 4_000
CONNECTIONS = 16
PACE = 1_000
PACED_SECONDS = 4.0

BODY = {"messages": [{"role": "user", "content": "Hello! What is the weather like where you are?"}], "num_predict": 8}


@dataclass(frozen=True, slots=True)
class Run:
    """One run, and the processor's time that the serving process took for it, seconds."""

    measured: Measured
    cpu_seconds: float

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of the processor per request: what it costs, however busy the machine is with other things."""
        return self.cpu_seconds / len(self.measured.seconds) * 1000


async def measure(where: Served, rounds: int, connections: int) -> dict[str, list[Run]]:
    """Take turns between the bare handler and the service."""
    request = request_bytes("/ai/chat", where.secret, BODY)
    process = psutil.Process(where.service_pid)
    found: dict[str, list[Run]] = {"bare": [], "service": [], "paced": []}
    for port in (where.bare_port, where.port):
        await closed_loop(port, request, connections=connections, requests=REQUESTS // 4)

    async def run(name: str, load: Awaitable[Measured]) -> None:
        before = sum(process.cpu_times()[:2])
        measured = await load
        found[name].append(Run(measured, sum(process.cpu_times()[:2]) - before))

    for _ in range(rounds):
        await run("bare", closed_loop(where.bare_port, request, connections=connections, requests=REQUESTS))
        await run("service", closed_loop(where.port, request, connections=connections, requests=REQUESTS))
        paced = open_loop(where.port, request, connections=connections, per_second=PACE, seconds=PACED_SECONDS)
        await run("paced", paced)
    return found


def summarise(runs: Sequence[Run]) -> dict[str, float]:
    """Give the medians of several runs."""
    return {
        "per_second": round(statistics.median(run.measured.per_second for run in runs), 1),
        "p50_ms": round(statistics.median(run.measured.milliseconds(0.5) for run in runs), 2),
        "p99_ms": round(statistics.median(run.measured.milliseconds(0.99) for run in runs), 2),
        "cpu_ms": round(statistics.median(run.cpu_ms for run in runs), 3),
        "failures": sum(run.measured.failures for run in runs),
    }


def main() -> None:
    """Run, print the table, end in JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    options = parser.parse_args()
    rounds, connections = options.rounds, options.connections
    serving, asking = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, {asking})
    with served("instant", core=serving) as where:
        found = asyncio.run(measure(where, rounds, connections))
    figures = {name: summarise(runs) for name, runs in found.items()}
    pairs = list(zip(found["service"], found["bare"], strict=True))
    ratio = round(statistics.median(ours.measured.per_second / bare.measured.per_second for ours, bare in pairs), 3)
    table = Table(
        "", "requests/s", "p50, ms", "p99, ms", "processor, ms", title=f"{connections} connections, median of {rounds}"
    )
    words = {"bare": "bare aiohttp handler", "service": "the service", "paced": f"the service, at {PACE} requests/s"}
    for name, said in words.items():
        rate, *others = (figures[name][key] for key in ("per_second", "p50_ms", "p99_ms", "cpu_ms"))
        table.add_row(said, f"{rate:,.0f}", *map(str, others))
    Console().print(table)
    print(json.dumps({"benchmark": "overhead", **figures, "ratio": ratio}))


if __name__ == "__main__":
    main()
