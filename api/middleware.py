"""What every request passes through: an id, one log line, the error body, the rate-limit headers.

Logs hold ids, counts and durations; never a prompt, a reply, a token, a header or a body.
"""

import asyncio
import logging
import random
import re
from http import HTTPStatus
from time import monotonic

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.typedefs import Handler

from api import keys
from api.allowance import Call
from api.calls import dialect_of
from api.errors import ApiError, from_exception
from api.metrics import Metrics

logger = logging.getLogger(__name__)

CLIENT_LEFT = 499
"""What the log and the metrics call a request whose caller left; nobody receives it (nginx's number)."""

WATCHED = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds by whatever watches the service; not worth a line each."""

FIELDS = "fields"
"""The attribute of a log record that holds its values by name, for logs that are read by programs."""

_CALLER_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@web.middleware
async def identify(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request its id (the caller's own when it is harmless), then log and count it once."""
    wished = request.headers.get("X-Request-Id", "")
    # No secret. Asking the kernel lets go of the interpreter's lock, which the database's thread takes.
    request[keys.REQUEST_ID] = wished if _CALLER_ID.fullmatch(wished) else f"{random.getrandbits(64):016x}"
    started = monotonic()
    status = CLIENT_LEFT
    try:
        with request.app[keys.DRAINING].request():
            response = await handler(request)
        status = response.status
        return response
    except ConnectionError:
        return request[keys.STREAM] if keys.STREAM in request else web.Response(status=CLIENT_LEFT)
    finally:
        _record(request, status, monotonic() - started)


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Render every refusal in the caller's dialect; what nobody foresaw is logged and becomes a plain 500."""
    try:
        return await handler(request)
    except (asyncio.CancelledError, ConnectionError):
        raise
    except web.HTTPRedirection as redirection:
        return web.Response(status=redirection.status, headers={"Location": redirection.headers["Location"]})
    except Exception as error:  # noqa: BLE001 - the border: each is mapped, none is swallowed unseen
        refusal = from_exception(error)
        request.app[keys.METRICS].refused(refusal.kind)
        _log_failure(request, refusal, error)
        if keys.STREAM in request:
            return request[keys.STREAM]
        if refusal.rate is not None:
            request[keys.RATE] = refusal.rate
        return dialect_of(request).render(refusal, request[keys.REQUEST_ID])


async def answer_expectation(request: web.Request) -> None:
    """Tell whoever waits for it to send the body. Any other expectation is passed over (RFC 9110 section 10.1.1).

    aiohttp's own answer to another one is a plain text that repeats it.
    """
    if request.version == HttpVersion11 and request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # The reply itself has not begun.
        request.writer.output_size = 0


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add the id and, for an authenticated caller, the allowance to any reply (a signal of the application)."""
    if keys.REQUEST_ID in request:
        for name in dialect_of(request).request_id_headers:
            response.headers[name] = request[keys.REQUEST_ID]
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    rate = request[keys.CALL].rate if keys.CALL in request else request.get(keys.RATE)
    if rate is not None:
        now = request.app[keys.CLOCK].now()
        response.headers.update(rate.headers(now))
        response.headers.update(dialect_of(request).rate_headers(rate, now))


def _log_failure(request: web.Request, refusal: ApiError, error: Exception) -> None:
    if refusal.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        # The traceback's last line would be the exception's own text, which may quote a prompt: frames only.
        frames = _frames(error)
        logger.error("request %s failed: %s at %s", request[keys.REQUEST_ID], type(error).__name__, frames)


def _frames(error: BaseException) -> str:
    """Name the places an exception passed, innermost last, as `file:line`."""
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename.rsplit('/', 2)[-1]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return " > ".join(places[-6:])


def _record(request: web.Request, status: int, seconds: float) -> None:
    metrics = request.app[keys.METRICS]
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else "unknown"
    method = request.method if route != "unknown" else "-"
    metrics.answered(method if method != "-" else "other", route, status, seconds)
    fields: dict[str, object] = {
        "request": request[keys.REQUEST_ID],
        "method": method,
        "route": route,
        "status": status,
        "ms": round(seconds * 1000),
    }
    if (call := request.get(keys.CALL)) is not None:
        # A reply that is made for a webhook goes on.
        if call not in request.app[keys.ALLOWANCE].open:
            metrics.called(call.timings)
            request.app[keys.RECENT].note(call)
        _count(metrics, status, call.prompt_tokens, call.completion_tokens)
        fields |= _told(call)
    level = logging.DEBUG if route in WATCHED else logging.INFO
    said = " ".join(f"{name}={value}" for name, value in fields.items() if value is not None)
    logger.log(level, "%s", said, extra={FIELDS: fields})


def _told(call: Call) -> dict[str, object]:
    """Say what a charged call came to."""
    timings = call.timings
    return {
        "tenant": call.caller.tenant_id,
        "prompt_tokens": call.prompt_tokens,
        "cached_tokens": None if timings.finished is None else timings.finished.cached_tokens,
        "completion_tokens": call.completion_tokens,
        "queue_ms": _milliseconds(timings.waited_seconds),
        "first_token_ms": _milliseconds(timings.first_token_seconds),
    }


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def _count(metrics: Metrics, status: int, prompt_tokens: int, completion_tokens: int) -> None:
    if status == CLIENT_LEFT:
        metrics.hang_ups.inc()
    if status in {HTTPStatus.OK, CLIENT_LEFT}:
        metrics.spent(prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)
