"""Every word that people read from the bot itself, as functions with named parameters.

Owns: wording. Does not own: when something is said (`errors.py`, the cogs), or splitting what is too long for one
message (`splitting.py`). Whatever comes from people is expected to be cleaned already (`speakers.py`).
"""

from datetime import datetime

HELP = (
    "Hello! Write your question after my name, or use `/chat`. "
    "Everybody in a channel talks to me in one conversation; `/chat private:True` opens one of your own."
)


def plural(count: int, noun: str) -> str:
    """Return the count with its noun: `1 call`, `2 calls`, `1,000 calls`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def relative_time(moment: datetime) -> str:
    """Render an instant as Discord's relative timestamp, which each person reads in their own zone and language.

    Source: https://discord.com/developers/docs/reference#message-formatting-timestamp-styles
    """
    return f"<t:{int(moment.timestamp())}:R>"


def _wait(seconds: int) -> str:
    return plural(seconds, "second") if seconds < 120 else plural(-(-seconds // 60), "minute")


def help_sentence() -> str:
    """Answer a mention that says nothing."""
    return HELP


def unreadable_reply() -> str:
    """Answer a reply whose words Discord keeps from the bot, because it does not mention it."""
    return "I can read a reply only when it mentions me. Leave the @ switched on when you reply, or use `/chat`."


def allowance_used(*, limit: int | None, resets_at: datetime | None) -> str:
    """Say that the day's calls are used."""
    used = f"Today's allowance of {plural(limit, 'call')} is used." if limit else "Today's calls are used."
    if resets_at is None:
        return f"{used} Please come back tomorrow."
    return f"{used} I can answer again {relative_time(resets_at)}."


def busy(*, retry_after_seconds: int) -> str:
    """Say that the queue is full."""
    return f"Many people are asking right now. Please try again in {_wait(retry_after_seconds)}."


def lane_full(*, waiting: int) -> str:
    """Say that the conversation has too many open questions."""
    return f"Too many questions are waiting here already ({waiting:,}). Please try again in a moment."


def model_unavailable(*, retry_after_seconds: int | None) -> str:
    """Say that the model is away."""
    when = "in a minute" if retry_after_seconds is None else f"in {_wait(retry_after_seconds)}"
    return f"Sorry, my model is not available right now. The call is not counted; please try again {when}."


def took_too_long() -> str:
    """Say that the deadline passed."""
    return "Sorry, that took too long. Please try again, or ask for something shorter."


def service_misconfigured() -> str:
    """Say that the service refuses the bot."""
    return "Sorry, I am set up wrongly and cannot reach my model. Whoever runs this bot has been told in its log."


def prompt_too_long(*, prompt_tokens: int | None, limit: int | None) -> str:
    """Say that the question is too long for the model."""
    if prompt_tokens is None or limit is None:
        return "Your message is too long for me. Please shorten it."
    return (
        f"Your message is too long for me: it takes {plural(prompt_tokens, 'token')}, and the limit is {limit:,}. "
        "Please shorten it."
    )


def empty_reply() -> str:
    """Say that the model said nothing."""
    return "I have no answer to that. Please try to put it in other words."


def shutting_down() -> str:
    """Say that the bot is restarting."""
    return "I am being restarted. Please ask again in a minute."


def not_age_restricted() -> str:
    """Say that an adult model answers in age-restricted channels only."""
    return "My model is for adults, so I answer only in age-restricted channels."


def not_permitted(*, permission: str) -> str:
    """Say which permission is missing."""
    return f"You need the permission {permission} for this."


def not_in_server() -> str:
    """Say that a command works in servers only."""
    return "This command is about a server. Please use it in one."


def unexpected(*, request_id: str) -> str:
    """Apologise, with the number under which the fault can be found."""
    sentence = "Sorry, something went wrong on my side."
    return f"{sentence} If you report it, please mention `{request_id}`." if request_id else sentence


def command_changed() -> str:
    """Say that Discord still shows an older form of a command."""
    return "This command has changed. Please reload Discord and try again in a few minutes."


def conversation_forgotten(*, messages: int) -> str:
    """Confirm `/reset`."""
    if messages == 0:
        return "There was nothing to forget. Ask away!"
    return f"Done. I have forgotten this conversation ({plural(messages, 'message')})."


def too_many_tokens(*, limit: int) -> str:
    """Say that a server has all the API tokens it may have."""
    return f"This server has {plural(limit, 'API token')} already, which is the most. Revoke one first."


def no_such_token() -> str:
    """Say that an API token was not found."""
    return "This server has no active API token with that id or name. `/developer token list` shows them."


def ambiguous_token(*, name: str) -> str:
    """Say that a name fits several API tokens."""
    return f"Several API tokens are called `{name}`. Please give the id; `/developer token list` shows it."


def bad_token_name() -> str:
    """Say that a name is unusable."""
    return "That name holds nothing readable. Please use letters or digits."


def _curl_hint(*, api_url: str) -> str:
    body = '{"messages": [{"role": "user", "content": "Hello!"}]}'
    return (
        "```sh\n"
        f"curl {api_url}/ai/chat \\\n"
        '  -H "Authorization: Bearer $PARLEY_TOKEN" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d '{body}'\n"
        "```"
    )


def token_created(*, name: str, token_id: str, secret: str, daily_calls: int, api_url: str) -> str:
    """Show a new API token, once."""
    return (
        f"Here is the API token **{name}** (id `{token_id}`), good for {plural(daily_calls, 'call')} a day. "
        f"Copy it now, it is not shown again:\n```\n{secret}\n```\n"
        f"Try it with the token in `PARLEY_TOKEN`:\n{_curl_hint(api_url=api_url)}"
    )


def token_rotated(*, name: str, token_id: str, secret: str) -> str:
    """Show the new secret of an API token, once."""
    return (
        f"The API token **{name}** (id `{token_id}`) has a new secret; the old one has stopped working. "
        f"Copy it now, it is not shown again:\n```\n{secret}\n```"
    )


def token_revoked(*, name: str, token_id: str) -> str:
    """Confirm a revocation."""
    return f"The API token **{name}** (id `{token_id}`) is revoked and has stopped working."


def no_tokens() -> str:
    """Say that a server has no API tokens."""
    return "This server has no active API tokens. `/developer token create` makes one."


def token_line(*, name: str, token_id: str, daily_calls: int, created_by: int | None, created_at: datetime) -> str:
    """Describe one API token in a list."""
    creator = f" by <@{created_by}>" if created_by is not None else ""
    return (
        f"**{name}** · id `{token_id}` · {plural(daily_calls, 'call')} a day · "
        f"made {relative_time(created_at)}{creator}"
    )


def usage_heading(*, resets_at: datetime) -> str:
    """Open the report of `/developer usage`."""
    return f"Use today; the next day starts {relative_time(resets_at)}."


def usage_line(*, name: str, calls: int, limit: int, tokens_today: int, tokens_month: int, calls_month: int) -> str:
    """Describe what one API token, or the server in Discord, has used."""
    return (
        f"**{name}** · {calls:,} of {plural(limit, 'call')} · {plural(tokens_today, 'LLM token')} today · "
        f"{plural(calls_month, 'call')} and {plural(tokens_month, 'LLM token')} in 30 days"
    )


def server_in_discord() -> str:
    """Name the server's own use in a usage report."""
    return "This server in Discord"


def no_own_tokens() -> str:
    """Say to an ordinary member that there is nothing of theirs to report."""
    return "You have no API tokens in this server. Those who manage the server see all of its use."
