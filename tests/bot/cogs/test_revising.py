"""Regenerate and Continue, through discord.py and the stand-in Discord."""

import asyncio
from pathlib import Path

import pytest

from bot.buttons import CONTINUE, REGENERATE
from bot.config import BotStores
from bot.person_limits import person_tenant
from bot.splitting import split
from bot.texts import conversations, refusals, replies
from storage.database import Database
from tests.bot.conftest import StartBot, make_stores
from tests.bot.replying import comes_to_say, finished, has_buttons, said, shows, with_buttons
from tests.bot.scripted_api import Refusal, ScriptedApi, Stream
from tests.doubles.discord_model import MANAGE_MESSAGES, MEMBER_PERMISSIONS, Channel, Message, User
from tests.doubles.discord_server import DiscordServer

CUT = Stream(pieces=["Once upon a time"], done_reason="length")
LONG_TEXT = "".join(f"Sentence number {number} of a long reply. " for number in range(150))
VERY_LONG_TEXT = LONG_TEXT * 3


async def _replied(
    server: DiscordServer, api: ScriptedApi, channel: Channel, user: User, reply: str | Stream = "First try"
) -> Message:
    """Ask and wait for the whole reply; returns the message with its buttons."""
    api.script.append(reply)
    text = reply if isinstance(reply, str) else reply.text
    count = len(channel.own_messages(server.bot)) + len(split(text))
    await server.user_says(channel, user, "Tell me", mentions_bot=True)
    return await finished(server, channel, count)


async def _stands(server: DiscordServer, channel: Channel, text: str) -> None:
    """Wait until the bot's messages in a channel are those of one text."""
    await server.changes.until(
        lambda: [each.content for each in channel.own_messages(server.bot)] == split(text), "the reply stands"
    )


# Regenerate -------------------------------------------------------------------------------------------------------


