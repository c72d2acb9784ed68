"""Replies that grow: what stands in Discord at the end, and what was shown on the way."""

import asyncio
import itertools
import re
from collections.abc import Sequence

import discord
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.layout import FILE_NAME
from bot.live import CALM_SECONDS, LINE_SECONDS, LiveReply
from bot.pacing import MIN_SECONDS_BETWEEN_EDITS, Pacer
from bot.screens import Part
from bot.splitting import MAX_CHARACTERS, split
from bot.standing import SUPERSEDED, ShownPart
from storage.posted import PostedPart
from tests.bot.leaping_loop import leap
from tests.bot.recording_screen import CHANNEL_ID, RecordingScreen, http_error

_LONG_AGO = 60.0
MAX_MESSAGES = 4

_STRETCHES = st.sampled_from(
    (
        "word " * 40,
        "A sentence that ends. " * 12,
        "line\n" * 30,
        "paragraph\n\n" * 8,
        "```py\n" + "value = compute(1)\n" * 25 + "```\n",
        "```\n" + "no language\n\n" * 20,
        "~~~\nother fence\n~~~\n",
        "``` in a sentence ",
        "`code` ",
        "👨‍👩‍👧‍👦🇩🇪👍🏽❤️" * 15,
        "<@123456789012345678> <:parley:123456789012345678> <t:1700000000:R> " * 4,
        "[a link](https://example.org/path) https://example.org/a/b?c=d " * 4,
        "完了しました。次に進みます。" * 20,
        "مرحبا بالعالم " * 15,
        "z" + "\u0301\u0327" * 60,
        "x" * 700,
        "https://example.org/" + "a" * 2500,
        " " * 300,
        "\n" * 50,
        "- item\n  - item below\n" * 10,
        "> quote\n" * 10,
        "@everyone ",
    )
)
_TEXTS = st.lists(_STRETCHES, min_size=1, max_size=14).map("".join).filter(lambda text: bool(text.strip()))
_STEPS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 3)), max_size=12)
"""How far the text has come, as a part of it, and how many seconds pass then."""

_FAULTS = st.lists(
    st.sampled_from([None, None, None, http_error(503), OSError("lost"), http_error(400, 50035)]), max_size=10
)


async def _grow(live: LiveReply, text: str, steps: Sequence[tuple[float, float]]) -> None:
    for part, pause_seconds in sorted(steps):
        live.write(text[: int(part * len(text))])
        await asyncio.sleep(pause_seconds)


def _check_everything_is_said(screen: RecordingScreen, text: str, posted: Sequence[PostedPart]) -> None:
    """What people read, without the fences that were added, is the text, up to blanks at the ends of messages."""
    assert [part.discord_message_id for part in posted] == list(screen.messages)
    assert {part.channel_id for part in posted} == {CHANNEL_ID}
    assert sum(part.characters for part in posted) == len(text)
    at = 0
    for part, shown in zip(posted, screen.messages.values(), strict=True):
        said = text[at : at + part.characters]
        if shown.file is not None:
            rest = shown.file.data.decode()
            assert said.endswith(rest)
            said = said.removesuffix(rest)
        before, found, after = shown.content.partition(said.strip())
        assert found
        assert re.fullmatch(r"(```[\w+\-.#]{0,20}\n)?\s*", before)
        assert re.fullmatch(r"\s*(```)?", after)
        at += part.characters


@settings(max_examples=200, deadline=None)
@given(_TEXTS, _STEPS, _FAULTS, st.integers(1, MAX_MESSAGES))
def test_whatever_happens_on_the_way_the_whole_text_stands_at_the_end(
    text: str, steps: Sequence[tuple[float, float]], faults: Sequence[Exception | None], max_messages: int
) -> None:
    async def scene() -> None:
        screen, last = RecordingScreen(are_faults_late=len(text) % 2 == 0), discord.ui.View()
        screen.meet(faults)
        async with LiveReply(screen, Pacer(), max_messages=max_messages) as live:
            live.running_view = discord.ui.View()
            await _grow(live, text, steps)
            screen.meet(screen.faults and [screen.faults[0]])
            posted = await live.finish(text, view=last)
        _check_everything_is_said(screen, text, posted)
        assert len(posted) <= max_messages
        assert [part.view for part in screen.messages.values()] == [None] * (len(posted) - 1) + [last]
        assert screen.is_ended

    leap(scene())


