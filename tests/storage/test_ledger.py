import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest

from storage.database import Database
from storage.days import DayZone
from storage.errors import AllowanceUsedError
from storage.ledger import REPORTED_DAYS, Allowance, Charge, Ledger, TenantUsage
from storage.schema import MAX_TENANT_ID_LENGTH
from storage.tokens import TokenStore
from tests.storage.conftest import ManualClock

TENANT = "tok_tenant"


async def test_a_charge_takes_one_call_and_says_what_is_left(ledger: Ledger) -> None:
    first = await ledger.charge(TENANT, limit=3)
    assert first == Charge(
        tenant_id=TENANT,
        day=date(2026, 11, 20),
        used=1,
        limit=3,
        resets_at=datetime(2026, 11, 21, tzinfo=UTC),
    )
    assert first.remaining == 2
    assert (await ledger.charge(TENANT, limit=3)).remaining == 1
    assert (await ledger.charge("other", limit=3)).used == 1


async def test_of_200_simultaneous_charges_on_50_calls_exactly_50_are_taken(ledger: Ledger) -> None:
    outcomes = await asyncio.gather(*(ledger.charge(TENANT, limit=50) for _ in range(200)), return_exceptions=True)
    used = sorted(outcome.used for outcome in outcomes if isinstance(outcome, Charge))
    refused = [outcome for outcome in outcomes if isinstance(outcome, AllowanceUsedError)]
    assert used == list(range(1, 51))
    assert len(refused) == 150
    assert (await ledger.used_today(TENANT, limit=50)).used == 50


async def test_a_refusal_carries_the_numbers_and_charges_nothing(ledger: Ledger) -> None:
    for _ in range(3):
        await ledger.charge(TENANT, limit=3)
    # The operator lowered the allowance meanwhile.
    with pytest.raises(AllowanceUsedError) as caught:
        await ledger.charge(TENANT, limit=2)
    assert (caught.value.limit, caught.value.used) == (2, 3)
    assert caught.value.resets_at == datetime(2026, 11, 21, tzinfo=UTC)
    allowance = await ledger.used_today(TENANT, limit=2)
    assert allowance == Allowance(used=3, limit=2, resets_at=caught.value.resets_at)
    assert allowance.remaining == 0


@pytest.mark.parametrize("limit", [0, -1])
async def test_an_allowance_of_nothing_refuses_the_first_call(ledger: Ledger, limit: int) -> None:
    for _ in range(2):
        with pytest.raises(AllowanceUsedError) as caught:
            await ledger.charge(TENANT, limit=limit)
        assert caught.value.used == 0
    assert (await ledger.usage(TENANT)).days == ()


async def test_settling_counts_llm_tokens_and_closes_the_call(ledger: Ledger) -> None:
    charge = await ledger.charge(TENANT, limit=3)
    assert await ledger.settle(charge, prompt_tokens=10, completion_tokens=5) is None
    usage = await ledger.usage(TENANT)
    assert (usage.used_today, usage.prompt_tokens, usage.completion_tokens) == (1, 10, 5)
    assert await ledger.reclaim_open_calls() == 0


async def test_settling_lowers_a_kept_balance_below_zero(
    ledger: Ledger, database: Database, clock: ManualClock
) -> None:
    token = (await TokenStore(database, clock=clock).create("a", daily_calls=5, llm_balance=20)).token
    charges = [await ledger.charge(token.tenant_id, limit=5) for _ in range(2)]
    assert await ledger.settle(charges[0], prompt_tokens=10, completion_tokens=5) == 5
    assert await ledger.settle(charges[1], prompt_tokens=10, completion_tokens=5) == -10


async def test_simultaneous_settlements_lose_nothing(ledger: Ledger, database: Database, clock: ManualClock) -> None:
    token = (await TokenStore(database, clock=clock).create("a", daily_calls=50, llm_balance=1_000)).token
    charges = await asyncio.gather(*(ledger.charge(token.tenant_id, limit=50) for _ in range(50)))
    balances = await asyncio.gather(
        *(ledger.settle(charge, prompt_tokens=3, completion_tokens=4) for charge in charges)
    )
    assert sorted(balance for balance in balances if balance is not None) == list(range(650, 1_000, 7))
    usage = await ledger.usage(token.tenant_id)
    assert (usage.used_today, usage.prompt_tokens, usage.completion_tokens) == (50, 150, 200)


