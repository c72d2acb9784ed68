"""Open questions: found by whoever knows their id, closed once, gone when they are too old."""

import asyncio
from datetime import timedelta

from storage.database import Database
from storage.open_questions import OpenQuestion, OpenQuestions
from tests.storage.conftest import ManualClock

DEED = {"name": "forget", "arguments": {"id": "tok_1", "seconds": 3.5}}
TWO_MINUTES = timedelta(minutes=2)


async def test_a_question_is_found_by_every_process_and_closed_by_one(
    database: Database, url: str, clock: ManualClock
) -> None:
    here = OpenQuestions(database, clock=clock)
    other = await Database.open(url)
    try:
        there = OpenQuestions(other, clock=clock)
        question_id = await here.open(asked_id=7, deed=DEED, lasts=TWO_MINUTES)
        assert await there.find(question_id) == OpenQuestion(7, DEED)
        closed = await asyncio.gather(*(each.close(question_id) for each in (here, there) * 3))
        assert sorted(closed) == [False] * 5 + [True]
        assert await here.find(question_id) is None
    finally:
        await other.close()


async def test_ids_are_as_good_as_secrets(database: Database, clock: ManualClock) -> None:
    questions = OpenQuestions(database, clock=clock)
    ids = {await questions.open(asked_id=7, deed=DEED, lasts=TWO_MINUTES) for _ in range(20)}
    assert len(ids) == 20
    assert {len(each) for each in ids} == {32}
    assert await questions.find("") is None


async def test_an_old_question_is_closed_and_soon_not_kept(database: Database, clock: ManualClock) -> None:
    questions = OpenQuestions(database, clock=clock)
    old = await questions.open(asked_id=7, deed=DEED, lasts=TWO_MINUTES)
    clock.advance(TWO_MINUTES)
    assert await questions.find(old) is None
    await questions.open(asked_id=7, deed=DEED, lasts=TWO_MINUTES)
    assert not await questions.close(old)
