"""A whole soak: tokens, traffic and chaos, the drain, the checks, a table and one line of JSON."""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import aiohttp

from storage.clock import SystemClock
from storage.database import Database
from storage.tokens import TokenStore
from tests.doubles.discord_server import DiscordServer
from tests.doubles.webhook_receiver import receiving
from tests.noon import NOON_ZONE
from tests.soak import audit, chaos, leaks, traffic
from tests.soak.book import Book
from tests.soak.chaos import Pace
from tests.soak.house import House
from tests.soak.people import People
from tests.soak.world import Tokens, World
from tests.waiting import eventually

PLENTY = 10**6
SCARCE_CALLS = 6
WEBHOOK_SECONDS = 45.0
DISCORD_TOKEN = "stand-in-token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long, how many, how often. `is_long` as in `World`."""

    seconds: float
    workers: int
    pace: Pace
    seed: int
    is_long: bool


async def soak(plan: Plan) -> dict[str, Any]:
    """Run one and say what came of it; `problems` are all that must not be."""
    book, began_at = Book(), monotonic()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        async with _world(plan, book, Path(folder)) as world:
            await world.people.settle_in()
            await leaks.warm_up(world)
            before = await leaks.measure(world)
            await _live(world, plan)
            await world.session.close()
            after = await leaks.check(world, before)
            await _until_webhooks_arrived(world)
            await world.house.stop()
        audit.close_webhooks(world)
        audit.check(book, world.house.database_path, tokens=world.tokens.all, talks=world.talks)
        audit.check_discord(book, world.house.database_path, world.people)
        audit.check_patient(book, world.house.database_path, tokens=world.tokens.patient)
        audit.check_outputs(world)
    return {
        "seconds": round(monotonic() - began_at, 1),
        "seed": plan.seed,
        "lives": world.house.lives,
        "counts": dict(sorted(book.counts.items())),
        "unknown_calls": book.unknown_calls(),
        "vague_calls": book.vague_calls(),
        "before": asdict(before),
        "after": asdict(after),
        "problems": book.problems,
    }


@asynccontextmanager
async def _world(plan: Plan, book: Book, folder: Path) -> AsyncIterator[World]:
    settings = {
        "PARLEY_PRIVATE_WEBHOOKS": "true",
        "PARLEY_RESET_ZONE": NOON_ZONE,
        "PARLEY_DAILY_CALLS": str(PLENTY),
    }
    async with DiscordServer() as discord:
        settings |= {"DISCORD_TOKEN": DISCORD_TOKEN, "DISCORD_API_URL": discord.api_url}
        async with _housed(plan, House(folder, book, settings), book, discord) as world:
            yield world


@asynccontextmanager
async def _housed(plan: Plan, house: House, book: Book, discord: DiscordServer) -> AsyncIterator[World]:
    people = People(discord, house, book)
    try:
        await house.start()
        database = await Database.open(f"sqlite:///{house.database_path}")
        try:
            store = TokenStore(database, clock=SystemClock())
            connector = aiohttp.TCPConnector(limit=0)
            async with receiving() as receiver, aiohttp.ClientSession(connector=connector) as session:
                yield World(
                    house=house,
                    book=book,
                    session=session,
                    tokens=await _issue(store),
                    store=store,
                    receiver=receiver,
                    people=people,
                    is_long=plan.is_long,
                )
        finally:
            await database.close()
    finally:
        await house.close()


async def _issue(store: TokenStore) -> Tokens:
    return Tokens(
        polite=[await store.create(f"polite {number}", daily_calls=PLENTY) for number in range(3)],
        counted=await store.create("counted", daily_calls=PLENTY, llm_balance=10 * PLENTY),
        scarce=await store.create("scarce", daily_calls=SCARCE_CALLS),
        mistaken=await store.create("mistaken", daily_calls=PLENTY),
        rude=await store.create("rude", daily_calls=PLENTY),
        chatting=await store.create("chatting", daily_calls=PLENTY),
        hooked=await store.create("hooked", daily_calls=PLENTY),
    )


async def _live(world: World, plan: Plan) -> None:
    """Make traffic and trouble at the same time."""
    async with asyncio.TaskGroup() as group:
        # Those who stall are waited for long after the end.
        beside = traffic.IN_DISCORD if plan.pace.only_lock else traffic.BESIDE
        group.create_task(traffic.run(world, seed=plan.seed, workers=plan.workers, seconds=plan.seconds, beside=beside))
        group.create_task(chaos.run(world, seed=plan.seed, seconds=plan.seconds, pace=plan.pace))


async def _until_webhooks_arrived(world: World) -> None:
    def all_arrived() -> bool:
        return world.accepted_webhooks.keys() <= {each.json["id"] for each in world.receiver.received}

    try:
        await eventually(all_arrived, within_seconds=WEBHOOK_SECONDS)
    except TimeoutError:
        # The audit says which.
        return


def print_report(report: dict[str, Any]) -> None:
    """Print the table, then the line of JSON."""
    rows = {**report["counts"], **{name: report[name] for name in ("lives", "unknown_calls", "vague_calls")}}
    for name, was in report["before"].items():
        rows[name] = f"{was} -> {report['after'][name]}"
    lines = [f"{name:24} {value}" for name, value in rows.items()]
    lines += [f"PROBLEM {each}" for each in report["problems"]]
    sys.stdout.write("\n".join([*lines, json.dumps(report)]) + "\n")