async def test_a_kept_call_stays_used_and_one_given_back_does_not(ledger: Ledger) -> None:
    kept, given_back = [await ledger.charge(TENANT, limit=2) for _ in range(2)]
    await ledger.keep(kept)
    await ledger.give_back(given_back)
    assert (await ledger.used_today(TENANT, limit=2)).used == 1
    assert await ledger.reclaim_open_calls() == 0
    assert (await ledger.charge(TENANT, limit=2)).used == 2


async def test_a_day_whose_only_call_was_given_back_is_not_reported(ledger: Ledger) -> None:
    await ledger.give_back(await ledger.charge(TENANT, limit=1))
    assert await ledger.usage(TENANT) == TenantUsage()


@pytest.mark.sqlite
async def test_reclaiming_gives_back_exactly_the_open_calls_of_all_days_and_tenants(
    ledger: Ledger, clock: ManualClock
) -> None:
    settled, _, kept = [await ledger.charge(TENANT, limit=9) for _ in range(3)]
    await ledger.settle(settled, prompt_tokens=1, completion_tokens=1)
    await ledger.keep(kept)
    clock.advance(timedelta(days=1))
    await ledger.charge(TENANT, limit=9)
    await ledger.charge("other", limit=9)
    assert await ledger.reclaim_open_calls() == 3
    assert [day.calls for day in (await ledger.usage(TENANT)).days] == [2]
    assert (await ledger.usage("other")).days == ()
    assert await ledger.reclaim_open_calls() == 0


@pytest.mark.sqlite
async def test_closing_a_reclaimed_call_takes_nothing_twice(ledger: Ledger) -> None:
    done = await ledger.charge(TENANT, limit=9)
    await ledger.keep(done)
    late = [await ledger.charge(TENANT, limit=9) for _ in range(3)]
    await ledger.reclaim_open_calls()
    await ledger.give_back(late[0])
    await ledger.keep(late[1])
    await ledger.settle(late[2], prompt_tokens=1, completion_tokens=2)
    usage = await ledger.usage(TENANT)
    assert (usage.used_today, usage.prompt_tokens, usage.completion_tokens) == (1, 1, 2)


@pytest.mark.parametrize(
    ("last_second", "reset"),
    [
        pytest.param("2026-11-20T23:59:59", "2026-11-21T00:00:00", id="winter"),
        pytest.param("2026-07-01T22:59:59", "2026-07-01T23:00:00", id="summer"),
        pytest.param("2027-03-27T23:59:59", "2027-03-28T00:00:00", id="into the day that loses an hour"),
        pytest.param("2027-03-28T22:59:59", "2027-03-28T23:00:00", id="out of the day that loses an hour"),
        pytest.param("2026-10-24T22:59:59", "2026-10-24T23:00:00", id="into the day that gains an hour"),
        pytest.param("2026-10-25T23:59:59", "2026-10-26T00:00:00", id="out of the day that gains an hour"),
    ],
)
async def test_the_allowance_comes_back_at_midnight_in_london(
    ledger: Ledger, clock: ManualClock, last_second: str, reset: str
) -> None:
    clock.instant = datetime.fromisoformat(last_second).replace(tzinfo=UTC)
    resets_at = datetime.fromisoformat(reset).replace(tzinfo=UTC)
    charge = await ledger.charge(TENANT, limit=1)
    assert charge.resets_at == resets_at
    with pytest.raises(AllowanceUsedError) as caught:
        await ledger.charge(TENANT, limit=1)
    assert caught.value.resets_at == resets_at
    clock.instant = resets_at
    assert (await ledger.used_today(TENANT, limit=1)).used == 0
    following = await ledger.charge(TENANT, limit=1)
    assert (following.used, following.day) == (1, charge.day + timedelta(days=1))


async def test_a_reply_finished_after_midnight_is_counted_on_the_day_it_was_charged(
    ledger: Ledger, clock: ManualClock
) -> None:
    clock.instant = datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC)
    settled, given_back = [await ledger.charge(TENANT, limit=5) for _ in range(2)]
    clock.advance(timedelta(minutes=1))
    today = await ledger.charge(TENANT, limit=5)
    await ledger.settle(settled, prompt_tokens=7, completion_tokens=1)
    await ledger.give_back(given_back)
    usage = await ledger.usage(TENANT)
    assert usage.used_today == 1
    assert [(day.date, day.calls, day.prompt_tokens) for day in usage.days] == [
        (today.day, 1, 0),
        (settled.day, 1, 7),
    ]


