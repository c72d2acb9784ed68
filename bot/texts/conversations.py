"""What is said about conversations: their beginning, what is forgotten."""

from bot.language import tr
from bot.texts.forms import messages as count_messages

ASK_ABOUT = "Ask about this message"
"""The name of the message menu's command, which Discord shows translated."""


def ask_about_title() -> str:
    """Head the form of the message menu; Discord shows 45 characters at most."""
    return tr("Ask about this message")


def ask_about_label() -> str:
    """Name the form's field; Discord shows 45 characters at most."""
    return tr("Your question")


def not_a_question() -> str:
    """Say that there is nothing to answer."""
    return tr("There is nothing in it that I could read. Please write your question.")


def hello() -> str:
    """Answer a mention that says nothing."""
    return tr(
        "Hello! Write your question after my name, or use `/chat`. Everybody in a channel talks to me in one "
        "conversation; with `/chat` you can also have one of your own."
    )


def conversation_forgotten(*, messages: int) -> str:
    """Confirm `/reset`."""
    if messages == 0:
        return tr("There was nothing to forget. Ask away!")
    return tr("Done. I have forgotten this conversation ({messages}).", messages=count_messages(messages))
