import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from storage.conversations import Conversations, NewMessage
from storage.database import Database
from storage.schema import conversation_messages, conversations
from tests.storage.conftest import ManualClock, bytes_on_disk

KEY = "channel:123"


@pytest.fixture
def kept(database: Database, clock: ManualClock) -> Conversations:
    return Conversations(database, clock=clock)


def said(content: str) -> NewMessage:
    return NewMessage(role="user", content=content)


async def contents(kept: Conversations, key: str = KEY) -> list[str]:
    return [message.content for message in await kept.read(key)]


async def test_messages_come_back_whole_and_in_order(kept: Conversations, clock: ManualClock) -> None:
    ids = await kept.append(
        KEY,
        NewMessage(role="user", content="hi", author_id=2**63 - 1, discord_message_id=2**62),
        NewMessage(role="assistant", content="hello\n\N{SNOWMAN}"),
    )
    ids += await kept.append(KEY, said("third"))
    stored = await kept.read(KEY)
    assert [message.id for message in stored] == ids == sorted(ids)
    assert [(message.role, message.content) for message in stored] == [
        ("user", "hi"),
        ("assistant", "hello\n\N{SNOWMAN}"),
        ("user", "third"),
    ]
    assert (stored[0].author_id, stored[0].discord_message_id) == (2**63 - 1, 2**62)
    assert (stored[1].author_id, stored[1].discord_message_id) == (None, None)
    assert stored[0].created_at == clock.now()


async def test_many_messages_of_one_append_keep_their_order(kept: Conversations) -> None:
    words = [f"word {number}" for number in range(500)]
    ids = await kept.append(KEY, *map(said, words))
    assert ids == sorted(set(ids))
    assert await contents(kept) == words


async def test_a_turn_is_a_question_and_its_answer(kept: Conversations) -> None:
    asked = NewMessage(role="user", content="why?", author_id=5, discord_message_id=50)
    turn = await kept.append_turn(KEY, asked, NewMessage(role="assistant", content="because"), is_cut=True)
    question, reply = await kept.read(KEY)
    assert (question.id, reply.id) == (turn.question_id, turn.reply_id)
    assert (question.content, question.author_id, question.discord_message_id) == ("why?", 5, 50)
    assert (question.answers_id, question.is_cut) == (None, False)
    assert (reply.content, reply.author_id, reply.discord_message_id) == ("because", None, None)
    assert (reply.answers_id, reply.is_cut) == (question.id, True)


async def test_a_turn_is_kept_whole_or_not_at_all(kept: Conversations) -> None:
    with pytest.raises(ValueError, match="surrogates"):
        await kept.append_turn(KEY, said("fine"), NewMessage(role="assistant", content="\ud800"), is_cut=False)
    with pytest.raises(ValueError, match="1 to 200"):
        await kept.append_turn("", said("fine"), NewMessage(role="assistant", content="fine"), is_cut=False)
    assert await kept.count(KEY) == 0


async def test_an_appended_reply_answers_the_question_before_it(kept: Conversations) -> None:
    reply = NewMessage(role="assistant", content="reply")
    rule = NewMessage(role="system", content="rule")
    ids = await kept.append(KEY, reply, said("one"), said("two"), rule, reply, reply, said("three"))
    ids += await kept.append(KEY, reply)
    found = [message.answers_id for message in await kept.read(KEY)]
    assert found == [None, None, None, None, ids[2], ids[2], None, None]


async def test_a_reply_is_replaced_in_its_place(kept: Conversations, clock: ManualClock) -> None:
    first = await kept.append_turn(KEY, said("a"), NewMessage(role="assistant", content="old"), is_cut=True)
    await kept.append_turn(KEY, said("b"), NewMessage(role="assistant", content="c"), is_cut=False)
    before = await kept.read(KEY)
    clock.advance(timedelta(hours=1))
    assert await kept.replace_reply(first.reply_id, "new", is_cut=False)
    after = await kept.read(KEY)
    assert after == [before[0], replace(before[1], content="new", is_cut=False), *before[2:]]
    # Somebody was here, so the conversation lives on.
    assert await kept.delete_untouched(clock.now()) == 0


async def test_only_a_reply_that_is_there_can_be_replaced(kept: Conversations) -> None:
    turn = await kept.append_turn(KEY, said("a"), NewMessage(role="assistant", content="b"), is_cut=False)
    assert not await kept.replace_reply(turn.question_id, "words in somebody's mouth", is_cut=False)
    await kept.clear(KEY)
    assert not await kept.replace_reply(turn.reply_id, "too late", is_cut=False)
    assert await kept.count(KEY) == 0


@pytest.mark.parametrize("skip", [0, 1, 4, 5, 6, 1_000])
async def test_the_oldest_messages_can_be_skipped(kept: Conversations, skip: int) -> None:
    await kept.append("other", said("elsewhere"))
    await kept.append(KEY, *(said(str(number)) for number in range(5)))
    assert [message.content for message in await kept.read(KEY, skip=skip)] == [str(n) for n in range(skip, 5)]


