"""`/developer token`, through discord.py and the stand-in Discord, on a real token store."""

import asyncio
import re
import time

import pytest

from bot.config import BotStores
from bot.texts import confirming, refusals, tokens
from storage.database import Database
from storage.errors import TokenRevokedError
from tests.bot.conftest import StartBot
from tests.doubles.discord_model import MANAGE_GUILD, MEMBER_PERMISSIONS, Channel, Message, User
from tests.doubles.discord_server import DiscordServer

_SECRET = re.compile(r"parley_[\w-]{32,}")
_MOMENT = re.compile(r"<t:(\d+):R>")
_HOUR_SECONDS = 3600


async def ask(
    server: DiscordServer, user: User, channel: Channel, what: str, token: str, *, grace: int | None = None
) -> Message:
    """Use `revoke` or `rotate`; returns the question."""
    options = {"token": token} if grace is None else {"token": token, "grace": grace}
    used = await server.slash(user, channel, f"developer token {what}", **options)
    await used.replied()
    (question,) = used.replies
    assert question.is_ephemeral
    return question


async def answer(server: DiscordServer, user: User, question: Message, label: str) -> str:
    """Press a button of the question; returns what takes its place."""
    asked = question.content
    await server.press(user, question, question.custom_id(label))
    await server.changes.until(lambda: question.content != asked, "the question gives way")
    assert question.components == []
    return question.content


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
    channel = server.channel(guild, is_nsfw=True)
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
    assert await refused.replied() == [refusals.not_permitted(permission="Manage Server")]
    assert refused.replies[0].is_ephemeral
    assert refused.replies[0].components == []
    assert [token.id for token in await stores.tokens.list(guild_id=guild.id)] == [issued.token.id]
    assert (await stores.tokens.find(issued.secret)).id == issued.token.id


async def test_manage_server_is_enough(server: DiscordServer, stores: BotStores, start_bot: StartBot) -> None:
    guild = server.guild()
    manager = server.user("Max", permissions=MEMBER_PERMISSIONS | MANAGE_GUILD)
    channel = server.channel(guild)
    await start_bot()
    await (await server.slash(manager, channel, "developer token create", name="app")).replied()
    assert len(await stores.tokens.list(guild_id=guild.id)) == 1


@pytest.mark.parametrize("by_name", [True, False])
async def test_a_revocation_names_the_token_asks_and_then_ends_it(
    server: DiscordServer, stores: BotStores, start_bot: StartBot, by_name: bool
) -> None:
    guild, admin = server.guild(), server.admin()
    channel = server.channel(guild)
    issued = await stores.tokens.create("First", daily_calls=1, guild_id=guild.id)
    await start_bot()
    question = await ask(server, admin, channel, "revoke", "first" if by_name else issued.token.id)
    assert question.content == tokens.revoke_question(name="First", token_id=issued.token.id)
    assert list(question.buttons) == ["Revoke", "Keep it"]
    assert (await stores.tokens.find(issued.secret)).id == issued.token.id
    said = await answer(server, admin, question, "Revoke")
    assert said == tokens.token_revoked(name="First", token_id=issued.token.id)
    with pytest.raises(TokenRevokedError):
        await stores.tokens.find(issued.secret)


@pytest.mark.parametrize("what", ["revoke", "rotate"])
async def test_a_token_that_is_kept_goes_on_working(
    server: DiscordServer, stores: BotStores, start_bot: StartBot, what: str
) -> None:
    guild, admin = server.guild(), server.admin()
    channel = server.channel(guild)
    issued = await stores.tokens.create("app", daily_calls=1, guild_id=guild.id)
    await start_bot()
    question = await ask(server, admin, channel, what, "app")
    assert await answer(server, admin, question, "Keep it") == confirming.nothing_changed()
    assert (await stores.tokens.find(issued.secret)).id == issued.token.id


