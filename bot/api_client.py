"""The bot's view of the HTTP API: one question in, one answer or one typed refusal out.

Owns: the service token, the tenant header, and which status becomes which error. Does not own: wording
(`texts.py`), or retrying: a person who is told to come back decides that.
"""

import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import aiohttp
from pydantic import ValidationError

from api.contract import ON_BEHALF_OF_HEADER, ChatMessage, ChatReply, ChatRequest, ErrorReply, SamplingFields
from bot.errors import (
    AllowanceUsedError,
    BusyError,
    ModelUnavailableError,
    PromptTooLongError,
    RefusedError,
    ServiceRefusedTokenError,
    TookTooLongError,
    UnexpectedError,
)

TOTAL_TIMEOUT_SECONDS = 300.0
CONNECT_TIMEOUT_SECONDS = 10.0
DEFAULT_RETRY_SECONDS = 30

_TWO_COUNTS = re.compile(r"take (\d+) tokens.*limit is (\d+)", re.DOTALL)
"""The native dialect says both counts in the sentence of its problem; without a match the bot names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the model said, and what is left.

    `dropped_messages` leading messages did not fit; `is_cut` says that it stopped at the length limit.
    """

    text: str
    dropped_messages: int
    is_cut: bool
    calls_remaining: int
    resets_at: datetime


class ApiClient:
    """Asks the service at `base_url` as the bearer of `service_token`. Use as an async context manager."""

    def __init__(self, base_url: str, service_token: str, *, timeout_seconds: float = TOTAL_TIMEOUT_SECONDS) -> None:
        self._chat_url = f"{base_url.rstrip('/')}/ai/chat"
        self._service_token = service_token
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=CONNECT_TIMEOUT_SECONDS)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Make ready to ask; connections are made when needed."""
        self._session = aiohttp.ClientSession(
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            # How many may wait is the service's business: its queue refuses, a limit here would only hide.
            connector=aiohttp.TCPConnector(limit=0),
        )

    async def close(self) -> None:
        """Close the connections. Safe to call twice."""
        if self._session is not None:
            await self._session.close()

    async def reply(
        self, messages: Sequence[ChatMessage], *, tenant: str, options: SamplingFields | None = None
    ) -> Answer:
        """Ask for the next message, charged to `tenant` (`discord:<server id>` or `discord:dm:<user id>`).

        Raises a `RefusedError` of this package, whatever goes wrong.
        """
        chosen = {} if options is None else options.model_dump(exclude_unset=True)
        body = ChatRequest(messages=list(messages), **chosen).model_dump_json(exclude_unset=True)
        headers = {
            "Authorization": f"Bearer {self._service_token}",
            "Content-Type": "application/json",
            ON_BEHALF_OF_HEADER: tenant,
        }
        assert self._session is not None, "asked before it was opened"
        try:
            async with self._session.post(self._chat_url, data=body.encode(), headers=headers) as response:
                content = await response.read()
                if response.status != 200:
                    raise _refusal(response.status, response.headers, content)
                return _answer(content, response.headers)
        except aiohttp.ConnectionTimeoutError:
            raise ModelUnavailableError from None
        except TimeoutError:
            raise TookTooLongError from None
        except aiohttp.ClientError:
            raise ModelUnavailableError from None


def _answer(content: bytes, headers: Mapping[str, str]) -> Answer:
    try:
        reply = ChatReply.model_validate_json(content)
    except ValidationError:
        raise UnexpectedError(request_id=headers.get("X-Request-Id", "")) from None
    return Answer(
        text=reply.message.content,
        dropped_messages=reply.dropped_messages,
        is_cut=reply.done_reason == "length",
        calls_remaining=reply.usage.calls_remaining,
        resets_at=reply.usage.resets_at,
    )


def _refusal(status: int, headers: Mapping[str, str], content: bytes) -> RefusedError:
    """Map an error reply to its class. Anything that is no error of the contract is unexpected."""
    try:
        error = ErrorReply.model_validate_json(content)
    except ValidationError:
        error = ErrorReply(error="", code=status, message="", request_id=headers.get("X-Request-Id", ""))
    match status:
        case 400 if any(problem.field == "messages" for problem in error.details):
            return _too_long(error)
        case 401 | 403:
            # 403: to the service our token is an ordinary one, which may not act for a Discord server.
            return ServiceRefusedTokenError()
        case 413:
            return PromptTooLongError()
        case 429:
            return AllowanceUsedError(limit=_whole_number(headers.get("X-RateLimit-Limit")), resets_at=_reset(headers))
        case 503 if error.error == "Busy":
            seconds = _whole_number(headers.get("Retry-After"))
            return BusyError(retry_after_seconds=seconds or DEFAULT_RETRY_SECONDS)
        case 502 | 503:
            return ModelUnavailableError(retry_after_seconds=_whole_number(headers.get("Retry-After")))
        case 504:
            return TookTooLongError()
        case _:
            return UnexpectedError(request_id=_printable_id(error.request_id))


def _too_long(error: ErrorReply) -> PromptTooLongError:
    found = _TWO_COUNTS.search(error.message)
    if found is None:
        return PromptTooLongError()
    return PromptTooLongError(prompt_tokens=int(found[1]), limit=int(found[2]))


def _whole_number(text: str | None) -> int | None:
    """Read a header of seconds or counts; None where it is missing or no number."""
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 12 else None


def _reset(headers: Mapping[str, str]) -> datetime | None:
    unix_seconds = _whole_number(headers.get("X-RateLimit-Reset"))
    if unix_seconds is None:
        wait_seconds = _whole_number(headers.get("Retry-After"))
        if wait_seconds is None:
            return None
        unix_seconds = math.ceil(time.time()) + wait_seconds
    return datetime.fromtimestamp(unix_seconds, UTC)


def _printable_id(request_id: str) -> str:
    """Keep an id from another machine fit for a message."""
    return request_id if re.fullmatch(r"[\w.:-]{1,64}", request_id) else ""
