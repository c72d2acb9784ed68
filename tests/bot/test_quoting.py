"""A question that replies to an older message carries that message, as far as the bot may read it."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.config import BotStores
from bot.dialogue import channel_key
from bot.graphemes import is_boundary
from bot.quoting import MAX_QUOTE_CHARACTERS, Quote, quoted, shortened
from storage.conversations import Conversations, NewMessage
from storage.posted import PostedPart
from tests.bot.lone_bot import LoneBot, joined_guild, lone_bot
from tests.doubles.discord_messages import Message
from tests.doubles.discord_places import Channel
from tests.doubles.discord_server import DiscordServer


@pytest.fixture
async def bot(server: DiscordServer) -> AsyncIterator[LoneBot]:
    async with lone_bot(server) as running:
        yield running


@pytest.fixture
def conversations(stores: BotStores) -> Conversations:
    return stores.conversations


async def _turn(
    conversations: Conversations, channel: Channel, reply: str, *posted: Message, characters: int = 0, asker_id: int = 7
) -> None:
    """Keep a turn whose reply stands in these messages."""
    question = NewMessage(role="user", content="Ada: why?", author_id=asker_id)
    ids = await conversations.append_turn(
        channel_key(channel.id), question, NewMessage(role="assistant", content=reply), is_cut=False
    )
    parts = [
        PostedPart(discord_message_id=each.id, channel_id=channel.id, characters=characters or len(reply))
        for each in posted
    ]
    await conversations.link(ids.reply_id, parts, asker_id=asker_id)


async def test_an_older_reply_of_the_bot_is_quoted_as_the_conversation_has_it(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    channel, bob = server.channel(await joined_guild(server)), server.user("Bob")
    older, newer = await bot.says(channel, "**shown** to people"), await bot.says(channel, "newer")
    await _turn(conversations, channel, "**kept** whole", older)
    await _turn(conversations, channel, "newer", newer)
    asked = await bot.hears(await server.user_says(channel, bob, "what is that?", reply_to=older))
    quote = await quoted(asked, conversations, key=channel_key(channel.id))
    assert quote == Quote(speaker="Parley", text="**kept** whole", author_id=None, message_id=older.id)


async def test_the_last_reply_needs_no_quotation_where_it_is_the_last(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    channel, bob = server.channel(await joined_guild(server)), server.user("Bob")
    last = await bot.says(channel, "last")
    await _turn(conversations, channel, "last", last)
    asked = await bot.hears(await server.user_says(channel, bob, "go on", reply_to=last))
    assert await quoted(asked, conversations, key=channel_key(channel.id)) is None
    assert await quoted(asked, conversations, key="private:1:2") is not None


async def test_of_a_long_reply_the_part_replied_to_is_quoted(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    channel, bob = server.channel(await joined_guild(server)), server.user("Bob")
    parts = [await bot.says(channel, text) for text in ("one", "two", "three")]
    await _turn(conversations, channel, "a" * 900 + "b" * 900 + "c" * 1200, *parts, characters=900)
    await _turn(conversations, channel, "newer", await bot.says(channel, "newer"))
    texts = []
    for part in parts:
        asked = await bot.hears(await server.user_says(channel, bob, "this?", reply_to=part))
        quote = await quoted(asked, conversations, key=channel_key(channel.id))
        assert quote is not None
        texts.append(quote.text)
    assert texts == ["a" * 900, "b" * 900, "c" * (MAX_QUOTE_CHARACTERS - 1) + "…"]


async def test_what_a_person_said_to_the_bot_is_quoted_with_the_names_people_see(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    channel, ada, bob = server.channel(await joined_guild(server)), server.user("Ada"), server.user("Bob")
    said = await server.user_says(channel, ada, f"ask {bob.mention}", mentions_bot=True)
    asked = await bot.hears(await server.user_says(channel, bob, "why me?", mentions_bot=True, reply_to=said))
    quote = await quoted(asked, conversations, key=channel_key(channel.id))
    assert quote == Quote(speaker="Ada", text="@Parley ask @Bob", author_id=ada.id, message_id=said.id)


async def test_what_discord_hides_or_has_deleted_is_not_quoted(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    channel, ada, bob = server.channel(await joined_guild(server)), server.user("Ada"), server.user("Bob")
    hidden = await server.user_says(channel, ada, "not for the bot")
    gone = await server.user_says(channel, ada, "gone", mentions_bot=True)
    await server.user_deletes(gone)
    key = channel_key(channel.id)
    for original in (hidden, gone):
        asked = await bot.hears(await server.user_says(channel, bob, "that?", mentions_bot=True, reply_to=original))
        assert await quoted(asked, conversations, key=key) is None


async def test_in_a_dm_every_message_can_be_quoted_and_the_last_need_not_be(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    ada = server.user("Ada")
    dm = server.dm(ada)
    said = await server.user_says(dm, ada, "remember this")
    asked = await bot.hears(await server.user_says(dm, ada, "that", reply_to=said))
    key = channel_key(dm.id)
    assert await quoted(asked, conversations, key=key) == Quote(
        speaker="Ada", text="remember this", author_id=ada.id, message_id=said.id
    )
    await conversations.append(key, NewMessage(role="user", content="Ada: remember this", discord_message_id=said.id))
    assert await quoted(asked, conversations, key=key) is None


async def test_a_sentence_of_the_bot_that_no_conversation_has_is_quoted_as_its_own(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    channel, ada = server.channel(await joined_guild(server)), server.user("Ada")
    sentence = await bot.says(channel, "Sorry, that took too long.")
    asked = await bot.hears(await server.user_says(channel, ada, "really?", reply_to=sentence))
    quote = await quoted(asked, conversations, key=channel_key(channel.id))
    assert quote == Quote(speaker="Parley", text="Sorry, that took too long.", author_id=None, message_id=sentence.id)


async def test_a_message_that_replies_to_nothing_has_no_quotation(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    channel, ada = server.channel(await joined_guild(server)), server.user("Ada")
    asked = await bot.hears(await server.user_says(channel, ada, "hello", mentions_bot=True))
    assert await quoted(asked, conversations, key=channel_key(channel.id)) is None


async def test_a_kept_quotation_goes_with_its_author_and_with_the_reply_it_repeats(
    server: DiscordServer, bot: LoneBot, conversations: Conversations
) -> None:
    channel, ada, key = server.channel(await joined_guild(server)), server.user("Ada"), "channel:elsewhere"
    older = await bot.says(channel, "You said: secret")
    await _turn(conversations, channel, "You said: secret", older, asker_id=ada.id)
    of_ada = Quote(speaker="Ada", text="secret", author_id=ada.id, message_id=5)
    of_bot = Quote(speaker="Parley", text="You said: secret", author_id=None, message_id=older.id)
    of_bob = Quote(speaker="Bob", text="fine", author_id=8, message_id=6)
    await conversations.append(key, *(quote.as_message() for quote in (of_ada, of_bot, of_bob)))
    await conversations.forget_author(ada.id, key=None)
    assert [message.content for message in await conversations.read(key)] == ["Bob: > fine"]


def test_a_kept_quotation_is_a_message_of_its_own() -> None:
    quote = Quote(speaker="Ada: x", text="one\n\ntwo", author_id=1, message_id=2)
    assert quote.as_message() == NewMessage(
        role="user", content="Ada x: > one\n>\n> two", author_id=1, discord_message_id=2
    )


@given(st.text(min_size=0, max_size=60), st.integers(min_value=2, max_value=40))
def test_a_shortened_text_is_a_beginning_cut_between_characters(text: str, limit: int) -> None:
    short = shortened(text, limit)
    assert len(short) <= limit
    if len(text) <= limit:
        assert short == text
    else:
        assert text.startswith(short.removesuffix("…"))
        assert short.endswith("…")


@given(st.lists(st.sampled_from(["👍🏽", "é", "🇩🇪", "👩‍👩‍👧", "x"]), min_size=12))
def test_no_emoji_or_accent_is_cut(characters: list[str]) -> None:
    text = "".join(characters)
    kept = shortened(text, 11).removesuffix("…")
    assert is_boundary(text, len(kept))
