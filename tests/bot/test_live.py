"""How a reply that grows looks on the way: its edits, its line in waiting, the messages of an older one."""

import asyncio
import itertools

import discord
import pytest

from bot.layout import FILE_NAME
from bot.live import CALM_SECONDS, LINE_SECONDS, LiveReply
from bot.pacing import MIN_SECONDS_BETWEEN_EDITS, Pacer
from bot.screens import Part
from bot.splitting import MAX_CHARACTERS, split
from bot.standing import SUPERSEDED, ShownPart
from tests.bot.leaping_loop import leap
from tests.bot.recording_screen import RecordingScreen, http_error, posted_before, type_out

_LONG_AGO = 60.0
MAX_MESSAGES = 4


def test_a_reply_that_is_complete_at_once_appears_whole() -> None:
    async def scene() -> None:
        screen = RecordingScreen()
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            await type_out(live, "All of it.", seconds=CALM_SECONDS * 0.9)
            await live.finish("All of it.", view=None)
        assert [request.kind for request in screen.requests] == ["send"]

    leap(scene())


def test_text_grows_by_edits_with_a_stop_button_and_ends_with_others() -> None:
    async def scene() -> None:
        screen, stop, last = RecordingScreen(), discord.ui.View(), discord.ui.View()
        text = "word " * 200
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES) as live:
            live.running_view = stop
            await type_out(live, text, seconds=5)
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
            await type_out(live, text, seconds=8.3)
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
            await type_out(live, text, seconds=10)
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
            await type_out(live, text, seconds=5)
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
            await type_out(live, text, seconds=30)
            assert len(screen.messages) == 2
            assert all(part.file is None for part in screen.messages.values())
            posted = await live.finish(text, view=None)
        first, last = screen.messages.values()
        assert last.file is not None
        assert (last.file.name, len(posted)) == (FILE_NAME, 2)
        assert last.file.description
        assert first.content + last.content + last.file.data.decode() == text

    leap(scene())


def test_blanks_between_the_last_message_and_its_file_are_in_the_file() -> None:
    async def scene() -> None:
        screen, text = RecordingScreen(), "x" * MAX_CHARACTERS + "\n" * 3000 + "y" * 3000
        async with LiveReply(screen, Pacer(), max_messages=1) as live:
            await live.finish(text, view=None)
        (part,) = screen.messages.values()
        assert part.file is not None
        assert part.content + part.file.data.decode() == text

    leap(scene())


def test_where_files_are_not_allowed_the_rest_comes_as_messages() -> None:
    async def scene() -> None:
        screen, text = RecordingScreen(), "word " * 1500
        screen.meet([None, http_error(403, 50013)])
        async with LiveReply(screen, Pacer(), max_messages=2) as live:
            posted = await live.finish(text, view=None)
        assert screen.contents == split(text)
        assert len(posted) == len(split(text)) > 2

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
        shown = await posted_before(screen, "The old reply.")
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


def test_the_buttons_of_an_old_reply_go_even_when_nothing_else_changes() -> None:
    async def scene() -> None:
        screen = RecordingScreen()
        shown = await posted_before(screen, "The old reply.")
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES, shown=shown) as live:
            await live.finish("The old reply.", view=None)
        assert list(screen.messages.values()) == [Part(content="The old reply.")]

    leap(scene())


def test_what_is_left_of_an_old_reply_is_emptied_and_deleted_once_the_new_one_is_known() -> None:
    async def scene() -> None:
        screen = RecordingScreen()
        shown = await posted_before(screen, "word " * 900)
        async with LiveReply(screen, Pacer(), max_messages=MAX_MESSAGES, shown=shown) as live:
            live.running_view = discord.ui.View()
            live.write("A short one.")
            await asyncio.sleep(10)
            assert screen.contents == ["A short one.", SUPERSEDED, SUPERSEDED]
            (part,) = await live.finish("A short one.", view=None)
            assert len(screen.messages) == 3
        assert list(screen.messages) == [part.discord_message_id] == [shown[0].message_id]

    leap(scene())


def test_a_reply_with_a_file_can_be_taken_over_and_put_back() -> None:
    async def scene() -> None:
        screen, text = RecordingScreen(), "word " * 2000
        async with LiveReply(screen, Pacer(), max_messages=2) as live:
            posted = await live.finish(text, view=discord.ui.View())
        before = dict(screen.messages)
        shown = [
            ShownPart(message_id=posted[0].discord_message_id, text=text[: posted[0].characters]),
            ShownPart(message_id=posted[1].discord_message_id, text=text[posted[0].characters :]),
        ]
        async with LiveReply(screen, Pacer(), max_messages=2, shown=shown) as live:
            live.write("Something new.")
            await asyncio.sleep(5)
            assert screen.contents == ["Something new.", SUPERSEDED]
            await live.refuse("That did not work.")
        assert [(part.content, part.file) for part in screen.messages.values()] == [
            (part.content, part.file) for part in before.values()
        ]

    leap(scene())


def test_a_message_that_held_a_note_only_can_be_taken_over() -> None:
    async def scene() -> None:
        screen, text = RecordingScreen(), "x" * MAX_CHARACTERS
        async with LiveReply(screen, Pacer(), max_messages=1) as live:
            posted = await live.finish(text, view=discord.ui.View(), note="stopped")
        parts = [ShownPart(message_id=part.discord_message_id, text=text[: part.characters]) for part in posted]
        async with LiveReply(screen, Pacer(), max_messages=1, shown=parts) as live:
            live.running_view = discord.ui.View()
            await asyncio.sleep(5)
            assert screen.contents == [text, SUPERSEDED]
            await live.finish(text, view=None)
        assert screen.contents == [text]

    leap(scene())


def _content(part: Part | None) -> str:
    assert part is not None
    return part.content
