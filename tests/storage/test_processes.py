"""Several processes on one file: opening, charging, and the lock of the one service."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from storage.clock import SystemClock
from storage.database import Database
from storage.days import DayZone
from storage.errors import DatabaseBusyError, StorageError
from storage.ledger import Ledger
from tests.storage.conftest import ManualClock

ROOT = Path(__file__).parents[2]
PROCESSES = 4

HOLD_SERVICE_LOCK = """
import asyncio, sys
from storage.database import Database
async def main():
    database = await Database.open(sys.argv[1], sole_service=True)
    print("held", flush=True)
    sys.stdin.readline()
    await database.close()
asyncio.run(main())
"""

HOLD_WRITE_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
"""


def start(*arguments: str) -> subprocess.Popen[str]:
    """Start Python in the repository's root and return when it has printed its first line."""
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() in ("ready", "held")
    return process


def release(process: subprocess.Popen[str]) -> str:
    """Let a started process go on, and return the rest of what it prints."""
    output, _ = process.communicate("\n", timeout=60)
    assert process.returncode == 0
    return output


@pytest.mark.sqlite
async def test_processes_opening_and_charging_at_once_stay_exact(url: str) -> None:
    arguments = ("-m", "tests.storage.simultaneous_charges", url, "50", "50")
    processes = [await asyncio.to_thread(start, *arguments) for _ in range(PROCESSES)]
    outputs = await asyncio.gather(*(asyncio.to_thread(release, process) for process in processes))
    counts = [tuple(map(int, output.split())) for output in outputs]
    assert sum(charged for charged, _ in counts) == 50
    assert sum(refused for _, refused in counts) == 150
    database = await Database.open(url)
    try:
        ledger = Ledger(database, zone=DayZone("UTC"), clock=SystemClock())
        assert sum(day.calls for day in (await ledger.usage("tenant")).days) == 50
    finally:
        await database.close()


async def test_a_second_service_is_refused_and_a_short_command_is_not(url: str, path: Path) -> None:
    process = start("-c", HOLD_SERVICE_LOCK, url)
    try:
        with pytest.raises(StorageError) as caught:
            await Database.open(url, sole_service=True)
        assert str(caught.value) == (
            f"another Parley (process {process.pid}) already serves {path}; stop it, or set DATABASE_URL"
        )
        await (await Database.open(url)).close()
    finally:
        release(process)
    await (await Database.open(url, sole_service=True)).close()


async def test_the_service_lock_ends_with_a_killed_holder(url: str) -> None:
    process = start("-c", HOLD_SERVICE_LOCK, url)
    process.kill()
    process.communicate(timeout=60)
    await (await Database.open(url, sole_service=True)).close()


async def test_a_failed_start_lets_the_service_lock_go(url: str, text_file: Path) -> None:
    for _ in range(2):
        with pytest.raises(StorageError, match="is not an SQLite database"):
            await Database.open(url, sole_service=True)


async def test_a_write_waits_for_another_process_and_fails_clearly_after_the_timeout(
    url: str, path: Path, clock: ManualClock
) -> None:
    database = await Database.open(url, busy_timeout_seconds=0.2)
    ledger = Ledger(database, zone=DayZone("UTC"), clock=clock)
    try:
        process = start("-c", HOLD_WRITE_LOCK, str(path))
        with pytest.raises(DatabaseBusyError) as caught:
            await ledger.charge("tenant", limit=5)
        assert str(caught.value) == (f"database {path} is locked by another process; stop it, or wait until it is done")
        assert (await ledger.used_today("tenant", limit=5)).used == 0
        with pytest.raises(DatabaseBusyError):
            await Database.open(url, busy_timeout_seconds=0.1)
        release(process)
        assert (await ledger.charge("tenant", limit=5)).used == 1
    finally:
        await database.close()


async def test_a_write_goes_on_when_the_other_process_is_done(url: str, path: Path, clock: ManualClock) -> None:
    database = await Database.open(url, busy_timeout_seconds=30)
    ledger = Ledger(database, zone=DayZone("UTC"), clock=clock)
    try:
        process = start("-c", HOLD_WRITE_LOCK, str(path))
        charging = asyncio.create_task(ledger.charge("tenant", limit=5))
        await ledger.used_today("tenant", limit=5)
        assert not charging.done()
        await asyncio.to_thread(release, process)
        assert (await charging).used == 1
    finally:
        await database.close()
