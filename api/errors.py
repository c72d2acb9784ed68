"""Every refusal of the service as a class that carries its status and kind.

Owns: which domain error becomes which status, title and advice. Does not own: when one is raised, or the body it is
rendered with (`dialect.py`, one per dialect). The texts here are written in this file; no exception text from anywhere
else ever reaches a caller.
"""

import enum
import math
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from http import HTTPStatus

from aiohttp import web
from pydantic import BaseModel, ValidationError

from api.contract import FieldProblem
from api.fields import explain_unknown
from api.rate import RateState
from generation.errors import (
    ContinuingRefusedError,
    EngineUnavailableError,
    FormatRefusedError,
    PromptTooLongError,
    RequestRefusedError,
    TemplateRefusedError,
    ToolsRefusedError,
)
from storage.errors import StorageError

MAX_DETAILS = 50
"""Problems listed in one reply; 10,000 bad messages do not make a megabyte of answer."""


MAX_SAID = 5
"""Problems spelled out in a text."""


class Kind(enum.StrEnum):
    """What went wrong, as far as any dialect's body tells it; the values are OpenAI's codes where it has one."""

    INVALID = "invalid_value"
    TOO_LONG = "context_length_exceeded"
    UNAUTHORIZED = "invalid_api_key"
    FORBIDDEN = "forbidden"
    BALANCE_SPENT = "insufficient_quota"
    UNKNOWN_MODEL = "model_not_found"
    UNKNOWN_ROUTE = "unknown_url"
    WRONG_METHOD = "method_not_supported"
    TOO_LARGE = "request_too_large"
    NOT_JSON = "unsupported_media_type"
    CALLS_USED = "rate_limit_exceeded"
    INTERNAL = "internal_error"
    BUSY = "overloaded"
    UNAVAILABLE = "model_unavailable"
    TIMED_OUT = "timeout"


