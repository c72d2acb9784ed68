"""Every refusal of the service as a class that carries its status, and the one body they are rendered with.

Owns: which domain error becomes which status, title and advice. Does not own: when one is raised. The texts here are
written in this file; no exception text from anywhere else ever reaches a caller.
"""

import difflib
import json
import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from http import HTTPStatus

from aiohttp import web
from pydantic import BaseModel, ValidationError

from api.contract import ErrorReply, FieldProblem
from generation.errors import (
    EngineUnavailableError,
    FormatRefusedError,
    PromptTooLongError,
    TemplateRefusedError,
)
from storage.errors import StorageError

MAX_DETAILS = 50
"""Problems listed in one reply; 10,000 bad messages do not make a megabyte of answer."""


class ApiError(Exception):
    """A refusal with everything its reply needs. `message` says what to do."""

    def __init__(
        self,
        status: int,
        title: str,
        message: str,
        *,
        details: Iterable[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.message = message
        self.details = list(details)
        self.headers = dict(headers or {})

    @property
    def is_ours(self) -> bool:
        """Say whether the failure is the service's, so that the call is given back."""
        return self.status >= HTTPStatus.INTERNAL_SERVER_ERROR


def invalid(message: str, *, details: Iterable[FieldProblem] = ()) -> ApiError:
    """Build the 400."""
    return ApiError(400, "Invalid request", message, details=details)


def invalid_field(field: str, problem: str) -> ApiError:
    """Build the 400 for one field."""
    return invalid(f"{field}: {problem}", details=[FieldProblem(field=field, problem=problem)])


def unauthorized(message: str) -> ApiError:
    """Build the 401, with the challenge that RFC 9110 section 11.6.1 asks for."""
    return ApiError(401, "Unauthorized", message, headers={"WWW-Authenticate": 'Bearer realm="parley"'})


def unknown_model(name: str, loaded: str) -> ApiError:
    """Build the 404 for a model that is not loaded. Both names come from the caller or the settings."""
    return ApiError(404, "Not found", f"There is no model {name[:80]!r} here; leave model out or use {loaded!r}.")


def allowance_used(limit: int, resets_at: datetime, now: datetime, *, headers: Mapping[str, str]) -> ApiError:
    """Build the 429 of a spent day; `headers` are those of the rate limit."""
    seconds = max(1, math.ceil((resets_at - now).total_seconds()))
    message = f"All {limit} calls of today are used; the next day starts at {resets_at.isoformat()}."
    return ApiError(429, "Too many requests", message, headers={**headers, "Retry-After": str(seconds)})


def balance_spent(*, headers: Mapping[str, str]) -> ApiError:
    """Build the 403 of a spent LLM-token balance; `headers` are those of the rate limit."""
    message = "The LLM-token balance of this API token is spent; ask for more."
    return ApiError(403, "Forbidden", message, headers=headers)


def busy(waiting: int, retry_after_seconds: int) -> ApiError:
    """Build the 503 of a full queue."""
    message = f"{waiting} requests are waiting already; try again in {retry_after_seconds} s."
    return ApiError(503, "Busy", message, headers={"Retry-After": str(retry_after_seconds)})


def timed_out(deadline_seconds: float) -> ApiError:
    """Build the 504."""
    return ApiError(
        504,
        "Timeout",
        f"There was no whole reply within {deadline_seconds:.0f} s; ask for fewer tokens or try again later.",
    )


def internal() -> ApiError:
    """Build the 500: it says nothing of what went wrong, the log knows."""
    return ApiError(500, "Internal error", "Something went wrong here; please report the request_id.")


def _too_long(error: PromptTooLongError) -> ApiError:
    problem = (
        f"the system message and the last message take {error.prompt_tokens} tokens, "
        f"the limit is {error.limit_tokens}; shorten them or raise num_ctx"
    )
    return invalid_field("messages", problem)


def _unavailable(error: EngineUnavailableError) -> ApiError:
    seconds = max(1, error.retry_after_seconds)
    message = f"The model is not available right now; try again in {seconds} s."
    return ApiError(503, "Model unavailable", message, headers={"Retry-After": str(seconds)})


def from_http(error: web.HTTPException) -> ApiError:
    """Translate what aiohttp itself refuses: unknown routes, wrong methods, large bodies."""
    match error.status:
        case 404:
            return ApiError(404, "Not found", "There is no such route; GET /docs lists them.")
        case 405:
            allowed = ", ".join(sorted(getattr(error, "allowed_methods", ())))
            message = f"This route takes {allowed or 'another method'}."
            return ApiError(405, "Method not allowed", message, headers={"Allow": allowed})
        case 413:
            return ApiError(413, "Body too large", "The body is larger than this server takes (PARLEY_MAX_BODY).")
        case _:
            return ApiError(error.status, HTTPStatus(error.status).phrase, "The request could not be understood.")


def from_exception(error: BaseException) -> ApiError:
    """Map any exception to its refusal; what is not listed is an internal error."""
    match error:
        case ApiError():
            return error
        case PromptTooLongError():
            return _too_long(error)
        case TemplateRefusedError():
            return invalid_field(
                "messages",
                "the model takes no such order of roles; alternate user and assistant after a system message",
            )
        case FormatRefusedError():
            return invalid_field("format", error.problem)
        case EngineUnavailableError():
            return _unavailable(error)
        case StorageError():
            return ApiError(
                503,
                "Busy",
                "The database did not answer in time; try again in 5 s.",
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


def _unknown_field(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"unknown field; did you mean {close[0]}?" if close else "unknown field"


def from_validation(error: ValidationError, model: type[BaseModel]) -> ApiError:
    """Turn pydantic's findings into the 400 that names every bad field."""
    details = []
    for found in error.errors(include_url=False, include_input=False, include_context=False)[:MAX_DETAILS]:
        message = found["msg"].removeprefix("Value error, ")
        field = _field_path(found["loc"], message)
        problem = message.removeprefix(f"{field}: ")
        if found["type"] == "extra_forbidden":
            problem = _unknown_field(str(found["loc"][-1]), model.model_fields)
        details.append(FieldProblem(field=field[:200], problem=problem))
    first = details[0]
    more = f" (and {len(details) - 1} more, see details)" if len(details) > 1 else ""
    return invalid(f"{first.field}: {first.problem}{more}", details=details)


def render(error: ApiError, request_id: str) -> web.Response:
    """Render the native error body."""
    body = ErrorReply(
        error=error.title,
        code=error.status,
        message=error.message,
        request_id=request_id,
        details=error.details,
    )
    return web.json_response(
        body.model_dump(mode="json"),
        status=error.status,
        headers=error.headers,
        dumps=lambda value: json.dumps(value, ensure_ascii=True),
    )
