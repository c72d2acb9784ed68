"""Where replies stand in Discord, and what edits and deletions there do to a conversation."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.conversations import Conversations, NewMessage, TurnIds
from storage.database import Database
from storage.posted import PostedPart, PostedReply, without_parts
from tests.storage.conftest import ManualClock

KEY = "channel:123"
CHANNEL = 123
ASKER = 7


@pytest.fixture
def kept(database: Database, clock: ManualClock) -> Conversations:
    return Conversations(database, clock=clock)


def parts_of(pieces: dict[int, str]) -> list[PostedPart]:
    return [PostedPart(discord_message_id=at, channel_id=CHANNEL, characters=len(text)) for at, text in pieces.items()]


async def take_turn(
    kept: Conversations, question: str, pieces: dict[int, str], *, key: str = KEY, message_id: int | None = None
) -> TurnIds:
    """Add a turn whose reply stands in Discord messages, given with the text of each."""
    turn = await kept.append_turn(
        key,
        NewMessage(role="user", content=question, author_id=ASKER, discord_message_id=message_id),
        NewMessage(role="assistant", content="".join(pieces.values())),
        is_cut=False,
    )
    assert await kept.link(turn.reply_id, parts_of(pieces), asker_id=ASKER)
    return turn


async def contents(kept: Conversations, key: str = KEY) -> list[str]:
    return [message.content for message in await kept.read(key)]


# Linking and finding


async def test_a_reply_is_found_by_every_message_it_stands_in(kept: Conversations) -> None:
    turn = await take_turn(kept, "question", {2**63 - 1: "one ", 5: "two"})
    expected = PostedReply(
        conversation_key=KEY,
        reply_id=turn.reply_id,
        question_id=turn.question_id,
        asker_id=ASKER,
        text="one two",
        is_cut=False,
        parts=tuple(parts_of({2**63 - 1: "one ", 5: "two"})),
        is_last=True,
    )
    assert await kept.find_posted(2**63 - 1) == await kept.find_posted(5) == expected
    assert await kept.last_reply(KEY) == expected
    assert await kept.find_posted(6) is None


async def test_a_reply_is_last_until_something_is_added_to_its_own_conversation(kept: Conversations) -> None:
    await take_turn(kept, "first", {1: "reply"})
    await take_turn(kept, "elsewhere", {2: "reply"}, key="channel:9")
    first = await kept.find_posted(1)
    assert first is not None
    assert first.is_last
    second = await take_turn(kept, "second", {3: "reply"})
    found = [await kept.find_posted(number) for number in (1, 3)]
    assert [reply.is_last for reply in found if reply is not None] == [False, True]
    assert await kept.delete_message(second.reply_id)
    assert await kept.delete_message(second.question_id)
    assert await kept.find_posted(1) == first


async def test_only_a_posted_reply_at_the_very_end_is_the_last_reply(kept: Conversations) -> None:
    assert await kept.last_reply(KEY) is None
    await take_turn(kept, "question", {1: "reply"})
    assert (await kept.last_reply(KEY)) is not None
    await kept.append(KEY, NewMessage(role="user", content="more", discord_message_id=4))
    assert await kept.last_reply(KEY) is None
    await kept.append(KEY, NewMessage(role="assistant", content="never posted"))
    assert await kept.last_reply(KEY) is None


async def test_linking_again_replaces_all_parts_and_the_asker(kept: Conversations) -> None:
    turn = await take_turn(kept, "question", {1: "one ", 2: "two"})
    assert await kept.link(turn.reply_id, parts_of({2: "one two", 3: ""}), asker_id=8)
    assert await kept.find_posted(1) is None
    found = await kept.find_posted(3)
    assert found is not None
    assert (found.asker_id, found.parts) == (8, tuple(parts_of({2: "one two", 3: ""})))
    assert await kept.link(turn.reply_id, [], asker_id=8)
    assert await kept.find_posted(3) is None


async def test_a_message_belongs_to_the_reply_linked_to_it_last(kept: Conversations) -> None:
    first = await take_turn(kept, "first", {1: "a", 2: "b"})
    second = await take_turn(kept, "second", {2: "c"})
    found = [await kept.find_posted(number) for number in (1, 2)]
    assert [reply.reply_id for reply in found if reply is not None] == [first.reply_id, second.reply_id]


async def test_a_reply_that_is_replaced_stands_nowhere_until_it_is_linked(kept: Conversations) -> None:
    turn = await take_turn(kept, "question", {1: "one ", 2: "two"}, message_id=50)
    assert await kept.replace_reply(turn.reply_id, "another", is_cut=False)
    assert await kept.find_posted(1) is None
    assert await kept.delete_by_discord_ids([2]) == []
    assert await contents(kept) == ["question", "another"]


async def test_only_a_reply_that_is_there_can_be_linked(kept: Conversations) -> None:
    turn = await take_turn(kept, "question", {1: "reply"})
    await kept.delete_message(turn.reply_id)
    assert not await kept.link(turn.reply_id, parts_of({1: "reply"}), asker_id=ASKER)
    assert not await kept.link(turn.question_id, parts_of({1: "reply"}), asker_id=ASKER)
    assert await kept.find_posted(1) is None


async def test_a_link_that_fails_leaves_the_one_before(kept: Conversations, database: Database) -> None:
    turn = await take_turn(kept, "question", {1: "reply"})
    too_large = PostedPart(discord_message_id=2**63, channel_id=CHANNEL, characters=1)
    with pytest.raises((OverflowError, ValueError)):
        await kept.link(turn.reply_id, [*parts_of({2: "x"}), too_large], asker_id=ASKER)
    assert await kept.find_posted(1) is not None
    assert await kept.find_posted(2) is None


async def test_clearing_a_conversation_takes_its_links(kept: Conversations) -> None:
    await take_turn(kept, "question", {1: "reply"})
    await kept.clear(KEY)
    assert await kept.find_posted(1) is None


# Editing


async def test_an_edit_changes_the_question_and_leaves_its_reply(kept: Conversations) -> None:
    await take_turn(kept, "question", {1: "reply"}, message_id=50)
    assert await kept.edit_by_discord_id(50, "better question") == KEY
    assert await contents(kept) == ["better question", "reply"]
    assert await kept.edit_by_discord_id(51, "nothing") is None


async def test_an_edit_reaches_the_copy_a_thread_began_with(kept: Conversations) -> None:
    await kept.append(KEY, NewMessage(role="user", content="topic", discord_message_id=50))
    await kept.append("channel:50", NewMessage(role="user", content="topic", discord_message_id=50))
    assert await kept.edit_by_discord_id(50, "changed") == KEY
    assert await contents(kept) == await contents(kept, "channel:50") == ["changed"]


async def test_an_edit_of_the_bots_own_message_changes_nothing(kept: Conversations) -> None:
    await take_turn(kept, "question", {1: "reply"})
    await kept.append("channel:1", NewMessage(role="assistant", content="reply", discord_message_id=1))
    assert await kept.edit_by_discord_id(1, "put in its mouth") is None
    assert await contents(kept) == ["question", "reply"]
    assert await contents(kept, "channel:1") == ["reply"]


# Deleting


async def test_a_deleted_question_leaves_its_reply(kept: Conversations) -> None:
    await take_turn(kept, "question", {1: "reply"}, message_id=50)
    assert await kept.delete_by_discord_ids([50]) == [KEY]
    assert await contents(kept) == ["reply"]
    found = await kept.find_posted(1)
    assert found is not None
    assert (found.question_id, found.asker_id) == (None, ASKER)


@pytest.mark.parametrize(
    ("gone", "left", "is_question_left"),
    [
        ([1], "two three", False),
        ([2], "one three", True),
        ([3], "one two ", True),
        ([3, 1], "two ", False),
        ([2, 3], "one ", True),
        ([1, 2, 3], None, False),
    ],
)
async def test_deleted_parts_leave_the_reply_and_the_head_takes_a_commands_question(
    kept: Conversations, gone: list[int], left: str | None, *, is_question_left: bool
) -> None:
    await take_turn(kept, "/chat question", {1: "one ", 2: "two ", 3: "three"})
    assert await kept.delete_by_discord_ids(gone) == [KEY]
    expected = ["/chat question"] if is_question_left else []
    assert await contents(kept) == [*expected, *([left] if left is not None else [])]
    assert [await kept.find_posted(number) for number in gone] == [None] * len(gone)


async def test_parts_deleted_one_after_the_other_leave_what_is_still_seen(kept: Conversations) -> None:
    await take_turn(kept, "question", {1: "one ", 2: "two ", 3: "three ", 4: "four"}, message_id=50)
    for gone, left in ((2, "one three four"), (1, "three four"), (4, "three ")):
        assert await kept.delete_by_discord_ids([gone]) == [KEY]
        assert await contents(kept) == ["question", left]
    assert await kept.delete_by_discord_ids([3]) == [KEY]
    assert await contents(kept) == ["question"]


async def test_a_question_with_its_own_message_outlives_the_reply(kept: Conversations) -> None:
    await take_turn(kept, "question", {1: "reply"}, message_id=50)
    assert await kept.delete_by_discord_ids([1]) == [KEY]
    assert await contents(kept) == ["question"]


async def test_a_reply_with_nothing_readable_left_goes(kept: Conversations) -> None:
    await take_turn(kept, "question", {1: "words", 2: " \n\t", 3: ""}, message_id=50)
    assert await kept.delete_by_discord_ids([1]) == [KEY]
    assert await contents(kept) == ["question"]
    assert await kept.find_posted(2) is None


async def test_words_no_part_counted_go_with_the_last_message(kept: Conversations) -> None:
    """A file at the end of a long reply carries the rest."""
    turn = await take_turn(kept, "question", {1: "one ", 2: "two"}, message_id=50)
    await kept.replace_reply(turn.reply_id, "one two and a file", is_cut=False)
    await kept.link(turn.reply_id, parts_of({1: "one ", 2: "two"}), asker_id=ASKER)
    await kept.delete_by_discord_ids([2])
    assert await contents(kept) == ["question", "one "]


async def test_characters_are_counted_as_python_counts_them(kept: Conversations) -> None:
    await take_turn(kept, "question", {1: "\N{OLD ITALIC LETTER A}e\N{COMBINING ACUTE ACCENT}", 2: "\N{SNOWMAN}b"})
    await kept.delete_by_discord_ids([1])
    assert await contents(kept) == ["\N{SNOWMAN}b"]


async def test_a_deleted_message_leaves_every_conversation_that_has_a_copy(kept: Conversations) -> None:
    await take_turn(kept, "question", {1: "one ", 2: "two"}, message_id=50)
    await kept.append("channel:50", NewMessage(role="user", content="question", discord_message_id=50))
    await kept.append("channel:1", NewMessage(role="assistant", content="one ", discord_message_id=1))
    assert await kept.delete_by_discord_ids([50, 1]) == ["channel:1", KEY, "channel:50"]
    assert await contents(kept) == ["two"]
    assert await contents(kept, "channel:50") == await contents(kept, "channel:1") == []


async def test_thousands_of_messages_are_deleted_at_once(kept: Conversations) -> None:
    pieces = {number: f"{number} " for number in range(1, 1_301)}
    turn = await take_turn(kept, "question", pieces, message_id=5_000)
    questions = [NewMessage(role="user", content=str(at), discord_message_id=at) for at in range(10_000, 10_700)]
    await kept.append("channel:9", *questions)
    gone = [*range(2, 1_300), *range(10_000, 10_699), *range(50_000, 52_000)]
    assert await kept.delete_by_discord_ids(gone) == [KEY, "channel:9"]
    assert await contents(kept) == ["question", "1 1300 "]
    assert await contents(kept, "channel:9") == ["10699"]
    found = await kept.find_posted(1_300)
    assert found is not None
    assert found.reply_id == turn.reply_id
    assert [part.discord_message_id for part in found.parts] == [1, 1_300]


@pytest.mark.parametrize("ids", [[], [404], [404, 404]])
async def test_deleting_what_no_conversation_has_touches_nothing(kept: Conversations, ids: list[int]) -> None:
    await take_turn(kept, "question", {1: "reply"}, message_id=50)
    assert await kept.delete_by_discord_ids(ids) == []
    assert await contents(kept) == ["question", "reply"]


# The arithmetic of parts


@given(
    pieces=st.lists(st.text(max_size=5), min_size=1, max_size=8),
    choice=st.data(),
)
def test_what_is_left_is_the_pieces_that_are_not_gone(pieces: Sequence[str], choice: st.DataObject) -> None:
    gone = choice.draw(st.sets(st.sampled_from(range(len(pieces)))))
    left = without_parts("".join(pieces), parts_of(dict(enumerate(pieces))), gone)
    assert left == "".join(piece for number, piece in enumerate(pieces) if number not in gone)


@given(text=st.text(max_size=20), lengths=st.lists(st.integers(0, 30), min_size=1, max_size=5))
def test_counts_that_do_not_match_the_text_never_lose_or_repeat_a_character(text: str, lengths: list[int]) -> None:
    parts = [
        PostedPart(discord_message_id=number, channel_id=CHANNEL, characters=length)
        for number, length in enumerate(lengths)
    ]
    everywhere = set(range(len(parts)))
    assert without_parts(text, parts, set()) == text
    assert "".join(without_parts(text, parts, everywhere - {number}) for number in sorted(everywhere)) == text
