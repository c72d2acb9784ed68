import asyncio
import re
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from storage.database import Database
from storage.days import DayZone
from storage.errors import (
    TokenExpiredError,
    TokenNotFoundError,
    TokenRefusedError,
    TokenRevokedError,
    TokenRotatedError,
    TokenUnknownError,
    TooManyTokensError,
)
from storage.ledger import Ledger
from storage.tokens import EVERY_GUILD, MAX_GRACE, SECRET_PREFIX, TokenStore, digest, generate_secret
from tests.storage.conftest import ManualClock, bytes_on_disk


@pytest.fixture
def store(database: Database, clock: ManualClock) -> TokenStore:
    return TokenStore(database, clock=clock)


def test_a_secret_is_recognisable_and_has_32_random_bytes() -> None:
    secrets = {generate_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(re.fullmatch(r"parley_[A-Za-z0-9_-]{43}", secret) for secret in secrets)


async def test_an_issued_secret_finds_its_token(store: TokenStore, clock: ManualClock) -> None:
    expires_at = clock.now() + timedelta(days=1)
    issued = await store.create(
        "  weather bot  ",
        daily_calls=7,
        guild_id=2**63 - 1,
        created_by=42,
        llm_balance=1_000,
        expires_at=expires_at,
        mature=True,
    )
    token = await store.find(issued.secret)
    assert token == issued.token == await store.get(token.id)
    assert re.fullmatch(r"tok_[a-z2-9]{12}", token.id)
    assert token.tenant_id == token.id
    assert (token.name, token.daily_calls, token.guild_id, token.created_by) == ("weather bot", 7, 2**63 - 1, 42)
    assert (token.llm_balance, token.expires_at, token.mature) == (1_000, expires_at, True)
    assert token.created_at == clock.now()
    assert token.created_at.tzinfo is not None


async def test_instants_keep_their_microseconds_and_come_back_in_utc(store: TokenStore) -> None:
    expires_at = datetime.fromisoformat("2027-01-01T00:00:00.123456+05:30")
    issued = await store.create("a", daily_calls=1, expires_at=expires_at)
    stored = (await store.get(issued.token.id)).expires_at
    assert stored == expires_at
    assert stored is not None
    assert stored.utcoffset() == timedelta(0)


WELL_FORMED = "parley_" + "Az09-_" * 7 + "x"


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "parley_",
        WELL_FORMED,
        WELL_FORMED + "\n",
        "\n" + WELL_FORMED,
        "parley_" + "\0" * 43,
        "parley_" + "é" * 43,
        "parley_\ud800" + "a" * 43,
        "parley_" + "a" * 1_000_000,
        "' OR 1=1 --",
        "tok_abcdefghjkmn",
    ],
)
async def test_any_other_text_is_unknown(store: TokenStore, secret: str) -> None:
    await store.create("a", daily_calls=1)
    with pytest.raises(TokenUnknownError):
        await store.find(secret)


async def test_an_issued_secret_with_anything_around_it_is_unknown(store: TokenStore) -> None:
    secret = (await store.create("a", daily_calls=1)).secret
    for wrong in (secret + "\n", secret + " ", secret[:-1], secret.upper(), secret.removeprefix(SECRET_PREFIX)):
        with pytest.raises(TokenUnknownError):
            await store.find(wrong)


async def test_a_token_expires_at_its_instant(store: TokenStore, clock: ManualClock) -> None:
    issued = await store.create("a", daily_calls=1, expires_at=clock.now() + timedelta(seconds=10))
    clock.advance(timedelta(seconds=9.999))
    assert await store.find(issued.secret) == issued.token
    clock.advance(timedelta(seconds=0.001))
    with pytest.raises(TokenExpiredError) as caught:
        await store.find(issued.secret)
    assert caught.value.token_id == issued.token.id
    with pytest.raises(TokenExpiredError):
        await store.rotate(issued.token.id)


async def test_a_revoked_token_is_refused_and_revoking_again_changes_nothing(
    store: TokenStore, clock: ManualClock
) -> None:
    issued = await store.create("a", daily_calls=1, expires_at=clock.now() + timedelta(days=1))
    revoked = await store.revoke(issued.token.id)
    assert revoked.revoked_at == clock.now()
    clock.advance(timedelta(days=2))
    assert await store.revoke(issued.token.id) == revoked
    with pytest.raises(TokenRevokedError):
        await store.find(issued.secret)
    with pytest.raises(TokenRevokedError):
        await store.rotate(issued.token.id)
    assert await store.list() == []
    assert await store.list(include_revoked=True) == [revoked]
    assert await store.count() == 1


