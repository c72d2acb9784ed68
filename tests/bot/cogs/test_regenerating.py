"""Regenerate: what becomes of the reply, whoever presses, through discord.py and the stand-in Discord."""

from pathlib import Path

import pytest

from bot.buttons import REGENERATE
from bot.config import BotStores
from bot.person_limits import person_tenant
from bot.splitting import split
from bot.texts import refusals, replies
from storage.database import Database
from tests.bot.conftest import StartBot, make_stores
from tests.bot.replying import CUT, LONG_TEXT, finished, has_buttons, replied, said, shows, stand, with_buttons
from tests.bot.scripted_api import ScriptedApi, Stream
from tests.doubles.discord_model import MANAGE_MESSAGES, MEMBER_PERMISSIONS
from tests.doubles.discord_server import DiscordServer

VERY_LONG_TEXT = LONG_TEXT * 3


async def test_regenerate_replaces_the_reply_where_it_stands_and_in_the_conversation(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    guild = server.guild()
    channel, ada = server.channel(guild), server.user("Ada")
    await start_bot()
    await server.user_says(channel, ada, "Hello", mentions_bot=True)
    await finished(server, channel)
    message = await replied(server, api, channel, ada)
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
    message = await replied(server, api, channel, ada)
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
    await stand(server, channel, after)
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
    message = await replied(server, api, channel, ada, LONG_TEXT)
    for text in ("Second", LONG_TEXT[::-1], "Fourth"):
        api.script.append(text)
        await server.press(ada, message, message.custom_id("Regenerate"))
        await stand(server, channel, text)
        message = channel.own_messages(server.bot)[-1]
        await has_buttons(server, message, "Regenerate")
    assert await said(stores.conversations, channel) == ["Ada: Tell me", "Fourth"]


async def test_only_the_asker_and_moderators_have_a_reply_made_anew(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada, bob = server.channel(server.guild()), server.user("Ada"), server.user("Bob")
    moderator = server.user("Mo", permissions=MEMBER_PERMISSIONS | MANAGE_MESSAGES)
    await start_bot()
    message = await replied(server, api, channel, ada)
    refused = await server.press(bob, message, message.custom_id("Regenerate"))
    assert await refused.replied() == [replies.not_yours()]
    assert refused.replies[0].is_ephemeral
    assert (message.content, list(message.buttons)) == ("First try", ["Regenerate"])
    api.script.append(Stream(pieces=["Second", " try"], hold_after=1))
    await server.press(moderator, message, message.custom_id("Regenerate"))
    await has_buttons(server, message, "Stop")
    await api.held()
    # It is still the asker's reply, who may stop it as well.
    await server.press(ada, message, message.custom_id("Stop"))
    await has_buttons(server, message, "Regenerate")
    assert message.content == "Second"
    await server.press(ada, message, message.custom_id("Regenerate"))
    await shows(server, message, "You said: Tell me")


async def test_pressed_twice_a_reply_is_made_anew_once(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    message = await replied(server, api, channel, ada)
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


@pytest.mark.usefixtures("unhurried")
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
    message = await replied(server, api, channel, ada)
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
    message = await replied(server, api, channel, ada)
    await harmless.stop()
    await start_bot(mature=True)
    pressed = await server.press(ada, message, message.custom_id("Regenerate"))
    assert await pressed.replied() == [refusals.not_age_restricted()]
    assert (message.content, len(api.asked)) == ("First try", 1)
