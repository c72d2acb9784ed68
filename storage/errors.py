"""What can go wrong in storage, as classes that carry data.

`StorageError` speaks to the operator; the others are answers to a caller and say nothing about the database. How each
is said over HTTP or in Discord stands in `api/errors.py` and in the bot.
"""

from datetime import datetime


class StorageError(Exception):
    """The database cannot be used; `str(error)` is one line for the operator that says what to do."""


class DatabaseBusyError(StorageError):
    """Others kept the database, or what is needed in it, for longer than the timeout; nothing was changed."""


class DatabaseLostError(StorageError):
    """The database cannot be reached, or the connection to it was lost; nothing was changed."""


class TokenRefusedError(Exception):
    """The presented secret opens nothing. `token_id` names the token where one is known."""

    def __init__(self, token_id: str | None = None) -> None:
        super().__init__(token_id or "no such token")
        self.token_id = token_id


class TokenUnknownError(TokenRefusedError):
    """No token ever had this secret."""


class TokenRevokedError(TokenRefusedError):
    """The token was revoked, or this secret of it was rotated away."""


class TokenExpiredError(TokenRefusedError):
    """The token's time is over."""


class TokenRotatedError(Exception):
    """The token has got another secret since whoever asks looked at it; nothing was changed."""


class TokenNotFoundError(Exception):
    """No token with this id, or none that the asking server owns."""

    def __init__(self, token_id: str) -> None:
        super().__init__(token_id)
        self.token_id = token_id


class TooManyError(Exception):
    """As many as may be are there already; nothing was added. `limit` says how many may be."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} are there already")
        self.limit = limit


class TooManyTokensError(TooManyError):
    """The server has as many active API tokens as it may have."""


class TooManyPersonasError(TooManyError):
    """The server has saved as many personas as it may."""


class TooManyLimitsError(TooManyError):
    """The server has set as many limits per person as it may."""


class AuthorForgottenError(Exception):
    """The person had everything forgotten since their question was begun; nothing was kept."""


class ChatNotFoundError(Exception):
    """The asking tenant has no chat with this id; another one may."""


class TooManyWebhooksError(TooManyError):
    """So many of a tenant's webhooks wait, or were asked for within the last minute, that there is room for no more."""


class AllowanceUsedError(Exception):
    """The day's calls are used; nothing was charged. `resets_at` is the UTC instant of the next day."""

    def __init__(self, *, limit: int, used: int, resets_at: datetime) -> None:
        super().__init__(f"{used} of {limit} calls used")
        self.limit = limit
        self.used = used
        self.resets_at = resets_at
