"""Which running reply belongs to a Discord message, and how it is ended from outside."""

import asyncio

import pytest

from bot.errors import StoppedError, WithdrawnError
from bot.lanes import Lanes, Place
from bot.running import Running, RunningReplies


def _running(place: Place, *message_ids: int, question_id: int | None = None, channel_id: int = 1) -> Running:
    return Running(
        place=place,
        asker_id=7,
        channel_id=channel_id,
        question_message_id=question_id,
        message_ids=lambda: message_ids,
    )


async def _is_ended_by(place: Place, error: type[Exception]) -> None:
    with pytest.raises(error):
        async with place.interruptible():
            pytest.fail("it was ended")


async def test_a_reply_is_found_by_its_messages_while_it_runs() -> None:
    replies = RunningReplies()
    with Lanes().place("x") as place:
        running = _running(place, 11, 12, question_id=10)
        with replies.entry(running):
            assert replies.find(12) is running
            assert (replies.find(10), replies.find(13)) == (None, None)
        assert (replies.find(12), len(replies)) == (None, 0)
        assert running.ended.is_set()


@pytest.mark.parametrize(("deleted", "is_ended"), [(10, True), (11, True), (12, True), (13, False)])
async def test_the_deletion_of_a_question_or_of_a_part_ends_that_reply_alone(*, deleted: int, is_ended: bool) -> None:
    replies, lanes = RunningReplies(), Lanes()
    with lanes.place("x") as place, lanes.place("y") as other:
        with replies.entry(_running(place, 11, 12, question_id=10)), replies.entry(_running(other, 21)):
            replies.cancel_by_message(deleted)
        if is_ended:
            await _is_ended_by(place, WithdrawnError)
        for untouched in (other,) if is_ended else (place, other):
            async with untouched.interruptible():
                pass


async def test_the_deletion_of_channels_ends_the_replies_there() -> None:
    replies, lanes = RunningReplies(), Lanes()
    with lanes.place("x") as here, lanes.place("y") as there:
        running = _running(here, 11)
        with replies.entry(running), replies.entry(_running(there, 21, channel_id=2)):
            assert replies.cancel_by_channels({1, 3}) == [running]
        await _is_ended_by(here, WithdrawnError)
        async with there.interruptible():
            pass


async def test_a_stop_ends_a_reply() -> None:
    with Lanes().place("x") as place:
        _running(place).stop()
        await _is_ended_by(place, StoppedError)


async def test_a_reply_that_is_just_being_finished_is_waited_for() -> None:
    replies = RunningReplies()
    assert await replies.is_settled(11)
    with Lanes().place("x") as place:
        running = _running(place, 11)
        with replies.entry(running):
            assert not await replies.is_settled(11)
            running.is_written = True
            asking = asyncio.create_task(replies.is_settled(11))
            await asyncio.sleep(0)
            assert not asking.done()
        assert await asking
