"""What goes when a person asks to be forgotten, and that it leaves the files."""

import asyncio
import contextlib
import random
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from storage.conversations import Conversations, NewMessage
from storage.database import Database
from storage.errors import AuthorForgottenError
from storage.forgetting import MARKED, ForgottenWords
from storage.posted import PostedPart
from storage.schema import conversation_messages, conversations, posted_messages
from tests.storage.conftest import ManualClock, bytes_on_disk

HERE, THERE = "channel:1", "channel:2"
ANNA, BELA = 11, 12


@pytest.fixture
def kept(database: Database, clock: ManualClock) -> Conversations:
    return Conversations(database, clock=clock)


def said(author_id: int, content: str, message_id: int | None = None) -> NewMessage:
    return NewMessage(role="user", content=content, author_id=author_id, discord_message_id=message_id)


def replied(content: str) -> NewMessage:
    return NewMessage(role="assistant", content=content)


async def take_turn(
    kept: Conversations, key: str, question: NewMessage, reply: str, *, posted_at: int | None = None
) -> None:
    turn = await kept.append_turn(key, question, replied(reply), is_cut=False)
    if posted_at is not None:
        assert question.author_id is not None
        part = PostedPart(discord_message_id=posted_at, channel_id=1, characters=len(reply))
        assert await kept.link(turn.reply_id, [part], asker_id=question.author_id)


async def contents(kept: Conversations, key: str) -> list[str]:
    return [message.content for message in await kept.read(key)]


async def count_rows(database: Database) -> list[int]:
    async with database.reading() as connection:
        tables = (conversations, conversation_messages, posted_messages)
        return [await connection.scalar(select(func.count()).select_from(table)) for table in tables]


# What goes


async def test_a_person_is_forgotten_in_one_conversation_with_the_replies_to_them(kept: Conversations) -> None:
    await take_turn(kept, HERE, said(ANNA, "anna here"), "to anna", posted_at=101)
    await take_turn(kept, HERE, said(BELA, "bela here"), "to bela", posted_at=102)
    await kept.append(HERE, said(ANNA, "anna again"))
    await take_turn(kept, THERE, said(ANNA, "anna there"), "to anna")
    assert await kept.forget_author(ANNA, key=HERE) == ForgottenWords(messages=3, conversations=1)
    assert await contents(kept, HERE) == ["bela here", "to bela"]
    assert await contents(kept, THERE) == ["anna there", "to anna"]
    assert await kept.find_posted(101) is None
    assert await kept.find_posted(102) is not None


async def test_a_person_is_forgotten_everywhere(kept: Conversations, database: Database) -> None:
    await take_turn(kept, HERE, said(ANNA, "anna here"), "to anna", posted_at=101)
    await take_turn(kept, HERE, said(BELA, "bela here"), "to bela", posted_at=102)
    await take_turn(kept, THERE, said(ANNA, "anna there"), "to anna")
    assert await kept.forget_author(ANNA, key=None) == ForgottenWords(messages=4, conversations=2)
    assert await contents(kept, HERE) == ["bela here", "to bela"]
    assert await contents(kept, THERE) == []
    assert await count_rows(database) == [1, 2, 1]


async def test_everywhere_takes_the_persons_private_conversations_whole_and_nobody_elses(kept: Conversations) -> None:
    own = [f"private:1:{ANNA}", f"private:{BELA}:{ANNA}"]
    others = [f"private:1:{BELA}", f"private:{ANNA}:{BELA}", f"private:1:9{ANNA}", f"private:1:{ANNA}9", f"x:1:{ANNA}"]
    for key in (*own, *others):
        await kept.append(key, NewMessage(role="system", content="a persona"), NewMessage(role="user", content="who?"))
    assert await kept.forget_author(ANNA, key=None) == ForgottenWords(messages=4, conversations=2)
    assert [await kept.count(key) for key in own] == [0, 0]
    assert [await kept.count(key) for key in others] == [2] * 5


