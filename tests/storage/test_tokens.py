import asyncio
import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from storage.database import Database
from storage.days import DayZone
from storage.errors import (
    TokenExpiredError,
    TokenNotFoundError,
    TokenRefusedError,
    TokenRevokedError,
    TokenUnknownError,
)
from storage.ledger import Ledger
from storage.tokens import EVERY_GUILD, SECRET_PREFIX, TokenStore, digest, generate_secret
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


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "parley_",
        generate_secret(),
        generate_secret() + "\n",
        "\n" + generate_secret(),
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
