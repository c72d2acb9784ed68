"""A minute of the soak, start and end included, and proof that its audit would find what must not be."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import delete

from storage.chats import Chats
from storage.clock import SystemClock
from storage.database import Database
from storage.days import DayZone
from storage.ledger import Ledger
from storage.schema import chat_turns
from storage.tokens import IssuedToken, TokenStore
from tests.new_database import url_of_new
from tests.soak import audit
from tests.soak.book import Book
from tests.soak.chaos import Pace
from tests.soak.soak import Plan, print_report, soak
from tests.soak.world import Talk

MINUTE = Plan(seconds=48.0, workers=12, seed=1906, pace=Pace(pause=(3.0, 8.0), calm_seconds=6.0), is_long=False)


LOCKED = Plan(
    seconds=35.0, workers=4, seed=2411, pace=Pace(pause=(2.0, 2.0), calm_seconds=0, only_lock=True), is_long=False
)


@pytest.mark.timeout(300)
async def test_mixed_traffic_and_kill_9_and_beside_it_a_lock_of_30_seconds_lose_nothing_and_leave_nothing() -> None:
    # Two processes in one minute: who is locked out mostly waits.
    report, locked = await asyncio.gather(soak(MINUTE), soak(LOCKED))
    print_report(report)
    print_report(locked)
    assert [*report["problems"], *locked["problems"]] == []
    assert (locked["counts"]["long locks"], locked["lives"]) == (1, 1)
    assert min(locked["counts"]["status 503"], locked["counts"]["replies"]) > 0
    counts = report["counts"]
    assert counts["engine kills"]
    assert counts["process kills"] == report["lives"] - 1 >= 1
    assert min(counts["replies"], counts["turns"], counts["webhooks accepted"], counts["no http"]) > 0


async def test_the_audit_finds_a_call_too_many_or_too_few_and_a_torn_conversation(tmp_path: Path) -> None:
    path, clock = tmp_path / "parley.db", SystemClock()
    database = await Database.open(url_of_new(path))
    try:
        token = await TokenStore(database, clock=clock).create("one", daily_calls=9, llm_balance=100)
        ledger, chats = Ledger(database, zone=DayZone("UTC"), clock=clock), Chats(database, clock=clock)
        charge = await ledger.charge(token.token.id, limit=9)
        await ledger.settle(charge, prompt_tokens=5, completion_tokens=7)
        chat = chats.begin(system_prompt="")
        await chats.add_turn(chat, "What?", "That.", tenant_id=token.token.id)
        talk = Talk(chat_id=chat.id, turns=[("What?", "That.")])
        assert problems(path, token, talk, calls=1) == []
        assert "the ledger has 1 calls, callers know of 2 to 2" in problems(path, token, talk, calls=2)[0]
        await ledger.charge(token.token.id, limit=9)
        assert unpaid(path, token) == ["one: 1 calls more than were told, 0 prompt tokens"]
        assert [each.split(",")[0] for each in problems(path, token, talk, calls=1)] == [
            "one: the ledger has 2 calls",
            "1 open calls are left",
        ]
        async with database.writing() as connection:
            await connection.execute(delete(chat_turns))
        assert any("a conversation holds 0 turns of 1" in each for each in problems(path, token, talk, calls=2))
    finally:
        await database.close()


def problems(path: Path, token: IssuedToken, talk: Talk, *, calls: int) -> list[str]:
    book = Book()
    book.begin(token.token.id)
    book.told(token.token.id, calls=calls, prompt_tokens=5, completion_tokens=7)
    audit.check(book, path, tokens=[token], talks=[talk])
    return book.problems


def unpaid(path: Path, token: IssuedToken) -> list[str]:
    """Say what the audit makes of one call told and one that was cut off."""
    book = Book()
    book.begin(token.token.id)
    book.told(token.token.id, calls=1, prompt_tokens=5, completion_tokens=7)
    book.left(token.token.id, book.begin(token.token.id), most_completion_tokens=9)
    audit.check_patient(book, path, tokens=[token])
    return book.problems