class ApiError(Exception):
    """A refusal with everything its reply needs. `message` says what to do.

    `rate` is the state of the caller's day where it is known only to whoever refused. `is_in_own_words` says that the
    fields are named as the caller's dialect names them; elsewhere they have the native dialect's names.
    """

    def __init__(
        self,
        status: int,
        title: str,
        message: str,
        *,
        kind: Kind = Kind.INVALID,
        details: Iterable[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
        rate: RateState | None = None,
        is_in_own_words: bool = False,
    ) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.message = message
        self.kind = kind
        self.details = list(details)
        self.headers = dict(headers or {})
        self.rate = rate
        self.is_in_own_words = is_in_own_words

    @property
    def is_ours(self) -> bool:
        """Say whether the failure is the service's, so that the call is given back."""
        return self.status >= HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def field(self) -> str | None:
        """Name the first bad field; None where no field is to blame."""
        return self.details[0].field if self.details else None

    @property
    def full_message(self) -> str:
        """Say every problem in one text, a few at most: for bodies that have no place for details."""
        if len(self.details) < 2:
            return self.message
        said = [f"{each.field}: {each.problem}" for each in self.details[:MAX_SAID]]
        more = len(self.details) - len(said)
        return "; ".join([*said, f"and {more} more"] if more else said)

    def renamed(self, names: Mapping[str, str]) -> "ApiError":
        """Say it with a dialect's own names of the fields; `names` are by the native dialect's."""
        if self.is_in_own_words:
            return self
        details = [FieldProblem(field=_rename(each.field, names), problem=each.problem) for each in self.details]
        message = self.message
        if self.details and message.startswith(old := f"{self.details[0].field}: "):
            message = f"{details[0].field}: {message.removeprefix(old)}"
        return ApiError(
            self.status,
            self.title,
            message,
            kind=self.kind,
            details=details,
            headers=self.headers,
            rate=self.rate,
            is_in_own_words=True,
        )


def _rename(field: str, names: Mapping[str, str]) -> str:
    first, dot, rest = field.partition(".")
    return names.get(first, first) + dot + rest


def invalid(
    message: str, *, kind: Kind = Kind.INVALID, details: Iterable[FieldProblem] = (), is_in_own_words: bool = False
) -> ApiError:
    """Build the 400."""
    return ApiError(400, "Invalid request", message, kind=kind, details=details, is_in_own_words=is_in_own_words)


def invalid_field(field: str, problem: str, *, kind: Kind = Kind.INVALID) -> ApiError:
    """Build the 400 for one field."""
    return invalid(f"{field}: {problem}", kind=kind, details=[FieldProblem(field=field, problem=problem)])


def unauthorized(message: str) -> ApiError:
    """Build the 401, with the challenge that RFC 9110 section 11.6.1 asks for."""
    challenge = {"WWW-Authenticate": 'Bearer realm="parley"'}
    return ApiError(401, "Unauthorized", message, kind=Kind.UNAUTHORIZED, headers=challenge)


def not_json() -> ApiError:
    """Build the 415."""
    message = "Send JSON with the header Content-Type: application/json."
    return ApiError(415, "Unsupported media type", message, kind=Kind.NOT_JSON)


def forbidden(message: str) -> ApiError:
    """Build the 403 for what only others may do."""
    return ApiError(403, "Forbidden", message, kind=Kind.FORBIDDEN)


def unknown_model(name: str, known: Iterable[str]) -> ApiError:
    """Build the 404 for a model that is not loaded. The names come from the caller and the settings."""
    names = " or ".join(repr(each) for each in known)
    message = f"There is no model {name[:80]!r} here; use {names}."
    return ApiError(404, "Not found", message, kind=Kind.UNKNOWN_MODEL)


def allowance_used(rate: RateState, now: datetime) -> ApiError:
    """Build the 429 of a spent day."""
    seconds = max(1, math.ceil((rate.resets_at - now).total_seconds()))
    message = f"All {rate.limit} calls of today are used; the next day starts at {rate.resets_at.isoformat()}."
    headers = {"Retry-After": str(seconds)}
    return ApiError(429, "Too many requests", message, kind=Kind.CALLS_USED, headers=headers, rate=rate)


def balance_spent(rate: RateState) -> ApiError:
    """Build the 403 of a spent LLM-token balance."""
    message = "The LLM-token balance of this API token is spent; ask for more."
    return ApiError(403, "Forbidden", message, kind=Kind.BALANCE_SPENT, rate=rate)


def busy(waiting: int, retry_after_seconds: int, *, is_own: bool) -> ApiError:
    """Build the 503 of a full queue; `is_own` where it is the caller's own share of it that is full."""
    whose = "of your requests" if is_own else "requests"
    message = f"{waiting} {whose} are waiting already; try again in {retry_after_seconds} s."
    return ApiError(503, "Busy", message, kind=Kind.BUSY, headers={"Retry-After": str(retry_after_seconds)})


def gave_way(still_waiting: int, retry_after_seconds: int) -> ApiError:
    """Build the 503 of a request that gives its place in a full queue to another; `still_waiting` stay."""
    message = (
        f"The queue is full, and somebody who had no request in it has this one's place; {still_waiting} of yours are "
        f"still waiting, try again in {retry_after_seconds} s."
    )
    return ApiError(503, "Busy", message, kind=Kind.BUSY, headers={"Retry-After": str(retry_after_seconds)})


def too_many_connections() -> ApiError:
    """Build the 503 of a connection that is refused."""
    message = "Too many connections are open; use one for several requests, or try again in 5 s."
    return ApiError(503, "Busy", message, kind=Kind.BUSY, headers={"Retry-After": "5"})


def body_late(seconds: float) -> ApiError:
    """Build the 408 of a body that does not come."""
    message = f"The body was not whole within {seconds:.0f} s; send it faster, or less of it."
    return ApiError(408, "Request timeout", message, kind=Kind.TIMED_OUT)


def timed_out(deadline_seconds: float) -> ApiError:
    """Build the 504."""
    return ApiError(
        504,
        "Timeout",
        f"There was no whole reply within {deadline_seconds:.0f} s; ask for fewer tokens or try again later.",
        kind=Kind.TIMED_OUT,
    )


def internal() -> ApiError:
    """Build the 500: it says nothing of what went wrong, the log knows."""
    message = "Something went wrong here; please report the request_id."
    return ApiError(500, "Internal error", message, kind=Kind.INTERNAL)


def _too_long(error: PromptTooLongError) -> ApiError:
    problem = (
        f"the system message and the last message take {error.prompt_tokens} tokens, "
        f"the limit is {error.limit_tokens}; shorten them or raise num_ctx"
    )
    if error.is_whole:
        problem = (
            f"this model's maximum context length is {error.limit_tokens + 1} tokens and the conversation takes "
            f"{error.prompt_tokens}; nothing is left out here, so send fewer or shorter messages"
        )
    return invalid_field("messages", problem, kind=Kind.TOO_LONG)


def _unsuited(error: TemplateRefusedError | FormatRefusedError | ToolsRefusedError | RequestRefusedError) -> ApiError:
    """Build the 400 for what this model or its server cannot take."""
    match error:
        case ContinuingRefusedError():
            return invalid_field("messages", "this engine cannot go on with a begun reply; end with a user message")
        case TemplateRefusedError():
            problem = "the model takes no such order of roles; alternate user and assistant after a system message"
            return invalid_field("messages", problem)
        case FormatRefusedError():
            return invalid_field("format", error.problem)
        case ToolsRefusedError():
            return invalid_field("tools", error.problem)
        case RequestRefusedError():
            return invalid_field("options", "the engine's server refuses this request; leave options at their defaults")


def _unavailable(error: EngineUnavailableError) -> ApiError:
    seconds = max(1, error.retry_after_seconds)
    message = f"The model is not available right now; try again in {seconds} s."
    headers = {"Retry-After": str(seconds)}
    return ApiError(503, "Model unavailable", message, kind=Kind.UNAVAILABLE, headers=headers)


def from_http(error: web.HTTPException) -> ApiError:
    """Translate what aiohttp itself refuses: unknown routes, wrong methods, large bodies."""
    match error.status:
        case 404:
            message = "There is no such route; GET /docs lists them."
            return ApiError(404, "Not found", message, kind=Kind.UNKNOWN_ROUTE)
        case 405:
            allowed = ", ".join(sorted(getattr(error, "allowed_methods", ())))
            message = f"This route takes {allowed or 'another method'}."
            headers = {"Allow": allowed}
            return ApiError(405, "Method not allowed", message, kind=Kind.WRONG_METHOD, headers=headers)
        case 413:
            message = "The body is larger than this server takes (PARLEY_MAX_BODY)."
            return ApiError(413, "Body too large", message, kind=Kind.TOO_LARGE)
        case _:
            return ApiError(error.status, HTTPStatus(error.status).phrase, "The request could not be understood.")


def from_exception(error: BaseException) -> ApiError:
    """Map any exception to its refusal; what is not listed is an internal error."""
    match error:
        case ApiError():
            return error
        case PromptTooLongError():
            return _too_long(error)
        case TemplateRefusedError() | FormatRefusedError() | ToolsRefusedError() | RequestRefusedError():
            return _unsuited(error)
        case EngineUnavailableError():
            return _unavailable(error)
        case StorageError():
            return ApiError(
                503,
                "Busy",
                "The database did not answer in time; try again in 5 s.",
                kind=Kind.BUSY,
                headers={"Retry-After": "5"},
            )
        case web.HTTPException():
            return from_http(error)
        case _:
            return internal()


def _field_path(location: tuple[int | str, ...], message: str) -> str:
    """Name the field; checks across fields put its name before a colon in their message."""
    if location:
        return ".".join(map(str, location))
    name, colon, _ = message.partition(": ")
    return name if colon else "body"


def from_validation(error: ValidationError, model: type[BaseModel], sent: AbstractSet[str]) -> ApiError:
    """Turn pydantic's findings into the 400 that names every bad field; `sent` are the names at the body's top.

    Unknown fields at the top come first: they say best what is the matter with a body of another dialect, or of a slip
    for which the right field is missing.
    """
    findings = error.errors(include_url=False, include_input=False, include_context=False)
    findings.sort(key=lambda found: found["type"] != "extra_forbidden" or len(found["loc"]) > 1)
    details = []
    for found in findings[:MAX_DETAILS]:
        message = found["msg"].removeprefix("Value error, ")
        field = _field_path(found["loc"], message)
        problem = message.removeprefix(f"{field}: ")
        if found["type"] == "extra_forbidden":
            problem = explain_unknown(found["loc"], model=model, sent=sent)
        details.append(FieldProblem(field=field[:200], problem=problem))
    first = details[0]
    more = f" (and {len(details) - 1} more, see details)" if len(details) > 1 else ""
    return invalid(f"{first.field}: {first.problem}{more}", details=details, is_in_own_words=True)