@settings(max_examples=100, deadline=None)
@given(_TEXTS, _TEXTS, _STEPS, st.integers(0, 60))
def test_a_reply_made_anew_stands_in_the_messages_of_the_old_one(
    old: str, new: str, steps: Sequence[tuple[float, float]], common: int
) -> None:
    new = old[:common] + new

    async def scene() -> None:
        screen, last = RecordingScreen(), discord.ui.View()
        shown = await _posted_before(screen, old)
        async with LiveReply(screen, Pacer(), max_messages=100, shown=shown) as live:
            live.running_view = discord.ui.View()
            await _grow(live, new, steps)
            posted = await live.finish(new, view=last)
            kept = min(len(shown), len(posted))
            assert [part.discord_message_id for part in posted[:kept]] == [part.message_id for part in shown[:kept]]
        _check_everything_is_said(screen, new, posted)
        assert list(screen.messages.values())[-1].view is last

    leap(scene())


@settings(max_examples=100, deadline=None)
@given(_TEXTS, _TEXTS, _STEPS)
def test_a_refused_reply_leaves_the_old_one_as_it_was(old: str, new: str, steps: Sequence[tuple[float, float]]) -> None:
    async def scene() -> None:
        screen, buttons = RecordingScreen(), discord.ui.View()
        shown = await _posted_before(screen, old)
        before = dict(screen.messages)
        async with LiveReply(screen, Pacer(), max_messages=100, shown=shown) as live:
            live.running_view = discord.ui.View()
            live.say("2nd in line")
            await _grow(live, new, steps)
            await live.refuse("That did not work.", view=buttons)
        assert screen.told == ["That did not work."]
        assert [part.content.strip() for part in screen.messages.values()] == [
            part.content.strip() for part in before.values()
        ]
        if screen.requests[len(before) :]:
            assert list(screen.messages.values())[-1].view is buttons

    leap(scene())


async def _posted_before(screen: RecordingScreen, text: str) -> list[ShownPart]:
    """Post a reply as it was finished earlier."""
    async with LiveReply(screen, Pacer(), max_messages=100) as live:
        posted = await live.finish(text, view=discord.ui.View())
    at, shown = 0, []
    for part in posted:
        shown.append(ShownPart(message_id=part.discord_message_id, text=text[at : at + part.characters]))
        at += part.characters
    return shown


# How it looks on the way ------------------------------------------------------------------------------------------


def test_a_reply_that_is_complete_at_once_appears_whole() -> None:
    async def scene() -> None:
        screen = RecordingScreen()
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            await _type_out(live, "All of it.", seconds=CALM_SECONDS * 0.9)
            await live.finish("All of it.", view=None)
        assert [request.kind for request in screen.requests] == ["send"]

    leap(scene())


def test_text_grows_by_edits_with_a_stop_button_and_ends_with_others() -> None:
    async def scene() -> None:
        screen, stop, last = RecordingScreen(), discord.ui.View(), discord.ui.View()
        text = "word " * 200
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            live.running_view = stop
            await _type_out(live, text, seconds=5)
            assert live.message_ids == tuple(screen.messages)
            await live.finish(text, view=last)
        *growing, final = screen.requests
        assert [request.kind for request in screen.requests] == ["send"] + ["edit"] * (len(screen.requests) - 1)
        assert len(growing) >= 4
        contents = [_content(request.part) for request in growing]
        assert all(text.startswith(content) for content in contents)
        assert contents == sorted(contents, key=len)
        assert {request.part.view for request in growing if request.part} == {stop}
        assert final.part == Part(content=text, view=last)

    leap(scene())


def test_edits_are_at_least_a_second_apart_and_the_last_one_comes_at_once() -> None:
    async def scene() -> None:
        screen, text = RecordingScreen(), "word " * 300
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            await _type_out(live, text, seconds=8.3)
            asked_at = asyncio.get_running_loop().time()
            await live.finish(text, view=None)
        *growing, final = [request.at for request in screen.requests]
        gaps = [later - earlier for earlier, later in itertools.pairwise(growing)]
        assert min(gaps) >= MIN_SECONDS_BETWEEN_EDITS - 0.001
        assert max(gaps) <= 1.5
        # A change that was under way has to end before.
        assert final - asked_at <= 2 * screen.latency_seconds + 0.001

    leap(scene())


def test_a_full_message_gets_its_last_text_and_loses_its_button_before_the_next_one_comes() -> None:
    async def scene() -> None:
        screen, stop, text = RecordingScreen(), discord.ui.View(), "word " * 500
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            live.running_view = stop
            await _type_out(live, text, seconds=10)
            await asyncio.sleep(3)
            assert screen.contents == split(text)
            assert [part.view for part in screen.messages.values()] == [None, stop]
            kinds = [request.kind for request in screen.requests]
            full = screen.requests[kinds.index("send", 1) - 1]
            assert full.part == Part(content=split(text)[0])
            before = len(screen.requests)
            await live.finish(text, view=None)
        # Only the button was still to go.
        assert len(screen.requests) == before + 1

    leap(scene())


