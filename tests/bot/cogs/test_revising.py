"""Replies that are not made anew after all, and stand as before, through discord.py and the stand-in Discord."""

import asyncio

import pytest

from bot.buttons import REGENERATE
from bot.config import BotStores
from bot.texts import conversations, refusals, replies
from tests.bot.conftest import StartBot
from tests.bot.replying import (
    CUT,
    LONG_TEXT,
    comes_to_say,
    finished,
    has_buttons,
    replied,
    said,
    shows,
)
from tests.bot.scripted_api import Refusal, ScriptedApi, Stream
from tests.doubles.discord_model import Message
from tests.doubles.discord_server import DiscordServer

VERY_LONG_TEXT = LONG_TEXT * 3


async def test_a_reply_that_is_no_longer_the_last_is_not_made_anew(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    older = await replied(server, api, channel, ada)
    await replied(server, api, channel, ada, "Newer")
    await has_buttons(server, older)
    pressed = await server.press(ada, older, REGENERATE, forged=True)
    assert await pressed.replied() == [replies.no_longer_applies()]
    assert pressed.replies[0].is_ephemeral
    assert older.content == "First try"
    assert len(api.asked) == 2
    assert await said(stores.conversations, channel) == ["Ada: Tell me", "First try", "Ada: Tell me", "Newer"]


@pytest.mark.parametrize("label", ["Regenerate", "Continue"])
async def test_a_press_behind_a_newer_question_comes_too_late(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot, label: str
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    older = await replied(server, api, channel, ada, CUT)
    api.script.append(Stream(pieces=["Newer", " still"], hold_after=1))
    await server.user_says(channel, ada, "And now?", mentions_bot=True)
    await api.held()
    pressed = await server.press(ada, older, older.custom_id(label))
    await has_buttons(server, older, "Stop")
    api.release()
    assert await pressed.replied() == [replies.no_longer_applies()]
    await has_buttons(server, older)
    assert older.content == CUT.text
    assert await said(stores.conversations, channel) == ["Ada: Tell me", CUT.text, "Ada: And now?", "Newer still"]


async def test_a_reply_whose_question_was_deleted_is_not_made_anew(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    question = await server.user_says(channel, ada, "Tell me", mentions_bot=True)
    message = await finished(server, channel)
    # The bot itself takes the button away before long.
    regenerate = message.custom_id("Regenerate")
    await server.user_deletes(question)
    await comes_to_say(stores.conversations, channel, ["You said: Tell me"])
    pressed = await server.press(ada, message, regenerate, forged=True)
    assert await pressed.replied() == [replies.no_longer_applies()]
    await has_buttons(server, message)
    assert (len(api.asked), message.content) == (1, "You said: Tell me")


@pytest.mark.usefixtures("unhurried")
async def test_a_new_text_that_could_not_be_shown_is_not_taken_for_what_stands(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    message = await replied(server, api, channel, ada)
    api.script.append("Second try")
    server.fail_next("PATCH /channels/{channel}/messages/{message}", 403)
    await server.press(ada, message, message.custom_id("Regenerate"))
    edits = "PATCH /channels/{channel}/messages/{message}"
    await server.changes.until(lambda: server.state.count(edits, status=403) == 1, "the edit is refused")
    assert await said(stores.conversations, channel) == ["Ada: Tell me", "Second try"]
    assert message.content == "First try"
    assert await stores.conversations.find_posted(message.id) is None
    pressed = await server.press(ada, message, message.custom_id("Regenerate"))
    assert await pressed.replied() == [replies.no_longer_applies()]
    await has_buttons(server, message)


@pytest.mark.parametrize("command", ["reset", "forget"])
async def test_a_reply_that_was_forgotten_is_not_made_anew(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot, command: str
) -> None:
    channel, grace = server.channel(server.guild()), server.admin()
    await start_bot()
    message = await replied(server, api, channel, grace)
    if command == "reset":
        reset = await server.slash(grace, channel, "reset")
        assert await reset.replied() == [conversations.conversation_forgotten(messages=2)]
    else:
        asked = await server.slash(grace, channel, "forget", where="here")
        await asked.replied()
        await server.press(grace, asked.replies[0], _first_button(asked.replies[0]))
    await has_buttons(server, message)
    pressed = await server.press(grace, message, REGENERATE, forged=True)
    assert await pressed.replied() == [replies.no_longer_applies()]
    assert (len(api.asked), message.content) == (1, "First try")
    assert await said(stores.conversations, channel) == []


def _first_button(message: Message) -> str:
    custom_id = next(iter(message.buttons.values()))["custom_id"]
    assert isinstance(custom_id, str)
    return custom_id


async def test_the_old_reply_stands_again_when_the_model_is_down(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    message = await replied(server, api, channel, ada, CUT)
    api.script.append(Stream(pieces=["Half"], hold_after=1, error=Refusal(503, "Model unavailable")))
    pressed = await server.press(ada, message, message.custom_id("Regenerate"))
    await shows(server, message, "Half")
    api.release()
    assert await pressed.replied() == [refusals.model_unavailable(retry_after_seconds=None)]
    assert pressed.replies[0].is_ephemeral
    await has_buttons(server, message, "Regenerate", "Continue")
    assert message.content == CUT.text
    assert await said(stores.conversations, channel) == ["Ada: Tell me", CUT.text]


async def test_a_long_reply_with_a_file_stands_again_when_the_model_is_down(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    api.script.append(VERY_LONG_TEXT)
    await server.user_says(channel, ada, "Tell me", mentions_bot=True)
    message = await finished(server, channel, 4)
    stood = [(each.content, [file.data for file in each.files]) for each in channel.own_messages(server.bot)]
    api.script.append(Stream(pieces=["Half"], hold_after=1, error=Refusal(503, "Model unavailable")))
    pressed = await server.press(ada, message, message.custom_id("Regenerate"))
    await shows(server, channel.own_messages(server.bot)[0], "Half")
    api.release()
    await pressed.replied()
    await has_buttons(server, message, "Regenerate")
    assert [(each.content, [file.data for file in each.files]) for each in channel.own_messages(server.bot)] == stood
    assert await said(stores.conversations, channel) == ["Ada: Tell me", VERY_LONG_TEXT]


@pytest.mark.parametrize("deleted", ["question", "reply"])
async def test_what_is_deleted_while_it_is_made_anew_ends_that(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot, deleted: str
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    question = await server.user_says(channel, ada, "Tell me", mentions_bot=True)
    message = await finished(server, channel)
    api.script.append(Stream(pieces=["Second"], hold_after=1))
    pressed = await server.press(ada, message, message.custom_id("Regenerate"))
    await shows(server, message, "Second")
    await server.user_deletes(question if deleted == "question" else message)
    async with asyncio.timeout(30):
        await api.hung_up.wait()
    if deleted == "question":
        await shows(server, message, "You said: Tell me")
        await has_buttons(server, message)
    left = ["You said: Tell me"] if deleted == "question" else ["Ada: Tell me"]
    await comes_to_say(stores.conversations, channel, left)
    assert pressed.replies == []


async def test_stopped_before_anything_has_come_the_old_reply_stands_again(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    message = await replied(server, api, channel, ada, CUT)
    for label in ("Regenerate", "Continue"):
        api.script.append(Stream(pieces=["Never"], queue=[(2, 9)], hold_after=0))
        pressed = await server.press(ada, message, message.custom_id(label))
        await has_buttons(server, message, "Stop")
        await server.press(ada, message, message.custom_id("Stop"))
        assert await pressed.replied() == [replies.stopped()]
        await has_buttons(server, message, "Regenerate", "Continue")
        assert message.content == CUT.text
    assert await said(stores.conversations, channel) == ["Ada: Tell me", CUT.text]
