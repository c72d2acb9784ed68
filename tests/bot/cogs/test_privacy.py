"""`/history` shows what is kept to those who may read it; `/forget` deletes it for whoever wrote it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from discord.ext import commands

from bot.cogs.privacy import Privacy
from bot.config import BotStores
from bot.confirming import Confirming
from bot.dialogue import channel_key, private_key
from bot.forgetting import Forgetting
from bot.lanes import MAX_WAITING, Lanes
from bot.language import speak
from bot.pacing import Pacer
from bot.retiring import Retiring
from bot.texts import confirming as questions
from bot.texts import privacy as words
from bot.texts import refusals
from storage.conversations import NewMessage
from storage.database import Database
from storage.posted import PostedPart
from storage.sqlite_database import SqliteDatabase
from tests.bot.lone_bot import LoneBot, joined_guild, lone_bot
from tests.doubles.discord_basics import MEMBER_PERMISSIONS, READ_MESSAGE_HISTORY
from tests.doubles.discord_messages import Message
from tests.doubles.discord_model import Interaction
from tests.doubles.discord_people import User
from tests.doubles.discord_places import Channel
from tests.doubles.discord_server import DiscordServer


@pytest.fixture(autouse=True)
def english() -> None:
    speak("en-US")


@pytest.fixture
def lanes() -> Lanes:
    return Lanes()


@pytest.fixture
def is_mature() -> bool:
    return False


@pytest.fixture
async def bot(
    server: DiscordServer, stores: BotStores, lanes: Lanes, forgetting: Forgetting, is_mature: bool
) -> AsyncIterator[LoneBot]:
    retirings: list[Retiring] = []

    def cogs(client: LoneBot) -> Sequence[commands.Cog]:
        confirming = Confirming(stores.open_questions)
        retirings.append(Retiring(client, Pacer(), stores.conversations))
        privacy = Privacy(
            stores.conversations,
            forgetting,
            confirming=confirming,
            lanes=lanes,
            retiring=retirings[0],
        )
        return [confirming, privacy]

    async with lone_bot(server, cogs, is_mature=is_mature) as listening:
        yield listening
        await retirings[0].close()


async def _turn(
    stores: BotStores, key: str, author: User, text: str, reply: str = "Yes.", *, posted: Message | None = None
) -> None:
    question = NewMessage(role="user", content=f"{author.display_name}: {text}", author_id=author.id)
    ids = await stores.conversations.append_turn(
        key, question, NewMessage(role="assistant", content=reply), is_cut=False
    )
    if posted is not None:
        part = PostedPart(discord_message_id=posted.id, channel_id=posted.channel.id, characters=len(reply))
        await stores.conversations.link(ids.reply_id, [part], asker_id=author.id)


async def _kept(stores: BotStores, key: str) -> list[str]:
    return [message.content for message in await stores.conversations.read(key)]


# /history ---------------------------------------------------------------------------------------------------------


async def _history(server: DiscordServer, user: User, channel: Channel, **options: bool) -> Message:
    interaction = await server.slash(user, channel, "history", **options)
    await interaction.replied()
    assert interaction.replies[0].is_ephemeral
    return interaction.replies[0]


async def test_the_channels_conversation_comes_as_a_file_to_the_asker_alone(
    server: DiscordServer, bot: LoneBot, stores: BotStores
) -> None:
    channel, ada, bob = server.channel(await joined_guild(server), "café-talk"), server.user("Ada"), server.user("Bob")
    await _turn(stores, channel_key(channel.id), ada, "Is it raining?")
    message = await _history(server, bob, channel)
    assert message.content == words.history_ready(messages=2)
    assert [file.filename for file in message.files] == ["conversation-café-talk.md"]
    text = message.files[0].data.decode()
    assert text.startswith("# Conversation in \\#café-talk\n\n## Person: Ada, 20")
    assert "> Is it raining?" in text
    assert "## Model: Parley, 20" in text


async def test_the_own_private_conversation_is_another_one(
    server: DiscordServer, bot: LoneBot, stores: BotStores
) -> None:
    channel, ada, bob = server.channel(await joined_guild(server)), server.user("Ada"), server.user("Bob")
    await _turn(stores, channel_key(channel.id), ada, "said to all")
    await _turn(stores, private_key(channel.id, ada.id), ada, "said in private")
    text = (await _history(server, ada, channel, private=True)).files[0].data.decode()
    assert "said in private" in text
    assert "said to all" not in text
    assert (await _history(server, bob, channel, private=True)).content == words.history_empty()


async def test_an_empty_conversation_is_a_sentence(server: DiscordServer, bot: LoneBot) -> None:
    ada = server.user("Ada")
    message = await _history(server, ada, server.dm(ada))
    assert message.content == words.history_empty()
    assert message.files == []


async def test_a_dm_has_a_history_too(server: DiscordServer, bot: LoneBot, stores: BotStores) -> None:
    ada = server.user("Ada")
    dm = server.dm(ada)
    await _turn(stores, channel_key(dm.id), ada, "between us")
    message = await _history(server, ada, dm)
    assert message.files[0].filename == "conversation-direct-messages.md"
    assert b"between us" in message.files[0].data


async def test_who_may_not_read_the_channels_history_reads_none(
    server: DiscordServer, bot: LoneBot, stores: BotStores
) -> None:
    channel = server.channel(await joined_guild(server))
    newcomer = server.user("New", permissions=MEMBER_PERMISSIONS & ~READ_MESSAGE_HISTORY)
    await _turn(stores, channel_key(channel.id), server.user("Ada"), "before you came")
    message = await _history(server, newcomer, channel)
    assert message.content == refusals.not_permitted(permission="Read Message History")
    assert message.files == []
    assert (await _history(server, newcomer, channel, private=True)).content == words.history_empty()


async def test_a_conversation_too_large_for_discord_is_cut_at_its_beginning(
    server: DiscordServer, bot: LoneBot, stores: BotStores
) -> None:
    channel, ada = server.channel(await joined_guild(server)), server.user("Ada")
    for number in range(6):
        await _turn(stores, channel_key(channel.id), ada, f"{number}" * 2_000_000)
    data = (await _history(server, ada, channel)).files[0].data
    assert 9_000_000 < len(data) <= 10 * 1024 * 1024
    assert b"*The first message is left out" in data
    assert b"00000" not in data
    assert b"11111" in data


@pytest.mark.parametrize("is_mature", [True])
async def test_an_adult_models_words_are_shown_in_age_restricted_channels_only(
    server: DiscordServer, bot: LoneBot, stores: BotStores
) -> None:
    guild, ada = await joined_guild(server), server.user("Ada")
    restricted, ordinary = server.channel(guild, is_nsfw=True), server.channel(guild)
    for channel in (restricted, ordinary):
        await _turn(stores, channel_key(channel.id), ada, "x")
    assert len((await _history(server, ada, restricted)).files) == 1
    assert (await _history(server, ada, ordinary)).content == refusals.not_age_restricted()


# /forget ----------------------------------------------------------------------------------------------------------


async def _forget(server: DiscordServer, user: User, channel: Channel, where: str) -> Interaction:
    """Ask to be forgotten; returns when the question stands there."""
    interaction = await server.slash(user, channel, "forget", where=where)
    await interaction.replied()
    assert interaction.replies[0].is_ephemeral
    return interaction


async def _confirm(server: DiscordServer, user: User, asked: Interaction) -> str:
    """Say yes, and return what stands in the question's place at last."""
    question = asked.replies[0]
    text = question.content
    await server.press(user, question, question.custom_id(words.forget_yes()))
    await server.changes.until(lambda: question.content != text, "the question is answered")
    return question.content