async def test_forgetting_in_a_private_conversation_keeps_what_nobody_wrote(kept: Conversations) -> None:
    key = f"private:1:{ANNA}"
    await kept.append(key, NewMessage(role="system", content="a persona"), said(ANNA, "hi"), replied("hello"))
    assert await kept.forget_author(ANNA, key=key) == ForgottenWords(messages=2, conversations=1)
    assert await contents(kept, key) == ["a persona"]


@pytest.mark.parametrize("key", [None, HERE, "channel:404"])
async def test_forgetting_somebody_who_wrote_nothing_changes_nothing(kept: Conversations, key: str | None) -> None:
    await take_turn(kept, HERE, said(BELA, "bela here"), "to bela")
    assert await kept.forget_author(ANNA, key=key) == ForgottenWords(messages=0, conversations=0)
    assert await contents(kept, HERE) == ["bela here", "to bela"]


@pytest.mark.parametrize("posted_at", [None, 101])
async def test_a_reply_goes_although_its_question_was_deleted_before(
    kept: Conversations, posted_at: int | None
) -> None:
    await take_turn(kept, HERE, said(ANNA, "anna here", 50), "anna said: anna here", posted_at=posted_at)
    await kept.delete_by_discord_ids([50])
    (reply,) = await kept.read(HERE)
    assert (reply.answers_id, reply.author_id) == (None, ANNA)
    assert await kept.forget_author(ANNA, key=HERE) == ForgottenWords(messages=1, conversations=1)
    assert await contents(kept, HERE) == []


async def test_a_reply_goes_although_its_question_was_taken_out_by_hand(kept: Conversations) -> None:
    turn = await kept.append_turn(HERE, said(ANNA, "anna here"), replied("to anna"), is_cut=False)
    assert await kept.delete_message(turn.question_id)
    assert await kept.forget_author(ANNA, key=None) == ForgottenWords(messages=1, conversations=1)


async def test_the_copy_of_a_reply_that_a_thread_began_with_goes_too(kept: Conversations) -> None:
    await take_turn(kept, HERE, said(ANNA, "anna here"), "to anna", posted_at=101)
    copy = NewMessage(role="assistant", content="to anna", discord_message_id=101)
    await kept.append("channel:101", copy, said(BELA, "what did she ask?"))
    assert await kept.forget_author(ANNA, key=None) == ForgottenWords(messages=3, conversations=2)
    assert await contents(kept, "channel:101") == ["what did she ask?"]


async def test_the_copy_of_a_reply_goes_also_when_the_reply_itself_was_gone_before(kept: Conversations) -> None:
    await take_turn(kept, HERE, said(ANNA, "anna here"), "to anna", posted_at=101)
    copy = NewMessage(role="assistant", content="to anna", discord_message_id=101)
    quote = NewMessage(role="user", content="Parley: > to anna", discord_message_id=101)
    await kept.append("channel:101", copy, said(BELA, "what did she ask?"))
    await kept.append_turn(THERE, said(BELA, "and this?"), replied("to bela"), is_cut=False, before=[quote])
    assert await kept.clear(HERE) == 2
    assert await kept.forget_author(ANNA, key=None) == ForgottenWords(messages=2, conversations=2)
    assert await contents(kept, "channel:101") == ["what did she ask?"]
    assert await contents(kept, THERE) == ["and this?", "to bela"]


async def test_replies_seeded_with_a_question_go_with_it(kept: Conversations) -> None:
    await kept.append(
        HERE, replied("welcome"), said(ANNA, "one"), replied("to one"), said(BELA, "two"), replied("to two")
    )
    assert [message.answers_id is not None for message in await kept.read(HERE)] == [False, False, True, False, True]
    await kept.forget_author(ANNA, key=HERE)
    assert await contents(kept, HERE) == ["welcome", "two", "to two"]


async def test_a_turn_begun_before_its_author_was_forgotten_everywhere_is_not_kept(
    kept: Conversations, clock: ManualClock
) -> None:
    marks = await kept.marks([ANNA, BELA])
    await kept.forget_author(ANNA, key=None)
    with pytest.raises(AuthorForgottenError):
        await kept.append_turn(HERE, said(ANNA, "old"), replied("to old"), is_cut=False, marks=marks)
    assert await kept.count(HERE) == 0
    again = await kept.marks([ANNA])
    await kept.append_turn(HERE, said(ANNA, "new"), replied("to new"), is_cut=False, marks=again)
    clock.advance(timedelta(seconds=1))
    await kept.forget_author(ANNA, key=HERE)
    await kept.append_turn(HERE, said(ANNA, "here is another matter"), replied("yes"), is_cut=False, marks=again)


