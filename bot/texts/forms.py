"""Small parts of sentences: counts with their nouns, times, waits."""

from datetime import datetime

from bot.language import number, tr, tr_count


def calls(count: int) -> str:
    """Return `1 call`, `1,000 calls`."""
    return tr_count("{count} call", "{count} calls", count)


def messages(count: int) -> str:
    """Return `1 message`, `14 messages`."""
    return tr_count("{count} message", "{count} messages", count)


def llm_tokens(count: int) -> str:
    """Return `1 LLM token`, `2 LLM tokens`."""
    return tr_count("{count} LLM token", "{count} LLM tokens", count)


def api_tokens(count: int) -> str:
    """Return `1 API token`, `25 API tokens`."""
    return tr_count("{count} API token", "{count} API tokens", count)


def seconds(count: int) -> str:
    """Return `1 second`, `20 seconds`."""
    return tr_count("{count} second", "{count} seconds", count)


def minutes(count: int) -> str:
    """Return `1 minute`, `2 minutes`."""
    return tr_count("{count} minute", "{count} minutes", count)


def wait(seconds_to_wait: int) -> str:
    """Return a wait in seconds, or in minutes where those say it better."""
    return seconds(seconds_to_wait) if seconds_to_wait < 120 else minutes(-(-seconds_to_wait // 60))


def short_wait(seconds_to_wait: int) -> str:
    """Return a wait with the unit's sign: `20 s`, `2 min`."""
    if seconds_to_wait < 120:
        return tr("{count} s", count=number(seconds_to_wait))
    return tr("{count} min", count=number(-(-seconds_to_wait // 60)))


def relative_time(moment: datetime) -> str:
    """Render an instant as Discord's relative timestamp, which each person reads in their own zone and language.

    Source: https://discord.com/developers/docs/reference#message-formatting-timestamp-styles
    """
    return f"<t:{int(moment.timestamp())}:R>"