async def test_regenerate_replaces_the_reply_where_it_stands_and_in_the_conversation(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    guild = server.guild()
    channel, ada = server.channel(guild), server.user("Ada")
    await start_bot()
    await server.user_says(channel, ada, "Hello", mentions_bot=True)
    await finished(server, channel)
    message = await _replied(server, api, channel, ada)
    api.script.append(Stream(pieces=["Second", " try"], hold_after=1))
    pressed = await server.press(ada, message, message.custom_id("Regenerate"))
    await shows(server, message, "Second")
    await has_buttons(server, message, "Stop")
    api.release()
    await shows(server, message, "Second try")
    await has_buttons(server, message, "Regenerate")
    assert pressed.replies == []
    conversation = ["Ada: Hello", "You said: Hello", "Ada: Tell me"]
    assert [each.content for each in api.asked[2].request.messages[1:]] == conversation
    assert api.asked[2].tenant == f"discord:{guild.id}"
    assert await said(stores.conversations, channel) == [*conversation, "Second try"]
    assert len(channel.own_messages(server.bot)) == 2


async def test_regenerate_draws_another_seed_where_the_settings_fix_one(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    guild = server.guild()
    channel, ada = server.channel(guild), server.user("Ada")
    fixed: dict[str, float] = {"seed": 7, "temperature": 0.5}
    await stores.channels.set_options(channel.id, guild_id=guild.id, options=fixed, model=None, changed_by=ada.id)
    await start_bot()
    message = await _replied(server, api, channel, ada)
    await server.press(ada, message, message.custom_id("Regenerate"))
    await shows(server, message, "You said: Tell me")
    first, second = (asked.request for asked in api.asked)
    assert (first.seed, first.temperature) == (7, 0.5)
    assert (second.seed, second.temperature) == (0, 0.5)


@pytest.mark.parametrize(
    ("before", "after"),
    [("Short.", LONG_TEXT), (LONG_TEXT, "Short."), (LONG_TEXT, LONG_TEXT[:3000]), (VERY_LONG_TEXT, LONG_TEXT)],
    ids=["longer", "shorter", "somewhat shorter", "from messages and a file"],
)
async def test_a_reply_made_anew_takes_the_messages_it_needs(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot, before: str, after: str
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    bot = await start_bot()
    api.script.append(before)
    await server.user_says(channel, ada, "Tell me", mentions_bot=True)
    message = await finished(server, channel, min(4, len(split(before))))
    first = channel.own_messages(server.bot)[0]
    api.script.append(after)
    await server.press(ada, message, message.custom_id("Regenerate"))
    await _stands(server, channel, after)
    shown = channel.own_messages(server.bot)
    assert shown[0] is first
    await has_buttons(server, shown[-1], "Regenerate")
    assert with_buttons(shown) == [shown[-1]]
    assert [message.files for message in shown] == [[]] * len(shown)
    await bot.stop()
    assert await said(stores.conversations, channel) == ["Ada: Tell me", after]
    reply = await stores.conversations.last_reply(f"channel:{channel.id}")
    assert reply is not None
    assert [part.discord_message_id for part in reply.parts] == [each.id for each in shown]
    assert sum(part.characters for part in reply.parts) == len(after)


async def test_a_reply_can_be_made_anew_again_and_again(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    message = await _replied(server, api, channel, ada, LONG_TEXT)
    for text in ("Second", LONG_TEXT[::-1], "Fourth"):
        api.script.append(text)
        await server.press(ada, message, message.custom_id("Regenerate"))
        await _stands(server, channel, text)
        message = channel.own_messages(server.bot)[-1]
        await has_buttons(server, message, "Regenerate")
    assert await said(stores.conversations, channel) == ["Ada: Tell me", "Fourth"]


async def test_only_the_asker_and_moderators_have_a_reply_made_anew(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada, bob = server.channel(server.guild()), server.user("Ada"), server.user("Bob")
    moderator = server.user("Mo", permissions=MEMBER_PERMISSIONS | MANAGE_MESSAGES)
    await start_bot()
    message = await _replied(server, api, channel, ada)
    refused = await server.press(bob, message, message.custom_id("Regenerate"))
    assert await refused.replied() == [replies.not_yours()]
    assert refused.replies[0].is_ephemeral
    assert (message.content, list(message.buttons)) == ("First try", ["Regenerate"])
    api.script.append(Stream(pieces=["Second", " try"], hold_after=1))
    await server.press(moderator, message, message.custom_id("Regenerate"))
    await has_buttons(server, message, "Stop")
    # It is still the asker's reply, who may stop it as well.
    await server.press(ada, message, message.custom_id("Stop"))
    await has_buttons(server, message, "Regenerate")
    assert message.content == "Second"
    await server.press(ada, message, message.custom_id("Regenerate"))
    await shows(server, message, "You said: Tell me")


async def test_a_reply_that_is_no_longer_the_last_is_not_made_anew(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    older = await _replied(server, api, channel, ada)
    await _replied(server, api, channel, ada, "Newer")
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
    older = await _replied(server, api, channel, ada, CUT)
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
    await server.user_deletes(question)
    await comes_to_say(stores.conversations, channel, ["You said: Tell me"])
    pressed = await server.press(ada, message, message.custom_id("Regenerate"))
    assert await pressed.replied() == [replies.no_longer_applies()]
    await has_buttons(server, message)
    assert (len(api.asked), message.content) == (1, "You said: Tell me")


async def test_a_new_text_that_could_not_be_shown_is_not_taken_for_what_stands(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    message = await _replied(server, api, channel, ada)
    api.script.append("Second try")
    server.fail_next("PATCH /channels/{channel}/messages/{message}", 403)
    await server.press(ada, message, message.custom_id("Regenerate"))
    await comes_to_say(stores.conversations, channel, ["Ada: Tell me", "Second try"])
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
    message = await _replied(server, api, channel, grace)
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
    message = await _replied(server, api, channel, ada, CUT)
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


async def test_pressed_twice_a_reply_is_made_anew_once(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    message = await _replied(server, api, channel, ada)
    api.script.append(LONG_TEXT)
    presses = [await server.press(ada, message, message.custom_id("Regenerate")) for _ in range(3)]
    for pressed in presses:
        await pressed.answered()
    last = await finished(server, channel, len(split(LONG_TEXT)))
    await has_buttons(server, last, "Regenerate")
    await server.user_says(channel, ada, "Next", mentions_bot=True)
    await finished(server, channel, len(split(LONG_TEXT)) + 1)
    assert len(api.asked) == 3
    assert [pressed.replies for pressed in presses] == [[], [], []]
    assert [each.content for each in channel.own_messages(server.bot)][:-1] == split(LONG_TEXT)
    assert (await said(stores.conversations, channel))[:2] == ["Ada: Tell me", LONG_TEXT]


@pytest.mark.parametrize("is_private", [False, True])
async def test_the_buttons_work_after_a_restart(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot, tmp_path: Path, is_private: bool
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    url = f"sqlite:///{tmp_path / 'kept.db'}"
    database = await Database.open(url)
    bot = await start_bot(stores=make_stores(database))
    api.script.append(CUT)
    asked = await server.slash(ada, channel, "chat", message="Tell me", private=is_private)
    await asked.replied()
    (message,) = asked.replies
    await has_buttons(server, message, "Regenerate", "Continue")
    await bot.stop()
    await database.close()
    asked.expire()

    database = await Database.open(url)
    stores = make_stores(database)
    bot = await start_bot(stores=stores)
    api.script += ["Second try", Stream(pieces=[" and more"])]
    await server.press(ada, message, message.custom_id("Regenerate"))
    await shows(server, message, "Second try")
    await has_buttons(server, message, "Regenerate")
    key = f"private:{channel.id}:{ada.id}" if is_private else f"channel:{channel.id}"
    assert [each.content for each in await stores.conversations.read(key)] == ["Ada: Tell me", "Second try"]
    await bot.stop()
    await database.close()


async def test_a_private_reply_is_made_anew_in_private(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    guild = server.guild()
    channel, ada = server.channel(guild), server.user("Ada")
    bot = await start_bot()
    api.script += ["First try", LONG_TEXT, "Short again"]
    asked = await server.slash(ada, channel, "chat", message="Tell me", private=True)
    await asked.replied()
    (message,) = asked.replies
    pressed = await server.press(ada, message, message.custom_id("Regenerate"))
    parts = split(LONG_TEXT)
    await shows(server, message, parts[0])
    assert await pressed.replied(len(parts) - 1) == parts[1:]
    assert all(each.is_ephemeral for each in pressed.replies)
    await has_buttons(server, pressed.replies[-1], "Regenerate")
    assert with_buttons([message, *pressed.replies]) == [pressed.replies[-1]]
    again = await server.press(ada, pressed.replies[-1], REGENERATE)
    await again.answered()
    await api.arrived(3)
    await bot.stop()
    key = f"private:{channel.id}:{ada.id}"
    assert [each.content for each in await stores.conversations.read(key)] == ["Ada: Tell me", "Short again"]
    assert {each.tenant for each in api.asked} == {f"discord:{guild.id}"}
    assert channel.own_messages(server.bot) == []


async def test_the_limit_of_the_person_who_presses_holds(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    guild = server.guild()
    channel, ada = server.channel(guild), server.user("Ada")
    moderator = server.user("Mo", permissions=MEMBER_PERMISSIONS | MANAGE_MESSAGES)
    await start_bot(person_daily_calls=1)
    message = await _replied(server, api, channel, ada)
    pressed = await server.press(ada, message, message.custom_id("Regenerate"))
    (sentence,) = await pressed.replied()
    assert "1 call" in sentence
    await has_buttons(server, message, "Regenerate")
    assert message.content == "First try"
    await server.press(moderator, message, message.custom_id("Regenerate"))
    await shows(server, message, "You said: Tell me")
    for user in (ada, moderator):
        assert (await stores.ledger.used_today(person_tenant(guild.id, user.id), limit=1)).used == 1


async def test_an_adult_models_reply_is_made_anew_in_age_restricted_channels_only(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    harmless = await start_bot()
    message = await _replied(server, api, channel, ada)
    await harmless.stop()
    await start_bot(mature=True)
    pressed = await server.press(ada, message, message.custom_id("Regenerate"))
    assert await pressed.replied() == [refusals.not_age_restricted()]
    assert (message.content, len(api.asked)) == ("First try", 1)


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
    async with asyncio.timeout(1):
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
    message = await _replied(server, api, channel, ada, CUT)
    for label in ("Regenerate", "Continue"):
        api.script.append(Stream(pieces=["Never"], queue=[(2, 9)], hold_after=0))
        pressed = await server.press(ada, message, message.custom_id(label))
        await has_buttons(server, message, "Stop")
        await server.press(ada, message, message.custom_id("Stop"))
        assert await pressed.replied() == [replies.stopped()]
        await has_buttons(server, message, "Regenerate", "Continue")
        assert message.content == CUT.text
    assert await said(stores.conversations, channel) == ["Ada: Tell me", CUT.text]


# Continue -----------------------------------------------------------------------------------------------------------


async def test_continue_goes_on_in_the_same_message_and_is_kept_as_one_reply(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    message = await _replied(server, api, channel, ada, CUT)
    api.script.append(Stream(pieces=[" there", " was"], done_reason="length", hold_after=1))
    pressed = await server.press(ada, message, message.custom_id("Continue"))
    await shows(server, message, "Once upon a time there")
    await has_buttons(server, message, "Stop")
    api.release()
    await shows(server, message, "Once upon a time there was")
    await has_buttons(server, message, "Regenerate", "Continue")
    assert [(each.role, each.content) for each in api.asked[1].request.messages[1:]] == [
        ("user", "Ada: Tell me"),
        ("assistant", "Once upon a time"),
    ]
    api.script.append(" a model.")
    await server.press(ada, message, message.custom_id("Continue"))
    await shows(server, message, "Once upon a time there was a model.")
    await has_buttons(server, message, "Regenerate")
    assert await said(stores.conversations, channel) == ["Ada: Tell me", "Once upon a time there was a model."]
    assert pressed.replies == []


async def test_continue_goes_on_in_further_messages(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    message = await _replied(server, api, channel, ada, Stream(pieces=[LONG_TEXT[:2500]], done_reason="length"))
    api.script.append(LONG_TEXT[2500:])
    await server.press(ada, message, message.custom_id("Continue"))
    last = await finished(server, channel, len(split(LONG_TEXT)))
    assert [each.content for each in channel.own_messages(server.bot)] == split(LONG_TEXT)
    assert with_buttons(channel.own_messages(server.bot)) == [last]
    assert list(last.buttons) == ["Regenerate"]
    assert await said(stores.conversations, channel) == ["Ada: Tell me", LONG_TEXT]


async def test_continue_vanishes_when_there_is_nothing_more_to_say(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    message = await _replied(server, api, channel, ada, CUT)
    api.script.append(Stream(pieces=[]))
    await server.press(ada, message, message.custom_id("Continue"))
    await has_buttons(server, message, "Regenerate")
    assert message.content == CUT.text
    assert await said(stores.conversations, channel) == ["Ada: Tell me", CUT.text]


async def test_a_reply_that_could_not_go_on_stands_as_before(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    message = await _replied(server, api, channel, ada, CUT)
    api.script.append(Refusal(503, "Busy", headers={"Retry-After": "7"}))
    pressed = await server.press(ada, message, message.custom_id("Continue"))
    assert await pressed.replied() == [refusals.busy(retry_after_seconds=7)]
    await has_buttons(server, message, "Regenerate", "Continue")
    assert message.content == CUT.text
    assert await said(stores.conversations, channel) == ["Ada: Tell me", CUT.text]


async def test_a_reply_that_was_not_cut_cannot_be_made_to_go_on(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    message = await _replied(server, api, channel, ada)
    pressed = await server.press(ada, message, CONTINUE, forged=True)
    assert await pressed.replied() == [replies.no_longer_applies()]
    assert list(message.buttons) == ["Regenerate"]
    assert len(api.asked) == 1
