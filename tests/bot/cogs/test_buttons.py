"""Stop, and whose press counts for what, through discord.py and the stand-in Discord."""

import asyncio

import pytest

from bot.buttons import CONTINUE, REGENERATE, STOP
from bot.config import BotStores
from bot.person_limits import person_tenant
from bot.texts import conversations, replies
from tests.bot.conftest import StartBot
from tests.bot.replying import finished, has_buttons, said, shows, with_buttons
from tests.bot.scripted_api import ScriptedApi, Stream
from tests.doubles.discord_model import MANAGE_MESSAGES, MEMBER_PERMISSIONS, Channel, Message, User
from tests.doubles.discord_server import DiscordServer

CHANGES_LATER, SENTENCE = 6, 4
"""How Discord numbers a press that was taken note of, and one answered with a message."""


async def _growing(server: DiscordServer, api: ScriptedApi, channel: Channel, user: User) -> Message:
    """Ask for a reply that has said something and goes on until it is stopped or released; returns its message."""
    api.script.append(Stream(pieces=["So far", " and on"], hold_after=1))
    before = len(channel.own_messages(server.bot))
    await server.user_says(channel, user, "Go on", mentions_bot=True)
    await server.posted(channel, before + 1)
    message = channel.own_messages(server.bot)[-1]
    await has_buttons(server, message, "Stop")
    return message


# Stop -------------------------------------------------------------------------------------------------------------


