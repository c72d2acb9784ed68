"""How a reply that grows ends when it does not end well: refusals, deletions, faults of Discord, cancellation."""

import asyncio
import gc
from typing import Any

import discord
import pytest

from bot.live import CALM_SECONDS, LINE_SECONDS, LiveReply
from bot.pacing import Pacer
from bot.screens import Part
from tests.bot.leaping_loop import leap
from tests.bot.recording_screen import RecordingScreen, http_error, posted_before, type_out

MAX_MESSAGES = 4


def test_a_refusal_takes_the_place_of_the_line() -> None:
    async def scene() -> None:
        screen = RecordingScreen()
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            live.running_view = discord.ui.View()
            live.say("1st in line")
            await asyncio.sleep(LINE_SECONDS + 1)
            await live.refuse("Too busy.")
        assert list(screen.messages.values()) == [Part(content="Too busy.")]
        assert screen.told == []

    leap(scene())


def test_a_refusal_where_nothing_was_shown_is_a_message() -> None:
    async def scene() -> None:
        screen = RecordingScreen()
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            live.write("Never shown.")
            await live.refuse("Too busy.")
        assert screen.contents == ["Too busy."]

    leap(scene())


def test_a_refusal_before_the_reply_has_begun_goes_to_the_asker() -> None:
    async def scene() -> None:
        screen = RecordingScreen()
        await LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES).refuse("Too many wait.")
        assert (screen.told, screen.requests, screen.is_begun) == (["Too many wait."], [], False)

    leap(scene())


def test_a_refusal_in_the_middle_keeps_what_stands_without_buttons() -> None:
    async def scene() -> None:
        screen = RecordingScreen()
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            live.running_view = discord.ui.View()
            live.write("Half a repl")
            await asyncio.sleep(3)
            await live.refuse("The model has stopped.")
        assert list(screen.messages.values()) == [Part(content="Half a repl")]
        assert screen.told == ["The model has stopped."]

    leap(scene())


def test_a_change_that_fails_while_the_reply_is_finished_is_made_again_without_noise() -> None:
    async def scene() -> list[dict[str, Any]]:
        unheard: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unheard.append(context))
        screen = RecordingScreen()
        screen.meet([OSError("lost")])
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            live.write("Half a repl")
            await asyncio.sleep(CALM_SECONDS + screen.latency_seconds / 2)
            await live.finish("Half a reply.", view=None)
        assert screen.contents == ["Half a reply."]
        del live
        gc.collect()
        return unheard

    assert leap(scene()) == []


def test_a_refusal_puts_back_what_a_failed_change_may_have_made() -> None:
    async def scene() -> None:
        screen, buttons = RecordingScreen(are_faults_late=True), discord.ui.View()
        shown = await posted_before(screen, "The old reply.")
        screen.meet([OSError("lost")])
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES, shown=shown) as live:
            live.running_view = discord.ui.View()
            await asyncio.sleep(CALM_SECONDS + 2 * screen.latency_seconds)
            await live.refuse("That did not work.", view=buttons)
        assert list(screen.messages.values()) == [Part(content="The old reply.", view=buttons)]

    leap(scene())


def test_a_refusal_before_an_old_reply_was_touched_leaves_its_buttons() -> None:
    async def scene() -> None:
        screen = RecordingScreen()
        shown = await posted_before(screen, "The old reply.")
        before = list(screen.messages.values())
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES, shown=shown) as live:
            await live.refuse("Not now.", view=discord.ui.View())
        assert list(screen.messages.values()) == before
        assert screen.told == ["Not now."]

    leap(scene())


def test_a_withdrawn_reply_leaves_nothing() -> None:
    async def scene() -> None:
        screen = RecordingScreen()
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            await type_out(live, "word " * 500, seconds=10)
            await live.withdraw()
        assert (screen.messages, screen.told) == ({}, [])

    leap(scene())


@pytest.mark.parametrize("moment", [0.1, CALM_SECONDS + 0.05, 1.9, 4.3])
def test_a_deleted_message_is_noticed_and_nothing_more_is_sent(moment: float) -> None:
    async def scene() -> None:
        screen, text = RecordingScreen(), "word " * 800
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            writing = asyncio.create_task(type_out(live, text, seconds=20))
            await asyncio.sleep(CALM_SECONDS + 2 * screen.latency_seconds + moment)
            screen.messages.clear()
            await live.gone.wait()
            assert live.is_gone
            sent = screen.count("send")
            await writing
            posted = await live.finish(text, view=None)
        assert (screen.messages, screen.count("send"), len(posted)) == ({}, sent, 1)

    leap(scene())


def test_below_a_message_deleted_just_before_the_end_nothing_is_sent() -> None:
    async def scene() -> None:
        screen, text = RecordingScreen(), "word " * 700
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            live.write("word")
            await asyncio.sleep(1)
            screen.messages.clear()
            posted = await live.finish(text, view=None)
            assert live.is_gone
        assert screen.messages == {}
        assert [part.discord_message_id for part in posted] == list(live.message_ids)

    leap(scene())


@pytest.mark.parametrize("error", [http_error(403, 50013), http_error(404, 10003)])
def test_where_nothing_can_be_shown_any_more_the_writer_is_told(error: discord.HTTPException) -> None:
    async def scene() -> None:
        screen = RecordingScreen()
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            screen.meet([None, error])
            await type_out(live, "word " * 100, seconds=5)
            await live.gone.wait()

    leap(scene())


def test_a_last_change_is_tried_twice_and_then_fails() -> None:
    async def scene() -> None:
        screen = RecordingScreen()
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            screen.meet([OSError("lost"), OSError("lost")])
            with pytest.raises(OSError, match="lost"):
                await live.finish("All of it.", view=None)
        assert screen.is_ended

    leap(scene())


def test_messages_out_of_reach_are_shown_anew_below() -> None:
    async def scene() -> None:
        screen, text = RecordingScreen(), "word " * 300
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            await type_out(live, text[:900], seconds=3)
            (lost,) = screen.messages
            screen.out_of_reach.add(lost)
            await type_out(live, text, seconds=3)
            (part,) = await live.finish(text, view=None)
        assert part.discord_message_id != lost
        assert screen.messages[part.discord_message_id] == Part(content=text)

    leap(scene())


def test_a_failing_discord_is_asked_less_and_less() -> None:
    async def scene() -> None:
        screen = RecordingScreen()
        screen.meet([http_error(503)] * 1000)
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            live.write("Something")
            await asyncio.sleep(120)
            assert 1000 - len(screen.faults) <= 12
            screen.meet([])
            await live.finish("Something", view=None)
        assert screen.contents == ["Something"]

    leap(scene())


def test_a_cancelled_reply_leaves_no_task_behind() -> None:
    async def scene() -> None:
        screen = RecordingScreen(latency_seconds=5)

        async def reply() -> None:
            async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
                await type_out(live, "word " * 500, seconds=100)

        for seconds in (0.1, 3.0, 8.0, 11.0):
            running = asyncio.create_task(reply())
            await asyncio.sleep(seconds)
            running.cancel()
            await asyncio.wait([running])
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert screen.is_ended

    leap(scene())


def test_the_buttons_of_a_finished_reply_can_be_taken_away() -> None:
    async def scene() -> None:
        screen = RecordingScreen()
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            await live.finish("word " * 500, view=discord.ui.View())
        before = screen.contents
        await live.take_view_away()
        assert screen.contents == before
        assert [part.view for part in screen.messages.values()] == [None, None]

    leap(scene())
