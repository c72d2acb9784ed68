"""The service's processes: who is there, and what a dead one has left open."""

import asyncio
from datetime import timedelta

from storage.database import Database
from storage.ledger import Charge, Ledger
from storage.service_processes import OpenCalls, ServiceProcesses
from tests.storage.conftest import ManualClock


def open_calls(*charges: Charge) -> list[OpenCalls]:
    return [OpenCalls(charge.tenant_id, charge.day, 1) for charge in charges]


async def test_what_a_dead_process_has_left_open_is_given_back_once(
    database: Database, ledger: Ledger, clock: ManualClock
) -> None:
    processes = ServiceProcesses(database, clock=clock)
    left = [await ledger.charge(tenant, limit=10) for tenant in ("b", "a")]
    others = await ledger.charge("a", limit=10)
    await processes.beat("dead", open_calls(*left))
    await processes.beat("alive", open_calls(others))
    assert set(await processes.list_beats()) == {"dead", "alive"}
    assert sorted(await asyncio.gather(*(processes.reclaim("dead") for _ in range(3)))) == [0, 0, 2]
    assert set(await processes.list_beats()) == {"alive"}
    await ledger.keep(others)
    assert [(await ledger.used_today(tenant, limit=10)).used for tenant in ("a", "b")] == [1, 0]
    assert await ledger.reclaim_open_calls() == 0


async def test_no_more_is_given_back_than_is_open(database: Database, ledger: Ledger, clock: ManualClock) -> None:
    processes = ServiceProcesses(database, clock=clock)
    charges = [await ledger.charge("a", limit=10) for _ in range(3)]
    await processes.beat("dead", [OpenCalls("a", charges[0].day, 3), OpenCalls("nobody", charges[0].day, 5)])
    for charge in charges[:2]:
        await ledger.settle(charge, prompt_tokens=1, completion_tokens=1)
    await processes.reclaim("dead")
    assert (await ledger.used_today("a", limit=10)).used == 2


async def test_each_beat_changes_what_others_see(database: Database, clock: ManualClock) -> None:
    processes = ServiceProcesses(database, clock=clock)
    await processes.beat("one", ())
    first = await processes.list_beats()
    assert await processes.list_beats() == first
    clock.advance(timedelta(milliseconds=1))
    await processes.beat("one", ())
    assert await processes.list_beats() != first
