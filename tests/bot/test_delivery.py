"""What happens on the way back to people: rate limits, old interactions, deleted messages, faults of Discord."""

import pytest

from bot.config import BotStores
from tests.bot.conftest import StartBot
from tests.bot.scripted_api import ScriptedApi
from tests.doubles.discord_model import (
    MEMBER_PERMISSIONS,
    READ_MESSAGE_HISTORY,
)
from tests.doubles.discord_server import DiscordServer

POST_MESSAGE = "POST /channels/{channel}/messages"
EDIT_ORIGINAL = "PATCH /webhooks/{application}/{token}/messages/@original"
FOLLOW_UP = "POST /webhooks/{application}/{token}"


@pytest.mark.parametrize("is_global", [False, True])
async def test_a_429_is_waited_out_as_long_as_discord_says(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot, *, is_global: bool
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    server.rate_limit_next(POST_MESSAGE, retry_after_seconds=0.4, times=2, is_global=is_global)
    await server.user_says(channel, ada, "hello", mentions_bot=True)
    assert await server.posted(channel) == ["You said: hello"]
    tries = [call for call in server.calls if call.route == POST_MESSAGE]
    assert [call.status for call in tries] == [429, 429, 200]
    assert tries[-1].at - tries[0].at >= 0.8 - 0.04


async def test_a_429_on_the_answer_to_a_command_is_waited_out(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    api.script.append("long " * 700)
    server.rate_limit_next(EDIT_ORIGINAL, retry_after_seconds=0.2)
    server.rate_limit_next(FOLLOW_UP, retry_after_seconds=0.2)
    interaction = await server.slash(ada, channel, "chat", message="go on")
    assert "".join(await interaction.replied(2)) == "long " * 700
    assert server.state.count(EDIT_ORIGINAL, status=429) == server.state.count(FOLLOW_UP, status=429) == 1


async def test_an_old_interaction_goes_on_as_an_ordinary_message(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    api.hold()
    interaction = await server.slash(ada, channel, "chat", message="after a quarter of an hour")
    await api.arrived(1)
    interaction.is_expired = True
    api.release()
    assert await server.posted(channel) == ["You said: after a quarter of an hour"]
    assert interaction.replies == []


async def test_an_old_private_interaction_goes_on_in_the_askers_dm_only(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    dm = server.dm(ada)
    await start_bot()
    api.hold()
    interaction = await server.slash(ada, channel, "chat", message="between us", private=True)
    await api.arrived(1)
    interaction.is_expired = True
    api.release()
    assert await server.posted(dm) == ["You said: between us"]
    assert channel.own_messages(server.bot) == []


@pytest.mark.usefixtures("unhurried")
async def test_an_old_private_interaction_of_somebody_without_dms_is_a_log_line(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot, caplog: pytest.LogCaptureFixture
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    ada.dms_closed = True
    await start_bot()
    api.hold()
    interaction = await server.slash(ada, channel, "chat", message="swordfish", private=True)
    await api.arrived(1)
    interaction.is_expired = True
    api.release()
    await server.changes.until(lambda: server.state.count("POST /users/@me/channels") == 1, "try to open a DM")
    follow = await server.slash(ada, channel, "chat", message="next", private=True)
    await follow.replied()
    assert channel.own_messages(server.bot) == []
    assert "could not be posted" in caplog.text
    assert "swordfish" not in caplog.text


async def test_a_deleted_thinking_message_is_replaced(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    api.hold()
    interaction = await server.slash(ada, channel, "chat", message="who deleted that?")
    await api.arrived(1)
    assert interaction.original is not None
    interaction.original.is_deleted = True
    api.release()
    assert await interaction.replied() == ["You said: who deleted that?"]


async def test_a_deleted_question_is_answered_without_a_reference(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    api.hold()
    question = await server.user_says(channel, ada, "never mind", mentions_bot=True)
    await api.arrived(1)
    question.is_deleted = True
    api.release()
    await server.posted(channel)
    assert channel.own_messages(server.bot)[0].reply_to is None


async def test_without_read_message_history_the_bot_posts_instead_of_replying(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    guild = server.guild(bot_permissions=MEMBER_PERMISSIONS & ~READ_MESSAGE_HISTORY)
    channel, ada = server.channel(guild), server.user("Ada")
    await start_bot()
    await server.user_says(channel, ada, "hello", mentions_bot=True)
    await server.posted(channel)
    assert channel.own_messages(server.bot)[0].reply_to is None


async def test_a_fault_of_discord_is_tried_again(server: DiscordServer, api: ScriptedApi, start_bot: StartBot) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    server.fail_next(POST_MESSAGE, 502)
    await server.user_says(channel, ada, "hello", mentions_bot=True)
    assert await server.posted(channel) == ["You said: hello"]


async def test_no_typing_indicator_is_no_reason_not_to_answer(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    server.fail_next("POST /channels/{channel}/typing", 403)
    await server.user_says(channel, ada, "hello", mentions_bot=True)
    assert await server.posted(channel) == ["You said: hello"]


async def test_code_blocks_stay_whole_across_messages(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    code = "".join(f"print({number})  # a line of code that is rather long\n" for number in range(120))
    api.script.append(f"Here it is:\n```py\n{code}```\nDone.")
    await server.user_says(channel, ada, "write code", mentions_bot=True)
    posted = await server.posted(channel, 3)
    assert all(text.count("```") % 2 == 0 for text in posted)
    assert all(text.startswith("```py\n") for text in posted[1:])


async def test_a_command_that_discord_has_given_up_on_is_not_charged(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    server.fail_next("POST /interactions/{interaction}/{token}/callback", 404)
    lost = await server.slash(ada, channel, "chat", message="too late")
    lost.may_stay_unanswered = True
    await server.changes.until(lambda: bool(server.calls) and server.calls[-1].status == 404, "refused answer")
    answered = await server.slash(ada, channel, "chat", message="in time")
    assert await answered.replied() == ["You said: in time"]
    assert api.questions == ["Ada: in time"]


@pytest.mark.usefixtures("unhurried")
async def test_a_refused_edit_is_a_log_line_and_the_reply_is_kept(
    server: DiscordServer,
    api: ScriptedApi,
    stores: BotStores,
    start_bot: StartBot,
    caplog: pytest.LogCaptureFixture,
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    server.fail_next(EDIT_ORIGINAL, 403)
    await server.slash(ada, channel, "chat", message="swordfish")
    await server.changes.until(lambda: server.state.count(EDIT_ORIGINAL, status=403) == 1, "refused edit")
    await server.user_says(channel, ada, "next", mentions_bot=True)
    await server.posted(channel)
    assert len(await stores.conversations.read(f"channel:{channel.id}")) == 4
    assert "could not be posted: Forbidden" in caplog.text
    assert "swordfish" not in caplog.text
