"""Stops asked of another process, and its answers."""

from datetime import timedelta

from storage.database import Database
from storage.stop_requests import KEPT, StopRequest, StopRequests
from tests.storage.conftest import ManualClock

ASKED = StopRequest(discord_message_id=1 << 62, presser_id=7, may_manage=False)


async def test_a_request_is_found_answered_and_withdrawn(database: Database, clock: ManualClock) -> None:
    requests = StopRequests(database, clock=clock)
    await requests.ask(ASKED)
    message_id = ASKED.discord_message_id
    assert await requests.find_open([5]) == []
    assert await requests.find_open([5, message_id]) == [ASKED]
    assert await requests.find_answer(message_id) is None
    await requests.answer(message_id, is_stopped=False)
    assert await requests.find_answer(message_id) is False
    assert await requests.find_open([message_id]) == []
    await requests.withdraw(message_id)
    assert await requests.find_answer(message_id) is None


async def test_a_second_press_takes_the_place_of_the_first(database: Database, clock: ManualClock) -> None:
    requests = StopRequests(database, clock=clock)
    await requests.ask(ASKED)
    await requests.answer(ASKED.discord_message_id, is_stopped=False)
    second = StopRequest(discord_message_id=ASKED.discord_message_id, presser_id=8, may_manage=True)
    await requests.ask(second)
    assert await requests.find_open([ASKED.discord_message_id]) == [second]


async def test_what_nobody_has_taken_back_goes_after_a_while(database: Database, clock: ManualClock) -> None:
    requests = StopRequests(database, clock=clock)
    await requests.ask(ASKED)
    clock.advance(KEPT + timedelta(seconds=1))
    await requests.ask(StopRequest(discord_message_id=2, presser_id=7, may_manage=False))
    assert await requests.find_open([ASKED.discord_message_id]) == []
