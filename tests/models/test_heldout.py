"""The held-out dialogues and how they are scored."""

from models import heldout
from models.dialogues import Message
from models.evaluate import score


def test_the_file_is_what_the_generator_makes() -> None:
    assert heldout.PATH.read_text(encoding="utf-8") == heldout.lines()


def test_there_are_three_hundred_each_ending_with_a_user() -> None:
    dialogues = heldout.read()
    assert len(dialogues) == 300
    assert {one.messages[-1]["role"] for one in dialogues} == {"user"}
    assert {one.kind for one in dialogues} == {kind.name for kind in heldout.KINDS}
    assert all(one.expected for one in dialogues)


def test_no_conversation_has_two_right_replies() -> None:
    replies: dict[str, set[str]] = {}
    for one in heldout.read():
        replies.setdefault(repr(one.messages), set()).add(one.expected)
    assert {len(expected) for expected in replies.values()} == {1}


async def test_the_score_counts_exact_replies_only() -> None:
    dialogues = heldout.read()[:40]
    known = {repr(one.messages): one.expected for one in dialogues[:30]}

    async def ask(messages: list[Message]) -> str:
        return known.get(repr(messages), "something else")

    report = await score(ask, dialogues)
    assert (report.right.total(), report.asked.total()) == (30, 40)
    assert report.share == 0.75
    assert len(report.misses) == 10
    assert "all" in report.table()
    assert report.summary()["right"] == 30
