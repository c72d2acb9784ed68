"""Why something was not done, and what to do."""

from datetime import datetime

from bot.language import number, tr, tr_count
from bot.texts.forms import calls, llm_tokens, relative_time, wait


def allowance_used(*, limit: int | None, resets_at: datetime | None) -> str:
    """Say that the day's calls are used."""
    if limit is None or resets_at is None:
        return tr("Today's calls are used. Please come back tomorrow.")
    return tr(
        "Today's allowance of {calls} is used. I can answer again {when}.",
        calls=calls(limit),
        when=relative_time(resets_at),
    )


def busy(*, retry_after_seconds: int) -> str:
    """Say that the queue is full."""
    return tr("Many people are asking right now. Please try again in {wait}.", wait=wait(retry_after_seconds))


def lane_full(*, waiting: int) -> str:
    """Say that the conversation has too many open questions."""
    return tr_count(
        "Too many questions are waiting here already ({count}). Please try again in a moment.",
        "Too many questions are waiting here already ({count}). Please try again in a moment.",
        waiting,
    )


def model_unavailable(*, retry_after_seconds: int | None) -> str:
    """Say that the model is away."""
    if retry_after_seconds is None:
        return tr("Sorry, my model is not available right now. The call is not counted; please try again in a minute.")
    return tr(
        "Sorry, my model is not available right now. The call is not counted; please try again in {wait}.",
        wait=wait(retry_after_seconds),
    )


def took_too_long() -> str:
    """Say that the deadline passed."""
    return tr("Sorry, that took too long. Please try again, or ask for something shorter.")


def service_misconfigured() -> str:
    """Say that the service refuses the bot."""
    return tr("Sorry, I am set up wrongly and cannot reach my model. Whoever runs this bot has been told in its log.")


def prompt_too_long(*, prompt_tokens: int | None, limit: int | None) -> str:
    """Say that the question is too long for the model."""
    if prompt_tokens is None or limit is None:
        return tr("Your message is too long for me. Please shorten it.")
    return tr(
        "Your message is too long for me: it takes {tokens}, and the limit is {limit}. Please shorten it.",
        tokens=llm_tokens(prompt_tokens),
        limit=number(limit),
    )


def empty_reply() -> str:
    """Say that the model said nothing."""
    return tr("I have no answer to that. Please try to put it in other words.")


def shutting_down() -> str:
    """Say that the bot is restarting."""
    return tr("I am being restarted. Please ask again in a minute.")


def not_age_restricted() -> str:
    """Say that an adult model answers in age-restricted channels only."""
    return tr("My model is for adults, so I answer only in age-restricted channels.")


def not_permitted(*, permission: str) -> str:
    """Say which permission is missing; `permission` is its name as Discord shows it in English."""
    return tr("You need the permission {permission} for this.", permission=_permission_name(permission))


def _permission_name(permission: str) -> str:
    """Name a permission as Discord does in its settings of roles."""
    match permission:
        case "Manage Server":
            return tr("Manage Server")
        case "Manage Channels":
            return tr("Manage Channels")
        case "Manage Messages":
            return tr("Manage Messages")
        case "Read Message History":
            return tr("Read Message History")
        case _:
            return permission


def not_in_server() -> str:
    """Say that a command works in servers only."""
    return tr("This command is about a server. Please use it in one.")


def unexpected(*, request_id: str) -> str:
    """Apologise, with the number under which the fault can be found."""
    if not request_id:
        return tr("Sorry, something went wrong on my side.")
    return tr("Sorry, something went wrong on my side. If you report it, please mention `{id}`.", id=request_id)


def command_changed() -> str:
    """Say that Discord still shows an older form of a command."""
    return tr("This command has changed. Please reload Discord and try again in a few minutes.")


def token_leaked() -> str:
    """Say that the words held a live API token."""
    return tr("That held a working API token. I have revoked it and used nothing of the text; please try without it.")


def unreadable_reply() -> str:
    """Answer a reply whose words Discord keeps from the bot, because it does not mention it."""
    return tr("I can read a reply only when it mentions me. Leave the @ switched on when you reply, or use `/chat`.")
