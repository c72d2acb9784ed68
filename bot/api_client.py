"""The bot's view of the HTTP API: one question in, a growing reply or one typed refusal out.

Owns: the service token, the headers that name tenant and person, and which status becomes which error. Does not own:
wording (`texts`), or retrying: a person who is told to come back decides that.
"""

import math
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp.http_exceptions import LineTooLong
from pydantic import TypeAdapter, ValidationError

from api.contract import (
    CONVERSATION_HEADER,
    ON_BEHALF_OF_HEADER,
    PERSON_HEADER,
    ChatMessage,
    ChatPiece,
    ChatReply,
    ChatRequest,
    ErrorReply,
    ModelList,
    SamplingFields,
)
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

IDLE_TIMEOUT_SECONDS = 120.0
"""A reply may run for minutes, but not in silence: a stream that says nothing for so long is given up."""

CONNECT_TIMEOUT_SECONDS = 10.0
MODELS_TIMEOUT_SECONDS = 10.0
MODELS_KEPT_SECONDS = 60.0
FORGET_TIMEOUT_SECONDS = 10.0
DEFAULT_RETRY_SECONDS = 30

NOBODY = "discord:0"
"""Whom the list of models is asked for: it costs no call, but the service token has to name somebody."""

_TWO_COUNTS = re.compile(r"take (\d+) tokens.*limit is (\d+)", re.DOTALL)
"""The native dialect says both counts in the sentence of its problem; without a match the bot names none."""

_Line = ErrorReply | ChatReply | ChatPiece
_LINE: TypeAdapter[_Line] = TypeAdapter(_Line)


@dataclass(frozen=True, slots=True)
class Queued:
    """The question waits for a slot. `position` 1 is next; `wait_seconds` an estimate, None while nobody knows."""

    position: int
    wait_seconds: int | None


@dataclass(frozen=True, slots=True)
class Begun:
    """The question that waited has its slot: hanging up costs the call from here on."""


@dataclass(frozen=True, slots=True)
class Text:
    """New text of the reply, never empty."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The end of a reply.

    `text` is the whole of it; `dropped_messages` leading messages did not fit the context; `is_cut` says that it
    stopped at the length limit.
    """

    text: str
    dropped_messages: int
    is_cut: bool


