"""The calls of one person: whose limit holds, and that each call is counted exactly once or not at all."""

import asyncio

import pytest

from bot import errors
from bot.config import BotStores
from bot.person_limits import PersonCalls, person_tenant
from storage.database import Database
from storage.errors import StorageError

GUILD, ADA = 10, 20
MODERATORS, PATRONS = 31, 32

OURS = [
    errors.AllowanceUsedError(limit=5, resets_at=None),
    errors.BusyError(retry_after_seconds=1),
    errors.LaneFullError(waiting=16),
    errors.ModelUnavailableError(),
    errors.ServiceRefusedTokenError(),
    errors.ShuttingDownError(),
    errors.TookTooLongError(),
    errors.UnexpectedError(),
    errors.LeakedTokenError(),
    StorageError("locked"),
    RuntimeError("surprise"),
]
THEIRS = [
    errors.PromptTooLongError(),
    errors.EmptyReplyError(),
    errors.StoppedError(),
    errors.WithdrawnError(),
]


def person_calls(stores: BotStores, *, default: int | None = None) -> PersonCalls:
    return PersonCalls(stores.ledger, stores.person_limits, default_daily_calls=default, retry_seconds=(0.01, 0.01))


async def used(stores: BotStores, *, user_id: int = ADA) -> int:
    return (await stores.ledger.used_today(person_tenant(GUILD, user_id), limit=1)).used


@pytest.mark.parametrize(
    ("limits", "default", "role_ids", "holding"),
    [
        ({}, None, [], None),
        ({}, 7, [], 7),
        ({None: 5}, 7, [], 5),
        ({None: 5, MODERATORS: 50}, 7, [MODERATORS], 50),
        ({None: 5, MODERATORS: 2}, 7, [MODERATORS], 2),
        ({None: 5, MODERATORS: 2, PATRONS: 9}, 7, [PATRONS, MODERATORS], 9),
        ({MODERATORS: 50}, None, [PATRONS], None),
        ({None: 0, MODERATORS: 50}, None, [PATRONS], 0),
    ],
)
async def test_the_highest_limit_of_ones_roles_holds_else_everyones_else_the_default(
    stores: BotStores, limits: dict[int | None, int], default: int | None, role_ids: list[int], holding: int | None
) -> None:
    for role_id, daily_calls in limits.items():
        await stores.person_limits.set(GUILD, daily_calls, role_id=role_id, changed_by=1)
    calls = person_calls(stores, default=default)
    assert await calls.limit_of(guild_id=GUILD, role_ids=role_ids) == holding
    assert await calls.limit_of(guild_id=None, role_ids=role_ids) is None
    assert await calls.limit_of(guild_id=GUILD + 1, role_ids=role_ids) == default


async def test_of_many_calls_at_once_exactly_the_limit_goes_through(stores: BotStores) -> None:
    calls = person_calls(stores, default=10)
    answered = 0

    async def ask() -> None:
        nonlocal answered
        async with calls.charged(guild_id=GUILD, user_id=ADA, role_ids=()):
            answered += 1

    results = await asyncio.gather(*(ask() for _ in range(50)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, errors.PersonLimitUsedError)]
    assert (answered, len(refused), await used(stores)) == (10, 40, 10)
    assert refused[0].limit == 10
    assert f"<t:{int(refused[0].resets_at.timestamp())}:R>" in refused[0].sentence()


async def test_people_and_servers_are_counted_apart(stores: BotStores) -> None:
    calls = person_calls(stores, default=1)
    for guild_id, user_id in ((GUILD, ADA), (GUILD, ADA + 1), (GUILD + 1, ADA)):
        async with calls.charged(guild_id=guild_id, user_id=user_id, role_ids=()):
            pass
    with pytest.raises(errors.PersonLimitUsedError):
        async with calls.charged(guild_id=GUILD, user_id=ADA, role_ids=()):
            raise AssertionError("not to be reached")


