"""How fast calls are charged and settled, beside the same statements over the bare driver.

Prints a table and ends in one line of JSON. Rates are per second, each the best of three runs.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path

import aiosqlite

from storage.clock import SystemClock
from storage.database import Database
from storage.days import DayZone
from storage.ledger import Ledger

CALLS = 1_000
RUNS = 3
SIMULTANEOUS = 64
LIMIT = 10**9

_CHARGE = """
INSERT INTO daily_usage (tenant_id, day, calls, open_calls, prompt_tokens, completion_tokens) VALUES (?, ?, 1, 1, 0, 0)
ON CONFLICT (tenant_id, day) DO UPDATE SET calls = calls + 1, open_calls = open_calls + 1 WHERE calls < ?
RETURNING calls
"""
_CLOSE = """
UPDATE daily_usage SET open_calls = open_calls - 1, prompt_tokens = prompt_tokens + 10,
completion_tokens = completion_tokens + 20 WHERE tenant_id = ? AND day = ?
"""
_SPEND = "UPDATE api_tokens SET llm_balance = llm_balance - 30 WHERE id = ? AND llm_balance IS NOT NULL RETURNING id"

OneCall = Callable[[], Awaitable[None]]


async def measure(one_call: OneCall, *, simultaneous: int) -> float:
    """Return the best rate of `CALLS` calls made by so many callers at once, per second."""

    async def repeat(times: int) -> None:
        for _ in range(times):
            await one_call()

    best = 0.0
    for _ in range(RUNS):
        started = time.perf_counter()
        await asyncio.gather(*(repeat(CALLS // simultaneous) for _ in range(simultaneous)))
        best = max(best, CALLS // simultaneous * simultaneous / (time.perf_counter() - started))
    return best


async def bench_ledger(url: str) -> dict[str, float]:
    """Measure the ledger as the service uses it."""
    database = await Database.open(url)
    ledger = Ledger(database, zone=DayZone("Europe/London"), clock=SystemClock())

    async def charge_and_settle() -> None:
        charge = await ledger.charge("tenant", limit=LIMIT)
        await ledger.settle(charge, prompt_tokens=10, completion_tokens=20)

    async def charge() -> None:
        await ledger.charge("tenant", limit=LIMIT)

    try:
        return {
            "charge": await measure(charge, simultaneous=1),
            "charge_and_settle": await measure(charge_and_settle, simultaneous=1),
            "charge_and_settle_64_callers": await measure(charge_and_settle, simultaneous=SIMULTANEOUS),
        }
    finally:
        await database.close()


async def bench_driver(path: Path) -> dict[str, float]:
    """Measure the same statements and transactions on the file the ledger has made, without SQLAlchemy."""
    connection = await aiosqlite.connect(path, isolation_level=None)
    await connection.execute_fetchall("PRAGMA synchronous = NORMAL")
    today = date.today().isoformat()  # noqa: DTZ011 - any day does

    async def charge() -> None:
        await connection.execute_fetchall(_CHARGE, ("bare", today, LIMIT))

    async def charge_and_settle() -> None:
        await charge()
        await connection.execute_fetchall("BEGIN IMMEDIATE")
        await connection.execute_fetchall(_CLOSE, ("bare", today))
        await connection.execute_fetchall(_SPEND, ("bare",))
        await connection.commit()

    try:
        return {
            "charge": await measure(charge, simultaneous=1),
            "charge_and_settle": await measure(charge_and_settle, simultaneous=1),
        }
    finally:
        await connection.close()


async def main() -> None:
    """Measure both in one sitting and print them side by side."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "parley.db"
        ledger = await bench_ledger(f"sqlite:///{path}")
        driver = await bench_driver(path)
    print(f"{'calls per second':32}{'ledger':>10}{'driver':>10}{'ratio':>8}")
    for name, rate in ledger.items():
        bare = driver.get(name)
        print(f"{name:32}{rate:10.0f}" + (f"{bare:10.0f}{rate / bare:8.2f}" if bare else ""))
    print(json.dumps({"bench": "ledger", "ledger_per_second": ledger, "driver_per_second": driver}))


if __name__ == "__main__":
    asyncio.run(main())
