"""What is done to the service meanwhile: `kill -9` of the engine and of everything, and a database that others lock.

Does not own: the lock that lasts longer than anybody waits (`long_lock.py`).
"""

import asyncio
import random
import sqlite3
from dataclasses import dataclass
from time import monotonic

from tests.soak import long_lock
from tests.soak.world import World

LOCK_SECONDS = 1.5
"""Below the service's own patience: everybody waits, nobody is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often, in seconds, and how long before the end the last life begins: its leaks are looked at.

    `only_lock` says that nothing is killed, and the database locked once for half a minute.
    """

    pause: tuple[float, float]
    calm_seconds: float
    only_lock: bool = False


async def run(world: World, *, seed: int, seconds: float, pace: Pace) -> None:
    """Do one thing after the other until the calm at the end."""
    chance = random.Random(f"{seed} chaos")
    calm_at = monotonic() + seconds - pace.calm_seconds
    # Two of them come in every run, however short.
    plan = [_kill_everything, _kill_engine]
    if world.is_long:
        plan.insert(0, _lock_for_long)
    if pace.only_lock:
        plan, calm_at = [], monotonic()
        await asyncio.sleep(pace.pause[0])
        await _lock_for_long(world, chance)
    while True:
        await asyncio.sleep(chance.uniform(*pace.pause))
        if monotonic() >= calm_at:
            return
        deed = plan.pop() if plan else chance.choice((_kill_engine, _kill_engine, _kill_everything, _lock))
        await deed(world, chance)


async def _kill_engine(world: World, chance: random.Random) -> None:
    world.book.counts["engine kills"] += 1
    world.house.kill_engine()


async def _kill_everything(world: World, chance: random.Random) -> None:
    world.book.counts["process kills"] += 1
    await world.house.kill(with_engine=chance.random() < 0.5)
    await world.house.start()


async def _lock_for_long(world: World, chance: random.Random) -> None:
    await long_lock.hold(world)


async def _lock(world: World, chance: random.Random) -> None:
    world.book.counts["locks"] += 1
    other = sqlite3.connect(world.house.database_path, isolation_level=None, timeout=5, check_same_thread=False)
    try:
        # Waits for its turn like any other process.
        await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
        await asyncio.sleep(LOCK_SECONDS)
        other.execute("ROLLBACK")
    finally:
        other.close()