async def test_what_a_turn_refers_to_is_left_out_when_its_author_was_forgotten(kept: Conversations) -> None:
    marks = await kept.marks([ANNA, BELA])
    await kept.forget_author(ANNA, key=None)
    before = [said(ANNA, "quoted"), said(BELA, "start")]
    await kept.append_turn(HERE, said(BELA, "and?"), replied("yes"), is_cut=False, before=before, marks=marks)
    assert await contents(kept, HERE) == ["start", "and?", "yes"]


async def test_it_is_not_known_for_long_who_was_forgotten(kept: Conversations, clock: ManualClock) -> None:
    await kept.forget_author(ANNA, key=None)
    clock.advance(MARKED)
    await kept.forget_author(BELA, key=None)
    marks = await kept.marks([ANNA, BELA])
    assert marks == {ANNA: None, BELA: clock.now()}


async def test_no_process_keeps_a_turn_behind_the_back_of_one_that_forgets(
    database: Database, url: str, kept: Conversations, clock: ManualClock
) -> None:
    others = [await Database.open(url) for _ in range(2)]
    marks = await kept.marks([ANNA])

    async def keep(there: Conversations, number: int) -> None:
        with contextlib.suppress(AuthorForgottenError):
            await there.append_turn(f"channel:{number}", said(ANNA, "x"), replied("y"), is_cut=False, marks=marks)

    try:
        writers = [Conversations(each, clock=clock) for each in (database, *others)]
        keeping = [keep(there, number) for number in range(20) for there in writers]
        forgetting = kept.forget_author(ANNA, key=None)
        await asyncio.gather(*keeping[:30], forgetting, *keeping[30:])
    finally:
        for each in others:
            await each.close()
    assert [await kept.count(f"channel:{number}") for number in range(20)] == [0] * 20


async def test_somebody_who_wrote_thousands_of_messages_is_forgotten(kept: Conversations) -> None:
    turns = [message for number in range(1_100) for message in (said(ANNA, str(number)), replied(f"to {number}"))]
    await kept.append(HERE, *turns)
    assert await kept.forget_author(ANNA, key=None) == ForgottenWords(messages=2_200, conversations=1)
    assert await kept.count(HERE) == 0


async def test_channels_that_are_gone_take_their_shared_and_private_conversations(kept: Conversations) -> None:
    gone = ["channel:1", "channel:2", f"private:1:{ANNA}", f"private:1:{BELA}"]
    stays = ["channel:12", "private:12:1", f"private:3:{ANNA}", "private:x:1", "private:", "other:1:1"]
    for key in (*gone, *stays):
        await kept.append(key, said(ANNA, "a"), replied("b"))
    assert await kept.clear_channels({1, 2, *range(1_000, 2_000)}) == 8
    assert [await kept.count(key) for key in (*gone, *stays)] == [0] * 4 + [2] * 6
    assert await kept.clear_channels([]) == 0


# That it leaves the files

WORD = re.compile(rb"canary-\d{6}")