async def test_rotation_ends_the_old_secret_at_once_and_keeps_the_rest(store: TokenStore) -> None:
    first = await store.create("a", daily_calls=3, guild_id=1, llm_balance=9)
    second = await store.rotate(first.token.id)
    third = await store.rotate(first.token.id)
    assert first.token == second.token == third.token
    assert await store.find(third.secret) == first.token
    for ended in (first.secret, second.secret):
        with pytest.raises(TokenRevokedError):
            await store.find(ended)


async def test_rotation_keeps_what_was_used(store: TokenStore, ledger: Ledger) -> None:
    issued = await store.create("a", daily_calls=2)
    await ledger.charge(issued.token.tenant_id, limit=issued.token.daily_calls)
    rotated = await store.rotate(issued.token.id)
    assert (await ledger.used_today(rotated.token.tenant_id, limit=2)).used == 1


async def test_of_simultaneous_rotations_exactly_one_secret_stays(store: TokenStore) -> None:
    issued = await store.create("a", daily_calls=3)
    rotated = await asyncio.gather(*(store.rotate(issued.token.id) for _ in range(10)))
    outcomes = await asyncio.gather(*(store.find(one.secret) for one in rotated), return_exceptions=True)
    assert sum(outcome == issued.token for outcome in outcomes) == 1
    assert sum(isinstance(outcome, TokenRevokedError) for outcome in outcomes) == 9


async def test_refusals_are_one_family() -> None:
    assert all(
        issubclass(kind, TokenRefusedError) for kind in (TokenUnknownError, TokenRevokedError, TokenExpiredError)
    )


async def test_a_token_gets_another_name_and_other_limits_and_keeps_the_rest(store: TokenStore) -> None:
    issued = await store.create("a", daily_calls=3, guild_id=1, llm_balance=9)
    assert await store.change(issued.token.id, guild_id=1) == issued.token
    changed = await store.change(issued.token.id, guild_id=1, name=" b ", daily_calls=4)
    assert changed == replace(issued.token, name="b", daily_calls=4)
    assert await store.change(issued.token.id, llm_balance=0) == replace(changed, llm_balance=0)
    assert await store.find(issued.secret) == replace(changed, llm_balance=0)
    impossible: tuple[dict[str, Any], ...] = ({"name": "a\nb"}, {"daily_calls": -1}, {"llm_balance": 2**63})
    for values in impossible:
        with pytest.raises(ValueError, match=r"(name|daily calls|LLM tokens): "):
            await store.change(issued.token.id, **values)
    with pytest.raises(TokenNotFoundError):
        await store.change(issued.token.id, guild_id=2, name="theirs")
    assert (await store.get(issued.token.id)).name == "b"


async def test_a_guild_reaches_only_its_own_tokens(store: TokenStore) -> None:
    ours = (await store.create("ours", daily_calls=1, guild_id=1)).token
    theirs = (await store.create("theirs", daily_calls=1, guild_id=2)).token
    nobodys = (await store.create("operator's", daily_calls=1)).token
    assert await store.list(guild_id=1) == [ours]
    assert await store.list(guild_id=None) == [nobodys]
    assert await store.list(guild_id=3) == []
    assert {token.id for token in await store.list()} == {ours.id, theirs.id, nobodys.id}
    for foreign in (theirs, nobodys):
        for touch in (store.get, store.revoke, store.rotate):
            with pytest.raises(TokenNotFoundError):
                await touch(foreign.id, guild_id=1)
    assert (await store.get(theirs.id)).revoked_at is None
    assert (await store.get(theirs.id, guild_id=EVERY_GUILD)) == theirs
    assert (await store.revoke(ours.id, guild_id=1)).revoked_at is not None


async def test_an_unknown_id_is_not_found(store: TokenStore) -> None:
    for touch in (store.get, store.revoke, store.rotate):
        with pytest.raises(TokenNotFoundError):
            await touch("tok_none")


async def test_tokens_are_listed_in_the_order_they_were_issued(store: TokenStore, clock: ManualClock) -> None:
    for name in ("c", "a", "b"):
        await store.create(name, daily_calls=1)
        clock.advance(timedelta(seconds=1))
    assert [token.name for token in await store.list()] == ["c", "a", "b"]


@pytest.mark.parametrize("name", ["", "   ", "\n", "a\nb", "a\0b", "a\x1b[31mb", "a\u2028b", "\ud800", "x" * 65])
async def test_an_unusable_name_is_refused_with_words(store: TokenStore, name: str) -> None:
    with pytest.raises(ValueError, match=r"name: (give|line)"):
        await store.create(name, daily_calls=1)
    assert await store.count() == 0


@pytest.mark.parametrize("name", ["x", "x" * 64, "Wetter-Bot №1 \N{SUN WITH FACE}", "'; DROP TABLE api_tokens; --"])
async def test_any_printable_name_is_kept(store: TokenStore, name: str) -> None:
    assert (await store.get((await store.create(name, daily_calls=1)).token.id)).name == name


