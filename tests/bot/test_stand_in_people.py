"""People, roles, servers, threads and DMs of the stand-in Discord, tried with raw requests."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.doubles.discord_basics import timestamp
from tests.doubles.discord_model import MANAGE_CHANNELS, MEMBER_PERMISSIONS, VIEW_AUDIT_LOG, Json
from tests.doubles.discord_probe import GUILD_MESSAGES, GUILDS, MESSAGE_CONTENT, Probe


def option(name: str, kind: int, **more: Any) -> Json:
    return {"name": name, "description": "d", "type": kind, **more}


def command(*options: Json, **more: Any) -> Json:
    return {"name": "set", "description": "d", "options": list(options), **more}


@pytest.fixture
async def probe() -> AsyncIterator[Probe]:
    async with Probe() as running:
        yield running


async def test_roles_go_with_their_people_in_their_own_server(probe: Probe) -> None:
    ada, guild, other = probe.server.user("Ada"), probe.server.guild(), probe.server.guild()
    here, there = probe.server.channel(guild), probe.server.channel(other)
    role = probe.server.role(guild, "Testers", permissions=MANAGE_CHANNELS)
    ada.roles.append(role)
    await probe.listen()
    await probe.register(command())
    await probe.server.user_says(here, ada, f"hello {role.mention}")
    said = await probe.hears("MESSAGE_CREATE")
    assert (said["member"]["roles"], said["mention_roles"]) == ([str(role.id)], [str(role.id)])
    await probe.server.slash(ada, here, "set")
    await probe.server.slash(ada, there, "set")
    members = [(await probe.hears("INTERACTION_CREATE"))["member"] for _ in range(2)]
    assert [member["roles"] for member in members] == [[str(role.id)], []]
    assert [bool(int(member["permissions"]) & MANAGE_CHANNELS) for member in members] == [True, False]
    member = await probe.ask("GET", f"/guilds/{guild.id}/members/{ada.id}")
    assert (member.body["roles"], member.body["user"]["id"]) == ([str(role.id)], str(ada.id))


async def test_options_bring_the_things_they_name(probe: Probe) -> None:
    guild, ada = probe.server.guild(), probe.server.user("Ada")
    channel, role = probe.server.channel(guild), probe.server.role(guild, "Testers")
    await probe.listen()
    await probe.register(command(option("who", 6), option("where", 7), option("which", 8), option("size", 10)))
    await probe.server.slash(ada, channel, "set", who=ada, where=channel, which=role, size=0.5)
    data = (await probe.hears("INTERACTION_CREATE"))["data"]
    assert [each["value"] for each in data["options"]] == [str(ada.id), str(channel.id), str(role.id), 0.5]
    resolved = data["resolved"]
    assert set(resolved) == {"users", "members", "roles", "channels"}
    assert resolved["users"][str(ada.id)]["username"] == "ada"
    assert "user" not in resolved["members"][str(ada.id)]


@pytest.mark.parametrize(
    ("wanted", "value"),
    [
        (option("o", 3, max_length=2), "abc"),
        (option("o", 3, choices=[{"name": "One", "value": "1"}]), "2"),
        (option("o", 4), "1"),
        (option("o", 4, max_value=5), 6),
        (option("o", 5), 1),
        (option("o", 6), "1"),
        (option("o", 10), True),
    ],
)
async def test_values_that_discords_client_would_not_send_are_errors(probe: Probe, wanted: Json, value: object) -> None:
    channel, ada = probe.server.channel(probe.server.guild()), probe.server.user("Ada")
    await probe.listen()
    await probe.register(command(wanted))
    with pytest.raises(ValueError, match="o: "):
        await probe.server.slash(ada, channel, "set", o=value)
    assert probe.server.state.interactions == {}


async def test_options_are_suggested_while_the_others_are_filled_in_or_not(probe: Probe) -> None:
    channel, ada = probe.server.channel(probe.server.guild()), probe.server.user("Ada")
    await probe.listen()
    await probe.register(command(option("a", 3, required=True), option("b", 4, autocomplete=True)))
    suggested = asyncio.create_task(probe.server.autocomplete(ada, channel, "set", "b", "1", a="x"))
    event = await probe.hears("INTERACTION_CREATE")
    focused = {"name": "b", "type": 4, "value": "1", "focused": True}
    assert event["data"]["options"] == [{"name": "a", "type": 3, "value": "x"}, focused]
    await probe.answer(probe.server.state.interactions[event["token"]], 8, choices=[{"name": "eleven", "value": 11}])
    assert await suggested == [11]
    with pytest.raises(ValueError, match="does not suggest"):
        await probe.server.autocomplete(ada, channel, "set", "a", "x")


@pytest.mark.parametrize("choices", [[{"name": "n", "value": 1}] * 26, [{"name": "n" * 101, "value": "v"}]])
async def test_suggestions_that_discord_would_refuse_are_breaches(probe: Probe, choices: list[Json]) -> None:
    channel, ada = probe.server.channel(probe.server.guild()), probe.server.user("Ada")
    await probe.listen()
    await probe.register(command(option("b", 4, autocomplete=True)))
    suggested = asyncio.create_task(probe.server.suggestions(ada, channel, "set", "b", "1"))
    event = await probe.hears("INTERACTION_CREATE")
    interaction = probe.server.state.interactions[event["token"]]
    assert (await probe.answer(interaction, 8, choices=choices)).code == 50035
    assert len(probe.server.state.breaches) == 1
    await probe.answer(interaction, 8, choices=[])
    assert await suggested == []


async def test_languages_go_with_people_and_servers(probe: Probe) -> None:
    guild, ada = probe.server.guild(locale="ja"), probe.server.user("Ada", locale="de")
    channel = probe.server.channel(guild)
    await probe.listen()
    created = await probe.hears("GUILD_CREATE")
    assert (created["preferred_locale"], created["features"]) == ("ja", ["COMMUNITY"])
    await probe.register(command())
    await probe.server.slash(ada, channel, "set")
    event = await probe.hears("INTERACTION_CREATE")
    assert (event["locale"], event["guild_locale"]) == ("de", "ja")


async def test_a_server_that_is_joined_later_says_by_whom_to_those_who_may_know(probe: Probe) -> None:
    ada = probe.server.user("Ada")
    await probe.listen()
    later = probe.server.guild("Later", bot_permissions=MEMBER_PERMISSIONS | VIEW_AUDIT_LOG, owner=ada)
    channel, created = probe.server.channel(later, is_system=True), timestamp()
    await probe.server.join(later, inviter=ada)
    event = await probe.hears("GUILD_CREATE")
    assert (event["name"], event["system_channel_id"], event["owner_id"]) == ("Later", str(channel.id), str(ada.id))
    assert event["joined_at"] > created
    # How discord.py tells a new server from one that is back after an outage.
    assert "unavailable" not in event
    log = await probe.ask("GET", f"/guilds/{later.id}/audit-logs?action_type=28&limit=5")
    entry = log.body["audit_log_entries"][0]
    assert (entry["user_id"], entry["target_id"]) == (str(ada.id), str(probe.server.bot.id))
    assert str(ada.id) in [user["id"] for user in log.body["users"]]
    assert (await probe.ask("GET", f"/guilds/{later.id}/audit-logs?action_type=1")).body["audit_log_entries"] == []
    later.bot_permissions = MEMBER_PERMISSIONS
    assert (await probe.ask("GET", f"/guilds/{later.id}/audit-logs")).code == 50013


async def test_after_leaving_a_server_nothing_is_allowed_there(probe: Probe) -> None:
    guild = probe.server.guild()
    channel = probe.server.channel(guild)
    await probe.listen()
    await probe.server.leave(guild)
    assert await probe.hears("GUILD_DELETE") == {"id": str(guild.id)}
    assert (await probe.say(channel, content="still there?")).code == 50001
    assert (await probe.ask("GET", f"/channels/{channel.id}")).code == 50001
    assert (await probe.ask("GET", f"/guilds/{guild.id}/audit-logs")).code == 10004
    await probe.server.join(guild)
    assert (await probe.say(channel, content="back again")).status == 200


async def test_a_dm_opens_with_anybody_and_takes_messages_unless_closed(probe: Probe) -> None:
    ada, bob = probe.server.user("Ada"), probe.server.user("Bob")
    bob.dms_closed = True
    path = "/users/@me/channels"
    opened = {user: await probe.ask("POST", path, {"recipient_id": str(user.id)}) for user in (ada, bob)}
    statuses = {}
    for user, reply in opened.items():
        posted = await probe.ask("POST", f"/channels/{reply.body['id']}/messages", {"content": "hello"})
        statuses[user.name] = (posted.status, posted.body.get("code"))
    assert statuses == {"ada": (200, None), "bob": (403, 50007)}
    again = await probe.ask("POST", path, {"recipient_id": str(ada.id)})
    assert again.body == opened[ada].body
    assert (await probe.ask("POST", path, {"recipient_id": "1"})).code == 10013
    assert (await probe.ask("GET", f"/users/{ada.id}")).body["global_name"] == "Ada"
    assert probe.server.state.breaches == []


async def test_a_thread_from_a_message_has_its_id(probe: Probe) -> None:
    guild, ada = probe.server.guild(), probe.server.user("Ada")
    channel = probe.server.channel(guild)
    await probe.listen()
    starter = await probe.server.user_says(channel, ada, "Let us talk", mentions_bot=True)
    thread = probe.server.thread(channel, "A talk", starter=starter)
    created = await probe.hears("THREAD_CREATE")
    assert (created["id"], created["parent_id"], created["owner_id"]) == (str(starter.id), str(channel.id), str(ada.id))
    assert created["newly_created"]
    assert (await probe.ask("GET", f"/channels/{thread.id}")).body["name"] == "A talk"
    found = await probe.ask("GET", f"/channels/{channel.id}/messages/{thread.id}")
    assert (found.body["content"], found.body["thread"]["id"]) == (starter.content, str(thread.id))
    assert (await probe.say(thread, content="hello")).status == 200


async def test_a_forum_post_begins_with_the_message_of_its_own_id(probe: Probe) -> None:
    guild, ada = probe.server.guild(), probe.server.user("Ada")
    forum = probe.server.forum(guild)
    await probe.listen(GUILDS | GUILD_MESSAGES | MESSAGE_CONTENT)
    thread = await probe.server.forum_post(forum, ada, "Help", "It does not work")
    assert (await probe.hears("THREAD_CREATE"))["parent_id"] == str(forum.id)
    said = await probe.hears("MESSAGE_CREATE")
    assert (said["id"], said["channel_id"], said["content"]) == (str(thread.id), str(thread.id), "It does not work")
    assert (await probe.ask("GET", f"/channels/{thread.id}/messages/{thread.id}")).body["id"] == str(thread.id)
    assert (await probe.ask("GET", f"/channels/{forum.id}")).body["type"] == 15
    assert (await probe.say(thread, content="Try again")).status == 200
    assert (await probe.say(forum, content="no thread")).code == 50008


async def test_a_deleted_channel_takes_its_threads_along(probe: Probe) -> None:
    guild, ada = probe.server.guild(), probe.server.user("Ada")
    channel = probe.server.channel(guild)
    thread, other = probe.server.thread(channel), probe.server.thread(channel)
    await probe.listen()
    await probe.register(command())
    used = await probe.server.slash(ada, channel, "set")
    await probe.answer(used, 5)
    await probe.server.delete_channel(other)
    assert (await probe.hears("THREAD_DELETE"))["id"] == str(other.id)
    await probe.server.delete_channel(channel)
    assert (await probe.hears("CHANNEL_DELETE"))["id"] == str(channel.id)
    for gone in (channel, thread, other):
        assert (await probe.say(gone, content="hello")).code == 10003
        assert (await probe.ask("GET", f"/channels/{gone.id}/messages/1")).code == 10003
        assert (await probe.ask("POST", f"/channels/{gone.id}/typing")).code == 10003
    assert (await probe.original("PATCH", used, content="too late")).code == 10008
    assert (await probe.ask("POST", probe.webhook(used), {"content": "x"}, token=None)).code == 10003
    assert probe.server.state.breaches == []


async def test_channels_made_while_the_bot_listens_are_announced(probe: Probe) -> None:
    guild = probe.server.guild()
    await probe.listen()
    channel = probe.server.channel(guild, "new")
    assert (await probe.hears("CHANNEL_CREATE"))["id"] == str(channel.id)


async def test_age_restricted_commands_are_shown_where_discord_shows_them(probe: Probe) -> None:
    guild, ada, bob = probe.server.guild(), probe.server.user("Ada"), probe.server.user("Bob")
    ordinary, restricted = probe.server.channel(guild), probe.server.channel(guild, is_nsfw=True)
    thread, dm, dm_of_bob = probe.server.thread(restricted), probe.server.dm(ada), probe.server.dm(bob)
    bob.has_mature_commands_in_dms = True
    await probe.listen()
    await probe.register(command(nsfw=True))
    for user, channel in ((ada, restricted), (ada, thread), (bob, dm_of_bob)):
        assert (await probe.server.slash(user, channel, "set")).command == "set"
    for channel in (ordinary, dm):
        with pytest.raises(ValueError, match="age-restricted"):
            await probe.server.slash(ada, channel, "set")
    probe.server.state.shows_mature_commands = True
    assert (await probe.server.slash(ada, ordinary, "set")).command == "set"
