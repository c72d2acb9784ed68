"""What must not pile up: seen from outside of the process, and in its own metrics.

Owns: the measure before and after. Does not own: the traffic between them.
"""

import asyncio
import random
import re
from dataclasses import asdict, dataclass, replace
from time import monotonic

import aiohttp
import psutil

from tests.soak import polite
from tests.soak.exchanges import send
from tests.soak.world import World

SETTLE_SECONDS = 20.0
"""How long connections and replies may take to end when nobody asks for anything any more."""

SPARE = {"descriptors": 10, "threads": 12, "children": 0, "connections": 0, "tasks": 0}
"""What may be more than at the start: threads and what they hold open are made when they are first needed. Each of the
database's readers holds the file and its log."""

IDLE_SHARE = 0.3

GAUGES = ("parley_queue_waiting", "parley_queue_running", "parley_open_calls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One look at the process. `tasks` are asyncio's; `connections` those of its port."""

    descriptors: int
    threads: int
    children: int
    connections: int
    tasks: int
    rss_mb: int


async def warm_up(world: World) -> None:
    """Use everything once that is opened at its first use."""
    async with aiohttp.ClientSession() as session:
        guests = replace(world, session=session)
        await asyncio.gather(*(polite.ask(guests, random.Random(number)) for number in range(12)))


async def read_metrics(world: World) -> dict[str, float]:
    """Read the samples that have no labels, over a connection that does not stay."""
    async with aiohttp.ClientSession(headers={"Connection": "close"}) as session:
        answer = await send(session, "GET", world.house.url + "/metrics")
    samples = re.findall(r"^(\w+) ([\d.e+-]+)$", answer.data.decode(), re.MULTILINE)
    return {name: float(value) for name, value in samples}


async def measure(world: World) -> Measure:
    """Look at the process as it is."""
    process, metrics = world.house.process, await read_metrics(world)
    connections, own = _connections(world)
    return Measure(
        descriptors=process.num_fds() - 2 * own,
        threads=process.num_threads(),
        children=len(world.house.engines),
        connections=connections,
        tasks=int(metrics["parley_tasks"]) - own,
        rss_mb=process.memory_info().rss // 2**20,
    )


def _connections(world: World) -> tuple[int, int]:
    """Count those of its port: other people's, and its own bot's, which stay open for half a minute.

    Each of the bot's has two ends, both its own, and a task that waits at one of them.
    """
    every = world.house.process.net_connections(kind="tcp")
    local = {each.laddr for each in every}
    served = [each for each in every if each.laddr.port == world.house.port and each.status != psutil.CONN_LISTEN]
    own = sum(each.raddr in local for each in served)
    return len(served) - own, own


async def _engine_share(world: World) -> float:
    """Say which share of a core the engine uses: a slot that nobody waits for any more would keep it busy."""
    before = _engine_seconds(world)
    await asyncio.sleep(1.0)
    return _engine_seconds(world) - before


def _engine_seconds(world: World) -> float:
    times = [each.cpu_times() for each in world.house.engines]
    return sum(each.user + each.system for each in times)


async def check(world: World, before: Measure) -> Measure:
    """Wait until everything is at rest, and note what is not; returns the last look."""
    ends_at = monotonic() + SETTLE_SECONDS
    while True:
        after, metrics = await measure(world), await read_metrics(world)
        found = [*_grown(before, after), *(f"{name} is {metrics[name]}" for name in GAUGES if metrics[name])]
        if not found and (share := await _engine_share(world)) > IDLE_SHARE:
            found = [f"the engine still uses {share:.2f} of a core"]
        if not found:
            return after
        if monotonic() >= ends_at:
            for each in found:
                world.book.problem(f"at rest: {each}")
            return after
        await asyncio.sleep(0.25)


def _grown(before: Measure, after: Measure) -> list[str]:
    was, now = asdict(before), asdict(after)
    return [
        f"{name} grew from {was[name]} to {now[name]}" for name, spare in SPARE.items() if now[name] > was[name] + spare
    ]
