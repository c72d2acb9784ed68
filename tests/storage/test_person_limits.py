import asyncio

import pytest
from sqlalchemy import select

from storage.database import Database
from storage.errors import TooManyLimitsError
from storage.person_limits import MAX_LIMITS_PER_GUILD, PersonLimit, PersonLimits
from storage.schema import person_limits
from tests.storage.conftest import ManualClock

GUILD = 2**63 - 1
ADMIN = 9


@pytest.fixture
def limits(database: Database, clock: ManualClock) -> PersonLimits:
    return PersonLimits(database, clock=clock)


async def test_limits_are_listed_with_everyone_first(limits: PersonLimits) -> None:
    await limits.set(GUILD, 5, role_id=70, changed_by=ADMIN)
    await limits.set(GUILD, 0, changed_by=ADMIN)
    await limits.set(GUILD, 2**53, role_id=2**62, changed_by=ADMIN)
    await limits.set(1, 9, changed_by=ADMIN)
    assert await limits.list(GUILD) == [
        PersonLimit(role_id=None, daily_calls=0),
        PersonLimit(role_id=70, daily_calls=5),
        PersonLimit(role_id=2**62, daily_calls=2**53),
    ]
    assert await limits.list(2) == []


async def test_a_limit_is_replaced_with_who_changed_it(
    limits: PersonLimits, database: Database, clock: ManualClock
) -> None:
    await limits.set(GUILD, 5, changed_by=ADMIN)
    clock.instant = later = clock.now().replace(year=2027)
    await limits.set(GUILD, 6, changed_by=10)
    assert await limits.list(GUILD) == [PersonLimit(role_id=None, daily_calls=6)]
    async with database.reading() as connection:
        (row,) = await connection.execute(select(person_limits))
    assert (row.changed_by, row.changed_at) == (10, later)


async def test_clearing_takes_one_limit_away(limits: PersonLimits) -> None:
    for role_id in (None, 70, 80):
        await limits.set(GUILD, 5, role_id=role_id, changed_by=ADMIN)
    assert await limits.clear(GUILD)
    assert not await limits.clear(GUILD)
    assert await limits.clear(GUILD, role_id=70)
    assert not await limits.clear(1, role_id=80)
    assert await limits.list(GUILD) == [PersonLimit(role_id=80, daily_calls=5)]


async def test_a_server_sets_no_more_limits_than_it_may_and_may_still_change_them(limits: PersonLimits) -> None:
    outcomes = await asyncio.gather(
        *(limits.set(GUILD, 5, role_id=role, changed_by=ADMIN) for role in range(1, 41)), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, TooManyLimitsError)]
    assert len(refused) == 40 - MAX_LIMITS_PER_GUILD
    assert refused[0].limit == MAX_LIMITS_PER_GUILD
    with pytest.raises(TooManyLimitsError):
        await limits.set(GUILD, 5, changed_by=ADMIN)
    existing = (await limits.list(GUILD))[0]
    await limits.set(GUILD, 6, role_id=existing.role_id, changed_by=ADMIN, limit_count=1)
    assert (await limits.list(GUILD))[0].daily_calls == 6
    await limits.set(1, 5, changed_by=ADMIN, limit_count=1)


@pytest.mark.parametrize("number", [-1, 2**53 + 1, 10**30])
async def test_an_impossible_number_is_refused_with_words(limits: PersonLimits, number: int) -> None:
    with pytest.raises(ValueError, match="daily calls: give"):
        await limits.set(GUILD, number, changed_by=ADMIN)
    assert await limits.list(GUILD) == []