def test_code_is_closed_while_it_grows() -> None:
    async def scene() -> None:
        screen = RecordingScreen()
        text = "```py\n" + "value = 1\n" * 100
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            await _type_out(live, text, seconds=5)
            await live.finish(text + "```", view=None)
        assert screen.requests
        assert all(_content(request.part).count("```") == 2 for request in screen.requests)

    leap(scene())


def test_nothing_is_asked_of_discord_when_everything_stands_already() -> None:
    async def scene() -> None:
        screen, view = RecordingScreen(), discord.ui.View()
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            live.running_view = view
            live.write("All of it. ")
            await asyncio.sleep(_LONG_AGO)
            before = len(screen.requests)
            await live.finish("All of it.\n", view=view)
        assert len(screen.requests) == before

    leap(scene())


def test_blanks_show_nothing() -> None:
    async def scene() -> None:
        screen = RecordingScreen()
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            live.write(" \n\n ")
            await asyncio.sleep(_LONG_AGO)
            assert screen.requests == []
            with pytest.raises(ValueError, match="nothing to show"):
                await live.finish(" \n", view=None)

    leap(scene())


def test_blanks_at_a_cut_are_no_message_of_their_own() -> None:
    async def scene() -> None:
        text = "x" * 1990 + "\n" * 3000 + "end"
        screen = RecordingScreen()
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            posted = await live.finish(text, view=None)
        assert [content.strip() for content in screen.contents] == ["x" * 1990, "end"]
        assert sum(part.characters for part in posted) == len(text)

    leap(scene())


def test_beyond_the_last_message_the_rest_comes_as_a_file() -> None:
    async def scene() -> None:
        screen, text = RecordingScreen(), "".join(f"Sentence number {number}. " for number in range(600))
        async with LiveReply(screen, Pacer(), max_messages=2) as live:
            await _type_out(live, text, seconds=30)
            assert len(screen.messages) == 2
            assert all(part.file is None for part in screen.messages.values())
            posted = await live.finish(text, view=None)
        first, last = screen.messages.values()
        assert last.file is not None
        assert (last.file.name, len(posted)) == (FILE_NAME, 2)
        assert last.file.description
        assert first.content + last.content + last.file.data.decode() == text

    leap(scene())


def test_where_files_are_not_allowed_the_rest_comes_as_messages() -> None:
    async def scene() -> None:
        screen, text = RecordingScreen(), "word " * 1500
        screen.meet([None, http_error(403, 50013)])
        async with LiveReply(screen, Pacer(), max_messages=2) as live:
            posted = await live.finish(text, view=None)
        assert len(posted) == len(split(text)) > 2
        _check_everything_is_said(screen, text, posted)

    leap(scene())


def test_a_note_is_a_small_line_below_that_counts_as_none_of_the_text() -> None:
    async def scene() -> None:
        screen = RecordingScreen()
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            (part,) = await live.finish("Short.\n\n", view=None, note="the first message no longer fits")
        assert screen.contents == ["Short.\n-# the first message no longer fits"]
        assert part.characters == len("Short.\n\n")

    leap(scene())


def test_a_note_that_finds_no_room_has_a_message_of_its_own_with_the_buttons() -> None:
    async def scene() -> None:
        screen, view, text = RecordingScreen(), discord.ui.View(), "x" * MAX_CHARACTERS
        async with LiveReply(screen, Pacer(), max_messages=1) as live:
            posted = await live.finish(text, view=view, note="stopped")
        assert screen.contents == [text, "-# stopped"]
        assert [part.characters for part in posted] == [len(text), 0]
        assert list(screen.messages.values())[-1].view is view

    leap(scene())


# The line while nothing has come ------------------------------------------------------------------------------------


def test_a_line_is_shown_when_it_is_still_true_after_a_moment_and_kept_up_to_date() -> None:
    async def scene() -> None:
        screen, stop = RecordingScreen(), discord.ui.View()
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            live.running_view = stop
            live.say("3rd in line")
            await asyncio.sleep(LINE_SECONDS / 2)
            live.say("2nd in line")
            assert screen.requests == []
            await asyncio.sleep(LINE_SECONDS)
            assert list(screen.messages.values()) == [Part(content="2nd in line", view=stop)]
            live.say("1st in line")
            await asyncio.sleep(3)
            assert screen.contents == ["1st in line"]
            live.write("Here it is.")
            await asyncio.sleep(3)
            assert screen.contents == ["Here it is."]
            live.say("a late line")
            await asyncio.sleep(3)
            await live.finish("Here it is.", view=None)
        assert screen.contents == ["Here it is."]

    leap(scene())