async def test_a_rotation_shows_a_new_secret_and_the_old_one_stops_at_once(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    guild, admin = server.guild(), server.admin()
    channel = server.channel(guild)
    issued = await stores.tokens.create("app", daily_calls=1, guild_id=guild.id)
    await start_bot()
    question = await ask(server, admin, channel, "rotate", "app")
    assert question.content == tokens.rotate_question(name="app", token_id=issued.token.id, old_until=None)
    assert list(question.buttons) == ["Rotate", "Keep it"]
    said = await answer(server, admin, question, "Rotate")
    new_secret = _SECRET.search(said)
    assert new_secret is not None
    assert (await stores.tokens.find(new_secret[0])).id == issued.token.id
    with pytest.raises(TokenRevokedError):
        await stores.tokens.find(issued.secret)
    assert _SECRET.search("".join(message.content for message in channel.messages)) is None


async def test_a_rotation_leaves_the_old_secret_for_as_long_as_was_chosen(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    guild, admin = server.guild(), server.admin()
    channel = server.channel(guild)
    issued = await stores.tokens.create("app", daily_calls=1, guild_id=guild.id)
    await start_bot()
    question = await ask(server, admin, channel, "rotate", "app", grace=_HOUR_SECONDS)
    said = await answer(server, admin, question, "Rotate")
    for text in (question.versions[0] or question.versions[1], said):
        moment = _MOMENT.search(text)
        assert moment is not None
        assert abs(int(moment[1]) - time.time() - _HOUR_SECONDS) < 60
    new_secret = _SECRET.search(said)
    assert new_secret is not None
    for secret in (new_secret[0], issued.secret):
        assert (await stores.tokens.find(secret)).id == issued.token.id


async def test_the_permission_is_looked_at_again_when_the_button_is_pressed(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    guild, admin = server.guild(), server.admin()
    channel = server.channel(guild)
    issued = await stores.tokens.create("app", daily_calls=1, guild_id=guild.id)
    await start_bot()
    questions = [await ask(server, admin, channel, what, "app") for what in ("revoke", "rotate")]
    admin.permissions = MEMBER_PERMISSIONS
    for question, label in zip(questions, ("Revoke", "Rotate"), strict=True):
        press = await server.press(admin, question, question.custom_id(label))
        assert await press.replied() == [refusals.not_permitted(permission="Manage Server")]
    assert (await stores.tokens.find(issued.secret)).id == issued.token.id


async def test_a_token_revoked_while_its_rotation_is_asked_about_is_not_found_any_more(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    guild, admin = server.guild(), server.admin()
    channel = server.channel(guild)
    issued = await stores.tokens.create("app", daily_calls=1, guild_id=guild.id)
    await start_bot()
    question = await ask(server, admin, channel, "rotate", "app")
    await stores.tokens.revoke(issued.token.id)
    press = await server.press(admin, question, question.custom_id("Rotate"))
    assert await press.replied() == [tokens.no_such_token()]


async def test_a_token_of_another_server_is_not_found(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    mine, theirs, admin = server.guild("Mine"), server.guild("Theirs"), server.admin()
    channel = server.channel(mine)
    foreign = await stores.tokens.create("foreign", daily_calls=1, guild_id=theirs.id)
    await start_bot()
    for command in ("developer token revoke", "developer token rotate"):
        refused = await server.slash(admin, channel, command, token=foreign.token.id)
        assert await refused.replied() == [tokens.no_such_token()]
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
    assert await refused.replied() == [tokens.ambiguous_token(name="twin")]
    assert len(await stores.tokens.list(guild_id=guild.id)) == 2


async def test_of_many_tokens_asked_for_at_once_a_server_gets_as_many_as_it_may_have(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    guild, admin = server.guild(), server.admin()
    channel = server.channel(guild)
    await start_bot(tokens_per_server=3)
    created = await asyncio.gather(
        *(server.slash(admin, channel, "developer token create", name=f"app {number}") for number in range(7))
    )
    texts = [text for each in created for text in await each.replied()]
    assert texts.count(tokens.too_many_tokens(limit=3)) == 4
    assert len(await stores.tokens.list(guild_id=guild.id)) == 3
    (first, *_) = await stores.tokens.list(guild_id=guild.id)
    await stores.tokens.revoke(first.id)
    (text,) = await (await server.slash(admin, channel, "developer token create", name="again")).replied()
    assert _SECRET.search(text)


async def test_a_long_list_is_split(server: DiscordServer, stores: BotStores, start_bot: StartBot) -> None:
    guild, admin = server.guild(), server.admin()
    channel = server.channel(guild)
    for number in range(25):
        await stores.tokens.create(f"{'n' * 28} {number}", daily_calls=1, guild_id=guild.id, created_by=admin.id)
    await start_bot()
    listed = await server.slash(admin, channel, "developer token list")
    parts = await listed.replied(2)
    assert "".join(parts).count("**") == 2 * 25
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
    assert (text == tokens.bad_token_name()) == (kept == [])
    assert [token.name for token in await stores.tokens.list(guild_id=guild.id)] == kept


async def test_autocomplete_suggests_to_managers_only(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    guild, admin, ada = server.guild(), server.admin(), server.user("Ada")
    channel = server.channel(guild)
    issued = await stores.tokens.create("Website", daily_calls=1, guild_id=guild.id)
    await stores.tokens.create("Other", daily_calls=1, guild_id=guild.id)
    await start_bot()
    for command in ("developer token revoke", "developer token rotate"):
        assert await server.autocomplete(admin, channel, command, "token", "webs") == [issued.token.id]
        assert await server.autocomplete(ada, channel, command, "token", "webs") == []


async def test_autocomplete_shows_as_many_as_discord_takes(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    guild, admin = server.guild(), server.admin()
    channel = server.channel(guild)
    for number in range(30):
        await stores.tokens.create(f"app {number}", daily_calls=1, guild_id=guild.id)
    await start_bot()
    assert len(await server.autocomplete(admin, channel, "developer token revoke", "token", "app")) == 25


async def test_a_database_out_of_reach_is_an_apology_and_suggests_nothing(
    server: DiscordServer, database: Database, start_bot: StartBot, caplog: pytest.LogCaptureFixture
) -> None:
    channel, admin = server.channel(server.guild()), server.admin()
    await start_bot()
    await database.close()
    failed = await server.slash(admin, channel, "developer token create", name="swordfish")
    assert await failed.replied() == [refusals.unexpected(request_id="")]
    assert failed.replies[0].is_ephemeral
    assert await server.autocomplete(admin, channel, "developer token revoke", "token", "sword") == []
    assert "developer token create failed: StorageError" in caplog.text
    assert "swordfish" not in caplog.text