@pytest.mark.parametrize("number", [-1, 2**63, 10**30])
async def test_impossible_numbers_are_refused_with_words(store: TokenStore, number: int) -> None:
    with pytest.raises(ValueError, match="daily calls: give"):
        await store.create("a", daily_calls=number)
    with pytest.raises(ValueError, match="LLM tokens: give"):
        await store.create("a", daily_calls=1, llm_balance=number)
    assert await store.count() == 0


async def test_a_time_without_a_zone_is_refused(store: TokenStore) -> None:
    naive = datetime.fromisoformat("2030-01-01T00:00")
    with pytest.raises(ValueError, match="expiry: give"):
        await store.create("a", daily_calls=1, expires_at=naive)
    assert await store.count() == 0


async def test_no_secret_is_in_the_file_or_in_a_repr(store: TokenStore, database: Database, path: Path) -> None:
    issued = await store.create("a", daily_calls=1)
    rotated = await store.rotate(issued.token.id)
    await store.find(rotated.secret)
    on_disk = bytes_on_disk(path)
    await database.close()
    on_disk += bytes_on_disk(path)
    assert digest(issued.secret) in on_disk
    for secret in (issued.secret, rotated.secret):
        assert secret.removeprefix(SECRET_PREFIX).encode() not in on_disk
        assert secret not in repr((issued, rotated))
        assert secret not in str(issued)


async def test_a_settled_reply_lowers_the_balance_that_find_reports(
    store: TokenStore, database: Database, clock: ManualClock
) -> None:
    issued = await store.create("a", daily_calls=5, llm_balance=10)
    ledger = Ledger(database, zone=DayZone("UTC"), clock=clock)
    charge = await ledger.charge(issued.token.tenant_id, limit=5)
    assert await ledger.settle(charge, prompt_tokens=4, completion_tokens=9) == -3
    assert (await store.find(issued.secret)).llm_balance == -3


# Rotation with a grace period


async def opens(store: TokenStore, secret: str) -> bool:
    try:
        await store.find(secret)
    except TokenRevokedError:
        return False
    return True


async def test_the_old_secret_opens_the_token_until_the_grace_is_over(store: TokenStore, clock: ManualClock) -> None:
    first = await store.create("a", daily_calls=3)
    second = await store.rotate(first.token.id, grace=timedelta(hours=1))
    clock.advance(timedelta(minutes=59, seconds=59.999))
    assert await store.find(first.secret) == await store.find(second.secret) == first.token
    clock.advance(timedelta(seconds=0.001))
    assert [await opens(store, one.secret) for one in (first, second)] == [False, True]


@pytest.mark.parametrize(
    ("graces_hours", "ends_hours"),
    [((5, 2), (2, 2)), ((2, 5), (2, 5)), ((5, 0), (0, 0)), ((0, 5), (0, 5)), ((5, 5), (5, 5)), ((0, 0), (0, 0))],
)
async def test_a_second_rotation_can_only_bring_the_end_of_a_secret_nearer(
    store: TokenStore, clock: ManualClock, graces_hours: tuple[int, int], ends_hours: tuple[int, int]
) -> None:
    issued = [await store.create("a", daily_calls=3)]
    issued += [await store.rotate(issued[0].token.id, grace=timedelta(hours=hours)) for hours in graces_hours]
    for hour in range(7):
        expected = [hour < ends_hours[0], hour < ends_hours[1], True]
        assert [await opens(store, one.secret) for one in issued] == expected
        clock.advance(timedelta(hours=1))


async def test_a_revoked_token_has_no_grace(store: TokenStore) -> None:
    first = await store.create("a", daily_calls=3)
    second = await store.rotate(first.token.id, grace=timedelta(hours=1))
    await store.revoke(first.token.id)
    assert [await opens(store, one.secret) for one in (first, second)] == [False, False]


async def test_a_token_expires_although_a_secret_of_it_has_grace(store: TokenStore, clock: ManualClock) -> None:
    first = await store.create("a", daily_calls=3, expires_at=clock.now() + timedelta(hours=1))
    await store.rotate(first.token.id, grace=timedelta(hours=2))
    clock.advance(timedelta(hours=1))
    with pytest.raises(TokenExpiredError):
        await store.find(first.secret)


@pytest.mark.parametrize("grace", [timedelta(microseconds=-1), MAX_GRACE + timedelta(microseconds=1), timedelta.max])
async def test_an_impossible_grace_is_refused_with_words_and_rotates_nothing(
    store: TokenStore, grace: timedelta
) -> None:
    issued = await store.create("a", daily_calls=3)
    with pytest.raises(ValueError, match="grace period: give 0 to 365 days"):
        await store.rotate(issued.token.id, grace=grace)
    assert await store.find(issued.secret) == issued.token