def test_a_line_that_is_not_true_for_long_is_never_shown() -> None:
    async def scene() -> None:
        screen = RecordingScreen()
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            live.say("1st in line")
            await asyncio.sleep(LINE_SECONDS * 0.9)
            live.say("")
            await asyncio.sleep(_LONG_AGO)
            await live.finish("Here.", view=None)
        assert [_content(request.part) for request in screen.requests] == ["Here."]

    leap(scene())


def test_a_line_stands_below_a_reply_that_was_taken_over() -> None:
    async def scene() -> None:
        screen, stop = RecordingScreen(), discord.ui.View()
        shown = await _posted_before(screen, "The old reply.")
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES, shown=shown) as live:
            live.running_view = stop
            await asyncio.sleep(CALM_SECONDS + 0.2)
            assert list(screen.messages.values()) == [Part(content="The old reply.", view=stop)]
            live.say("3rd in line")
            await asyncio.sleep(LINE_SECONDS + 2)
            assert screen.contents == ["The old reply.\n-# 3rd in line"]
            await live.finish("The new reply.", view=None)
        assert screen.contents == ["The new reply."]

    leap(scene())


def test_what_is_left_of_an_old_reply_is_emptied_and_deleted_once_the_new_one_is_known() -> None:
    async def scene() -> None:
        screen = RecordingScreen()
        shown = await _posted_before(screen, "word " * 900)
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES, shown=shown) as live:
            live.running_view = discord.ui.View()
            live.write("A short one.")
            await asyncio.sleep(10)
            assert screen.contents == ["A short one.", SUPERSEDED, SUPERSEDED]
            (part,) = await live.finish("A short one.", view=None)
            assert len(screen.messages) == 3
        assert list(screen.messages) == [part.discord_message_id] == [shown[0].message_id]

    leap(scene())


# Refusals, ends, faults ---------------------------------------------------------------------------------------------


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


def test_a_withdrawn_reply_leaves_nothing() -> None:
    async def scene() -> None:
        screen = RecordingScreen()
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            await _type_out(live, "word " * 500, seconds=10)
            await live.withdraw()
        assert (screen.messages, screen.told) == ({}, [])

    leap(scene())


@pytest.mark.parametrize("moment", [0.1, CALM_SECONDS + 0.05, 1.9, 4.3])
def test_a_deleted_message_is_noticed_and_nothing_more_is_sent(moment: float) -> None:
    async def scene() -> None:
        screen, text = RecordingScreen(), "word " * 800
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            writing = asyncio.create_task(_type_out(live, text, seconds=20))
            await asyncio.sleep(CALM_SECONDS + 2 * screen.latency_seconds + moment)
            screen.messages.clear()
            await live.gone.wait()
            assert live.is_gone
            sent = screen.count("send")
            await writing
            posted = await live.finish(text, view=None)
        assert (screen.messages, screen.count("send"), len(posted)) == ({}, sent, 1)

    leap(scene())


def test_a_message_deleted_just_before_the_end_is_not_sent_again() -> None:
    async def scene() -> None:
        screen = RecordingScreen()
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            live.write("Something")
            await asyncio.sleep(1)
            screen.messages.clear()
            (part,) = await live.finish("Something else", view=None)
            assert live.is_gone
        assert screen.messages == {}
        assert part.characters == len("Something else")

    leap(scene())


@pytest.mark.parametrize("error", [http_error(403, 50013), http_error(404, 10003)])
def test_where_nothing_can_be_shown_any_more_the_writer_is_told(error: discord.HTTPException) -> None:
    async def scene() -> None:
        screen = RecordingScreen()
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            screen.meet([None, error])
            await _type_out(live, "word " * 100, seconds=5)
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
            await _type_out(live, text[:900], seconds=3)
            (lost,) = screen.messages
            screen.out_of_reach.add(lost)
            await _type_out(live, text, seconds=3)
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
                await _type_out(live, "word " * 500, seconds=100)

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


async def _type_out(live: LiveReply, text: str, *, seconds: float) -> None:
    """Write a text in a hundred equal steps."""
    for step in range(1, 101):
        live.write(text[: len(text) * step // 100])
        await asyncio.sleep(seconds / 100)


def _content(part: Part | None) -> str:
    assert part is not None
    return part.content
