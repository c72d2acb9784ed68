"""`/developer usage`, and where `/developer` is offered at all."""

import re
import struct
import sys

import pytest

from bot.config import BotStores
from bot.texts import refusals, usage
from tests.bot.conftest import StartBot
from tests.doubles.discord_server import DiscordServer

_PNG = b"\x89PNG\r\n\x1a\n"


async def use(stores: BotStores, tenant_id: str, *, prompt_tokens: int) -> None:
    charge = await stores.ledger.charge(tenant_id, limit=10)
    await stores.ledger.settle(charge, prompt_tokens=prompt_tokens, completion_tokens=200)


async def test_usage_shows_everything_to_managers_and_their_own_tokens_to_others(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    guild, admin, ada, bob = server.guild(), server.admin(), server.user("Ada"), server.user("Bob")
    channel = server.channel(guild)
    hers = await stores.tokens.create("hers", daily_calls=10, guild_id=guild.id, created_by=ada.id)
    await stores.tokens.create("elses", daily_calls=10, guild_id=guild.id, created_by=admin.id)
    gone = await stores.tokens.create("gone", daily_calls=10, guild_id=guild.id, created_by=admin.id)
    for tenant_id, prompt_tokens in ((hers.token.id, 1000), (gone.token.id, 1), (f"discord:{guild.id}", 7)):
        await use(stores, tenant_id, prompt_tokens=prompt_tokens)
    await stores.tokens.revoke(gone.token.id)
    await start_bot()
    (everything,) = await (await server.slash(admin, channel, "developer usage")).replied()
    (own,) = await (await server.slash(ada, channel, "developer usage")).replied()
    (nothing,) = await (await server.slash(bob, channel, "developer usage")).replied()
    assert re.search(r"<t:\d+:R>", everything)
    assert "This server in Discord** · 1 of 1,000 calls · 207 LLM tokens today" in everything
    assert "hers** · 1 of 10 calls · 1,200 LLM tokens today · 1 call and 1,200 LLM tokens" in everything
    assert "elses** · 0 of 10 calls" in everything
    assert "gone (revoked)** · 1 call and 201 LLM tokens" in everything
    assert "hers" in own
    assert "elses" not in own
    assert "gone" not in own
    assert "This server" not in own
    assert nothing == usage.no_own_tokens()


async def test_usage_comes_as_a_picture_with_a_description_for_screen_readers(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    guild, admin = server.guild(), server.admin()
    channel = server.channel(guild)
    await use(stores, f"discord:{guild.id}", prompt_tokens=7)
    await start_bot()
    used = await server.slash(admin, channel, "developer usage")
    await used.replied()
    (message,) = used.replies
    assert message.is_ephemeral
    (picture,) = message.files
    assert picture.filename == "usage.png"
    assert picture.data.startswith(_PNG)
    width, height = struct.unpack(">II", picture.data[16:24])
    assert width > 500
    assert height > 500
    assert picture.description is not None
    assert "1 call and 207 LLM tokens in all" in picture.description


async def test_without_a_picture_the_numbers_go_out_alone(
    server: DiscordServer,
    start_bot: StartBot,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    channel, admin = server.channel(server.guild()), server.admin()
    await start_bot()
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    used = await server.slash(admin, channel, "developer usage")
    (text,) = await used.replied()
    assert "This server in Discord" in text
    assert used.replies[0].files == []
    assert caplog.text.count("the picture of usage was not drawn") == 1


async def test_the_numbers_of_many_tokens_are_split(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    guild, admin = server.guild(), server.admin()
    channel = server.channel(guild)
    for number in range(25):
        await stores.tokens.create(f"{'n' * 28} {number}", daily_calls=1_000_000, guild_id=guild.id)
    await start_bot()
    used = await server.slash(admin, channel, "developer usage")
    parts = await used.replied(2)
    assert "\n".join(parts).count("of 1,000,000 calls") == 25
    assert [len(message.files) for message in used.replies] == [1, 0]
    assert all(message.is_ephemeral for message in used.replies)


async def test_developer_commands_refuse_a_dm_though_discord_let_them_through(
    server: DiscordServer, start_bot: StartBot
) -> None:
    ada = server.user("Ada")
    dm = server.dm(ada)
    await start_bot()
    for command in server.state.commands:
        command["contexts"] = [0, 1]
    for command_name in ("developer usage", "developer token list", "developer limit show", "developer limit clear"):
        refused = await server.slash(ada, dm, command_name)
        assert await refused.replied() == [refusals.not_in_server()]


async def test_developer_is_not_offered_in_a_dm(server: DiscordServer, start_bot: StartBot) -> None:
    ada = server.user("Ada")
    dm = server.dm(ada)
    await start_bot()
    with pytest.raises(ValueError, match="not shown here"):
        await server.slash(ada, dm, "developer usage")