class ApiClient:
    """Asks the service at `base_url` as the bearer of `service_token`. Use as an async context manager."""

    def __init__(
        self,
        base_url: str,
        service_token: str,
        *,
        idle_timeout_seconds: float = IDLE_TIMEOUT_SECONDS,
        models_kept_seconds: float = MODELS_KEPT_SECONDS,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._service_token = service_token
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT_SECONDS, sock_read=idle_timeout_seconds
        )
        self._models_kept_seconds = models_kept_seconds
        self._models: list[str] = []
        self._models_stale_at = -math.inf
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

    async def stream(
        self,
        messages: Sequence[ChatMessage],
        *,
        tenant: str,
        person: int | None = None,
        options: SamplingFields | None = None,
        model: str | None = None,
        conversation: str | None = None,
    ) -> AsyncGenerator[Queued | Begun | Text | Answer, None]:
        """Ask for the next message, or the rest of a last one by the assistant, and yield it as it grows.

        The call is charged to `tenant` (`discord:<server id>` or `discord:dm:<user id>`); `person` is the id of the
        Discord user who asks. Yields `Queued` while the question waits, `Begun` when it does no more, `Text` for new
        text, and one `Answer` at the end. Closing the generator, or a cancellation, hangs up at once, which frees the
        slot: hold it in `contextlib.aclosing`.

        Raises a `RefusedError` of this package, whatever goes wrong.
        """
        body = _request_body(messages, options=options, model=model)
        headers = self._headers(tenant, person) | {"Content-Type": "application/json"}
        if conversation is not None:
            headers[CONVERSATION_HEADER] = conversation
        async with (
            self._request("POST", "/ai/chat", data=body, headers=headers) as response,
            aclosing(_events(response)) as events,
        ):
            async for event in events:
                yield event

    async def models(self) -> list[str]:
        """List the names that `model` may have, at most a minute old.

        Raises a `RefusedError` of this package, whatever goes wrong.
        """
        if time.monotonic() >= self._models_stale_at:
            timeout = aiohttp.ClientTimeout(total=MODELS_TIMEOUT_SECONDS)
            async with self._request(
                "GET", "/v1/models", headers=self._headers(NOBODY, None), timeout=timeout
            ) as response:
                self._models = _model_names(await response.read(), response.headers)
            self._models_stale_at = time.monotonic() + self._models_kept_seconds
        return list(self._models)

    async def forget_gone(self) -> None:
        """Have the service remove what it keeps of conversations that are gone; it is gone when this returns.

        Raises a `RefusedError` of this package, whatever goes wrong.
        """
        timeout = aiohttp.ClientTimeout(total=FORGET_TIMEOUT_SECONDS)
        headers = self._headers(NOBODY, None)
        async with self._request("POST", "/ai/conversations/forgotten", headers=headers, timeout=timeout) as response:
            await response.read()

    def _headers(self, tenant: str, person: int | None) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self._service_token}", ON_BEHALF_OF_HEADER: tenant}
        return headers if person is None else headers | {PERSON_HEADER: str(person)}

    @asynccontextmanager
    async def _request(self, method: str, path: str, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask, and close the connection at the end of the block unless the reply was read whole.

        Raises a `RefusedError` for an error reply and for every way a connection can fail.
        """
        assert self._session is not None, "asked before it was opened"
        try:
            async with self._session.request(method, self._base_url + path, **options) as response:
                if response.status != 200:
                    raise _refusal(response.status, response.headers, await response.read())
                yield response
        except aiohttp.ConnectionTimeoutError:
            raise ModelUnavailableError from None
        except TimeoutError:
            raise TookTooLongError from None
        except aiohttp.ClientError:
            raise ModelUnavailableError from None


def _request_body(messages: Sequence[ChatMessage], *, options: SamplingFields | None, model: str | None) -> bytes:
    """Write a request with the fields that were chosen, and no others.

    Raises `UnexpectedError` when the contract does not take them together.
    """
    chosen: dict[str, Any] = {} if options is None else options.model_dump(exclude_unset=True)
    if model is not None:
        chosen["model"] = model
    try:
        request = ChatRequest(**chosen, messages=list(messages), stream=True)
    except ValidationError:
        raise UnexpectedError from None
    return request.model_dump_json(exclude_unset=True).encode()


async def _events(response: aiohttp.ClientResponse) -> AsyncGenerator[Queued | Begun | Text | Answer, None]:
    """Read the lines of a streamed reply up to its last."""
    text: list[str] = []
    is_waiting = False
    async for content in _lines(response):
        match _parse(content, response.headers):
            case ErrorReply() as error:
                # Its headers, such as when to come back, could not be sent any more.
                raise _refusal(error.code, {}, content)
            case ChatReply() as last:
                yield _answer(last, "".join([*text, last.message.content]))
                return
            case ChatPiece(queue=place) if place is not None:
                is_waiting = True
                yield Queued(place.position, place.wait_seconds)
            case ChatPiece() as piece:
                if is_waiting:
                    is_waiting = False
                    yield Begun()
                if piece.message.content:
                    text.append(piece.message.content)
                    yield Text(piece.message.content)
    raise ModelUnavailableError


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    while True:
        try:
            content = await response.content.readline()
        except LineTooLong:
            # Longer than any line of the contract; the exception quotes it.
            raise _unexpected(response.headers) from None
        if not content:
            return
        yield content


def _parse(content: bytes, headers: Mapping[str, str]) -> _Line:
    try:
        return _LINE.validate_json(content)
    except ValidationError:
        raise _unexpected(headers) from None


def _answer(last: ChatReply, text: str) -> Answer:
    return Answer(
        text=text,
        dropped_messages=last.dropped_messages,
        is_cut=last.done_reason == "length",
    )


def _model_names(content: bytes, headers: Mapping[str, str]) -> list[str]:
    try:
        models = ModelList.model_validate_json(content)
    except ValidationError:
        raise _unexpected(headers) from None
    return [card.id for card in models.data]


def _unexpected(headers: Mapping[str, str]) -> UnexpectedError:
    return UnexpectedError(request_id=_printable_id(headers.get("X-Request-Id", "")))


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
