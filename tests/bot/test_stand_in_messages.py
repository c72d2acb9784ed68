"""What the stand-in Discord tells of messages, and what it lets a bot do with them, tried with raw requests."""

from collections.abc import AsyncIterator

import pytest

from tests.doubles.discord_model import (
    MANAGE_MESSAGES,
    MEMBER_PERMISSIONS,
    READ_MESSAGE_HISTORY,
    SEND_MESSAGES,
    VIEW_CHANNEL,
    Message,
)
from tests.doubles.discord_probe import DIRECT_MESSAGES, GUILD_MESSAGES, GUILDS, MESSAGE_CONTENT, Probe

COMMAND = {"name": "chat", "description": "Talk"}


@pytest.fixture
async def probe() -> AsyncIterator[Probe]:
    async with Probe() as running:
        yield running


def path_of(message: Message) -> str:
    return f"/channels/{message.channel.id}/messages/{message.id}"


async def test_an_edit_is_told_with_the_whole_message(probe: Probe) -> None:
    channel, ada = probe.server.channel(probe.server.guild()), probe.server.user("Ada")
    await probe.listen(GUILDS | GUILD_MESSAGES | MESSAGE_CONTENT)
    message = await probe.server.user_says(channel, ada, "helo")
    assert (await probe.hears("MESSAGE_CREATE"))["edited_timestamp"] is None
    await probe.server.user_edits(message, "hello")
    event = await probe.hears("MESSAGE_UPDATE")
    assert (event["content"], event["author"]["id"]) == ("hello", str(ada.id))
    assert event["edited_timestamp"] is not None
    assert event["member"]["roles"] == []
    assert message.versions == ["helo", "hello"]


async def test_without_the_intent_only_mentions_dms_and_own_messages_have_a_text(probe: Probe) -> None:
    ada = probe.server.user("Ada")
    channel, dm = probe.server.channel(probe.server.guild()), probe.server.dm(ada)
    await probe.listen()
    said = [
        await probe.server.user_says(channel, ada, "secret", attachments=[("a.txt", b"secret")]),
        await probe.server.user_says(channel, ada, "to you", mentions_bot=True),
        await probe.server.user_says(dm, ada, "in private"),
    ]
    await probe.say(channel, content="my own")
    events = [await probe.hears("MESSAGE_CREATE") for _ in range(4)]
    assert [event["content"] for event in events] == ["", said[1].content, "in private", "my own"]
    assert events[0]["attachments"] == []
    assert (await probe.ask("GET", path_of(said[0]))).body["content"] == ""
    assert (await probe.ask("GET", path_of(said[1]))).body["content"] == said[1].content
    await probe.server.user_edits(said[1], "no longer to you")
    assert (await probe.hears("MESSAGE_UPDATE"))["content"] == ""


async def test_a_reply_brings_the_other_message_unless_that_is_gone(probe: Probe) -> None:
    channel, ada = probe.server.channel(probe.server.guild()), probe.server.user("Ada")
    await probe.listen(GUILDS | GUILD_MESSAGES | MESSAGE_CONTENT)
    first = await probe.server.user_says(channel, ada, "first")
    await probe.hears("MESSAGE_CREATE")
    await probe.server.user_says(channel, ada, "second", reply_to=first)
    assert (await probe.hears("MESSAGE_CREATE"))["referenced_message"]["content"] == "first"
    first.is_deleted = True
    await probe.server.user_says(channel, ada, "third", reply_to=first)
    assert (await probe.hears("MESSAGE_CREATE"))["referenced_message"] is None


async def test_deletions_are_told_without_a_text(probe: Probe) -> None:
    guild, ada = probe.server.guild(), probe.server.user("Ada")
    channel = probe.server.channel(guild)
    await probe.listen()
    said = [await probe.server.user_says(channel, ada, text) for text in ("one", "two", "three")]
    await probe.server.user_deletes(said[0])
    where = {"channel_id": str(channel.id), "guild_id": str(guild.id)}
    assert await probe.hears("MESSAGE_DELETE") == {"id": str(said[0].id), **where}
    await probe.server.bulk_delete(said[1:])
    assert await probe.hears("MESSAGE_DELETE_BULK") == {"ids": [str(said[1].id), str(said[2].id)], **where}
    assert (await probe.ask("GET", path_of(said[2]))).code == 10008


async def test_intents_decide_what_is_told(probe: Probe) -> None:
    ada = probe.server.user("Ada")
    channel, dm = probe.server.channel(probe.server.guild()), probe.server.dm(ada)
    await probe.listen(GUILDS | DIRECT_MESSAGES)
    unheard = await probe.server.user_says(channel, ada, "unheard")
    await probe.server.user_deletes(unheard)
    await probe.server.user_says(dm, ada, "heard")
    assert (await probe.hears("MESSAGE_CREATE"))["content"] == "heard"
    assert [name for name, _ in probe.heard if name.startswith("MESSAGE")] == []


