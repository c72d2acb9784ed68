"""Nothing that was acknowledged is lost when the process is killed at any moment."""

import asyncio
import random
import sqlite3
import sys
from pathlib import Path

from sqlalchemy import func, select

from storage.conversations import Conversations
from storage.database import Database
from storage.days import DayZone
from storage.ledger import Ledger
from storage.schema import daily_usage
from tests.storage.conftest import ManualClock
from tests.storage.steady_work import WORKERS, Expected, foretell, tenant

ROOT = Path(__file__).parents[2]
KILLS = 8


async def test_what_was_acknowledged_survives_kill_9_at_random_moments(
    url: str, path: Path, clock: ManualClock
) -> None:
    chance = random.Random(11)
    for kill_round in range(KILLS):
        acknowledged = await _work_until_killed(url, kill_round, after_lines=chance.randrange(1, 400))
        database = await Database.open(url, sole_service=True)
        try:
            open_calls = 0
            for worker, steps in acknowledged.items():
                found = await _find(database, clock, tenant(kill_round, worker))
                # One more step may be in the file: done, but killed before it could say so.
                assert found in (foretell(steps), foretell(steps + 1)), (worker, steps)
                open_calls += found.open_calls
            ledger = Ledger(database, zone=DayZone("UTC"), clock=clock)
            assert await ledger.reclaim_open_calls() == open_calls
            assert await ledger.reclaim_open_calls() == 0
            for worker, steps in acknowledged.items():
                calls = (await _find(database, clock, tenant(kill_round, worker))).calls
                assert calls in {_closed_calls(steps), _closed_calls(steps + 1)}
        finally:
            await database.close()
        assert _check_integrity(path) == "ok"


async def _work_until_killed(url: str, kill_round: int, *, after_lines: int) -> dict[int, int]:
    """Return how many steps each worker has acknowledged before its process was killed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.storage.steady_work", url, str(kill_round)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    lines = [await process.stdout.readline() for _ in range(after_lines)]
    process.kill()
    lines += (await process.stdout.read()).splitlines()
    assert await process.wait() == -9
    steps = dict.fromkeys(range(WORKERS), 0)
    for line in lines:
        worker, done = line.split()
        assert int(done) == steps[int(worker)] + 1
        steps[int(worker)] = int(done)
    assert sum(steps.values()) >= after_lines
    return steps


async def _find(database: Database, clock: ManualClock, name: str) -> Expected:
    usage = daily_usage.c
    sums = (usage.calls, usage.open_calls, usage.prompt_tokens + usage.completion_tokens)
    query = select(*(func.coalesce(func.sum(column), 0) for column in sums)).where(usage.tenant_id == name)
    async with database.reading() as connection:
        row = (await connection.execute(query)).one()
    messages = await Conversations(database, clock=clock).read(name)
    return Expected(*row, contents=[message.content for message in messages])


def _closed_calls(steps: int) -> int:
    state = foretell(steps)
    return state.calls - state.open_calls


def _check_integrity(path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
    finally:
        connection.close()