@pytest.mark.parametrize(("guild_id", "default"), [(None, 1), (GUILD, None)])
async def test_without_a_limit_nothing_is_counted(stores: BotStores, guild_id: int | None, default: int | None) -> None:
    calls = person_calls(stores, default=default)
    for _ in range(3):
        async with calls.charged(guild_id=guild_id, user_id=ADA, role_ids=()):
            pass
    assert await used(stores) == 0


async def test_a_limit_of_none_refuses_with_words_of_its_own(stores: BotStores) -> None:
    calls = person_calls(stores, default=0)
    with pytest.raises(errors.PersonLimitUsedError) as refused:
        async with calls.charged(guild_id=GUILD, user_id=ADA, role_ids=()):
            raise AssertionError("not to be reached")
    assert "<t:" not in refused.value.sentence()


@pytest.mark.parametrize(
    ("error", "kept"),
    [*((error, 0) for error in OURS), *((error, 1) for error in THEIRS)],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
async def test_a_call_is_given_back_unless_its_end_is_the_persons_own_doing(
    stores: BotStores, error: Exception, kept: int
) -> None:
    calls = person_calls(stores, default=5)

    async def ask() -> None:
        async with calls.charged(guild_id=GUILD, user_id=ADA, role_ids=()):
            assert await used(stores) == 1
            raise error

    with pytest.raises(type(error)):
        await ask()
    assert await used(stores) == kept


async def test_a_call_that_is_cancelled_at_any_moment_is_given_back(stores: BotStores) -> None:
    calls = person_calls(stores, default=1000)
    entered = asyncio.Event()

    async def ask() -> None:
        async with calls.charged(guild_id=GUILD, user_id=ADA, role_ids=()):
            entered.set()
            await asyncio.Event().wait()

    for moment in range(200):
        asking = asyncio.create_task(ask())
        # Not to wait for anything: the moments lie before, in and after each statement.
        await asyncio.sleep(moment % 50 * 0.0002)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    entered.clear()
    asking = asyncio.create_task(ask())
    async with asyncio.timeout(30):
        await entered.wait()
    asking.cancel()
    # Cancelled once more while the call is being given back.
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await calls.drain()
    assert await used(stores) == 0


async def test_a_reply_stands_though_its_call_cannot_be_closed(
    stores: BotStores, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    calls = person_calls(stores, default=5)
    async with calls.charged(guild_id=GUILD, user_id=ADA, role_ids=()):
        await database.close()
    await calls.drain()
    assert caplog.text.count("could not be closed yet") == 2


async def test_a_restart_of_the_service_in_the_middle_never_costs_a_person_a_call(stores: BotStores) -> None:
    calls = person_calls(stores, default=5)
    async with calls.charged(guild_id=GUILD, user_id=ADA, role_ids=()):
        await stores.ledger.reclaim_open_calls()
    assert await used(stores) == 0

    async def fail() -> None:
        async with calls.charged(guild_id=GUILD, user_id=ADA, role_ids=()):
            await stores.ledger.reclaim_open_calls()
            raise errors.ModelUnavailableError

    with pytest.raises(errors.ModelUnavailableError):
        await fail()
    assert await used(stores) == 0
    async with calls.charged(guild_id=GUILD, user_id=ADA, role_ids=()):
        pass
    assert await used(stores) == 1


async def test_the_standing_counts_against_the_limit_that_holds(stores: BotStores) -> None:
    calls = person_calls(stores, default=5)
    await stores.person_limits.set(GUILD, 9, role_id=PATRONS, changed_by=1)
    async with calls.charged(guild_id=GUILD, user_id=ADA, role_ids=(PATRONS,)):
        pass
    standing = await calls.standing(guild_id=GUILD, user_id=ADA, role_ids=(PATRONS,))
    assert standing is not None
    assert (standing.used, standing.limit) == (1, 9)
    unlimited = person_calls(stores)
    assert await unlimited.standing(guild_id=GUILD, user_id=ADA, role_ids=()) is None