async def test_the_bots_own_edits_and_deletions_are_told_too(probe: Probe) -> None:
    channel = probe.server.channel(probe.server.guild())
    await probe.listen()
    await probe.say(channel, content="one")
    message = channel.messages[0]
    await probe.ask("PATCH", path_of(message), {"content": "two"})
    assert (await probe.hears("MESSAGE_UPDATE"))["content"] == "two"
    assert (await probe.ask("DELETE", path_of(message))).status == 204
    assert (await probe.hears("MESSAGE_DELETE"))["id"] == str(message.id)
    assert (await probe.ask("PATCH", path_of(message), {"content": "three"})).code == 10008


async def test_messages_of_others_may_be_deleted_with_permission_and_never_edited(probe: Probe) -> None:
    ada, allowed = probe.server.user("Ada"), probe.server.guild(bot_permissions=MEMBER_PERMISSIONS | MANAGE_MESSAGES)
    with_permission, without = probe.server.channel(allowed), probe.server.channel(probe.server.guild())
    there = await probe.server.user_says(with_permission, ada, "delete me")
    here = await probe.server.user_says(without, ada, "keep me")
    private = await probe.server.user_says(probe.server.dm(ada), ada, "mine")
    assert (await probe.ask("PATCH", path_of(there), {"content": "no"})).code == 50005
    assert (await probe.ask("DELETE", path_of(there))).status == 204
    assert (await probe.ask("DELETE", path_of(here))).code == 50013
    assert (await probe.ask("DELETE", path_of(private))).code == 50003
    assert [there.is_deleted, here.is_deleted, private.is_deleted] == [True, False, False]
    assert probe.server.state.breaches == []


@pytest.mark.parametrize(("missing", "code"), [(SEND_MESSAGES, 50013), (VIEW_CHANNEL, 50001)], ids=["speak", "see"])
async def test_posting_takes_permissions(probe: Probe, missing: int, code: int) -> None:
    channel = probe.server.channel(probe.server.guild(bot_permissions=MEMBER_PERMISSIONS & ~missing))
    mute = probe.server.channel(probe.server.guild(), may_bot_speak=False)
    assert (await probe.say(channel, content="hello")).code == code
    assert (await probe.say(mute, content="hello")).code == 50013
    assert probe.server.state.breaches == []


async def test_without_read_message_history_nothing_old_is_seen(probe: Probe) -> None:
    guild = probe.server.guild(bot_permissions=MEMBER_PERMISSIONS & ~READ_MESSAGE_HISTORY)
    channel, ada = probe.server.channel(guild), probe.server.user("Ada")
    message = await probe.server.user_says(channel, ada, "hello", mentions_bot=True)
    assert (await probe.ask("GET", path_of(message))).code == 50001
    assert (await probe.ask("GET", f"/channels/{channel.id}/messages")).body == []
    reference = {"message_id": str(message.id)}
    assert (await probe.say(channel, content="hi", message_reference=reference)).code == 160002


async def test_the_history_comes_newest_first_and_in_parts(probe: Probe) -> None:
    channel = probe.server.channel(probe.server.guild())
    for text in "abcd":
        await probe.say(channel, content=text)
    ids = [message.id for message in channel.messages]
    path = f"/channels/{channel.id}/messages"
    found = {
        query: "".join(each["content"] for each in (await probe.ask("GET", path + query)).body)
        for query in ("", "?limit=2", f"?before={ids[2]}", f"?after={ids[1]}", f"?after={ids[0]}&limit=1")
    }
    assert list(found.values()) == ["dcba", "dc", "ba", "dc", "b"]


async def test_a_message_keeps_the_flags_it_was_sent_with(probe: Probe) -> None:
    channel = probe.server.channel(probe.server.guild())
    await probe.say(channel, content="hush", flags=(1 << 2) | (1 << 12) | (1 << 6))
    message = channel.messages[0]
    assert message.flags == (1 << 2) | (1 << 12)
    await probe.ask("PATCH", path_of(message), {"content": "hush!"})
    assert message.flags == (1 << 2) | (1 << 12)
    await probe.ask("PATCH", path_of(message), {"flags": 0})
    assert message.flags == 1 << 12