async def test_usage_reports_30_days_newest_first_and_sums_over_all(ledger: Ledger, clock: ManualClock) -> None:
    first_day = ledger_day = clock.now().date()
    for _ in range(REPORTED_DAYS + 5):
        charge = await ledger.charge(TENANT, limit=5)
        await ledger.settle(charge, prompt_tokens=2, completion_tokens=3)
        ledger_day = charge.day
        clock.advance(timedelta(days=2))
    usage = await ledger.usage(TENANT)
    assert usage.used_today == 0
    assert (usage.prompt_tokens, usage.completion_tokens) == (70, 105)
    assert [day.date for day in usage.days] == [ledger_day - timedelta(days=2 * age) for age in range(30)]
    assert min(day.date for day in usage.days) > first_day


async def test_usage_of_several_tenants_has_everyone_asked_for(ledger: Ledger) -> None:
    for name, calls in (("a", 1), ("b", 3), ("not asked for", 2)):
        for _ in range(calls):
            charge = await ledger.charge(name, limit=5)
            await ledger.settle(charge, prompt_tokens=1, completion_tokens=0)
    report = await ledger.usage_of(["b", "silent", "a", "b"])
    assert list(report) == ["b", "silent", "a"]
    assert [usage.used_today for usage in report.values()] == [3, 0, 1]
    assert [usage.prompt_tokens for usage in report.values()] == [3, 0, 1]
    assert report["silent"] == TenantUsage()
    assert await ledger.usage_of([]) == {}


async def test_the_day_follows_the_configured_zone(database: Database, clock: ManualClock) -> None:
    clock.instant = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
    east = Ledger(database, zone=DayZone("Pacific/Auckland"), clock=clock)
    assert (await east.charge(TENANT, limit=1)).day == date(2026, 11, 21)
    west = Ledger(database, zone=DayZone("Pacific/Honolulu"), clock=clock)
    assert (await west.charge(TENANT, limit=1)).day == date(2026, 11, 20)
    assert (east.today(), west.today()) == (date(2026, 11, 21), date(2026, 11, 20))


async def test_a_person_in_a_server_is_a_tenant_too(ledger: Ledger) -> None:
    largest = 2**64 - 1
    person, other = f"person:{largest}:{largest}", f"person:{largest}:1"
    assert len(person) <= MAX_TENANT_ID_LENGTH
    for _ in range(2):
        await ledger.charge(person, limit=2)
    with pytest.raises(AllowanceUsedError):
        await ledger.charge(person, limit=2)
    assert (await ledger.charge(other, limit=2)).used == 1
    assert (await ledger.used_today(person, limit=2)).used == 2


async def test_usage_reaches_back_30_days_for_each_of_several_tenants(ledger: Ledger, clock: ManualClock) -> None:
    for day in range(REPORTED_DAYS + 3):
        for name in ("daily", "weekly") if day % 7 == 0 else ("daily",):
            charge = await ledger.charge(name, limit=9)
            await ledger.settle(charge, prompt_tokens=2, completion_tokens=1)
        clock.advance(timedelta(days=1))
    daily, weekly = (await ledger.usage_of(["daily", "weekly"])).values()
    last = clock.now().date() - timedelta(days=1)
    assert [day.date for day in daily.days] == [last - timedelta(days=age) for age in range(30)]
    assert [day.date for day in weekly.days] == [last - timedelta(days=age) for age in (4, 11, 18, 25, 32)]
    assert (daily.prompt_tokens, weekly.prompt_tokens) == (66, 10)


async def test_the_busiest_of_30_days_are_named_in_order(ledger: Ledger, clock: ManualClock) -> None:
    await ledger.charge("long ago", limit=9)
    clock.advance(timedelta(days=REPORTED_DAYS))
    for name, calls in (("some", 2), ("many", 3), ("person:1:2", 4), ("few", 1)):
        for _ in range(calls):
            await ledger.charge(name, limit=9)
    assert await ledger.busiest(9, but_prefix="person:") == ["many", "some", "few"]
    assert await ledger.busiest(1, but_prefix="person:") == ["many"]
