"""A conversation as a file: whole, told apart, and nothing in it can pass for something else."""

from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.history import file_name, history_file
from bot.language import speak
from storage.conversations import StoredMessage

_NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
_ROOMY = 10 * 1024**2


@pytest.fixture(autouse=True)
def english() -> None:
    speak("en-US")


def _message(role: Literal["user", "assistant"], content: str, number: int = 0) -> StoredMessage:
    return StoredMessage(
        id=number + 1,
        role=role,
        content=content,
        author_id=7 if role == "user" else None,
        discord_message_id=None,
        created_at=_NOON + timedelta(seconds=number),
        answers_id=None,
        is_cut=False,
    )


def _written(*messages: StoredMessage, title: str = "Conversation in #general", max_bytes: int = _ROOMY) -> str:
    return history_file(messages, title=title, model_name="Parley", max_bytes=max_bytes).decode()


def test_a_conversation_is_written_with_roles_names_and_times_in_utc() -> None:
    text = _written(_message("user", "Ada: Good morning"), _message("assistant", "Hello: you!", 1))
    assert text == (
        "# Conversation in \\#general\n"
        "\n## Person: Ada, 2026-11-20T12:00:00Z\n"
        "\n> Good morning\n"
        "\n## Model: Parley, 2026-11-20T12:00:01Z\n"
        "\n> Hello: you!\n"
    )


def test_an_open_code_block_and_a_heading_end_with_their_message() -> None:
    text = _written(_message("user", "Ada: look\n```py\n# not a heading\n\nprint()"), _message("assistant", "Fine."))
    assert "> look\n> ```py\n> # not a heading\n>\n> print()\n\n## Model: Parley" in text


def test_a_name_cannot_pass_for_markup_or_for_the_model() -> None:
    text = _written(_message("user", "**Parley** <b>_x_</b> [a](b): hi"))
    assert "## Person: \\*\\*Parley\\*\\* \\<b\\>\\_x\\_\\</b\\> \\[a\\](b), 2026" in text


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text()), max_size=5))
def test_every_line_that_people_wrote_stands_in_a_quotation(
    said: list[tuple[Literal["user", "assistant"], str]],
) -> None:
    speak("en-US")
    text = _written(*(_message(role, f"Ada: {words}") for role, words in said))
    lines = [line for line in text.splitlines() if line and not line.startswith(">")]
    assert lines[0].startswith("# Conversation")
    assert all(line.startswith(("## Person: ", "## Model: ")) for line in lines[1:])
    assert len(lines) == 1 + len(said)


@pytest.mark.parametrize("max_bytes", [600, 1000, 2000, 3000])
def test_what_does_not_fit_is_left_out_at_the_beginning_and_said(max_bytes: int) -> None:
    messages = [_message("user", f"Ada: number {number} 👍🏽", number) for number in range(50)]
    data = history_file(messages, title="Conversation", model_name="Parley", max_bytes=max_bytes)
    assert len(data) <= max_bytes
    kept = data.decode().count("## Person")
    assert 0 < kept < 50
    assert f"The first {50 - kept} messages are left out" in data.decode()
    assert "number 49" in data.decode()
    assert f"> number {50 - kept}" in data.decode()
    assert f"> number {49 - kept} " not in data.decode()


def test_a_message_larger_than_the_file_leaves_the_line_alone() -> None:
    text = _written(_message("user", "Ada: " + "x" * 5000), max_bytes=1000)
    assert "The first message is left out" in text
    assert "x" * 100 not in text


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("#general", "conversation-general.md"),
        ("Grüße aus Köln!", "conversation-grüße-aus-köln.md"),
        ("日本語", "conversation-日本語.md"),
        ("../../etc/passwd", "conversation-etc-passwd.md"),
        ("..", "conversation.md"),
        ("👍🏽\u202egpj.exe\x00", "conversation-gpj-exe.md"),
        ("a" * 200, f"conversation-{'a' * 64}.md"),
        ("direct messages", "conversation-direct-messages.md"),
    ],
)
def test_the_name_of_the_file_is_safe(place: str, expected: str) -> None:
    assert file_name(place) == expected
