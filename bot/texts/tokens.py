"""What is said about API tokens."""

from datetime import datetime

from bot.language import tr
from bot.texts.forms import api_tokens, calls, relative_time


def too_many_tokens(*, limit: int) -> str:
    """Say that a server has all the API tokens it may have."""
    if limit == 0:
        return tr("I was set up to issue no API tokens in Discord.")
    return tr("This server has {tokens} already, which is the most. Revoke one first.", tokens=api_tokens(limit))


def no_such_token() -> str:
    """Say that an API token was not found."""
    return tr("This server has no active API token with that id or name. `/developer token list` shows them.")


def ambiguous_token(*, name: str) -> str:
    """Say that a name fits several API tokens."""
    return tr(
        "Several API tokens are called `{name}`. Please give the id; `/developer token list` shows it.", name=name
    )


def bad_token_name() -> str:
    """Say that a name is unusable."""
    return tr("That name holds nothing readable. Please use letters or digits.")


def _curl_example(*, api_url: str) -> str:
    # The documentation page's first example; a test holds them together.
    body = '{"messages": [{"role": "user", "content": "Hello! What can you do?"}]}'
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
    return tr(
        "Here is the API token **{name}** (id `{id}`), good for {calls} a day. Copy it now, it is not shown again:\n"
        "{secret}\nTry it with the token in `PARLEY_TOKEN`:\n{example}",
        name=name,
        id=token_id,
        calls=calls(daily_calls),
        secret=f"```\n{secret}\n```",
        example=_curl_example(api_url=api_url),
    )


def revoke_question(*, name: str, token_id: str) -> str:
    """Ask before a revocation."""
    return tr(
        "Revoke the API token **{name}** (id `{id}`)? Programs that use it are refused from then on, and it cannot be "
        "brought back.",
        name=name,
        id=token_id,
    )


def revoke_button() -> str:
    """Name the button that revokes."""
    return tr("Revoke")


def rotate_question(*, name: str, token_id: str, old_until: datetime | None) -> str:
    """Ask before a rotation; `old_until` is None where the old secret is to stop at once."""
    if old_until is None:
        return tr(
            "Give the API token **{name}** (id `{id}`) a new secret? The old one stops working at once, so programs "
            "that use it are refused until they have the new one.",
            name=name,
            id=token_id,
        )
    return tr(
        "Give the API token **{name}** (id `{id}`) a new secret? The old one stops working {when}; programs that use "
        "it need the new one by then.",
        name=name,
        id=token_id,
        when=relative_time(old_until),
    )


def rotate_button() -> str:
    """Name the button that rotates."""
    return tr("Rotate")


def token_rotated(*, name: str, token_id: str, secret: str, old_until: datetime | None) -> str:
    """Show the new secret of an API token, once; `old_until` is None where the old one has stopped working."""
    if old_until is None:
        return tr(
            "The API token **{name}** (id `{id}`) has a new secret; the old one has stopped working. "
            "Copy it now, it is not shown again:\n{secret}",
            name=name,
            id=token_id,
            secret=f"```\n{secret}\n```",
        )
    return tr(
        "The API token **{name}** (id `{id}`) has a new secret; the old one stops working {when}. "
        "Copy it now, it is not shown again:\n{secret}",
        name=name,
        id=token_id,
        when=relative_time(old_until),
        secret=f"```\n{secret}\n```",
    )


def token_revoked(*, name: str, token_id: str) -> str:
    """Confirm a revocation."""
    return tr("The API token **{name}** (id `{id}`) is revoked and has stopped working.", name=name, id=token_id)


def no_tokens() -> str:
    """Say that a server has no API tokens."""
    return tr("This server has no active API tokens. `/developer token create` makes one.")


def token_line(*, name: str, token_id: str, daily_calls: int, created_by: int | None, created_at: datetime) -> str:
    """Describe one API token in a list."""
    if created_by is None:
        return tr(
            "**{name}** · id `{id}` · {calls} a day · made {when}",
            name=name,
            id=token_id,
            calls=calls(daily_calls),
            when=relative_time(created_at),
        )
    return tr(
        "**{name}** · id `{id}` · {calls} a day · made {when} by {person}",
        name=name,
        id=token_id,
        calls=calls(daily_calls),
        when=relative_time(created_at),
        person=f"<@{created_by}>",
    )
