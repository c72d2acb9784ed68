"""Why a question got no reply, as classes that carry data, and the one table that says which words a person reads.

Owns: the refusals of the bot. Does not own: the words (`texts.py`), or how the service says them (`api_client.py`).
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from bot import texts


class RefusedError(Exception):
    """Base of every refusal that a person is told about in a sentence."""


class AllowanceUsedError(RefusedError):
    """The day's calls are used. `limit` is calls per day; `resets_at` is aware, or None where nobody said."""

    def __init__(self, *, limit: int | None, resets_at: datetime | None) -> None:
        super().__init__(f"limit {limit}")
        self.limit = limit
        self.resets_at = resets_at


class BusyError(RefusedError):
    """The service's queue is full."""

    def __init__(self, *, retry_after_seconds: int) -> None:
        super().__init__(f"retry after {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class LaneFullError(RefusedError):
    """Too many questions wait in one conversation already."""

    def __init__(self, *, waiting: int) -> None:
        super().__init__(f"{waiting} waiting")
        self.waiting = waiting


class ModelUnavailableError(RefusedError):
    """The model is starting or restarting, or the service cannot be reached."""

    def __init__(self, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(f"retry after {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class TookTooLongError(RefusedError):
    """There was no whole reply within the deadline."""


class ServiceRefusedTokenError(RefusedError):
    """The service does not know the bot's service token: set up wrongly, and nothing a person can mend."""


class PromptTooLongError(RefusedError):
    """The persona and the last message alone do not fit. Both numbers are tokens; None where nobody said."""

    def __init__(self, *, prompt_tokens: int | None = None, limit: int | None = None) -> None:
        super().__init__(f"{prompt_tokens} tokens, limit {limit}")
        self.prompt_tokens = prompt_tokens
        self.limit = limit


class EmptyReplyError(RefusedError):
    """The model's reply holds nothing that can be read; it is not kept."""


class ShuttingDownError(RefusedError):
    """The bot is stopping."""


class NotAgeRestrictedError(RefusedError):
    """The model is adult and the channel is not age-restricted."""


class NotPermittedError(RefusedError):
    """The person lacks the permission; `permission` is its name as Discord shows it."""

    def __init__(self, *, permission: str) -> None:
        super().__init__(permission)
        self.permission = permission


class NotInServerError(RefusedError):
    """The command is about a server and was used elsewhere."""


class TooManyTokensError(RefusedError):
    """The server has as many active API tokens as it may."""

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"limit {limit}")
        self.limit = limit


class NoSuchTokenError(RefusedError):
    """No active API token of this server has that id or name."""


class AmbiguousTokenError(RefusedError):
    """Several active API tokens of this server have that name."""

    def __init__(self, *, name: str) -> None:
        super().__init__("several")
        self.name = name


class BadTokenNameError(RefusedError):
    """Nothing readable is left of the name given for an API token."""


class UnexpectedError(RefusedError):
    """Something went wrong on our side; `request_id` finds it in the service's log, empty where there is none."""

    def __init__(self, *, request_id: str = "") -> None:
        super().__init__(request_id or "no request id")
        self.request_id = request_id


class DiscordLoginError(Exception):
    """Discord does not let the bot in; `str(error)` is one line for the operator that says what to do."""


_WORDS: Mapping[type[RefusedError], Callable[[Any], str]] = {
    AllowanceUsedError: lambda error: texts.allowance_used(limit=error.limit, resets_at=error.resets_at),
    BusyError: lambda error: texts.busy(retry_after_seconds=error.retry_after_seconds),
    LaneFullError: lambda error: texts.lane_full(waiting=error.waiting),
    ModelUnavailableError: lambda error: texts.model_unavailable(retry_after_seconds=error.retry_after_seconds),
    TookTooLongError: lambda _: texts.took_too_long(),
    ServiceRefusedTokenError: lambda _: texts.service_misconfigured(),
    PromptTooLongError: lambda error: texts.prompt_too_long(prompt_tokens=error.prompt_tokens, limit=error.limit),
    EmptyReplyError: lambda _: texts.empty_reply(),
    ShuttingDownError: lambda _: texts.shutting_down(),
    NotAgeRestrictedError: lambda _: texts.not_age_restricted(),
    NotPermittedError: lambda error: texts.not_permitted(permission=error.permission),
    NotInServerError: lambda _: texts.not_in_server(),
    TooManyTokensError: lambda error: texts.too_many_tokens(limit=error.limit),
    NoSuchTokenError: lambda _: texts.no_such_token(),
    AmbiguousTokenError: lambda error: texts.ambiguous_token(name=error.name),
    BadTokenNameError: lambda _: texts.bad_token_name(),
    UnexpectedError: lambda error: texts.unexpected(request_id=error.request_id),
}


def explain(error: RefusedError) -> str:
    """Return the sentence a person reads for this refusal; a test keeps the table complete."""
    for kind in type(error).__mro__:
        if kind in _WORDS:
            return _WORDS[kind](error)
    return texts.unexpected(request_id="")
