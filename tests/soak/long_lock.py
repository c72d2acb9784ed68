"""Half a minute in which another process keeps the database locked: longer than anybody waits, so calls are refused.

What callers are told meanwhile they hold against the book as always. Owns: the lock, and what watchers see of it.
"""

import asyncio
import sys
from time import monotonic

import aiohttp

from tests.soak.exchanges import Answer, send
from tests.soak.world import World

LOCK_SECONDS = 30.0

NOTICE_SECONDS = 15.0
"""The first write waits for five seconds; what watchers see follows its outcome."""

_LOCKER = """
import sqlite3, sys, time
other = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
other.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
other.execute("ROLLBACK")
"""


async def hold(world: World) -> None:
    """Keep the database locked for so long, and look at what the service says of itself meanwhile and afterwards."""
    world.book.counts["long locks"] += 1
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _LOCKER, str(world.house.database_path), str(LOCK_SECONDS)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"locked\n"
    disturbing = asyncio.create_task(_disturb(world))
    try:
        await _becomes(world, status=503, within_seconds=NOTICE_SECONDS)
        await _goes_on(world)
        await process.wait()
        await _becomes(world, status=200, within_seconds=NOTICE_SECONDS)
    finally:
        disturbing.cancel()
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _disturb(world: World) -> None:
    """Tell the book that somebody may be refused because of it, as long as it lasts."""
    while True:
        for moments in (world.book.disturbances, world.book.locked):
            moments.append(monotonic())
        await asyncio.sleep(1.0)


async def _becomes(world: World, *, status: int, within_seconds: float) -> None:
    """Wait until `/readyz` says so; it is a problem when it does not."""
    ends_at, answer = monotonic() + within_seconds, await _look(world, "/readyz")
    while answer.status != status:
        if monotonic() >= ends_at:
            world.book.problem(f"/readyz is {answer.status} in place of {status}: {answer.data[:200]!r}")
            return
        await asyncio.sleep(0.25)
        answer = await _look(world, "/readyz")
    if status == 503 and b"database takes no writes" not in answer.data:
        world.book.problem(f"/readyz does not say what is wrong: {answer.data[:200]!r}")


async def _goes_on(world: World) -> None:
    """Look at what needs no write: the process lives, and what was used can be read."""
    token = world.tokens.polite[0]
    for path in ("/healthz", "/ai/usage"):
        answer = await _look(world, path, {"Authorization": f"Bearer {token.secret}"})
        if answer.status != 200:
            world.book.problem(f"{path} is {answer.status} while the database is locked")


async def _look(world: World, path: str, headers: dict[str, str] | None = None) -> Answer:
    async with aiohttp.ClientSession() as session:
        return await send(session, "GET", world.house.url + path, headers=headers)
