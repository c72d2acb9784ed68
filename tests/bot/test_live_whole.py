"""Replies that grow, whatever the text and whatever happens: what stands at the end."""

import asyncio
import re
from collections.abc import Sequence

import discord
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.live import LiveReply
from bot.pacing import Pacer
from storage.posted import PostedPart
from tests.bot.leaping_loop import leap
from tests.bot.recording_screen import CHANNEL_ID, RecordingScreen, http_error, posted_before

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
@given(_TEXTS, _STEPS, _FAULTS, st.integers(1, 4))
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
        shown = await posted_before(screen, old)
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
        shown = await posted_before(screen, old)
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
