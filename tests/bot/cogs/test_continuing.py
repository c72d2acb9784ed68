"""Continue: a reply that was cut goes on, through discord.py and the stand-in Discord."""

from bot.buttons import CONTINUE
from bot.config import BotStores
from bot.splitting import split
from bot.texts import refusals, replies
from tests.bot.conftest import StartBot
from tests.bot.replying import CUT, LONG_TEXT, finished, has_buttons, replied, said, shows, with_buttons
from tests.bot.scripted_api import Refusal, ScriptedApi, Stream
from tests.doubles.discord_server import DiscordServer


async def test_continue_goes_on_in_the_same_message_and_is_kept_as_one_reply(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    message = await replied(server, api, channel, ada, CUT)
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
    message = await replied(server, api, channel, ada, Stream(pieces=[LONG_TEXT[:2500]], done_reason="length"))
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
    message = await replied(server, api, channel, ada, CUT)
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
    message = await replied(server, api, channel, ada, CUT)
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
    message = await replied(server, api, channel, ada)
    pressed = await server.press(ada, message, CONTINUE, forged=True)
    assert await pressed.replied() == [replies.no_longer_applies()]
    assert list(message.buttons) == ["Regenerate"]
    assert len(api.asked) == 1
