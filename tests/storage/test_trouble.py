"""A database that cannot be written, full or locked by another process: nothing acknowledged is lost; it recovers."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from storage.clock import JumpWatch
from storage.database import Database
from storage.days import DayZone
from storage.errors import DatabaseBusyError, StorageError
from storage.health import DatabaseHealth
from storage.ledger import Ledger
from storage.notes import Notes
from tests.new_database import locked
from tests.storage.conftest import ManualClock

NO_LIMIT = 2**30
TENANT = "tok_full"


async def bound_pages(database: Database, *, spare: int | None) -> None:
    """Let the file grow by so many pages, as a disk with that much room would; None for a disk with plenty."""

    def bound(connection: Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {NO_LIMIT if spare is None else pages + spare}")

    async with database.writing() as connection:
        await connection.run_sync(bound)


async def outcome_of(write: Coroutine[Any, Any, None]) -> str:
    try:
        await write
    except StorageError:
        return "refused"
    return "kept"


@pytest.fixture
async def service_database(url: str) -> AsyncIterator[Database]:
    database = await Database.open(url, sole_service=True)
    yield database
    await database.close()


@pytest.mark.sqlite
async def test_a_full_disk_refuses_writes_serves_reads_and_recovers(
    service_database: Database, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "storage")
    database, ledger = service_database, Ledger(service_database, zone=DayZone("UTC"), clock=clock)
    notes, health = Notes(database), DatabaseHealth(database, clock=clock)
    charge = await ledger.charge(TENANT, limit=100)
    await bound_pages(database, spare=8)
    outcomes = [await outcome_of(notes.put(f"note {number}", "x" * 2000)) for number in range(40)]
    kept = outcomes.index("refused")
    assert kept
    with pytest.raises(StorageError, match="the disk is full; free some space"):
        await notes.put("large", "x" * 10_000)
    assert not database.takes_writes
    assert [await notes.get(f"note {number}") for number in range(kept)] == ["x" * 2000] * kept
    assert (await ledger.used_today(TENANT, limit=100)).used == 1
    await bound_pages(database, spare=None)
    assert await health.takes_writes()
    await ledger.settle(charge, prompt_tokens=1, completion_tokens=1)
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"], "said once, and once that it is over"


async def test_health_tries_by_itself_while_nobody_else_writes(url: str, path: Path, clock: ManualClock) -> None:
    database = await Database.open(url, busy_timeout_seconds=0.05)
    try:
        health = DatabaseHealth(database, clock=clock)
        assert await health.takes_writes()
        async with locked(path):
            with pytest.raises(DatabaseBusyError):
                await Notes(database).put("a", "b")
            assert not any(await asyncio.gather(health.takes_writes(), health.takes_writes()))
        assert await health.takes_writes()
        assert database.takes_writes
    finally:
        await database.close()


async def test_behind_a_lock_that_lasts_nobody_waits_for_everybody_before_them(url: str, path: Path) -> None:
    database = await Database.open(url, busy_timeout_seconds=0.2)
    try:
        notes = Notes(database)
        async with locked(path):
            outcomes = await asyncio.gather(*(notes.put(str(n), "x") for n in range(12)), return_exceptions=True)
        assert all(isinstance(outcome, DatabaseBusyError) for outcome in outcomes)
        assert sum("too many wait" in str(outcome) for outcome in outcomes) >= 8
        await notes.put("after", "x")
    finally:
        await database.close()


def test_a_clock_that_jumps_ahead_is_noticed_once(clock: ManualClock) -> None:
    passed = 0.0
    watch = JumpWatch(clock, steady=lambda: passed)
    assert not watch.has_jumped()
    clock.advance(timedelta(hours=1))
    passed += 3600
    assert not watch.has_jumped(), "an hour that passed"
    clock.advance(timedelta(hours=-5))
    assert not watch.has_jumped(), "set back: nothing looks old"
    clock.advance(timedelta(days=400))
    passed += 60
    assert watch.has_jumped()
    assert not watch.has_jumped()