class Planter:
    """Fills conversations with numbered words, of every size and with edits and deletions, in a foretold order."""

    def __init__(self, kept: Conversations, seed: int, lengths: list[int]) -> None:
        self.kept = kept
        self._random = random.Random(seed)
        self._lengths = lengths
        self._words = 0
        self._messages = 0
        self._posted: list[int] = []

    async def work(self, steps: int) -> None:
        for _ in range(steps):
            chance = self._random.random()
            if chance < 0.5 or not self._posted:
                await self._take_turn()
            elif chance < 0.8:
                await self.kept.edit_by_discord_id(self._random.choice(self._posted), self._text())
            else:
                gone = self._posted.pop(self._random.randrange(len(self._posted)))
                await self.kept.delete_by_discord_ids([gone])

    async def _take_turn(self) -> None:
        key = f"channel:{self._random.randrange(5)}"
        self._messages += 2
        self._posted.append(self._messages)
        question = said(self._random.choice([ANNA, BELA]), self._text(), self._messages)
        turn = await self.kept.append_turn(key, question, replied(self._text()), is_cut=False)
        await self.kept.replace_reply(turn.reply_id, self._text(), is_cut=True)

    def _text(self) -> str:
        self._words += 1
        filler = "x" * self._random.choice(self._lengths)
        return f"canary-{self._words:06d} {filler} canary-{self._words:06d}"

    async def words_left(self) -> set[bytes]:
        """Return the words that can still be read."""
        stored = [message for number in range(5) for message in await self.kept.read(f"channel:{number}")]
        return {word for message in stored for word in WORD.findall(message.content.encode())}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("lengths", [[0, 5, 20], [0, 20, 200, 1_000], [20, 200, 1_000, 3_000, 6_000]])
async def test_no_forgotten_edited_or_replaced_word_stays_in_the_files(
    kept: Conversations, path: Path, seed: int, lengths: list[int]
) -> None:
    """Secure delete alone is not enough: the pages SQLite balances keep copies of some of these words."""
    planter = Planter(kept, seed, lengths)
    await planter.work(250)
    planted = set(WORD.findall(bytes_on_disk(path)))
    assert (await kept.forget_author(ANNA, key=None)).messages > 50
    readable = await planter.words_left()
    assert len(planted - readable) > 100
    assert await kept.erase_traces()
    assert set(WORD.findall(bytes_on_disk(path))) == readable


@contextmanager
def reading_elsewhere(path: Path) -> Iterator[sqlite3.Connection]:
    """Read as another process would, in a transaction that stays open."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM conversation_messages").fetchall()
        yield connection
    finally:
        connection.close()


async def test_a_reader_that_stays_is_reported_and_costs_nothing_but_time(kept: Conversations, path: Path) -> None:
    await take_turn(kept, HERE, said(ANNA, "forget-me-please"), "to anna")
    with reading_elsewhere(path):
        await kept.forget_author(ANNA, key=None)
        assert not await kept.erase_traces()
        assert b"forget-me-please" in bytes_on_disk(path)
        assert await contents(kept, HERE) == []
        await kept.append(HERE, said(BELA, "still writing"))
    assert await kept.erase_traces()
    assert b"forget-me-please" not in bytes_on_disk(path)
    assert await contents(kept, HERE) == ["still writing"]


async def test_a_reader_that_goes_meanwhile_is_waited_for(kept: Conversations, path: Path) -> None:
    await take_turn(kept, HERE, said(ANNA, "forget-me-please"), "to anna")
    with reading_elsewhere(path) as connection:
        await kept.forget_author(ANNA, key=None)
        erasing = asyncio.create_task(kept.erase_traces())
        await kept.count(HERE)
        connection.execute("ROLLBACK")
        assert await erasing
    assert b"forget-me-please" not in bytes_on_disk(path)


async def test_what_a_reader_kept_in_the_log_is_gone_after_the_close(
    kept: Conversations, database: Database, path: Path
) -> None:
    await take_turn(kept, HERE, said(ANNA, "forget-me-please"), "to anna")
    with reading_elsewhere(path):
        await kept.forget_author(ANNA, key=None)
        assert not await kept.erase_traces()
    await database.close()
    assert b"forget-me-please" not in bytes_on_disk(path)


async def test_erasing_keeps_everything_else_and_lets_others_read_and_write(
    kept: Conversations, database: Database
) -> None:
    await take_turn(kept, HERE, said(BELA, "bela here"), "to bela", posted_at=102)
    (newest,) = await kept.append(THERE, said(ANNA, "gone"))
    before = await kept.read(HERE)
    await kept.forget_author(ANNA, key=None)
    erased, read, (added,) = await asyncio.gather(
        kept.erase_traces(), kept.read(HERE), kept.append(THERE, said(BELA, "new"))
    )
    assert erased
    assert read == before == await kept.read(HERE)
    assert added > newest
    assert await count_rows(database) == [2, 3, 1]
