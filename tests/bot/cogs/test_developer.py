"""`/developer`, through discord.py and the stand-in Discord, on a real token store and ledger."""

import re

import pytest

from bot import texts
from bot.cogs.developer import MAX_TOKENS_PER_SERVER
from bot.config import BotStores
from storage.database import Database
from storage.errors import TokenRevokedError
from tests.bot.conftest import StartBot
from tests.doubles.discord_model import MANAGE_GUILD, MEMBER_PERMISSIONS
from tests.doubles.discord_server import DiscordServer

_SECRET = re.compile(r"parley_[\w-]{32,}")


async def test_a_token_is_shown_once_to_the_asker_alone_and_works(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    guild, admin = server.guild(), server.admin()
    channel = server.channel(guild)
    await start_bot()
    created = await server.slash(admin, channel, "developer token create", name="my app", daily_calls=20)
    (text,) = await created.replied()
    assert created.replies[0].is_ephemeral
    secret = _SECRET.search(text)
    assert secret is not None
    assert "http://127.0.0.1:8080/ai/chat" in text
    token = await stores.tokens.find(secret[0])
    assert (token.name, token.daily_calls, token.guild_id) == ("my app", 20, guild.id)
    assert (token.created_by, token.mature) == (admin.id, False)
    listed = await server.slash(admin, channel, "developer token list")
    (listing,) = await listed.replied()
    assert token.id in listing
    assert _SECRET.search(listing) is None


async def test_the_allowance_suggested_is_the_operators_and_an_adult_model_marks_its_tokens(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    guild, admin = server.guild(), server.admin()
    channel = server.channel(guild)
    await start_bot(daily_calls=77, mature=True)
    created = await server.slash(admin, channel, "developer token create", name="app")
    await created.replied()
    (token,) = await stores.tokens.list(guild_id=guild.id)
    assert (token.daily_calls, token.mature) == (77, True)


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("developer token create", {"name": "app"}),
        ("developer token list", {}),
        ("developer token revoke", {"token": "app"}),
        ("developer token rotate", {"token": "app"}),
    ],
)
async def test_token_commands_need_manage_server_though_discord_let_them_through(
    server: DiscordServer, stores: BotStores, start_bot: StartBot, command: str, options: dict[str, str]
) -> None:
    guild, ada = server.guild(), server.user("Ada")
    channel = server.channel(guild)
    issued = await stores.tokens.create("app", daily_calls=1, guild_id=guild.id)
    await start_bot()
    refused = await server.slash(ada, channel, command, **options)
    assert await refused.replied() == [texts.not_permitted(permission="Manage Server")]
    assert refused.replies[0].is_ephemeral
    assert [token.id for token in await stores.tokens.list(guild_id=guild.id)] == [issued.token.id]
    assert (await stores.tokens.find(issued.secret)).id == issued.token.id


async def test_manage_server_is_enough(server: DiscordServer, stores: BotStores, start_bot: StartBot) -> None:
    guild = server.guild()
    manager = server.user("Max", permissions=MEMBER_PERMISSIONS | MANAGE_GUILD)
    channel = server.channel(guild)
    await start_bot()
    await (await server.slash(manager, channel, "developer token create", name="app")).replied()
    assert len(await stores.tokens.list(guild_id=guild.id)) == 1