async def test_an_old_message_cannot_be_edited_for_ever(probe: Probe) -> None:
    channel = probe.server.channel(probe.server.guild())
    await probe.say(channel, content="old")
    message = channel.messages[0]
    message.age_seconds = 3601
    statuses = [(await probe.ask("PATCH", path_of(message), {"content": "again"})).status for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    assert len(probe.server.state.breaches) == 1


async def test_an_answer_in_public_is_the_bots_own_message_and_one_in_private_is_not(probe: Probe) -> None:
    channel, ada = probe.server.channel(probe.server.guild()), probe.server.user("Ada")
    await probe.listen()
    await probe.register(COMMAND)
    public, private = [await probe.server.slash(ada, channel, "chat") for _ in range(2)]
    await probe.answer(public, 4, content="for all")
    await probe.answer(private, 4, content="for you", flags=64)
    assert channel.messages == public.replies
    assert (await probe.ask("PATCH", path_of(public.replies[0]), {"content": "edited"})).status == 200
    assert (await probe.ask("PATCH", path_of(private.replies[0]), {"content": "edited"})).code == 10008
    assert private.replies[0].visible_to is ada
    metadata = public.replies[0].json()["interaction_metadata"]
    assert (metadata["type"], metadata["user"]["id"]) == (2, str(ada.id))
    assert [name for name, _ in probe.heard].count("MESSAGE_CREATE") == 1


async def test_answers_are_reached_by_their_ids_until_the_token_expires(probe: Probe) -> None:
    channel, ada = probe.server.channel(probe.server.guild()), probe.server.user("Ada")
    await probe.listen()
    await probe.register(COMMAND)
    used = await probe.server.slash(ada, channel, "chat")
    await probe.answer(used, 5)
    await probe.original("PATCH", used, content="first")
    await probe.ask("POST", probe.webhook(used), {"content": "second"}, token=None)
    second = f"{probe.webhook(used)}/messages/{used.replies[1].id}"
    assert (await probe.ask("PATCH", second, {"content": "edited"}, token=None)).status == 200
    assert (await probe.ask("GET", second, token=None)).body["content"] == "edited"
    assert (await probe.ask("DELETE", second, token=None)).status == 204
    assert (await probe.ask("GET", second, token=None)).code == 10008
    assert await used.replied(2) == ["first", "edited"]
    used.expire()
    for refused in (
        await probe.original("GET", used),
        await probe.ask("PATCH", second, {"content": "x"}, token=None),
        await probe.ask("POST", probe.webhook(used), {"content": "x"}, token=None),
    ):
        assert (refused.status, refused.code) == (401, 50027)
    assert probe.server.state.breaches == []


async def test_a_moderator_may_delete_the_message_that_is_being_edited(probe: Probe) -> None:
    channel, ada = probe.server.channel(probe.server.guild()), probe.server.user("Ada")
    await probe.listen()
    await probe.register(COMMAND)
    used = await probe.server.slash(ada, channel, "chat")
    await probe.answer(used, 4, content="growing")
    await probe.server.user_deletes(used.replies[0])
    assert (await probe.hears("MESSAGE_DELETE"))["id"] == str(used.replies[0].id)
    assert (await probe.original("PATCH", used, content="more")).code == 10008


async def test_a_message_menu_gives_the_text_whatever_the_intents(probe: Probe) -> None:
    channel, ada, bob = probe.server.channel(probe.server.guild()), probe.server.user("Ada"), probe.server.user("Bob")
    await probe.listen()
    await probe.register({"name": "Ask about this message", "type": 3}, COMMAND)
    target = await probe.server.user_says(channel, bob, "unreadable otherwise")
    used = await probe.server.message_menu(ada, channel, "Ask about this message", target)
    data = (await probe.hears("INTERACTION_CREATE"))["data"]
    assert (data["type"], data["target_id"]) == (3, str(target.id))
    assert data["resolved"]["messages"][str(target.id)]["content"] == "unreadable otherwise"
    await probe.answer(used, 4, content="It says something.")
    assert used.replies[0].type == 23
    with pytest.raises(ValueError, match="not told"):
        await probe.server.message_menu(ada, channel, "chat", target)


async def test_what_happens_while_the_bot_is_away_is_repeated_in_order(probe: Probe) -> None:
    guild, ada = probe.server.guild(), probe.server.user("Ada")
    channel = probe.server.channel(guild)
    await probe.listen()
    thread = probe.server.thread(channel)
    await probe.server.user_says(thread, ada, "hello", mentions_bot=True)
    await probe.hears("MESSAGE_CREATE")
    await probe.server.drop_gateway()
    probe.server.thread(channel, "later")
    session = probe.server.gateway.session
    assert session is not None
    assert [event["t"] for event in session.events] == [
        "READY",
        "GUILD_CREATE",
        "THREAD_CREATE",
        "MESSAGE_CREATE",
        "THREAD_CREATE",
    ]
    assert session.sent == 4
