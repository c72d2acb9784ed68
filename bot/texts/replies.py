"""What is said around a reply: waiting in line, its buttons, what no longer fits."""

from bot.language import ordinal, tr, tr_count
from bot.texts.forms import short_wait


def in_line(*, position: int, wait_seconds: int | None) -> str:
    """Say how long it will take."""
    if wait_seconds is None:
        return tr("{place} in line", place=ordinal(position))
    return tr("{place} in line, about {wait}", place=ordinal(position), wait=short_wait(wait_seconds))


def stop_button() -> str:
    """Name the button that stops a reply."""
    return tr("Stop")


def regenerate_button() -> str:
    """Name the button that asks for another reply."""
    return tr("Regenerate")


def continue_button() -> str:
    """Name the button that lets a cut reply go on."""
    return tr("Continue")


def stopped() -> str:
    """Say that nothing had been said yet when it was stopped."""
    return tr("Stopped before I had said anything.")


def forgotten_meanwhile() -> str:
    """Say that a reply is not kept, because its question was forgotten while it was written."""
    return tr("You had me forget you while I was answering, so I keep neither your question nor this reply.")


def not_yours() -> str:
    """Say who may press a reply's buttons."""
    return tr("Only the person who asked, or somebody who may manage messages here, can do that.")


def no_longer_applies() -> str:
    """Say that a button came too late."""
    return tr("The conversation has moved on, so this button does nothing any more.")


def messages_dropped(*, messages: int) -> str:
    """Say that the beginning of the conversation no longer fits the model's context."""
    return tr_count("the first message no longer fits", "the first {count} messages no longer fit", messages)


def rest_of_reply() -> str:
    """Describe the file with what is beyond the last message, as screen readers say it."""
    return tr("The rest of this reply, as text")
