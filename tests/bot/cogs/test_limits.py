"""`/developer limit`, and that such a limit holds for those who ask."""

import asyncio

import pytest

from bot.config import BotStores
from bot.person_limits import person_tenant
from bot.texts import limits, refusals
from storage.database import Database
from storage.person_limits import MAX_LIMITS_PER_GUILD, PersonLimit
from tests.bot.conftest import StartBot
from tests.bot.scripted_api import ScriptedApi
from tests.doubles.discord_model import MANAGE_GUILD, MEMBER_PERMISSIONS
from tests.doubles.discord_server import DiscordServer


async def test_limits_are_set_for_everyone_and_for_roles_shown_and_cleared(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    guild = server.guild()
    manager = server.user("Max", permissions=MEMBER_PERMISSIONS | MANAGE_GUILD)
    channel, patrons = server.channel(guild), server.role(guild, "Patrons")
    await start_bot()
    everyone = await server.slash(manager, channel, "developer limit set", calls=20)
    assert await everyone.replied() == [limits.everyones_limit_set(daily_calls=20)]
    role = await server.slash(manager, channel, "developer limit set", calls=200, role=patrons)
    assert await role.replied() == [limits.role_limit_set(role=patrons.mention, daily_calls=200)]
    assert await stores.person_limits.list(guild.id) == [
        PersonLimit(role_id=None, daily_calls=20),
        PersonLimit(role_id=patrons.id, daily_calls=200),
    ]
    shown = await server.slash(manager, channel, "developer limit show")
    (text,) = await shown.replied()
    assert shown.replies[0].is_ephemeral
    assert text.splitlines()[:3] == [
        limits.limits_heading(),
        limits.everyones_limit(daily_calls=20),
        limits.role_limit(role=patrons.mention, daily_calls=200),
    ]
    cleared = await server.slash(manager, channel, "developer limit clear", role="patrons")
    assert await cleared.replied() == [limits.role_limit_cleared(role=patrons.mention)]
    cleared = await server.slash(manager, channel, "developer limit clear")
    assert await cleared.replied() == [limits.everyones_limit_cleared()]
    assert await stores.person_limits.list(guild.id) == []
    again = await server.slash(manager, channel, "developer limit clear")
    assert await again.replied() == [limits.no_such_limit()]


@pytest.mark.parametrize(
    ("command", "options"), [("developer limit set", {"calls": 1}), ("developer limit clear", {"role": None})]
)
async def test_changes_need_manage_server_and_nothing_is_suggested_to_others(
    server: DiscordServer, stores: BotStores, start_bot: StartBot, command: str, options: dict[str, int | None]
) -> None:
    guild, ada = server.guild(), server.user("Ada")
    channel, patrons = server.channel(guild), server.role(guild, "Patrons")
    await stores.person_limits.set(guild.id, 5, changed_by=1)
    await stores.person_limits.set(guild.id, 6, role_id=patrons.id, changed_by=1)
    await start_bot()
    given = {name: value for name, value in options.items() if value is not None}
    refused = await server.slash(ada, channel, command, **given)
    assert await refused.replied() == [refusals.not_permitted(permission="Manage Server")]
    assert len(await stores.person_limits.list(guild.id)) == 2
    assert await server.autocomplete(ada, channel, "developer limit clear", "role", "") == []


async def test_everyone_sees_the_limits_and_their_own_standing(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    guild, ada, bob = server.guild(), server.user("Ada"), server.user("Bob")
    channel, patrons = server.channel(guild), server.role(guild, "Patrons")
    ada.roles.append(patrons)
    await stores.person_limits.set(guild.id, 9, role_id=patrons.id, changed_by=1)
    await stores.ledger.keep(await stores.ledger.charge(person_tenant(guild.id, ada.id), limit=9))
    await start_bot()
    (hers,) = await (await server.slash(ada, channel, "developer limit show")).replied()
    (his,) = await (await server.slash(bob, channel, "developer limit show")).replied()
    assert limits.default_limit(daily_calls=None) in hers
    assert "You have used 1 of your 9 calls today; the next day starts <t:" in hers
    assert his.endswith(limits.no_own_limit())


async def test_the_operators_limit_is_shown_as_such(server: DiscordServer, start_bot: StartBot) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot(person_daily_calls=12)
    (text,) = await (await server.slash(ada, channel, "developer limit show")).replied()
    assert limits.default_limit(daily_calls=12) in text
    assert "You have used 0 of your 12 calls" in text


async def test_a_role_that_was_deleted_is_shown_as_such_and_can_be_cleared(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    guild, admin = server.guild(), server.admin()
    channel, patrons = server.channel(guild), server.role(guild, "Patrons")
    deleted = 123_456_789
    for role_id in (deleted, patrons.id):
        await stores.person_limits.set(guild.id, 5, role_id=role_id, changed_by=1)
    await start_bot()
    (text,) = await (await server.slash(admin, channel, "developer limit show")).replied()
    assert limits.role_limit(role=limits.deleted_role(role_id=deleted), daily_calls=5) in text
    suggested = await server.suggestions(admin, channel, "developer limit clear", "role", "")
    assert {each["value"]: each["name"] for each in suggested} == {
        str(deleted): limits.suggested_limit(role=limits.deleted_role(role_id=deleted), daily_calls=5),
        str(patrons.id): limits.suggested_limit(role="Patrons", daily_calls=5),
    }
    assert await server.autocomplete(admin, channel, "developer limit clear", "role", "patr") == [str(patrons.id)]
    cleared = await server.slash(admin, channel, "developer limit clear", role=str(deleted))
    assert await cleared.replied() == [limits.role_limit_cleared(role=limits.deleted_role(role_id=deleted))]
    assert await stores.person_limits.list(guild.id) == [PersonLimit(role_id=patrons.id, daily_calls=5)]


@pytest.mark.parametrize("wanted", ["@Patrons", "{mention}", "{id}", " patrons "])
async def test_a_role_is_cleared_by_name_mention_or_id(
    server: DiscordServer, stores: BotStores, start_bot: StartBot, wanted: str
) -> None:
    guild, admin = server.guild(), server.admin()
    channel, patrons = server.channel(guild), server.role(guild, "Patrons")
    await stores.person_limits.set(guild.id, 5, role_id=patrons.id, changed_by=1)
    await start_bot()
    written = wanted.format(mention=patrons.mention, id=patrons.id)
    cleared = await server.slash(admin, channel, "developer limit clear", role=written)
    assert await cleared.replied() == [limits.role_limit_cleared(role=patrons.mention)]


@pytest.mark.parametrize("wanted", ["Moderators", "1", "99999999999999999999", "@everyone", "'; DROP TABLE"])
async def test_a_role_without_a_limit_is_a_sentence(
    server: DiscordServer, stores: BotStores, start_bot: StartBot, wanted: str
) -> None:
    guild, admin = server.guild(), server.admin()
    channel = server.channel(guild)
    server.role(guild, "Moderators")
    await stores.person_limits.set(guild.id, 5, changed_by=1)
    await start_bot()
    refused = await server.slash(admin, channel, "developer limit clear", role=wanted)
    assert await refused.replied() == [limits.no_such_limit()]
    assert len(await stores.person_limits.list(guild.id)) == 1


async def test_a_server_has_a_bounded_number_of_limits(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    guild, admin = server.guild(), server.admin()
    channel, one_more = server.channel(guild), server.role(guild, "One more")
    for number in range(MAX_LIMITS_PER_GUILD):
        await stores.person_limits.set(guild.id, 1_000_000, role_id=10**18 + number, changed_by=1)
    await start_bot()
    refused = await server.slash(admin, channel, "developer limit set", calls=5, role=one_more)
    assert await refused.replied() == [limits.too_many_limits(limit=MAX_LIMITS_PER_GUILD)]
    (text,) = await (await server.slash(admin, channel, "developer limit show")).replied()
    assert text.count("deleted role") == MAX_LIMITS_PER_GUILD


async def test_a_database_out_of_reach_suggests_nothing(
    server: DiscordServer, database: Database, start_bot: StartBot
) -> None:
    channel, admin = server.channel(server.guild()), server.admin()
    await start_bot()
    await database.close()
    assert await server.autocomplete(admin, channel, "developer limit clear", "role", "") == []


@pytest.mark.usefixtures("unhurried")
async def test_who_has_used_their_calls_is_told_when_they_return_and_others_go_on(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    guild, ada, bob = server.guild(), server.user("Ada"), server.user("Bob")
    channel, patrons = server.channel(guild), server.role(guild, "Patrons")
    bob.roles.append(patrons)
    await stores.person_limits.set(guild.id, 2, changed_by=1)
    await stores.person_limits.set(guild.id, 5, role_id=patrons.id, changed_by=1)
    await start_bot()
    for user, expected in ((ada, 2), (bob, 5)):
        asked = await asyncio.gather(
            *(server.slash(user, channel, "chat", message=f"Question {number}", private=True) for number in range(7))
        )
        texts = [(await each.replied())[0] for each in asked]
        assert sum("You can ask again <t:" in text for text in texts) == 7 - expected
    assert len(api.asked) == 7