# What a watcher of posted texts asks


async def test_only_what_opens_a_token_now_is_live(store: TokenStore, clock: ManualClock) -> None:
    lasting, revoked, rotated, graced = [await store.create(name, daily_calls=1) for name in ("a", "b", "c", "d")]
    expiring = await store.create("e", daily_calls=1, expires_at=clock.now() + timedelta(hours=1))
    await store.revoke(revoked.token.id)
    await store.rotate(rotated.token.id)
    await store.rotate(graced.token.id, grace=timedelta(hours=1))
    posted = [one.secret for one in (lasting, revoked, rotated, graced, expiring)]
    live = await store.find_live([*posted, generate_secret()])
    assert {token.id for token in live} == {lasting.token.id, graced.token.id, expiring.token.id}
    clock.advance(timedelta(hours=1))
    assert await store.find_live(posted) == [lasting.token]


async def test_a_token_posted_twice_or_with_two_of_its_secrets_is_named_once(store: TokenStore) -> None:
    first = await store.create("a", daily_calls=1)
    second = await store.rotate(first.token.id, grace=timedelta(hours=1))
    assert await store.find_live([second.secret, first.secret, first.secret]) == [first.token]


async def test_live_tokens_come_in_the_order_they_were_issued(store: TokenStore, clock: ManualClock) -> None:
    issued = []
    for number in range(600):
        issued.append(await store.create(str(number), daily_calls=1))
        clock.advance(timedelta(seconds=1))
    found = await store.find_live([one.secret for one in reversed(issued)])
    assert found == [one.token for one in issued]


async def test_whatever_else_people_post_is_passed_over(store: TokenStore) -> None:
    issued = await store.create("a", daily_calls=1)
    noise = ["", "\0", "\ud800", SECRET_PREFIX, SECRET_PREFIX + "é" * 43, issued.secret + "\n", issued.secret.upper()]
    noise += ["tok_abcdefghjkmn", issued.token.id, "x" * 1_000_000, *(generate_secret() for _ in range(1_000))]
    assert await store.find_live(noise) == []
    assert await store.find_live([*noise, issued.secret]) == [issued.token]
    assert await store.find_live([]) == []


# A limit per server


async def test_a_server_has_no_more_active_tokens_than_it_may(store: TokenStore, clock: ManualClock) -> None:
    for name in ("a", "b"):
        await store.create(name, daily_calls=1, guild_id=1, limit_in_guild=3)
    await store.create("c", daily_calls=1, guild_id=1, expires_at=clock.now() + timedelta(hours=1))
    with pytest.raises(TooManyTokensError) as caught:
        await store.create("d", daily_calls=1, guild_id=1, limit_in_guild=3)
    assert caught.value.limit == 3
    assert await store.count() == 3


async def test_revoked_and_expired_tokens_and_those_of_others_take_no_room(
    store: TokenStore, clock: ManualClock
) -> None:
    await store.revoke((await store.create("revoked", daily_calls=1, guild_id=1)).token.id)
    await store.create("expiring", daily_calls=1, guild_id=1, expires_at=clock.now() + timedelta(hours=1))
    await store.create("theirs", daily_calls=1, guild_id=2)
    await store.create("operator's", daily_calls=1)
    with pytest.raises(TooManyTokensError):
        await store.create("too early", daily_calls=1, guild_id=1, limit_in_guild=1)
    clock.advance(timedelta(hours=1))
    await store.create("fits", daily_calls=1, guild_id=1, limit_in_guild=1)
    with pytest.raises(TooManyTokensError):
        await store.create("operator's second", daily_calls=1, limit_in_guild=1)


async def test_of_simultaneous_creations_exactly_as_many_succeed_as_there_is_room(store: TokenStore) -> None:
    creations = [store.create(str(number), daily_calls=1, guild_id=1, limit_in_guild=5) for number in range(20)]
    outcomes = await asyncio.gather(*creations, return_exceptions=True)
    assert sum(isinstance(outcome, TooManyTokensError) for outcome in outcomes) == 15
    assert len(await store.list(guild_id=1)) == 5


async def test_a_rotation_of_what_was_rotated_meanwhile_changes_nothing(store: TokenStore, clock: ManualClock) -> None:
    issued = await store.create("mine", daily_calls=1)
    clock.advance(timedelta(seconds=1))
    seen_at = clock.now()
    clock.advance(timedelta(seconds=1))
    first = await store.rotate(issued.token.id, seen_at=seen_at)
    with pytest.raises(TokenRotatedError):
        await store.rotate(issued.token.id, seen_at=seen_at)
    assert (await store.find(first.secret)).id == issued.token.id
    await store.rotate(issued.token.id, seen_at=clock.now())
