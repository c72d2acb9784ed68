"""What people edit and delete in Discord is edited and deleted in the conversations."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from discord.ext import commands

from bot.amending import Amending
from bot.cogs.changes import Changes
from bot.config import BotStores
from bot.dialogue import channel_key, private_key
from bot.errors import WithdrawnError
from bot.forgetting import Forgetting
from bot.lanes import Lanes, Place
from bot.leaks import Leaks
from bot.pacing import Pacer
from bot.peoples_locales import PeoplesLocales
from bot.retiring import Retiring
from bot.running import Running, RunningReplies
from storage.conversations import Conversations, NewMessage
from storage.errors import TokenRevokedError
from storage.posted import PostedPart
from tests.bot.lone_bot import LoneBot, joined_guild, lone_bot
from tests.bot.replying import comes_to_say
from tests.doubles.discord_messages import Message
from tests.doubles.discord_people import User
from tests.doubles.discord_places import Channel
from tests.doubles.discord_server import DiscordServer


@pytest.fixture
def conversations(stores: BotStores) -> Conversations:
    return stores.conversations


@pytest.fixture
def lanes() -> Lanes:
    return Lanes()


@pytest.fixture
def running() -> RunningReplies:
    return RunningReplies()


@pytest.fixture
async def bot(
    server: DiscordServer, stores: BotStores, forgetting: Forgetting, lanes: Lanes, running: RunningReplies
) -> AsyncIterator[LoneBot]:
    retirings: list[Retiring] = []

    def cogs(client: LoneBot) -> Sequence[commands.Cog]:
        retirings.append(Retiring(client, Pacer(), stores.conversations))
        amending = Amending(stores.conversations, forgetting, lanes)
        changes = Changes(
            client,
            stores.conversations,
            stores.channels,
            amending=amending,
            running=running,
            retiring=retirings[0],
            leaks=Leaks(client, stores.tokens, PeoplesLocales()),
            max_attachment_bytes=1000,
        )
        return [changes]

    async with lone_bot(server, cogs) as listening:
        yield listening
        await retirings[0].close()


async def _turn(
    conversations: Conversations,
    question: Message,
    reply: str,
    *posted: Message,
    is_command: bool = False,
    key: str | None = None,
) -> None:
    """Keep a turn as it was asked; its reply stands in these messages, of five characters each."""
    ids = await conversations.append_turn(
        key or channel_key(question.channel.id),
        NewMessage(
            role="user",
            content=f"{question.author.display_name}: {question.content}",
            author_id=question.author.id,
            discord_message_id=None if is_command else question.id,
        ),
        NewMessage(role="assistant", content=reply),
        is_cut=False,
    )
    parts = [PostedPart(discord_message_id=each.id, channel_id=each.channel.id, characters=5) for each in posted]
    await conversations.link(ids.reply_id, parts, asker_id=question.author.id)


async def _kept(conversations: Conversations, channel: Channel) -> list[str]:
    return [message.content for message in await conversations.read(channel_key(channel.id))]


async def _asked(server: DiscordServer, channel: Channel, user: User, text: str) -> Message:
    return await server.user_says(channel, user, text, mentions_bot=channel.guild is not None)


# Edits ------------------------------------------------------------------------------------------------------------


async def test_an_edited_question_reads_as_if_it_had_been_asked_that_way(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    channel, ada, bob = server.channel(await joined_guild(server)), server.user("Ada"), server.user("Bob")
    question = await _asked(server, channel, ada, "before")
    await _turn(conversations, question, "Yes.")
    await server.user_edits(question, f"{server.bot.mention} ask {bob.mention}\x00 in <#{channel.id}>")
    await bot.catches_up()
    assert await _kept(conversations, channel) == ["Ada: ask @Bob in #general", "Yes."]


async def test_a_question_in_a_dm_is_edited_without_any_mention(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    ada = server.user("Ada")
    dm = server.dm(ada)
    question = await _asked(server, dm, ada, "before")
    await _turn(conversations, question, "Yes.")
    await server.user_edits(question, "after")
    await bot.catches_up()
    assert await _kept(conversations, dm) == ["Ada: after", "Yes."]


@pytest.mark.parametrize("text", ["no mention any more", "{bot}"], ids=["hidden", "nothing left"])
async def test_an_edit_that_leaves_nothing_to_read_deletes_the_question(
    server: DiscordServer, bot: LoneBot, conversations: Conversations, text: str
) -> None:
    channel, ada = server.channel(await joined_guild(server)), server.user("Ada")
    question = await _asked(server, channel, ada, "before")
    await _turn(conversations, question, "Yes.")
    await server.user_edits(question, text.format(bot=server.bot.mention))
    await bot.catches_up()
    assert await _kept(conversations, channel) == ["Yes."]


async def test_an_update_that_is_no_edit_changes_nothing(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    channel, ada = server.channel(await joined_guild(server)), server.user("Ada")
    question = await _asked(server, channel, ada, "before")
    await _turn(conversations, question, "Yes.")
    # As Discord tells of a link's preview: the whole message, without a time of editing.
    question.content = ""
    await server._announcer.edited(question)
    await bot.catches_up()
    assert (await _kept(conversations, channel))[1] == "Yes."
    assert len(await _kept(conversations, channel)) == 2


async def test_the_bots_own_edits_are_no_changes(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    channel = server.channel(await joined_guild(server))
    reply = await bot.says(channel, "a reply that grows")
    copy = NewMessage(role="user", content="Parley: > kept", discord_message_id=reply.id)
    await conversations.append(channel_key(channel.id), copy)
    await bot.get_partial_messageable(channel.id).get_partial_message(reply.id).edit(content="another text")
    await bot.catches_up()
    assert await _kept(conversations, channel) == ["Parley: > kept"]


async def test_a_message_that_was_no_question_does_not_become_one(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    channel, ada = server.channel(await joined_guild(server)), server.user("Ada")
    said = await server.user_says(channel, ada, "to people")
    await server.user_edits(said, f"{server.bot.mention} and now to you")
    await bot.catches_up()
    assert await _kept(conversations, channel) == []


async def test_an_edited_question_keeps_its_files(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    ada = server.user("Ada")
    dm = server.dm(ada)
    question = await server.user_says(dm, ada, "before", attachments=[("a.txt", b"in the file")])
    await _turn(conversations, question, "Yes.")
    await server.user_edits(question, "after")
    await bot.catches_up()
    assert await _kept(conversations, dm) == ["Ada: after\n\na.txt:\n```txt\nin the file\n```", "Yes."]


async def test_files_that_can_no_longer_be_read_are_left_out(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    ada = server.user("Ada")
    dm = server.dm(ada)
    question = await server.user_says(dm, ada, "before", attachments=[("a.txt", b"in the file")])
    await _turn(conversations, question, "Yes.")
    question.files[0].url += "gone"
    question.files[0].url = question.files[0].url.replace(str(question.files[0].id), "1")
    await server.user_edits(question, "after")
    await bot.catches_up()
    assert await _kept(conversations, dm) == ["Ada: after", "Yes."]


async def test_the_first_message_of_a_forum_post_keeps_its_title(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    ada = server.user("Ada")
    forum = server.forum(await joined_guild(server))
    post = await server.forum_post(forum, ada, "Title", f"{server.bot.mention} before")
    await _turn(conversations, post.messages[0], "Yes.")
    await server.user_edits(post.messages[0], f"{server.bot.mention} after")
    await bot.catches_up()
    assert await _kept(conversations, post) == ["Ada: Title\n\nafter", "Yes."]


# Deletions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_dm", [False, True], ids=["server", "DM"])
async def test_a_deleted_question_goes_and_its_reply_stays(
    server: DiscordServer, bot: LoneBot, conversations: Conversations, is_dm: bool
) -> None:
    ada = server.user("Ada")
    channel = server.dm(ada) if is_dm else server.channel(await joined_guild(server))
    question = await _asked(server, channel, ada, "question")
    await _turn(conversations, question, "Yes.")
    await server.user_deletes(question)
    await bot.catches_up()
    assert await _kept(conversations, channel) == ["Yes."]


async def test_a_deleted_part_of_a_reply_goes_and_with_the_first_a_commands_question(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    ada = server.user("Ada")
    dm = server.dm(ada)
    question = await _asked(server, dm, ada, "question")
    parts = [await bot.says(dm, text) for text in ("first", "later")]
    await _turn(conversations, question, "firstlater", *parts, is_command=True)
    await server.user_deletes(parts[1])
    await bot.catches_up()
    assert await _kept(conversations, dm) == [f"Ada: {question.content}", "first"]
    await server.user_deletes(parts[0])
    await bot.catches_up()
    assert await _kept(conversations, dm) == []


async def test_the_last_reply_loses_its_buttons_with_its_question_and_only_then(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    channel, ada = server.channel(await joined_guild(server)), server.user("Ada")
    earlier = await _asked(server, channel, ada, "earlier")
    first = await bot.says(channel, "First")
    await _turn(conversations, earlier, "First", first)
    question = await _asked(server, channel, ada, "question")
    posted = await bot.says(channel, "Reply")
    await _turn(conversations, question, "Reply", posted)
    await server.user_edits(question, f"{server.bot.mention} changed")
    await server.user_deletes(earlier)
    await bot.catches_up()
    await server.user_deletes(question)
    await server.changes.until(lambda: posted.edits == 1, "the last reply is edited once, to have no buttons")
    assert await _kept(conversations, channel) == ["First", "Reply"]
    assert (first.edits, posted.content) == (0, "Reply")


async def test_messages_deleted_together_go_together(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    channel, ada = server.channel(await joined_guild(server)), server.user("Ada")
    questions = [await _asked(server, channel, ada, str(number)) for number in range(110)]
    for question in questions:
        await _turn(conversations, question, f"Re {question.content.split()[-1]}")
    await server.bulk_delete(questions[:-1])
    await bot.catches_up()
    kept = await _kept(conversations, channel)
    assert len(kept) == 111
    assert kept[-2].endswith(" 109")


async def _write_for_ever(place: Place) -> None:
    async with place.turn():
        await asyncio.Event().wait()


async def test_a_reply_whose_question_is_deleted_is_withdrawn(
    server: DiscordServer, bot: LoneBot, conversations: Conversations, lanes: Lanes, running: RunningReplies
) -> None:
    channel, ada = server.channel(await joined_guild(server)), server.user("Ada")
    question = await _asked(server, channel, ada, "question")
    with lanes.place(channel_key(channel.id)) as place:
        entry = Running(
            place=place,
            asker_id=ada.id,
            channel_id=channel.id,
            question_message_id=question.id,
            message_ids=lambda: (),
        )
        with running.entry(entry):
            writing = asyncio.create_task(_write_for_ever(place))
            await server.user_deletes(question)
            with pytest.raises(WithdrawnError):
                await asyncio.wait_for(writing, timeout=20)
        # The reply had been kept in the last moment.
        await _turn(conversations, question, "Yes.")
    await bot.catches_up()
    assert await _kept(conversations, channel) == ["Yes."]


# Channels and servers ---------------------------------------------------------------------------------------------


async def _fill(stores: BotStores, channel: Channel, *others: str) -> None:
    """Give a channel a shared conversation, two private ones and settings; `others` are further keys."""
    said = NewMessage(role="user", content="Ada: x")
    for key in (channel_key(channel.id), private_key(channel.id, 7), private_key(channel.id, 8), *others):
        await stores.conversations.append(key, said)
    guild_id = None if channel.guild is None else channel.guild.id
    await stores.channels.set_persona(channel.id, guild_id=guild_id, text="a pirate", changed_by=7)


async def _counts(stores: BotStores, *keys: str) -> list[int]:
    return [await stores.conversations.count(key) for key in keys]


@pytest.mark.parametrize("kind", ["channel", "thread", "thread of a channel"])
async def test_what_was_said_in_a_deleted_channel_goes_with_its_settings(
    server: DiscordServer, bot: LoneBot, stores: BotStores, kind: str
) -> None:
    parent = server.channel(await joined_guild(server))
    place = parent if kind == "channel" else server.thread(parent)
    similar = [f"channel:{place.id}1", f"private:{place.id}1:7", f"private:7:{place.id}", f"private:1{place.id}:7"]
    await _fill(stores, place, *similar)
    await server.delete_channel(place if kind == "thread" else parent)
    await bot.catches_up()
    gone = [channel_key(place.id), private_key(place.id, 7), private_key(place.id, 8)]
    assert await _counts(stores, *gone) == [0, 0, 0]
    assert await stores.channels.get(place.id) is None
    assert await _counts(stores, *similar) == [1, 1, 1, 1]


async def test_a_reply_kept_at_the_moment_its_channel_is_deleted_goes_too(
    server: DiscordServer, bot: LoneBot, stores: BotStores, lanes: Lanes, running: RunningReplies
) -> None:
    channel, ada = server.channel(await joined_guild(server)), server.user("Ada")
    question = await _asked(server, channel, ada, "question")
    with lanes.place(channel_key(channel.id)) as place:
        entry = Running(
            place=place,
            asker_id=ada.id,
            channel_id=channel.id,
            question_message_id=question.id,
            message_ids=lambda: (),
        )
        with running.entry(entry):
            writing = asyncio.create_task(_write_for_ever(place))
            await server.delete_channel(channel)
            with pytest.raises(WithdrawnError):
                await asyncio.wait_for(writing, timeout=20)
            await _turn(stores.conversations, question, "Yes.")
    await comes_to_say(stores.conversations, channel, [])


async def test_when_the_bot_is_removed_conversations_go_and_settings_stay(
    server: DiscordServer, bot: LoneBot, stores: BotStores
) -> None:
    left, other = await joined_guild(server), await joined_guild(server)
    channel, elsewhere = server.channel(left), server.channel(other)
    thread = server.thread(channel)
    for place in (channel, thread, elsewhere):
        await _fill(stores, place)
    await bot.catches_up()
    await server.leave(left)
    await bot.catches_up()
    keys = [channel_key(place.id) for place in (channel, thread, elsewhere)]
    assert await _counts(stores, *keys, private_key(channel.id, 7)) == [0, 0, 1, 0]
    assert await stores.channels.get(channel.id) is not None


async def test_what_was_missed_while_the_connection_was_gone_is_made_up_for(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    channel, ada = server.channel(await joined_guild(server)), server.user("Ada")
    question = await _asked(server, channel, ada, "question")
    await _turn(conversations, question, "Yes.")
    await bot.catches_up()
    await server.drop_gateway()
    await server.user_deletes(question)
    await bot.catches_up()
    assert await _kept(conversations, channel) == ["Yes."]


async def test_a_question_into_which_a_live_token_was_edited_goes_with_its_token_revoked(
    server: DiscordServer, bot: LoneBot, stores: BotStores
) -> None:
    ada = server.user("Ada")
    dm = server.dm(ada)
    asked = await server.user_says(dm, ada, "how do I use it?")
    await stores.conversations.append(
        channel_key(dm.id),
        NewMessage(role="user", content="Ada: how do I use it?", author_id=ada.id, discord_message_id=asked.id),
    )
    issued = await stores.tokens.create("leaky", daily_calls=5)
    await server.user_edits(asked, f"how do I use {issued.secret}?")
    await bot.catches_up()
    assert await stores.conversations.read(channel_key(dm.id)) == []
    with pytest.raises(TokenRevokedError):
        await stores.tokens.find(issued.secret)
