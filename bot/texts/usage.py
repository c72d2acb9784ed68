"""What is said about calls and LLM tokens used: the report of `/developer usage`."""

from datetime import datetime

from bot.language import number, tr
from bot.texts.forms import api_tokens, calls, llm_tokens, relative_time


def usage_heading(*, resets_at: datetime) -> str:
    """Open the report."""
    return tr("Use today; the next day starts {when}.", when=relative_time(resets_at))


def usage_line(
    *, name: str, calls_today: int, limit: int, tokens_today: int, calls_month: int, tokens_month: int
) -> str:
    """Describe what one API token, or the server in Discord, has used."""
    return tr(
        "**{name}** · {used} of {limit} · {tokens_today} today · {calls_month} and {tokens_month} in 30 days",
        name=name,
        used=number(calls_today),
        limit=calls(limit),
        tokens_today=llm_tokens(tokens_today),
        calls_month=calls(calls_month),
        tokens_month=llm_tokens(tokens_month),
    )


def past_line(*, name: str, calls_month: int, tokens_month: int) -> str:
    """Describe what a token that is revoked, or several together, have used."""
    return tr(
        "**{name}** · {calls_month} and {tokens_month} in 30 days",
        name=name,
        calls_month=calls(calls_month),
        tokens_month=llm_tokens(tokens_month),
    )


def further_tokens(*, count: int) -> str:
    """Name the API tokens that are summed up."""
    return tr("{tokens} more", tokens=api_tokens(count))


def revoked(*, name: str) -> str:
    """Name an API token that is revoked."""
    return tr("{name} (revoked)", name=name)


def server_in_discord() -> str:
    """Name the server's own use."""
    return tr("This server in Discord")


def no_own_tokens() -> str:
    """Say to an ordinary member that there is nothing of theirs to report."""
    return tr("You have no API tokens in this server. Those who manage the server see all of its use.")


def picture_described(*, calls_month: int, tokens_month: int, busiest_day: str, calls_that_day: int) -> str:
    """Describe the picture to those who cannot see it; all its numbers but the single days' are in the message."""
    if calls_month == 0:
        return tr("Two bar charts of the last 30 days, one of calls and one of LLM tokens. Both are empty.")
    return tr(
        "Two bar charts of the last 30 days, one of calls and one of LLM tokens per day: {calls} and {tokens} in all. "
        "The day with the most calls was {day} with {most}. The sums of each part are in the message.",
        calls=calls(calls_month),
        tokens=llm_tokens(tokens_month),
        day=busiest_day,
        most=calls(calls_that_day),
    )
