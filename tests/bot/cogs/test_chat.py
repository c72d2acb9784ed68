"""`/chat` and `/reset`, through discord.py and the stand-in Discord."""

import asyncio
from datetime import UTC, datetime

import pytest

from bot.cogs.chat import MAX_MESSAGE_CHARACTERS
from bot.config import BotStores
from bot.texts import conversations, refusals
from tests.bot.conftest import StartBot
from tests.bot.scripted_api import Refusal, ScriptedApi
from tests.doubles.discord_model import MANAGE_MESSAGES, MEMBER_PERMISSIONS
from tests.doubles.discord_server import DiscordServer
from tests.ports import free_port


async def test_chat_is_deferred_at_once_however_long_the_model_takes(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    api.hold()
    interaction = await server.slash(ada, channel, "chat", message="Take your time")
    assert await interaction.deferred() < 3
    await api.arrived(1)
    assert interaction.is_thinking
    assert interaction.replies == []
    api.release()
    assert await interaction.replied() == ["You said: Take your time"]
    assert not interaction.replies[0].is_ephemeral


async def test_a_long_reply_goes_on_in_follow_ups_in_order(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    paragraphs = [f"Paragraph {number}. " + "All work and no play. " * 30 for number in range(8)]
    api.script.append("\n\n".join(paragraphs))
    interaction = await server.slash(ada, channel, "chat", message="Tell me a story")
    replies = await interaction.replied(4)
    assert "".join(replies) == "\n\n".join(paragraphs)
    assert server.state.count("PATCH /webhooks/{application}/{token}/messages/@original") == 1
    assert server.state.count("POST /webhooks/{application}/{token}") == len(replies) - 1


async def test_a_private_conversation_is_the_askers_own(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada, bob = server.channel(server.guild()), server.user("Ada"), server.user("Bob")
    await start_bot()
    secret = await server.slash(ada, channel, "chat", message="my secret", private=True)
    await secret.replied()
    for_bob = await server.slash(bob, channel, "chat", message="my own", private=True)
    await for_bob.replied()
    in_public = await server.slash(bob, channel, "chat", message="what do you know?")
    await in_public.replied()
    assert secret.is_deferred_ephemeral
    assert secret.replies[0].is_ephemeral
    assert [len(asked.request.messages) for asked in api.asked] == [2, 2, 2]
    assert len(await stores.conversations.read(f"private:{channel.id}:{ada.id}")) == 2
    assert channel.own_messages(server.bot) == in_public.replies


async def test_chat_works_in_a_dm_on_the_persons_own_account(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    ada = server.user("Ada")
    dm = server.dm(ada)
    await start_bot()
    await (await server.slash(ada, dm, "chat", message="hello")).replied()
    await server.user_says(dm, ada, "again")
    await server.posted(dm, 2)
    assert [asked.tenant for asked in api.asked] == [f"discord:dm:{ada.id}"] * 2
    assert len(api.asked[1].request.messages) == 4


async def test_the_longest_message_is_taken_and_a_longer_one_is_not_offered(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    interaction = await server.slash(ada, channel, "chat", message="x" * MAX_MESSAGE_CHARACTERS)
    assert "".join(await interaction.replied(3)) == "You said: " + "x" * MAX_MESSAGE_CHARACTERS
    with pytest.raises(ValueError, match="message"):
        await server.slash(ada, channel, "chat", message="x" * (MAX_MESSAGE_CHARACTERS + 1))


async def test_a_blank_message_gets_help_for_the_asker_alone(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    interaction = await server.slash(ada, channel, "chat", message=" \x00 ")
    assert await interaction.replied() == [conversations.hello()]
    assert interaction.replies[0].is_ephemeral
    assert api.asked == []


_RESET = datetime(2026, 11, 21, tzinfo=UTC)
_USED = {"X-RateLimit-Limit": "50", "X-RateLimit-Reset": str(int(_RESET.timestamp())), "Retry-After": "60"}


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        (Refusal(429, "Too many requests", headers=_USED), refusals.allowance_used(limit=50, resets_at=_RESET)),
        (Refusal(503, "Busy", headers={"Retry-After": "7"}), refusals.busy(retry_after_seconds=7)),
        (Refusal(503, "Model unavailable"), refusals.model_unavailable(retry_after_seconds=None)),
        (Refusal(504, "Timeout"), refusals.took_too_long()),
        (Refusal(401, "Unauthorized"), refusals.service_misconfigured()),
        (Refusal(403, "Forbidden"), refusals.service_misconfigured()),
        (Refusal(500, "Internal error"), refusals.unexpected(request_id="req-1234")),
        ("  \n ", refusals.empty_reply()),
        (b"<html>not the API</html>", refusals.unexpected(request_id="")),
    ],
    ids=["allowance", "busy", "unavailable", "timeout", "token", "ordinary token", "internal", "empty", "stranger"],
)
async def test_a_refusal_is_a_plain_sentence_and_leaves_no_dangling_question(
    server: DiscordServer,
    api: ScriptedApi,
    stores: BotStores,
    start_bot: StartBot,
    refusal: Refusal | str | bytes,
    sentence: str,
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    api.script.append(refusal)
    interaction = await server.slash(ada, channel, "chat", message="please")
    assert await interaction.replied() == [sentence]
    assert await stores.conversations.read(f"channel:{channel.id}") == []


async def test_no_service_at_all_is_told_as_an_absent_model(server: DiscordServer, start_bot: StartBot) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot(api_url=f"http://127.0.0.1:{free_port()}")
    interaction = await server.slash(ada, channel, "chat", message="please")
    assert await interaction.replied() == [refusals.model_unavailable(retry_after_seconds=None)]


async def test_an_adult_model_refuses_commands_in_ordinary_channels_to_the_asker_alone(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    guild, ada = server.guild(), server.user("Ada")
    ordinary, restricted = server.channel(guild), server.channel(guild, is_nsfw=True)
    # Admins can open a command to everybody, and clients know an older form of it for a while.
    server.state.shows_mature_commands = True
    await start_bot(mature=True)
    refused = await server.slash(ada, ordinary, "chat", message="hello")
    assert await refused.replied() == [refusals.not_age_restricted()]
    assert refused.replies[0].is_ephemeral
    answered = await server.slash(ada, restricted, "chat", message="hello")
    assert await answered.replied() == ["You said: hello"]


async def test_reset_forgets_this_channel_and_no_other(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    guild = server.guild()
    moderator = server.user("Mo", permissions=MEMBER_PERMISSIONS | MANAGE_MESSAGES)
    here, there = server.channel(guild), server.channel(guild)
    await start_bot()
    for channel in (here, there):
        await (await server.slash(moderator, channel, "chat", message="remember me")).replied()
    reset = await server.slash(moderator, here, "reset")
    assert await reset.replied() == [conversations.conversation_forgotten(messages=2)]
    assert await stores.conversations.read(f"channel:{here.id}") == []
    assert len(await stores.conversations.read(f"channel:{there.id}")) == 2


@pytest.mark.usefixtures("unhurried")
async def test_reset_is_refused_without_the_permission_though_discord_let_it_through(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    await (await server.slash(ada, channel, "chat", message="keep me")).replied()
    refused = await server.slash(ada, channel, "reset")
    assert await refused.replied() == [refusals.not_permitted(permission="Manage Messages")]
    assert refused.replies[0].is_ephemeral
    assert len(await stores.conversations.read(f"channel:{channel.id}")) == 2


async def test_anyone_may_reset_a_dm(server: DiscordServer, api: ScriptedApi, start_bot: StartBot) -> None:
    ada = server.user("Ada")
    dm = server.dm(ada)
    await start_bot()
    reset = await server.slash(ada, dm, "reset")
    assert await reset.replied() == [conversations.conversation_forgotten(messages=0)]


async def test_a_reset_waits_for_the_questions_asked_before_it(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, admin = server.channel(server.guild()), server.admin()
    await start_bot()
    api.hold()
    asked = await server.slash(admin, channel, "chat", message="still thinking")
    await api.arrived(1)
    reset = await server.slash(admin, channel, "reset")
    await reset.deferred()
    api.release()
    await asked.replied()
    assert await reset.replied() == [conversations.conversation_forgotten(messages=2)]
    assert await stores.conversations.read(f"channel:{channel.id}") == []


@pytest.mark.usefixtures("unhurried")
async def test_a_question_asked_after_a_reset_knows_nothing_of_before(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, admin = server.channel(server.guild()), server.admin()
    await start_bot()
    api.hold()
    await server.slash(admin, channel, "chat", message="before")
    await api.arrived(1)
    await server.slash(admin, channel, "reset")
    after = await server.slash(admin, channel, "chat", message="after")
    await after.deferred()
    api.release()
    await after.replied()
    assert [message.content for message in api.asked[1].request.messages[1:]] == ["Grace: after"]


async def test_a_reset_while_stopping_is_refused_to_the_asker(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, admin = server.channel(server.guild()), server.admin()
    bot = await start_bot()
    api.hold()
    await server.slash(admin, channel, "chat", message="still thinking")
    await api.arrived(1)
    stopping = asyncio.create_task(bot.stop())
    reset = await server.slash(admin, channel, "reset")
    assert await reset.replied() == [refusals.shutting_down()]
    api.release()
    await stopping
