"""A disk that fills up under `parley up`, as the kernel says it: no file of the process may grow any more."""

import asyncio
import re
import resource
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from tests.parley.process import Parley, run, started, until_it_runs
from tests.parley.test_up import ENDLESS, HELLO, ask
from tests.waiting import PATIENCE_SECONDS

FULL_BYTES = 64 * 1024
"""Less than the write-ahead log has after the first start, more than what the process prints here."""


def fill_disk(parley: Parley, *, is_full: bool) -> None:
    """Bound the size of every file that the process writes, or lift the bound: prlimit(2), RLIMIT_FSIZE."""
    bound = FULL_BYTES if is_full else resource.RLIM_INFINITY
    psutil.Process(parley.process.pid).rlimit(psutil.RLIMIT_FSIZE, (bound, resource.RLIM_INFINITY))


async def get(parley: Parley, path: str, token: str) -> tuple[int, dict[str, Any]]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{parley.url}{path}", headers={"Authorization": token}) as response,
    ):
        return response.status, await response.json()


async def until_used(parley: Parley, token: str, calls: int) -> None:
    """Wait until so many calls are used: one that could not be given back yet is tried again now and then."""
    while True:
        _, usage = await get(parley, "/ai/usage", token)
        if usage["calls"]["used"] == calls:
            return
        await asyncio.sleep(0.1)


@pytest.mark.skipif(not hasattr(psutil, "RLIMIT_FSIZE"), reason="another process's limits can be set on Linux only")
async def test_a_full_disk_refuses_calls_serves_reads_and_recovers_by_itself(tmp_path: Path) -> None:
    async with started(tmp_path) as parley:
        printed = await parley.until_printed("Stop with Ctrl-C")
        found = re.search(r"parley_[\w-]{43}", printed)
        assert found
        token = found[0]
        assert (await ask(parley, token, HELLO))[0] == 200
        assert (tmp_path / "data/parley.db-wal").stat().st_size > FULL_BYTES
        running = asyncio.create_task(ask(parley, token, ENDLESS))
        await until_it_runs(parley, running)
        fill_disk(parley, is_full=True)
        status, error, headers = await running
        assert (status, error["error"], headers["Retry-After"]) == (503, "Busy", "5")
        assert (await ask(parley, token, HELLO))[0] == 503
        _, usage = await get(parley, "/ai/usage", token)
        assert usage["calls"] == {"used": 2, "limit": 1000, "remaining": 998}, "the cut off call is still open"
        status, health = await get(parley, "/readyz", token)
        assert status == 503
        assert "the database takes no writes" in health["reason"]
        await parley.until_printed("no writes: database")
        fill_disk(parley, is_full=False)
        await parley.until_ready()
        await parley.until_printed("the database takes writes again")
        assert (await ask(parley, token, HELLO))[0] == 200
        async with asyncio.timeout(PATIENCE_SECONDS):
            await until_used(parley, token, 2)
        parley.signal(signal.SIGTERM)
        assert await parley.stopped() == 0
        assert "Traceback" not in parley.printed()
    with closing(sqlite3.connect(tmp_path / "data/parley.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("SELECT calls, open_calls FROM daily_usage").fetchall() == [(2, 0)]


async def test_a_command_without_room_is_one_line_and_changes_nothing(tmp_path: Path) -> None:
    await run(tmp_path, "token", "create", "--name", "first")
    status, _, error = await run_without_room(tmp_path, "token", "create", "--name", "second")
    assert status == 1
    assert re.fullmatch(r"parley: database [^\n]*disk[^\n]*\n", error), error
    _, out, _ = await run(tmp_path, "token", "list")
    assert "first" in out
    assert "second" not in out


async def run_without_room(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Run one command in a process whose files cannot grow."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        return await run(folder, *arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
