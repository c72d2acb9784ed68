"""What is said around a question with two buttons: its answer, and presses that come too late or from others."""

from bot.language import tr


def keep_button() -> str:
    """Name the button that leaves everything as it is."""
    return tr("Keep it")


def nothing_changed() -> str:
    """Confirm that everything stays as it is."""
    return tr("Nothing was changed.")


def question_expired() -> str:
    """Say that nobody answered in time."""
    return tr("Nothing was changed: this question was open for too long. Use the command again to be asked again.")


def question_closed() -> str:
    """Answer a press on a button whose question is answered, expired or forgotten."""
    return tr("This question is no longer open. Use the command again to be asked again.")


def not_your_question() -> str:
    """Answer a press by somebody who was not asked."""
    return tr("Only the person who used the command can answer this question.")
