"""What is said about the history of a conversation, and when somebody asks to be forgotten."""

from bot.language import tr, tr_count
from bot.texts.forms import messages as count_messages


def history_empty() -> str:
    """Say that there is no conversation to show."""
    return tr("There is nothing here yet. Ask me something!")


def history_ready(*, messages: int) -> str:
    """Stand above the file."""
    return tr("Here is the conversation as I keep it ({messages}).", messages=count_messages(messages))


def history_title(*, place: str) -> str:
    """Head the file with the channel's name."""
    return tr("Conversation in {place}", place=place)


def own_history_title(*, place: str) -> str:
    """Head the file of somebody's own conversation."""
    return tr("Your private conversation in {place}", place=place)


def direct_messages() -> str:
    """Name the place that has no name."""
    return tr("direct messages")


def history_person(*, name: str, time: str) -> str:
    """Head what a person said; `time` is in UTC, as ISO 8601 has it."""
    return tr("Person: {name}, {time}", name=name, time=time)


def history_model(*, name: str, time: str) -> str:
    """Head what the model said."""
    return tr("Model: {name}, {time}", name=name, time=time)


def history_cut(*, messages: int) -> str:
    """Say how much is not in the file."""
    return tr_count(
        "The first message is left out, because the file would be too large for Discord.",
        "The first {count} messages are left out, because the file would be too large for Discord.",
        messages,
    )


def forget_here_question() -> str:
    """Ask before a person's words in one channel are deleted."""
    return tr(
        "Shall I delete everything you wrote to me in this channel, your private conversation here included, and my "
        "replies to it? This cannot be undone."
    )


def forget_everywhere_question() -> str:
    """Ask before all words of a person are deleted."""
    return tr(
        "Shall I delete everything you wrote to me in every server and in direct messages, and my replies to it? "
        "This cannot be undone."
    )


def forget_yes() -> str:
    """Label the button that deletes."""
    return tr("Delete")


def forget_no() -> str:
    """Label the button that does not."""
    return tr("Keep everything")


def forgotten(*, messages: int) -> str:
    """Confirm what was deleted, and say what is not a matter of conversations."""
    return tr(
        "Done. I have deleted {messages}, my replies to you included. What stands in Discord itself stays until you "
        "delete it there; personas and API tokens belong to their server and stay too.",
        messages=count_messages(messages),
    )


def nothing_to_forget() -> str:
    """Say that there was nothing to delete."""
    return tr("I keep nothing that you wrote there.")
