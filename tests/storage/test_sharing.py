"""Several that write to one database at once: nothing is counted twice, lost, or left behind by one that was killed.

Each test has two open databases, as two processes have; what needs real processes starts them.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from storage import processes as presence
from storage.chats import Chats
from storage.clock import SystemClock
from storage.conversations import Conversations, NewMessage
from storage.database import Database
from storage.days import DayZone
from storage.errors import TooManyError
from storage.ledger import Ledger
from storage.outbox import Outbox
from storage.person_limits import PersonLimits
from storage.personas import Personas
from storage.posted import PostedPart
from storage.schema import daily_usage, process_calls, processes
from storage.signing_keys import SigningKeys
from storage.tokens import TokenStore
from tests.storage.busy_ledger import TENANTS
from tests.storage.test_processes import PROCESSES, release, start

CLOCK = SystemClock()
TENANT = "tok_shared"
GUILD = 5


@pytest.fixture
async def other(url: str) -> AsyncIterator[Database]:
    opened = await Database.open(url)
    yield opened
    await opened.close()


@pytest.fixture
def both(database: Database, other: Database) -> tuple[Database, Database]:
    return database, other


def ledger_on(database: Database) -> Ledger:
    return Ledger(database, zone=DayZone("UTC"), clock=CLOCK)


def refused(outcomes: list[object]) -> int:
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, TooManyError):
            raise outcome
    return sum(isinstance(outcome, TooManyError) for outcome in outcomes)


# Limits


async def test_two_that_issue_tokens_do_not_exceed_a_servers_limit(both: tuple[Database, Database]) -> None:
    stores = [TokenStore(each, clock=CLOCK) for each in both]
    creating = (
        stores[number % 2].create(str(number), daily_calls=1, guild_id=GUILD, limit_in_guild=5) for number in range(20)
    )
    assert refused(await asyncio.gather(*creating, return_exceptions=True)) == 15
    assert len(await stores[0].list(guild_id=GUILD)) == 5


async def test_of_two_that_start_on_an_empty_database_one_issues_the_first_token(
    both: tuple[Database, Database],
) -> None:
    stores = [TokenStore(each, clock=CLOCK) for each in both]
    issued = await asyncio.gather(
        *(stores[number % 2].create_first("first", daily_calls=1, mature=False) for number in range(6))
    )
    assert sum(token is not None for token in issued) == 1
    assert await stores[0].count() == 1


async def test_two_that_rotate_a_token_leave_one_secret(both: tuple[Database, Database]) -> None:
    stores = [TokenStore(each, clock=CLOCK) for each in both]
    token = (await stores[0].create("a", daily_calls=1)).token
    issued = await asyncio.gather(*(stores[number % 2].rotate(token.id) for number in range(10)))
    assert len(await stores[0].find_live([each.secret for each in issued])) == 1
    live = [await stores[0].find_live([each.secret]) for each in issued]
    assert sum(bool(found) for found in live) == 1


async def test_two_that_save_personas_do_not_exceed_a_servers_limit(both: tuple[Database, Database]) -> None:
    kept = [Personas(each, clock=CLOCK) for each in both]
    names = [f"name {number // 2}" for number in range(40)]
    saving = (kept[number % 2].save(GUILD, name, "text", created_by=1, limit=7) for number, name in enumerate(names))
    refused(await asyncio.gather(*saving, return_exceptions=True))
    assert len(await kept[0].list(GUILD)) == 7


async def test_two_that_set_limits_per_person_do_not_exceed_their_number(both: tuple[Database, Database]) -> None:
    limits = [PersonLimits(each, clock=CLOCK) for each in both]
    setting = (
        limits[number % 2].set(GUILD, 5, role_id=number // 2, changed_by=1, limit_count=7) for number in range(2, 42)
    )
    refused(await asyncio.gather(*setting, return_exceptions=True))
    assert len(await limits[0].list(GUILD)) == 7


async def test_two_that_accept_webhooks_do_not_exceed_a_tenants_limit(both: tuple[Database, Database]) -> None:
    outboxes = [Outbox(each, clock=CLOCK) for each in both]
    accepting = (
        outboxes[number % 2].accept(
            tenant_id=TENANT, url="https://x", signing_key=b"k" * 32, track_id=None, most_waiting=6, most_per_minute=99
        )
        for number in range(20)
    )
    assert refused(await asyncio.gather(*accepting, return_exceptions=True)) == 14


async def test_two_that_claim_webhooks_never_hold_the_same(both: tuple[Database, Database]) -> None:
    outboxes = [Outbox(each, clock=CLOCK) for each in both]
    for _ in range(20):
        webhook = await outboxes[0].accept(
            tenant_id=TENANT, url="https://x", signing_key=b"k" * 32, track_id=None, most_waiting=99, most_per_minute=99
        )
        await outboxes[0].fill(webhook, "{}")
    claimed = await asyncio.gather(*(outboxes[number % 2].claim() for number in range(30)))
    ids = [webhook.id for webhook in claimed if webhook is not None]
    assert len(ids) == len(set(ids)) <= 20
    assert len(ids) >= 15, "who finds a row taken by another at this moment may find none, and comes again"


async def test_two_that_ask_for_a_signing_key_get_the_same(both: tuple[Database, Database]) -> None:
    keys = await asyncio.gather(*(SigningKeys(both[number % 2]).get("share") for number in range(20)))
    assert len(set(keys)) == 1


# Words


async def test_two_that_add_to_a_conversation_keep_every_turn_together(both: tuple[Database, Database]) -> None:
    kept = [Conversations(each, clock=CLOCK) for each in both]
    turns = (
        kept[number % 2].append_turn(
            "channel:1",
            NewMessage(role="user", content=str(number)),
            NewMessage(role="assistant", content=f"to {number}"),
            is_cut=False,
        )
        for number in range(30)
    )
    await asyncio.gather(*turns)
    messages = await kept[0].read("channel:1")
    pairs = list(zip(messages[::2], messages[1::2], strict=True))
    assert len(pairs) == 30
    assert all(
        (reply.content, reply.answers_id) == (f"to {question.content}", question.id) for question, reply in pairs
    )


async def test_nothing_is_added_to_what_another_forgets_meanwhile(both: tuple[Database, Database]) -> None:
    kept = [Conversations(each, clock=CLOCK) for each in both]
    question = NewMessage(role="user", content="mine", author_id=7)
    reply = NewMessage(role="assistant", content="yours")

    async def add(number: int) -> None:
        turn = await kept[number % 2].append_turn(f"channel:{number % 3}", question, reply, is_cut=False)
        part = PostedPart(discord_message_id=number, channel_id=1, characters=5)
        await kept[number % 2].link(turn.reply_id, [part], asker_id=7)
        await kept[number % 2].replace_reply(turn.reply_id, "changed", is_cut=False)
        await kept[number % 2].computed_name(f"channel:{number % 3}")

    async def forget(number: int) -> None:
        await kept[number % 2].forget_author(7, key=None)
        await kept[number % 2].delete_by_discord_ids([number, number + 1])

    work = [add(number) for number in range(24)] + [forget(number) for number in range(0, 24, 4)]
    await asyncio.gather(*work)
    await kept[0].forget_author(7, key=None)
    assert [await kept[1].count(f"channel:{number}") for number in range(3)] == [0] * 3


async def test_two_that_ask_for_the_name_of_a_computation_get_the_same(both: tuple[Database, Database]) -> None:
    kept = [Conversations(each, clock=CLOCK) for each in both]
    await kept[0].append("channel:1", NewMessage(role="user", content="a"))
    names = await asyncio.gather(*(kept[number % 2].computed_name("channel:1") for number in range(20)))
    assert len(set(names)) == 1
    assert None not in names


async def test_a_turn_of_a_chat_that_another_begins_anew_does_not_come_back(both: tuple[Database, Database]) -> None:
    kept = [Chats(each, clock=CLOCK) for each in both]
    chat = kept[0].begin(system_prompt="a")
    await kept[0].add_turn(chat, "first", "reply", tenant_id=TENANT)
    chat = await kept[0].read(chat.id, tenant_id=TENANT)
    adding = [kept[0].add_turn(chat, str(number), "reply", tenant_id=TENANT) for number in range(10)]
    anew = kept[1].begin_anew(chat.id, tenant_id=TENANT, system_prompt="b")
    await asyncio.gather(*adding, anew)
    assert (await kept[0].read(chat.id, tenant_id=TENANT)).turns == []


# The ledger


@pytest.mark.postgresql
async def test_four_processes_that_charge_and_close_at_once_leave_exact_books(url: str) -> None:
    calls = 60
    processes = [
        await asyncio.to_thread(start, "-m", "tests.storage.busy_ledger", url, str(seed), str(calls))
        for seed in range(PROCESSES)
    ]
    outputs = await asyncio.gather(*(asyncio.to_thread(release, process) for process in processes))
    counts = [tuple(map(int, output.split())) for output in outputs]
    database = await Database.open(url)
    try:
        usage = await ledger_on(database).usage_of(TENANTS)
        assert sum(each.used_today for each in usage.values()) == sum(used for used, _ in counts)
        assert sum(each.prompt_tokens + each.completion_tokens for each in usage.values()) == sum(
            tokens for _, tokens in counts
        )
        async with database.reading() as connection:
            assert await connection.scalar(select(func.sum(daily_usage.c.open_calls))) == 0
            assert await connection.scalar(select(func.sum(process_calls.c.open_calls))) in (0, None)
    finally:
        await database.close()


async def fall_silent(database: Database) -> None:
    """Have everybody on the database say nothing for long."""
    long = presence.GONE_AFTER + timedelta(seconds=1)
    async with database.writing() as connection:
        await connection.execute(update(processes).values(seen_at=CLOCK.now() - long))


@pytest.mark.postgresql
async def test_the_calls_of_a_killed_process_are_given_back_when_it_has_been_silent_for_long(
    database: Database, url: str
) -> None:
    script = (
        "import asyncio, sys\nfrom tests.storage.test_sharing import *\n"
        "async def main():\n    database = await Database.open(sys.argv[1])\n"
        "    for _ in range(3): await ledger_on(database).charge(TENANT, limit=9)\n"
        "    print('held', flush=True)\n    await asyncio.sleep(600)\nasyncio.run(main())"
    )
    process = await asyncio.to_thread(start, "-c", script, url)
    ledger = ledger_on(database)
    kept = await ledger.charge(TENANT, limit=9)
    process.kill()
    process.communicate(timeout=60)
    assert await ledger.reclaim_open_calls() == 0, "it may only have lost its connection"
    await fall_silent(database)
    async with database.writing() as connection:
        await connection.execute(
            update(processes).where(processes.c.id == await database.join()).values(seen_at=CLOCK.now())
        )
    assert await ledger.reclaim_open_calls() == 3
    assert await ledger.reclaim_open_calls() == 0
    await ledger.keep(kept)
    assert (await ledger.usage(TENANT)).used_today == 1


@pytest.mark.postgresql
async def test_a_process_that_was_taken_for_gone_loses_nothing(both: tuple[Database, Database]) -> None:
    ledger, sibling = (ledger_on(each) for each in both)
    charges = [await ledger.charge(TENANT, limit=9) for _ in range(3)]
    await fall_silent(both[0])
    assert await sibling.reclaim_open_calls() == 3
    assert (await sibling.used_today(TENANT, limit=9)).used == 0
    another = await sibling.charge(TENANT, limit=9)
    await ledger.settle(charges[0], prompt_tokens=1, completion_tokens=2)
    await ledger.keep(charges[1])
    await ledger.give_back(charges[2])
    assert (await ledger.used_today(TENANT, limit=9)).used == 3, "the sibling's, the settled and the kept one"
    await sibling.give_back(another)
    late = await ledger.charge(TENANT, limit=9)
    await ledger.keep(late)
    usage = await ledger.usage(TENANT)
    assert (usage.used_today, usage.prompt_tokens, usage.completion_tokens) == (3, 1, 2)
    async with both[0].reading() as connection:
        assert await connection.scalar(select(daily_usage.c.open_calls)) == 0


@pytest.mark.postgresql
async def test_a_process_that_ends_in_order_leaves_its_open_calls_to_the_others_at_once(
    database: Database, url: str
) -> None:
    leaving = await Database.open(url)
    await ledger_on(leaving).charge(TENANT, limit=9)
    assert await ledger_on(database).reclaim_open_calls() == 0
    await leaving.close()
    assert await ledger_on(database).reclaim_open_calls() == 1
    assert (await ledger_on(database).usage(TENANT)).used_today == 0


@pytest.mark.postgresql
async def test_who_has_been_gone_for_days_is_forgotten(both: tuple[Database, Database]) -> None:
    gone, left = await both[0].join(), await both[1].join()
    async with both[0].writing() as connection:
        await connection.execute(
            update(processes).where(processes.c.id == gone).values(seen_at=CLOCK.now() - timedelta(days=2))
        )
        await connection.run_sync(lambda each: presence.beat(each, left))
        assert list((await connection.execute(select(processes.c.id))).scalars()) == [left]


@pytest.mark.postgresql
async def test_what_a_living_process_makes_is_not_let_go_by_the_start_of_another(
    both: tuple[Database, Database],
) -> None:
    outboxes = [Outbox(each, clock=CLOCK) for each in both]
    held = await outboxes[0].accept(
        tenant_id=TENANT, url="https://x", signing_key=b"k" * 32, track_id=None, most_waiting=9, most_per_minute=9
    )
    await outboxes[1].release_all()
    assert await outboxes[1].claim_interrupted() is None
    assert await outboxes[0].fill(held, "{}")


# Opening


@pytest.mark.postgresql
async def test_processes_that_start_together_migrate_once(blank_url: str) -> None:
    script = (
        "import asyncio, sys\nfrom storage.database import Database\nprint('ready', flush=True)\nsys.stdin.readline()\n"
        "async def main():\n    await (await Database.open(sys.argv[1], busy_timeout_seconds=30)).close()\n"
        "asyncio.run(main())"
    )
    started = [await asyncio.to_thread(start, "-c", script, blank_url) for _ in range(PROCESSES)]
    await asyncio.gather(*(asyncio.to_thread(release, process) for process in started))
