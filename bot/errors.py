"""Why something was not done, as classes that carry data and know the sentence a person reads.

Owns: the refusals of the bot. Does not own: the words (`texts/`), or how the service says them (`api_client.py`).
"""

from abc import ABC, abstractmethod
from datetime import datetime

from bot.texts import attachments, conversations, limits, refusals, replies, tokens


class RefusedError(Exception, ABC):
    """Base of every refusal that a person is told about in a sentence."""

    @abstractmethod
    def sentence(self) -> str:
        """Return what the person reads, in the language spoken now."""


class AllowanceUsedError(RefusedError):
    """The day's calls are used. `limit` is calls per day; `resets_at` is aware, or None where nobody said."""

    def __init__(self, *, limit: int | None, resets_at: datetime | None) -> None:
        super().__init__(f"limit {limit}")
        self.limit = limit
        self.resets_at = resets_at

    def sentence(self) -> str:
        """Return what the person reads."""
        return refusals.allowance_used(limit=self.limit, resets_at=self.resets_at)


class BusyError(RefusedError):
    """The service's queue is full."""

    def __init__(self, *, retry_after_seconds: int) -> None:
        super().__init__(f"retry after {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds

    def sentence(self) -> str:
        """Return what the person reads."""
        return refusals.busy(retry_after_seconds=self.retry_after_seconds)


class LaneFullError(RefusedError):
    """Too many questions wait in one conversation already."""

    def __init__(self, *, waiting: int) -> None:
        super().__init__(f"{waiting} waiting")
        self.waiting = waiting

    def sentence(self) -> str:
        """Return what the person reads."""
        return refusals.lane_full(waiting=self.waiting)


class ModelUnavailableError(RefusedError):
    """The model is starting or restarting, or the service cannot be reached."""

    def __init__(self, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(f"retry after {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds

    def sentence(self) -> str:
        """Return what the person reads."""
        return refusals.model_unavailable(retry_after_seconds=self.retry_after_seconds)


class TookTooLongError(RefusedError):
    """There was no whole reply within the deadline."""

    def sentence(self) -> str:
        """Return what the person reads."""
        return refusals.took_too_long()


class ServiceRefusedTokenError(RefusedError):
    """The service does not know the bot's service token: set up wrongly, and nothing a person can mend."""

    def sentence(self) -> str:
        """Return what the person reads."""
        return refusals.service_misconfigured()


class PromptTooLongError(RefusedError):
    """The persona and the last message alone do not fit. Both numbers are tokens; None where nobody said."""

    def __init__(self, *, prompt_tokens: int | None = None, limit: int | None = None) -> None:
        super().__init__(f"{prompt_tokens} tokens, limit {limit}")
        self.prompt_tokens = prompt_tokens
        self.limit = limit

    def sentence(self) -> str:
        """Return what the person reads."""
        return refusals.prompt_too_long(prompt_tokens=self.prompt_tokens, limit=self.limit)


class EmptyReplyError(RefusedError):
    """The model's reply holds nothing that can be read; it is not kept."""

    def sentence(self) -> str:
        """Return what the person reads."""
        return refusals.empty_reply()


class ShuttingDownError(RefusedError):
    """The bot is stopping."""

    def sentence(self) -> str:
        """Return what the person reads."""
        return refusals.shutting_down()


class NotAgeRestrictedError(RefusedError):
    """The model is adult and the channel is not age-restricted."""

    def sentence(self) -> str:
        """Return what the person reads."""
        return refusals.not_age_restricted()


class NotPermittedError(RefusedError):
    """The person lacks the permission; `permission` is its name as Discord shows it."""

    def __init__(self, *, permission: str) -> None:
        super().__init__(permission)
        self.permission = permission

    def sentence(self) -> str:
        """Return what the person reads."""
        return refusals.not_permitted(permission=self.permission)


class NotInServerError(RefusedError):
    """The command is about a server and was used elsewhere."""

    def sentence(self) -> str:
        """Return what the person reads."""
        return refusals.not_in_server()


class TooManyTokensError(RefusedError):
    """The server has as many active API tokens as it may."""

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"limit {limit}")
        self.limit = limit

    def sentence(self) -> str:
        """Return what the person reads."""
        return tokens.too_many_tokens(limit=self.limit)


class NoSuchTokenError(RefusedError):
    """No active API token of this server has that id or name."""

    def sentence(self) -> str:
        """Return what the person reads."""
        return tokens.no_such_token()


class AmbiguousTokenError(RefusedError):
    """Several active API tokens of this server have that name."""

    def __init__(self, *, name: str) -> None:
        super().__init__("several")
        self.name = name

    def sentence(self) -> str:
        """Return what the person reads."""
        return tokens.ambiguous_token(name=self.name)


class BadTokenNameError(RefusedError):
    """Nothing readable is left of the name given for an API token."""

    def sentence(self) -> str:
        """Return what the person reads."""
        return tokens.bad_token_name()


class StoppedError(RefusedError):
    """Somebody who may has stopped the reply."""

    def sentence(self) -> str:
        """Return what the person reads, where nothing of the reply had come yet."""
        return replies.stopped()


class WithdrawnError(RefusedError):
    """The question or the reply was deleted while the reply was being written; nobody is told."""

    def sentence(self) -> str:
        """Return what the person would read."""
        return replies.stopped()


class ForgottenMeanwhileError(RefusedError):
    """The person had everything forgotten while their question was being answered; the turn is not kept."""

    def sentence(self) -> str:
        """Return what the person reads."""
        return replies.forgotten_meanwhile()


class NotYoursError(RefusedError):
    """Somebody pressed a button of another person's reply."""

    def sentence(self) -> str:
        """Return what the person reads."""
        return replies.not_yours()


class NotAQuestionError(RefusedError):
    """What was said holds nothing readable."""

    def sentence(self) -> str:
        """Return what the person reads."""
        return conversations.not_a_question()


class LeakedTokenError(RefusedError):
    """The words hold a live API token, which is revoked now; they are neither sent nor kept."""

    def sentence(self) -> str:
        """Return what the person reads."""
        return refusals.token_leaked()


class NoLongerAppliesError(RefusedError):
    """A button was pressed whose moment has passed."""

    def sentence(self) -> str:
        """Return what the person reads."""
        return replies.no_longer_applies()


class AttachmentsOffError(RefusedError):
    """A file came with a question, and this bot takes none."""

    def sentence(self) -> str:
        """Return what the person reads."""
        return attachments.files_off()


class AttachmentNotTextError(RefusedError):
    """A file that came with a question is not a text. `name` is clean; `limit_bytes` is for all files together."""

    def __init__(self, *, name: str, limit_bytes: int) -> None:
        super().__init__(f"limit {limit_bytes} bytes")
        self.name = name
        self.limit_bytes = limit_bytes

    def sentence(self) -> str:
        """Return what the person reads."""
        return attachments.not_text(name=self.name, limit_bytes=self.limit_bytes)


class AttachmentsTooLargeError(RefusedError):
    """The files that came with a question are too large; `limit_bytes` is for all of them together."""

    def __init__(self, *, limit_bytes: int) -> None:
        super().__init__(f"limit {limit_bytes} bytes")
        self.limit_bytes = limit_bytes

    def sentence(self) -> str:
        """Return what the person reads."""
        return attachments.too_large(limit_bytes=self.limit_bytes)


class AttachmentNotFetchedError(RefusedError):
    """A file could not be fetched from Discord; `name` is clean."""

    def __init__(self, *, name: str) -> None:
        super().__init__("not fetched")
        self.name = name

    def sentence(self) -> str:
        """Return what the person reads."""
        return attachments.not_fetched(name=self.name)


class PersonLimitUsedError(RefusedError):
    """The person's own calls of the day are used. `limit` is calls per day, `resets_at` aware."""

    def __init__(self, *, limit: int, resets_at: datetime) -> None:
        super().__init__(f"limit {limit}")
        self.limit = limit
        self.resets_at = resets_at

    def sentence(self) -> str:
        """Return what the person reads."""
        return limits.person_limit_used(limit=self.limit, resets_at=self.resets_at)


class TooManyLimitsError(RefusedError):
    """The server has set as many limits per person as it may."""

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"limit {limit}")
        self.limit = limit

    def sentence(self) -> str:
        """Return what the person reads."""
        return limits.too_many_limits(limit=self.limit)


class NoSuchLimitError(RefusedError):
    """The server has set no such limit per person."""

    def sentence(self) -> str:
        """Return what the person reads."""
        return limits.no_such_limit()


class UnexpectedError(RefusedError):
    """Something went wrong on our side; `request_id` finds it in the service's log, empty where there is none."""

    def __init__(self, *, request_id: str = "") -> None:
        super().__init__(request_id or "no request id")
        self.request_id = request_id

    def sentence(self) -> str:
        """Return what the person reads."""
        return refusals.unexpected(request_id=self.request_id)


class DiscordLoginError(Exception):
    """Discord does not let the bot in; `str(error)` is one line for the operator that says what to do."""