async def test_in_one_channel_a_persons_words_and_the_replies_to_them_go(
    server: DiscordServer, bot: LoneBot, stores: BotStores
) -> None:
    guild, ada, bob = await joined_guild(server), server.user("Ada"), server.user("Bob")
    here, there = server.channel(guild), server.channel(guild)
    for key in (channel_key(here.id), private_key(here.id, ada.id), channel_key(there.id)):
        await _turn(stores, key, ada, "of Ada", "You said: of Ada")
    await _turn(stores, channel_key(here.id), bob, "of Bob")
    await _turn(stores, private_key(here.id, bob.id), bob, "of Bob in private")
    asked = await _forget(server, ada, here, "here")
    assert asked.replies[0].content == words.forget_here_question()
    assert await _confirm(server, ada, asked) == words.forgotten(messages=4)
    assert await _kept(stores, channel_key(here.id)) == ["Bob: of Bob", "Yes."]
    assert await _kept(stores, private_key(here.id, ada.id)) == []
    assert await _kept(stores, private_key(here.id, bob.id)) == ["Bob: of Bob in private", "Yes."]
    assert len(await _kept(stores, channel_key(there.id))) == 2


async def test_everywhere_means_every_server_and_the_dm(server: DiscordServer, bot: LoneBot, stores: BotStores) -> None:
    ada, bob = server.user("Ada"), server.user("Bob")
    channel, dm = server.channel(await joined_guild(server)), server.dm(ada)
    for key in (channel_key(channel.id), private_key(channel.id, ada.id), channel_key(dm.id)):
        await _turn(stores, key, ada, "of Ada")
    await _turn(stores, channel_key(channel.id), bob, "of Bob")
    asked = await _forget(server, ada, dm, "everywhere")
    assert asked.replies[0].content == words.forget_everywhere_question()
    assert await _confirm(server, ada, asked) == words.forgotten(messages=6)
    assert await _kept(stores, channel_key(channel.id)) == ["Bob: of Bob", "Yes."]
    assert await _kept(stores, channel_key(dm.id)) == []