async def test_revoke_and_rotate_take_a_name_or_an_id(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    guild, admin = server.guild(), server.admin()
    channel = server.channel(guild)
    first = await stores.tokens.create("First", daily_calls=1, guild_id=guild.id)
    second = await stores.tokens.create("Second", daily_calls=1, guild_id=guild.id)
    await start_bot()
    rotated = await server.slash(admin, channel, "developer token rotate", token="first")
    (text,) = await rotated.replied()
    new_secret = _SECRET.search(text)
    assert new_secret is not None
    assert (await stores.tokens.find(new_secret[0])).id == first.token.id
    with pytest.raises(TokenRevokedError):
        await stores.tokens.find(first.secret)
    revoked = await server.slash(admin, channel, "developer token revoke", token=second.token.id)
    assert await revoked.replied() == [texts.token_revoked(name="Second", token_id=second.token.id)]
    with pytest.raises(TokenRevokedError):
        await stores.tokens.find(second.secret)


async def test_a_token_of_another_server_is_not_found(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    mine, theirs, admin = server.guild("Mine"), server.guild("Theirs"), server.admin()
    channel = server.channel(mine)
    foreign = await stores.tokens.create("foreign", daily_calls=1, guild_id=theirs.id)
    await start_bot()
    for command in ("developer token revoke", "developer token rotate"):
        refused = await server.slash(admin, channel, command, token=foreign.token.id)
        assert await refused.replied() == [texts.no_such_token()]
    assert (await stores.tokens.find(foreign.secret)).id == foreign.token.id


async def test_a_name_that_fits_two_tokens_asks_for_the_id(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    guild, admin = server.guild(), server.admin()
    channel = server.channel(guild)
    for _ in range(2):
        await stores.tokens.create("twin", daily_calls=1, guild_id=guild.id)
    await start_bot()
    refused = await server.slash(admin, channel, "developer token revoke", token="twin")
    assert await refused.replied() == [texts.ambiguous_token(name="twin")]
    assert len(await stores.tokens.list(guild_id=guild.id)) == 2


async def test_a_server_has_a_bounded_number_of_tokens_and_its_list_is_split(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    guild, admin = server.guild(), server.admin()
    channel = server.channel(guild)
    for number in range(MAX_TOKENS_PER_SERVER):
        await stores.tokens.create(f"{'n' * 28} {number}", daily_calls=1, guild_id=guild.id, created_by=admin.id)
    await start_bot()
    refused = await server.slash(admin, channel, "developer token create", name="one more")
    assert await refused.replied() == [texts.too_many_tokens(limit=MAX_TOKENS_PER_SERVER)]
    listed = await server.slash(admin, channel, "developer token list")
    parts = await listed.replied(2)
    assert "".join(parts).count("**") == 2 * MAX_TOKENS_PER_SERVER
    assert all(message.is_ephemeral for message in listed.replies)


@pytest.mark.parametrize(
    ("name", "kept"),
    [("`@everyone`", ["everyone"]), ("**bold**", ["bold"]), ("\u202e", []), ("a\nb", ["a b"])],
)
async def test_a_tricky_name_is_made_harmless_or_refused(
    server: DiscordServer, stores: BotStores, start_bot: StartBot, name: str, kept: list[str]
) -> None:
    guild, admin = server.guild(), server.admin()
    channel = server.channel(guild)
    await start_bot()
    created = await server.slash(admin, channel, "developer token create", name=name)
    (text,) = await created.replied()
    assert (text == texts.bad_token_name()) == (kept == [])
    assert [token.name for token in await stores.tokens.list(guild_id=guild.id)] == kept


async def test_autocomplete_suggests_to_managers_only(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    guild, admin, ada = server.guild(), server.admin(), server.user("Ada")
    channel = server.channel(guild)
    issued = await stores.tokens.create("Website", daily_calls=1, guild_id=guild.id)
    await stores.tokens.create("Other", daily_calls=1, guild_id=guild.id)
    await start_bot()
    command = "developer token revoke"
    assert await server.autocomplete(admin, channel, command, "token", "webs") == [issued.token.id]
    assert await server.autocomplete(ada, channel, command, "token", "webs") == []


async def test_usage_shows_everything_to_managers_and_their_own_tokens_to_others(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    guild, admin, ada, bob = server.guild(), server.admin(), server.user("Ada"), server.user("Bob")
    channel = server.channel(guild)
    hers = await stores.tokens.create("hers", daily_calls=10, guild_id=guild.id, created_by=ada.id)
    await stores.tokens.create("elses", daily_calls=10, guild_id=guild.id, created_by=admin.id)
    for tenant, prompt_tokens in ((hers.token.id, 1000), (f"discord:{guild.id}", 7)):
        charge = await stores.ledger.charge(tenant, limit=10)
        await stores.ledger.settle(charge, prompt_tokens=prompt_tokens, completion_tokens=200)
    await start_bot()
    (everything,) = await (await server.slash(admin, channel, "developer usage")).replied()
    (own,) = await (await server.slash(ada, channel, "developer usage")).replied()
    (nothing,) = await (await server.slash(bob, channel, "developer usage")).replied()
    assert re.search(r"<t:\d+:R>", everything)
    assert "This server in Discord** · 1 of 1,000 calls · 207 LLM tokens today" in everything
    assert "hers** · 1 of 10 calls · 1,200 LLM tokens today · 1 call and 1,200 LLM tokens" in everything
    assert "elses** · 0 of 10 calls" in everything
    assert "hers" in own
    assert "elses" not in own
    assert "This server" not in own
    assert nothing == texts.no_own_tokens()


async def test_a_database_out_of_reach_is_an_apology_and_suggests_nothing(
    server: DiscordServer, database: Database, start_bot: StartBot, caplog: pytest.LogCaptureFixture
) -> None:
    channel, admin = server.channel(server.guild()), server.admin()
    await start_bot()
    await database.close()
    failed = await server.slash(admin, channel, "developer token create", name="swordfish")
    assert await failed.replied() == [texts.unexpected(request_id="")]
    assert failed.replies[0].is_ephemeral
    assert await server.autocomplete(admin, channel, "developer token revoke", "token", "sword") == []
    assert "developer token create failed: StorageError" in caplog.text
    assert "swordfish" not in caplog.text


async def test_developer_commands_refuse_a_dm_though_discord_let_them_through(
    server: DiscordServer, start_bot: StartBot
) -> None:
    ada = server.user("Ada")
    dm = server.dm(ada)
    await start_bot()
    for command in server.state.commands:
        command["contexts"] = [0, 1]
    for command_name in ("developer usage", "developer token list"):
        refused = await server.slash(ada, dm, command_name)
        assert await refused.replied() == [texts.not_in_server()]


async def test_developer_is_not_offered_in_a_dm(server: DiscordServer, start_bot: StartBot) -> None:
    ada = server.user("Ada")
    dm = server.dm(ada)
    await start_bot()
    with pytest.raises(ValueError, match="not shown here"):
        await server.slash(ada, dm, "developer usage")