async def test_messages_are_counted_in_one_conversation(kept: Conversations) -> None:
    assert await kept.count(KEY) == 0
    await kept.append(KEY, said("a"), said("b"))
    await kept.append("other", said("c"))
    assert await kept.count(KEY) == 2


async def test_simultaneous_appends_are_not_torn_apart(kept: Conversations) -> None:
    pairs = [(said(f"{number} question"), said(f"{number} answer")) for number in range(50)]
    await asyncio.gather(*(kept.append(KEY, *pair) for pair in pairs))
    stored = await contents(kept)
    assert len(stored) == 100
    assert all(
        question.split()[0] == answer.split()[0] for question, answer in zip(stored[::2], stored[1::2], strict=True)
    )


async def test_conversations_do_not_mix(kept: Conversations) -> None:
    await kept.append(KEY, said("here"))
    await kept.append("private:123:456", said("there"))
    assert await contents(kept) == ["here"]
    assert await kept.clear("private:123:456") == 1
    assert await contents(kept) == ["here"]
    assert await contents(kept, "private:123:456") == []


async def test_reading_or_clearing_what_is_not_there_is_no_error(kept: Conversations) -> None:
    assert await kept.read("channel:0") == []
    assert await kept.clear("channel:0") == 0
    assert await kept.delete_message(1) is False
    assert await kept.append(KEY) == []


async def test_a_conversation_survives_a_restart(
    kept: Conversations, database: Database, url: str, clock: ManualClock
) -> None:
    await kept.append(KEY, said("one"), said("two"))
    before = await kept.read(KEY)
    await database.close()
    again = await Database.open(url)
    try:
        assert await Conversations(again, clock=clock).read(KEY) == before
    finally:
        await again.close()


@pytest.mark.parametrize("text", ["", "\0", "a\0b", "\N{OLD ITALIC LETTER A}" * 10_000, "x" * 2_000_000])
async def test_any_text_is_kept_as_it_is(kept: Conversations, text: str) -> None:
    await kept.append(KEY, said(text))
    assert await contents(kept) == [text]


async def test_half_a_surrogate_pair_is_refused_and_nothing_of_the_append_stays(kept: Conversations) -> None:
    with pytest.raises(ValueError, match="surrogates"):
        await kept.append(KEY, said("fine"), said("\ud800"))
    assert await contents(kept) == []
    await kept.append(KEY, said("after"))
    assert await contents(kept) == ["after"]


@pytest.mark.parametrize("key", ["", "x" * 201])
async def test_a_key_of_the_wrong_length_is_refused(kept: Conversations, key: str) -> None:
    with pytest.raises(ValueError, match="1 to 200"):
        await kept.append(key, said("a"))


async def test_one_message_can_be_forgotten_and_its_id_is_not_used_again(kept: Conversations) -> None:
    first, last = await kept.append(KEY, said("keep"), said("forget"))
    assert await kept.delete_message(last) is True
    assert await contents(kept) == ["keep"]
    (new,) = await kept.append(KEY, said("new"))
    assert new > last > first


async def test_untouched_conversations_are_forgotten_with_their_messages(
    kept: Conversations, database: Database, clock: ManualClock
) -> None:
    await kept.append("old", said("a"), said("b"))
    await kept.append("revived", said("c"))
    clock.advance(timedelta(days=10))
    await kept.append("revived", said("d"))
    await kept.append("new", said("e"))
    assert await kept.delete_untouched(clock.now()) == 1
    assert await contents(kept, "old") == []
    assert await contents(kept, "revived") == ["c", "d"]
    async with database.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(conversation_messages)) == 3


async def test_clearing_leaves_no_trace_in_the_tables(kept: Conversations, database: Database) -> None:
    await kept.append(KEY, said("a"), said("b"))
    assert await kept.clear(KEY) == 2
    async with database.reading() as connection:
        for table in (conversations, conversation_messages):
            assert await connection.scalar(select(func.count()).select_from(table)) == 0


@pytest.mark.parametrize("length", [20, 100_000])
async def test_forgotten_words_leave_the_files(
    kept: Conversations, database: Database, clock: ManualClock, path: Path, length: int
) -> None:
    secrets = ["clear-me-please", "delete-me-please", "expire-me-please"]
    words = [(secret + " ") * (length // len(secret) + 1) for secret in secrets]
    await kept.append("cleared", said(words[0]), said("x" * 5_000))
    (message_id,) = await kept.append(KEY, said(words[1]))
    await kept.append("expired", said(words[2]))
    await kept.append("stays", said("remember-me-please"))
    await database.checkpoint()
    assert all(secret.encode() in bytes_on_disk(path) for secret in secrets)

    await kept.clear("cleared")
    await kept.delete_message(message_id)
    clock.advance(timedelta(days=1))
    await kept.append("stays", said("touched"))
    await kept.append(KEY, said("touched"))
    assert await kept.delete_untouched(clock.now()) == 1
    await database.checkpoint()
    on_disk = bytes_on_disk(path)
    assert [secret for secret in secrets if secret.encode() in on_disk] == []
    assert b"remember-me-please" in on_disk