async def test_stop_hangs_up_at_once_and_keeps_what_came(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    message = await _growing(server, api, channel, ada)
    pressed = await server.press(ada, message, message.custom_id("Stop"))
    async with asyncio.timeout(30):
        await api.hung_up.wait()
    assert await pressed.answered() == CHANGES_LATER
    await has_buttons(server, message, "Regenerate")
    assert message.content == "So far"
    assert await said(stores.conversations, channel) == ["Ada: Go on", "So far"]
    assert pressed.replies == []


async def test_a_stopped_reply_is_part_of_the_next_request(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    message = await _growing(server, api, channel, ada)
    await server.press(ada, message, message.custom_id("Stop"))
    await has_buttons(server, message, "Regenerate")
    await server.user_says(channel, ada, "And?", mentions_bot=True)
    await finished(server, channel, 2)
    assert [each.content for each in api.asked[1].request.messages[1:]] == ["Ada: Go on", "So far", "Ada: And?"]


async def test_two_presses_on_stop_are_one(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    message = await _growing(server, api, channel, ada)
    presses = [await server.press(ada, message, message.custom_id("Stop")) for _ in range(2)]
    assert [await pressed.answered() for pressed in presses] == [CHANGES_LATER] * 2
    await has_buttons(server, message, "Regenerate")
    late = await server.press(ada, message, STOP, forged=True)
    assert await late.answered() == CHANGES_LATER
    await server.user_says(channel, ada, "Next", mentions_bot=True)
    await finished(server, channel, 2)
    assert (await said(stores.conversations, channel))[:2] == ["Ada: Go on", "So far"]
    assert [pressed.replies for pressed in (*presses, late)] == [[], [], []]


async def test_only_the_asker_and_moderators_stop_a_reply(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada, bob = server.channel(server.guild()), server.user("Ada"), server.user("Bob")
    moderator = server.user("Mo", permissions=MEMBER_PERMISSIONS | MANAGE_MESSAGES)
    await start_bot()
    message = await _growing(server, api, channel, ada)
    refused = await server.press(bob, message, message.custom_id("Stop"))
    assert await refused.replied() == [replies.not_yours()]
    assert refused.replies[0].is_ephemeral
    assert not api.hung_up.is_set()
    await server.press(moderator, message, message.custom_id("Stop"))
    await has_buttons(server, message, "Regenerate")
    assert await said(stores.conversations, channel) == ["Ada: Go on", "So far"]


async def test_a_private_reply_is_stopped_as_well(server: DiscordServer, api: ScriptedApi, start_bot: StartBot) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    api.script.append(Stream(pieces=["So far", " and on"], hold_after=1))
    interaction = await server.slash(ada, channel, "chat", message="Go on", private=True)
    await interaction.replied()
    (message,) = interaction.replies
    await server.press(ada, message, message.custom_id("Stop"))
    await has_buttons(server, message, "Regenerate")
    assert message.content == "So far"


async def test_stopped_in_the_line_of_the_channel_a_question_leaves_it_and_costs_nothing(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    guild = server.guild()
    channel, ada, bob = server.channel(guild), server.user("Ada"), server.user("Bob")
    await start_bot(person_daily_calls=5)
    growing = await _growing(server, api, channel, ada)
    await server.user_says(channel, bob, "Me too", mentions_bot=True)
    await server.user_says(channel, ada, "And then?", mentions_bot=True)
    _, of_bob, of_ada = await _posted(server, channel, 3)
    assert [of_bob.content, of_ada.content] == ["1st in line", "2nd in line"]
    await server.press(bob, of_bob, of_bob.custom_id("Stop"))
    await shows(server, of_bob, replies.stopped())
    await has_buttons(server, of_bob)
    await shows(server, of_ada, "1st in line")
    assert len(api.asked) == 1
    api.release()
    await has_buttons(server, of_ada, "Regenerate")
    assert of_ada.content == "You said: And then?"
    assert await said(stores.conversations, channel) == [
        "Ada: Go on",
        "So far and on",
        "Ada: And then?",
        "You said: And then?",
    ]
    await has_buttons(server, growing)
    used = await stores.ledger.used_today(person_tenant(guild.id, bob.id), limit=5)
    assert used.used == 0


async def test_stopped_in_the_line_of_the_service_a_question_leaves_it_and_nothing_is_kept(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    api.script.append(Stream(pieces=["Never"], queue=[(3, 20)], hold_after=0))
    interaction = await server.slash(ada, channel, "chat", message="Please")
    assert await interaction.replied() == ["3rd in line, about 20 s"]
    (message,) = interaction.replies
    await server.press(ada, message, message.custom_id("Stop"))
    async with asyncio.timeout(30):
        await api.hung_up.wait()
    await shows(server, message, replies.stopped())
    await has_buttons(server, message)
    assert await said(stores.conversations, channel) == []


@pytest.mark.parametrize(("before_the_hold", "kept"), [([], 0), ([""], 1)], ids=["in line", "with a slot"])
async def test_a_stop_in_the_line_of_the_service_costs_no_call_of_the_persons_day(
    server: DiscordServer,
    api: ScriptedApi,
    stores: BotStores,
    start_bot: StartBot,
    before_the_hold: list[str],
    kept: int,
) -> None:
    guild, ada = server.guild(), server.user("Ada")
    channel = server.channel(guild)
    await start_bot(person_daily_calls=5)
    api.script.append(
        Stream(pieces=[*before_the_hold, "Never"], queue=[(3, 20)], hold_after=len(before_the_hold)),
    )
    interaction = await server.slash(ada, channel, "chat", message="Please")
    await interaction.replied()
    (message,) = interaction.replies
    await server.press(ada, message, message.custom_id("Stop"))
    await shows(server, message, replies.stopped())
    await has_buttons(server, message)
    used = await stores.ledger.used_today(person_tenant(guild.id, ada.id), limit=5)
    assert used.used == kept


async def test_a_question_deleted_in_the_line_of_the_service_costs_no_call_of_the_persons_day(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    guild, ada = server.guild(), server.user("Ada")
    channel = server.channel(guild)
    await start_bot(person_daily_calls=5)
    api.script.append(Stream(pieces=["Never"], queue=[(3, 20)], hold_after=0))
    question = await server.user_says(channel, ada, "Please", mentions_bot=True)
    await server.posted(channel)
    await server.user_deletes(question)
    await server.changes.until(lambda: channel.own_messages(server.bot) == [], "nothing of it stands")
    used = await stores.ledger.used_today(person_tenant(guild.id, ada.id), limit=5)
    assert used.used == 0


async def test_a_stop_button_left_by_a_process_that_died_goes_when_it_is_pressed(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    left_over = _message_with_button(server, channel, STOP, "Stop")
    await start_bot()
    pressed = await server.press(ada, left_over, STOP)
    assert await pressed.answered() == CHANGES_LATER
    await has_buttons(server, left_over)
    assert left_over.content == "Half a sen"
    assert pressed.replies == []


# Whose press counts for what ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("custom_id", [REGENERATE, CONTINUE])
async def test_a_button_of_a_reply_that_nobody_knows_any_more_says_so_and_goes(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot, custom_id: str
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    left_over = _message_with_button(server, channel, custom_id, "Old")
    await start_bot()
    pressed = await server.press(ada, left_over, custom_id)
    assert await pressed.replied() == [replies.no_longer_applies()]
    assert pressed.replies[0].is_ephemeral
    await has_buttons(server, left_over)


@pytest.mark.parametrize("custom_id", ["parley:whatever", "parley:", f"{STOP}:1", "parley:" + "x" * 5000])
async def test_a_button_that_never_was_is_a_sentence(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot, custom_id: str
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    message = await _growing(server, api, channel, ada)
    pressed = await server.press(ada, message, custom_id, forged=True)
    assert await pressed.replied() == [replies.no_longer_applies()]
    assert pressed.replies[0].is_ephemeral
    assert list(message.buttons) == ["Stop"]
    api.release()
    await has_buttons(server, message, "Regenerate")


@pytest.mark.parametrize("custom_id", [STOP, REGENERATE, CONTINUE])
async def test_a_forged_press_on_another_message_of_the_bot_changes_nothing_there(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot, custom_id: str
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    other = _message_with_button(server, channel, "confirm:1:yes", "Yes")
    await start_bot()
    pressed = await server.press(ada, other, custom_id, forged=True)
    await pressed.answered()
    if custom_id != STOP:
        assert await pressed.replied() == [replies.no_longer_applies()]
    await server.user_says(channel, ada, "Next", mentions_bot=True)
    await finished(server, channel, 2)
    assert (list(other.buttons), other.edits) == (["Yes"], 0)


async def test_a_forged_press_on_a_persons_message_is_a_sentence(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada, bob = server.channel(server.guild()), server.user("Ada"), server.user("Bob")
    await start_bot()
    of_bob = await server.user_says(channel, bob, "Just talking")
    pressed = await server.press(ada, of_bob, REGENERATE, forged=True)
    assert await pressed.replied() == [replies.no_longer_applies()]
    assert of_bob.edits == 0


async def test_a_forged_stop_on_a_finished_reply_leaves_its_buttons(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    bot = await start_bot()
    await server.user_says(channel, ada, "Hello", mentions_bot=True)
    message = await finished(server, channel)
    pressed = await server.press(ada, message, STOP, forged=True)
    assert await pressed.answered() == CHANGES_LATER
    await bot.stop()
    assert list(message.buttons) == ["Regenerate"]


# Buttons that no longer apply ---------------------------------------------------------------------------------------


async def test_the_buttons_of_the_reply_before_vanish_when_a_turn_is_finished(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    for number in (1, 2, 3):
        await server.user_says(channel, ada, f"Turn {number}", mentions_bot=True)
        last = await finished(server, channel, number)
        for earlier in channel.own_messages(server.bot)[:-1]:
            await has_buttons(server, earlier)
    assert with_buttons(channel.own_messages(server.bot)) == [last]
    assert [message.content for message in channel.own_messages(server.bot)] == [
        f"You said: Turn {number}" for number in (1, 2, 3)
    ]


async def test_a_turn_that_is_refused_leaves_the_buttons_of_the_reply_before(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    await server.user_says(channel, ada, "Hello", mentions_bot=True)
    message = await finished(server, channel)
    api.script.append("  ")
    await server.user_says(channel, ada, "And?", mentions_bot=True)
    await server.posted(channel, 2)
    again = await server.press(ada, message, message.custom_id("Regenerate"))
    await again.answered()
    await api.arrived(3)


async def test_the_buttons_of_the_last_reply_vanish_at_a_reset(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, grace = server.channel(server.guild()), server.admin()
    await start_bot()
    await server.user_says(channel, grace, "Hello", mentions_bot=True)
    message = await finished(server, channel)
    reset = await server.slash(grace, channel, "reset")
    assert await reset.replied() == [conversations.conversation_forgotten(messages=2)]
    await has_buttons(server, message)


async def test_of_private_replies_the_last_one_keeps_its_buttons_and_those_before_lose_them(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    bot = await start_bot()
    shown: list[Message] = []
    for number in (1, 2, 3):
        interaction = await server.slash(ada, channel, "chat", message=f"Turn {number}", private=True)
        await interaction.replied()
        shown += interaction.replies
        for earlier in shown[:-1]:
            await has_buttons(server, earlier)
    await bot.stop()
    assert [list(message.buttons) for message in shown] == [[], [], ["Regenerate"]]
    assert [message.content for message in shown] == [f"You said: Turn {number}" for number in (1, 2, 3)]


@pytest.mark.usefixtures("unhurried")
async def test_a_private_reply_that_is_out_of_reach_is_left_as_it_is_and_not_shown_again(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    dm = server.dm(ada)
    await start_bot()
    old = await server.slash(ada, channel, "chat", message="Long ago", private=True)
    await old.replied()
    old.expire()
    new = await server.slash(ada, channel, "chat", message="Now", private=True)
    await new.replied()
    await server.changes.until(
        lambda: server.state.count("PATCH /webhooks/{application}/{token}/messages/{message}", status=401) == 1,
        "the old one is out of reach",
    )
    third = await server.slash(ada, channel, "chat", message="Still here", private=True)
    await third.replied()
    await has_buttons(server, new.replies[0])
    assert [message.content for message in old.replies] == ["You said: Long ago"]
    assert dm.own_messages(server.bot) == []
    assert list(third.replies[0].buttons) == ["Regenerate"]


async def _posted(server: DiscordServer, channel: Channel, count: int) -> list[Message]:
    await server.posted(channel, count)
    return channel.own_messages(server.bot)


def _message_with_button(server: DiscordServer, channel: Channel, custom_id: str, label: str) -> Message:
    """Return a message that the bot has posted in an earlier life."""
    button = {"type": 2, "style": 2, "id": 2, "label": label, "custom_id": custom_id}
    message = Message(channel, server.bot, "Half a sen", components=[{"type": 1, "id": 1, "components": [button]}])
    channel.messages.append(message)
    return message
