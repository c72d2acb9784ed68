"""The mixture: so many workers, each doing one thing after the other by its own seeded chance."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic

from tests.soak import mistaken, persistent, polite, rude
from tests.soak.world import World

Caller = Callable[[World, random.Random], Awaitable[None]]

MIXTURE: dict[Caller, int] = {
    polite.ask: 30,
    polite.ask_beyond_the_day: 3,
    polite.look_around: 6,
    polite.read_usage: 4,
    persistent.chat: 14,
    persistent.ask_for_a_webhook: 3,
    persistent.change_tokens: 1,
    mistaken.make_a_mistake: 6,
    mistaken.come_as_nobody: 3,
    rude.leave_in_the_head: 3,
    rude.leave_in_the_body: 3,
    rude.leave_while_waiting: 6,
    rude.leave_midway: 6,
    rude.read_slowly: 3,
    rude.pipeline: 3,
    rude.send_no_http: 3,
}
"""How often each is done, in shares."""


async def be_in_discord(world: World, chance: random.Random) -> None:
    """Do what people do there."""
    await world.people.do_something(chance)


IN_DISCORD: tuple[Caller, ...] = (be_in_discord,) * 3
BESIDE: tuple[Caller, ...] = (
    *IN_DISCORD,
    rude.trickle_a_head,
    rude.stay_silent,
    rude.stay_silent,
    rude.never_read,
)
"""Done over and over beside the mixture, each by a worker of its own: they take their time."""

FAULT_PAUSE_SECONDS = 0.5


async def run(world: World, *, seed: int, workers: int, seconds: float, beside: Sequence[Caller] = BESIDE) -> None:
    """Make traffic for so long; what was begun is brought to its end."""
    world.ends_at = monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        for number in range(workers):
            chance = random.Random(f"{seed} {number}")
            group.create_task(_work(world, chance, lambda each=chance: _pick(each)))  # type: ignore[misc]
        for number, caller in enumerate(beside):
            chance = random.Random(f"{seed} beside {number}")
            group.create_task(_work(world, chance, lambda each=caller: each))  # type: ignore[misc]


def _pick(chance: random.Random) -> Caller:
    return chance.choices(list(MIXTURE), weights=list(MIXTURE.values()))[0]


async def _work(world: World, chance: random.Random, pick: Callable[[], Caller]) -> None:
    while monotonic() < world.ends_at:
        await world.house.is_up.wait()
        caller = pick()
        try:
            await caller(world, chance)
        except Exception as error:  # noqa: BLE001 - a caller that fails is a finding, and the others go on
            world.book.problem(f"{caller.__name__}: {type(error).__name__}: {error}")
            await asyncio.sleep(FAULT_PAUSE_SECONDS)
        # A service that was killed this moment refuses at once; nobody gains by asking it a thousand times.
        await asyncio.sleep(0 if world.house.is_up.is_set() else 0.05)
