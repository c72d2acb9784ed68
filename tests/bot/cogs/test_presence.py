"""`/help` and the introduction, through discord.py and the stand-in Discord."""

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot import language
from bot.texts import presence
from storage.database import Database
from tests.bot.conftest import StartBot
from tests.bot.small_catalogues import Translation, write_catalogues
from tests.doubles.discord_model import MEMBER_PERMISSIONS, VIEW_AUDIT_LOG, Channel
from tests.doubles.discord_server import DiscordServer
from tests.waiting import eventually

_GERMAN_HELLO = "Hallo, ich bin Parley."
_POST = "POST /channels/{channel}/messages"
_AUDIT_LOG = MEMBER_PERMISSIONS | VIEW_AUDIT_LOG


@pytest.fixture
def german(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    english = presence.overview().replace("Ask about this message", "{menu}")
    translations: Translation = {
        (None, presence.introduction()): _GERMAN_HELLO,
        (None, english): "Hilfe zu *{menu}*.",
    }
    monkeypatch.setattr(language, "CATALOGUES", write_catalogues(tmp_path / "locales", de=translations))


async def _settled(server: DiscordServer) -> None:
    """Wait until whatever the bot was told so far has been worked on: it answers what comes after that."""
    channel, ada = server.channel(server.state.guilds[0], "settling"), server.user("Settler")
    await (await server.slash(ada, channel, "help")).replied()
    await (await server.slash(ada, channel, "settings show")).replied()


def _said_in(server: DiscordServer, channel: Channel) -> list[str]:
    return [message.content for message in channel.own_messages(server.bot)]


# /help ---------------------------------------------------------------------------------------------------------------


async def test_help_is_for_the_asker_alone_in_servers_and_dms(server: DiscordServer, start_bot: StartBot) -> None:
    ada = server.user("Ada")
    channel, dm = server.channel(server.guild()), server.dm(ada)
    await start_bot()
    for place in (channel, dm):
        asked = await server.slash(ada, place, "help")
        assert await asked.replied() == [presence.overview()]
        assert asked.replies[0].is_ephemeral


@pytest.mark.usefixtures("german")
async def test_help_speaks_the_askers_language_and_not_the_servers(server: DiscordServer, start_bot: StartBot) -> None:
    channel = server.channel(server.guild(locale="ja"))
    await start_bot()
    in_german = await server.slash(server.user("Ada", locale="de"), channel, "help")
    in_english = await server.slash(server.user("Bob", locale="nl"), channel, "help")
    assert await in_german.replied() == ["Hilfe zu *Ask about this message*."]
    assert await in_english.replied() == [presence.overview()]


# The introduction ----------------------------------------------------------------------------------------------------


async def test_the_bot_introduces_itself_in_the_system_channel(server: DiscordServer, start_bot: StartBot) -> None:
    await start_bot()
    guild, inviter = server.guild(bot_permissions=_AUDIT_LOG), server.user("Ivy")
    channel, other, dm = server.channel(guild, is_system=True), server.channel(guild), server.dm(inviter)
    await server.join(guild, inviter=inviter)
    assert await server.posted(channel) == [presence.introduction()]
    await _settled(server)
    assert _said_in(server, other) == _said_in(server, dm) == []
    assert server.state.pings == set()


@pytest.mark.usefixtures("german")
async def test_the_introduction_is_in_the_servers_language(server: DiscordServer, start_bot: StartBot) -> None:
    await start_bot()
    german, dutch = server.guild(locale="de"), server.guild(locale="nl")
    channels = [server.channel(guild, is_system=True) for guild in (german, dutch)]
    for guild in (german, dutch):
        await server.join(guild)
    assert await server.posted(channels[0]) == [_GERMAN_HELLO]
    assert await server.posted(channels[1]) == [presence.introduction()]


@pytest.mark.parametrize("has_system_channel", [True, False])
async def test_without_a_channel_to_speak_in_the_inviter_is_told(
    server: DiscordServer, start_bot: StartBot, has_system_channel: bool
) -> None:
    await start_bot()
    inviter, owner = server.user("Ivy"), server.user("Olga")
    guild = server.guild("The **Hall** @everyone", bot_permissions=_AUDIT_LOG, owner=owner)
    channel = server.channel(guild, may_bot_speak=False, is_system=has_system_channel)
    dm, dm_of_owner = server.dm(inviter), server.dm(owner)
    await server.join(guild, inviter=inviter)
    invited = presence.invited(server="The Hall everyone")
    assert await server.posted(dm) == [f"{invited}\n\n{presence.introduction()}"]
    await _settled(server)
    assert _said_in(server, channel) == _said_in(server, dm_of_owner) == []


@pytest.mark.parametrize("why", ["no audit log", "nobody in it", "closed DMs"])
async def test_where_the_inviter_cannot_be_told_the_owner_is(
    server: DiscordServer, start_bot: StartBot, why: str
) -> None:
    await start_bot()
    inviter, owner = server.user("Ivy"), server.user("Olga")
    inviter.dms_closed = why == "closed DMs"
    permissions = MEMBER_PERMISSIONS if why == "no audit log" else _AUDIT_LOG
    guild, dm = server.guild(bot_permissions=permissions, owner=owner), server.dm(owner)
    await server.join(guild, inviter=None if why == "nobody in it" else inviter)
    assert len(await server.posted(dm)) == 1


async def test_a_system_channel_that_takes_nothing_is_no_end(server: DiscordServer, start_bot: StartBot) -> None:
    await start_bot()
    owner = server.user("Olga")
    guild, dm = server.guild(owner=owner), server.dm(owner)
    server.channel(guild, is_system=True)
    server.fail_next(_POST, 403)
    await server.join(guild)
    assert len(await server.posted(dm)) == 1


async def test_where_nobody_can_be_told_it_is_a_line_in_the_log(
    server: DiscordServer, start_bot: StartBot, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bot")
    await start_bot()
    owner = server.user("Olga")
    owner.dms_closed = True
    guild = server.guild(owner=owner)
    server.channel(guild)
    await server.join(guild)
    await server.changes.until(lambda: server.state.count(_POST, status=403) == 1, "the DM is refused")
    await _settled(server)
    assert [each for each in caplog.messages if "could be greeted" in each] == [
        f"nobody of server {guild.id} could be greeted"
    ]


async def test_it_introduces_itself_once_whatever_happens_to_the_connection(
    server: DiscordServer, start_bot: StartBot
) -> None:
    bot = await start_bot()
    guild = server.guild()
    channel = server.channel(guild, is_system=True)
    await server.join(guild)
    await server.posted(channel)
    await server.gateway.dispatch("GUILD_DELETE", {"id": str(guild.id), "unavailable": True})
    await server.gateway.dispatch("GUILD_CREATE", guild.json(server.bot))
    await _settled(server)
    for can_resume in (True, False):
        await server.drop_gateway(resume=can_resume)
        await server.connected()
        await _settled(server)
    await bot.stop()
    await start_bot()
    await _settled(server)
    assert _said_in(server, channel) == [presence.introduction()]


@pytest.mark.parametrize("is_noticed", [True, False])
async def test_who_removes_the_bot_and_invites_it_again_sees_it_again(
    server: DiscordServer, start_bot: StartBot, is_noticed: bool
) -> None:
    bot = await start_bot()
    guild = server.guild()
    channel = server.channel(guild, is_system=True)
    await server.join(guild)
    await server.posted(channel)
    if is_noticed:
        await server.leave(guild)
    else:
        await bot.stop()
        await server.leave(guild)
        await start_bot()
    await server.join(guild)
    await server.posted(channel, 2)


@pytest.mark.parametrize(("age", "is_greeted"), [(timedelta(hours=1), True), (timedelta(days=2), False)])
async def test_a_server_joined_while_the_bot_was_away_is_greeted_unless_it_is_long_ago(
    server: DiscordServer, start_bot: StartBot, age: timedelta, is_greeted: bool
) -> None:
    guild = server.guild()
    channel = server.channel(guild, is_system=True)
    guild.joined_at = (datetime.now(UTC) - age).isoformat()
    await start_bot()
    if is_greeted:
        await server.posted(channel)
    await _settled(server)
    assert len(_said_in(server, channel)) == is_greeted


async def test_a_bot_with_an_adult_model_says_so(server: DiscordServer, start_bot: StartBot) -> None:
    await start_bot(mature=True)
    guild = server.guild()
    channel = server.channel(guild, is_system=True)
    await server.join(guild)
    assert await server.posted(channel) == [f"{presence.introduction()}\n{presence.for_adults()}"]


async def test_a_database_that_fails_keeps_the_bot_quiet(
    server: DiscordServer, start_bot: StartBot, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await start_bot()
    guild = server.guild()
    channel = server.channel(guild, is_system=True)
    await database.close()
    await server.join(guild)
    await eventually(lambda: any("no introduction to server" in each for each in caplog.messages))
    assert _said_in(server, channel) == []