@pytest.mark.parametrize("where", ["here", "everywhere"])
async def test_the_words_are_in_none_of_the_databases_files_afterwards(
    server: DiscordServer, bot: LoneBot, stores: BotStores, database: Database, where: str
) -> None:
    channel, ada, bob = server.channel(await joined_guild(server)), server.user("Ada"), server.user("Bob")
    key = channel_key(channel.id)
    secrets = [f"canary-{number}-of-ada" for number in range(100)]
    for secret in secrets:
        await _turn(stores, key, ada, secret, f"You said: {secret}")
        await _turn(stores, key, bob, "of Bob " * 20)
    assert isinstance(database, SqliteDatabase)
    files = [Path(f"{database.path}{suffix}") for suffix in ("", "-wal", "-shm")]
    assert any(b"canary" in file.read_bytes() for file in files)
    await _confirm(server, ada, await _forget(server, ada, channel, where))
    data = b"".join(file.read_bytes() for file in files)
    assert [secret for secret in secrets if secret.encode() in data] == []
    assert b"of Bob of Bob" in data


async def test_the_copy_of_a_reply_in_a_thread_goes_with_its_persons_words_whenever_the_reply_went(
    server: DiscordServer, bot: LoneBot, stores: BotStores
) -> None:
    channel, ada, bob = server.channel(await joined_guild(server)), server.user("Ada"), server.user("Bob")
    posted = await bot.says(channel, "You live in Rome.")
    await _turn(stores, channel_key(channel.id), ada, "I live in Rome", posted.content, posted=posted)
    thread = server.thread(channel, starter=posted)
    copy = NewMessage(role="assistant", content=posted.content, discord_message_id=posted.id)
    await stores.conversations.append(channel_key(thread.id), copy)
    await _turn(stores, channel_key(thread.id), bob, "of Bob")
    await _confirm(server, ada, await _forget(server, ada, channel, "here"))
    assert await _kept(stores, channel_key(thread.id)) == [posted.content, "Bob: of Bob", "Yes."]
    assert await _confirm(server, ada, await _forget(server, ada, channel, "everywhere")) == words.forgotten(messages=1)
    assert await _kept(stores, channel_key(thread.id)) == ["Bob: of Bob", "Yes."]


async def test_whoever_wrote_nothing_is_told_so(server: DiscordServer, bot: LoneBot) -> None:
    ada = server.user("Ada")
    dm = server.dm(ada)
    assert await _confirm(server, ada, await _forget(server, ada, dm, "here")) == words.nothing_to_forget()


async def test_nothing_is_forgotten_without_a_yes_of_the_person(
    server: DiscordServer, bot: LoneBot, stores: BotStores
) -> None:
    channel, ada, eve = server.channel(await joined_guild(server)), server.user("Ada"), server.user("Eve")
    await _turn(stores, channel_key(channel.id), ada, "x")
    question = (await _forget(server, ada, channel, "here")).replies[0]
    forged = await server.press(eve, question, question.custom_id(words.forget_yes()), forged=True)
    assert await forged.replied() == [questions.not_your_question()]
    await server.press(ada, question, question.custom_id(words.forget_no()))
    await server.changes.until(lambda: question.content == questions.nothing_changed(), "the answer")
    assert len(await _kept(stores, channel_key(channel.id))) == 2


