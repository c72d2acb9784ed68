"""How the OpenAI dialect says errors and what is left of the day, so that unmodified clients raise and retry rightly.

Does not own: when an error is raised (`errors.py`), the dialect's routes (`openai.py`).
Sources: https://developers.openai.com/docs/guides/error-codes and the client's own `_base_client.py`
(https://github.com/openai/openai-python), which reads `retry-after-ms`, `Retry-After` up to a minute, `x-should-retry`.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from api.dialect import Dialect
from api.errors import ApiError, Kind
from api.openai_contract import OpenAIError, OpenAIProblem
from api.rate import RateState

_TYPES: Final = MappingProxyType({
    Kind.BALANCE_SPENT: "insufficient_quota",
    Kind.CALLS_USED: "rate_limit_error",
    Kind.FORBIDDEN: "permission_error",
    # OpenAI itself says invalid_request_error, from which litellm makes a bad request unless its own words stand there.
    Kind.UNAUTHORIZED: "authentication_error",
})  # fmt: skip

MOST_RETRY_SECONDS = 60
"""Beyond it the client waits half a second instead and asks again, in vain."""


class OpenAIDialect(Dialect):
    """`POST /v1/chat/completions` and `GET /v1/models`, with their aliases."""

    name = "OpenAI"
    prefixes = ("/v1", "/api/v1", "/chat/completions")
    error_reply = OpenAIError
    field_names = MappingProxyType({"format": "response_format", "num_predict": "max_tokens", "PARLEY_LORA": "model"})

    def error_body(self, error: ApiError, request_id: str) -> OpenAIError:
        """Say a refusal; the request's id stands in its header, as there."""
        del request_id
        kind = _TYPES.get(error.kind, "server_error" if error.is_ours else "invalid_request_error")
        param = "model" if error.kind is Kind.UNKNOWN_MODEL else error.field
        said = error.full_message
        if error.kind is Kind.TOO_LONG:
            # OpenAI's own words, by which langchain-openai tells it from other bad requests.
            said = f"Input tokens exceed the configured limit. {said}"
        return OpenAIError(error=OpenAIProblem(message=said, type=kind, param=param, code=error.kind.value))

    def error_status(self, error: ApiError) -> int:
        """Answer a spent balance with 429, as OpenAI does; the native dialect has 403."""
        return 429 if error.kind is Kind.BALANCE_SPENT else error.status

    def error_headers(self, error: ApiError) -> Mapping[str, str]:
        """Say when to come back in the client's two ways, and when not to."""
        headers = dict(error.headers)
        seconds = headers.get("Retry-After")
        if error.kind is Kind.BALANCE_SPENT or (seconds is not None and int(seconds) > MOST_RETRY_SECONDS):
            headers["x-should-retry"] = "false"
        if seconds is not None:
            headers["retry-after-ms"] = str(int(seconds) * 1000)
        return headers

    def rate_headers(self, rate: RateState, now: datetime) -> Mapping[str, str]:
        """Say the day's calls as OpenAI does; the reset is a duration such as `6m0s`."""
        return {
            "x-ratelimit-limit-requests": str(rate.limit),
            "x-ratelimit-remaining-requests": str(rate.remaining),
            "x-ratelimit-reset-requests": _duration(rate.seconds_left(now)),
        }


OPENAI = OpenAIDialect()


def _duration(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
