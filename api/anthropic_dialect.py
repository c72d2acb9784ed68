"""How the Anthropic dialect says errors and what is left of the day, and where it carries the token.

Does not own: when an error is raised (`errors.py`), the dialect's routes (`anthropic.py`).
Sources: https://docs.claude.com/en/api/errors, /en/api/rate-limits, and the client's own `_base_client.py`
(https://github.com/anthropics/anthropic-sdk-python), which sleeps as long as `Retry-After` says unless
`x-should-retry` forbids it.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from aiohttp import web

from api.anthropic_events import AnthropicError, AnthropicProblem
from api.dialect import Dialect, read_authorization
from api.errors import ApiError, Kind
from api.rate import RateState

OVERLOADED = 529
"""Anthropic's own status; no standard has it."""

MOST_RETRY_SECONDS = 60
"""Beyond it the client is told not to wait: it would, until midnight."""

_TYPES: Final = MappingProxyType({
    Kind.UNAUTHORIZED: "authentication_error",
    Kind.FORBIDDEN: "permission_error",
    Kind.BALANCE_SPENT: "billing_error",
    Kind.UNKNOWN_MODEL: "not_found_error",
    Kind.UNKNOWN_ROUTE: "not_found_error",
    Kind.TOO_LARGE: "request_too_large",
    Kind.CALLS_USED: "rate_limit_error",
    Kind.BUSY: "overloaded_error",
    Kind.TIMED_OUT: "timeout_error",
})  # fmt: skip
_STATUSES: Final = MappingProxyType({Kind.BALANCE_SPENT: 402, Kind.BUSY: OVERLOADED})


class AnthropicDialect(Dialect):
    """`POST /v1/messages` and what lies below it, and the list of models for whoever sends `anthropic-version`."""

    name = "Anthropic"
    prefixes = ("/v1/messages",)
    marker = "anthropic-version"
    marked_prefixes = ("/v1/models",)
    error_reply = AnthropicError
    secret_schemes = ("key", "bearer")
    request_id_headers = ("X-Request-Id", "request-id")
    field_names = MappingProxyType({
        "num_predict": "max_tokens",
        "stop": "stop_sequences",
        "format": "output_config.format",
        "PARLEY_LORA": "model",
    })  # fmt: skip

    def error_body(self, error: ApiError, request_id: str) -> AnthropicError:
        """Say a refusal; a prompt that does not fit in the words that clients look for."""
        kind = _TYPES.get(error.kind, "api_error" if error.is_ours else "invalid_request_error")
        message = error.full_message
        if error.kind is Kind.TOO_LONG:
            message = f"prompt is too long: {message}"
        return AnthropicError(error=AnthropicProblem(type=kind, message=message), request_id=request_id)

    def error_status(self, error: ApiError) -> int:
        """Answer a spent balance and a full queue with Anthropic's numbers."""
        return _STATUSES.get(error.kind, error.status)

    def error_headers(self, error: ApiError) -> Mapping[str, str]:
        """Say when to come back, and when not to."""
        seconds = error.headers.get("Retry-After")
        if seconds is not None and int(seconds) > MOST_RETRY_SECONDS:
            return {**error.headers, "x-should-retry": "false"}
        return error.headers

    def rate_headers(self, rate: RateState, now: datetime) -> Mapping[str, str]:
        """Say the day's calls as Anthropic does."""
        del now
        return {
            "anthropic-ratelimit-requests-limit": str(rate.limit),
            "anthropic-ratelimit-requests-remaining": str(rate.remaining),
            "anthropic-ratelimit-requests-reset": rate.resets_at.isoformat(),
        }

    def read_secret(self, request: web.Request) -> str:
        """Take the API token out of `x-api-key`, or else out of `Authorization`."""
        return request.headers.get("x-api-key", "").strip() or read_authorization(request)


ANTHROPIC = AnthropicDialect()