async def test_a_reply_that_is_being_written_there_is_waited_for_and_forgotten(
    server: DiscordServer, bot: LoneBot, stores: BotStores, lanes: Lanes
) -> None:
    channel, ada = server.channel(await joined_guild(server)), server.user("Ada")
    asked = await _forget(server, ada, channel, "here")
    question, positions = asked.replies[0], list[int]()
    with lanes.place(channel_key(channel.id)):
        pressed = await server.press(ada, question, question.custom_id(words.forget_yes()))
        await pressed.deferred()
        with lanes.place(private_key(channel.id, ada.id), on_move=positions.append):
            await _turn(stores, channel_key(channel.id), ada, "asked before")
    await server.changes.until(lambda: question.content == words.forgotten(messages=2), "the answer")
    assert await _kept(stores, channel_key(channel.id)) == []
    assert len(lanes) == 0


async def test_a_line_that_is_full_is_a_sentence_and_nothing_is_forgotten(
    server: DiscordServer, bot: LoneBot, stores: BotStores, lanes: Lanes
) -> None:
    channel, ada = server.channel(await joined_guild(server)), server.user("Ada")
    await _turn(stores, channel_key(channel.id), ada, "x")
    asked = await _forget(server, ada, channel, "here")
    with ExitStack() as line:
        for _ in range(MAX_WAITING + 1):
            line.enter_context(lanes.place(private_key(channel.id, ada.id)))
        question = asked.replies[0]
        pressed = await server.press(ada, question, question.custom_id(words.forget_yes()))
        assert await pressed.replied() == [refusals.lane_full(waiting=MAX_WAITING + 1)]
    assert len(lanes) == 0
    assert len(await _kept(stores, channel_key(channel.id))) == 2


async def test_forgetting_everywhere_changes_the_epoch_of_that_person_alone(
    server: DiscordServer, bot: LoneBot, forgetting: Forgetting
) -> None:
    ada, bob = server.user("Ada"), server.user("Bob")
    dm = server.dm(ada)
    before = [forgetting.epoch(person.id) for person in (ada, bob)]
    await _confirm(server, ada, await _forget(server, ada, dm, "here"))
    assert [forgetting.epoch(person.id) for person in (ada, bob)] == before
    await _confirm(server, ada, await _forget(server, ada, dm, "everywhere"))
    assert forgetting.epoch(ada.id) != before[0]
    assert forgetting.epoch(bob.id) == before[1]


@pytest.mark.parametrize("before", [0, 1, 5])
async def test_a_turn_kept_while_it_runs_is_forgotten_or_finds_another_epoch(
    stores: BotStores, forgetting: Forgetting, before: int
) -> None:
    epoch, kept = forgetting.epoch(7), list[int]()

    async def keep(number: int) -> None:
        if forgetting.epoch(7) == epoch:
            kept.append(number)
            said = NewMessage(role="user", content=f"Ada: {number}", author_id=7)
            reply = NewMessage(role="assistant", content="Yes.")
            await stores.conversations.append_turn("channel:1", said, reply, is_cut=False)

    earlier, later = [keep(number) for number in range(before)], [keep(number) for number in range(5, 10)]
    await asyncio.gather(*earlier, forgetting.forget(7, keys=None), *later)
    assert kept == list(range(before))
    assert await stores.conversations.count("channel:1") == 0


async def test_the_buttons_of_a_forgotten_reply_vanish(server: DiscordServer, bot: LoneBot, stores: BotStores) -> None:
    channel, ada, bob = server.channel(await joined_guild(server)), server.user("Ada"), server.user("Bob")
    key = channel_key(channel.id)
    posted = await bot.says(channel, "Yes.")
    await _turn(stores, key, ada, "x", posted=posted)
    await _confirm(server, bob, await _forget(server, bob, channel, "here"))
    await _confirm(server, ada, await _forget(server, ada, channel, "here"))
    await server.changes.until(lambda: posted.edits == 1, "the reply is edited once, to have no buttons")
