"""Claims: one of many gets it, and a dead one's runs out."""

import asyncio
from datetime import timedelta

import pytest

from storage.claims import SHORTEST_SECONDS, Claims
from storage.database import Database
from tests.storage.conftest import ManualClock


async def test_of_many_that_claim_at_once_one_succeeds_and_the_others_learn_how_long(
    database: Database, url: str, clock: ManualClock
) -> None:
    others = [await Database.open(url) for _ in range(3)]
    try:
        claiming = [Claims(each, clock=clock).claim("name", seconds=5.0) for each in (database, *others) * 3]
        waits = sorted(await asyncio.gather(*claiming))
    finally:
        for each in others:
            await each.close()
    assert waits == [0.0, *[5.0] * 11]


async def test_a_claim_runs_out_or_is_released(database: Database, clock: ManualClock) -> None:
    claims = Claims(database, clock=clock)
    assert await claims.claim("name", seconds=5.0) == 0.0
    assert await claims.claim("other", seconds=5.0) == 0.0
    clock.advance(timedelta(seconds=4))
    assert await claims.claim("name", seconds=5.0) == 1.0
    clock.advance(timedelta(seconds=0.999))
    assert await claims.claim("name", seconds=5.0) == SHORTEST_SECONDS
    clock.advance(timedelta(seconds=0.001))
    assert await claims.claim("name", seconds=5.0) == 0.0
    await claims.release("name")
    await claims.release("nobody's")
    assert await claims.claim("name", seconds=5.0) == 0.0


@pytest.mark.sqlite
async def test_who_waits_for_a_turn_to_write_claims_from_then_on(database: Database, clock: ManualClock) -> None:
    claims = Claims(database, clock=clock)
    async with database.writing():
        claiming = asyncio.create_task(claims.claim("name", seconds=5.0))
        # Long enough for it to get as far as it gets.
        await asyncio.sleep(0.05)
        clock.advance(timedelta(seconds=4))
    assert await claiming == 0.0
    assert await claims.claim("name", seconds=5.0) == 5.0


async def test_a_holder_claims_again_and_others_neither_take_nor_release_what_it_has(
    database: Database, clock: ManualClock
) -> None:
    claims = Claims(database, clock=clock)
    assert await claims.claim("lease.1", seconds=5.0, holder="a") == 0.0
    clock.advance(timedelta(seconds=3))
    assert await claims.claim("lease.1", seconds=5.0, holder="b") == 2.0
    assert await claims.claim("lease.1", seconds=5.0, holder="a") == 0.0
    await claims.release("lease.1", holder="b")
    await claims.release("lease.1")
    assert await claims.claim("lease.1", seconds=5.0) == 5.0
    await claims.claim("lease_1", seconds=9.0)
    assert await claims.list_held("lease.") == ["lease.1"]
    assert await claims.list_held("lease_") == ["lease_1"]
    clock.advance(timedelta(seconds=5))
    assert await claims.list_held("") == ["lease_1"]


async def test_somebody_whose_clock_is_late_takes_nothing_from_others(database: Database, clock: ManualClock) -> None:
    claims = Claims(database, clock=clock)
    assert await claims.claim("name", seconds=5.0) == 0.0
    clock.advance(timedelta(seconds=-30))
    assert await claims.claim("name", seconds=5.0) == 35.0


async def test_a_claim_from_before_the_clock_was_set_back_holds_nobody_up(
    database: Database, clock: ManualClock
) -> None:
    claims = Claims(database, clock=clock)
    assert await claims.claim("name", seconds=5.0) == 0.0
    clock.advance(timedelta(hours=-1))
    assert await claims.claim("name", seconds=5.0) == 0.0
