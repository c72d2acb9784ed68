"""One request and its reply, in every dialect, and what it says of its cost.

Owns: sending, reading to the end or the break, telling a whole reply from a torn one. Does not own: what is asked
(`polite.py`), or callers that misbehave (`rude.py`).
"""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

REPLY_SECONDS = 120.0

LARGE_BYTES = 2**20
"""aiohttp wants to read more than that by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back. `status` is None when nothing did, `is_sent` False when the service was not there at all."""

    status: int | None
    headers: dict[str, str]
    data: bytes
    is_sent: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a whole reply says it has cost; `calls_remaining` where it says so."""

    prompt_tokens: int
    completion_tokens: int
    calls_remaining: int | None = None


class FailedError(Exception):
    """The reply is an error that came after its beginning."""


Read = Callable[[bytes], Cost | None]
"""Reads a body: the cost of a whole reply, None for a torn one; raises `FailedError`."""


async def send(
    session: aiohttp.ClientSession, method: str, url: str, *, body: Any = None, headers: dict[str, str] | None = None
) -> Answer:
    """Send one request and read until its end or until the connection breaks."""
    data = b""
    status: int | None = None
    told: dict[str, str] = {}
    raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    payload = io.BytesIO(raw) if raw and len(raw) > LARGE_BYTES else raw
    timeout = aiohttp.ClientTimeout(total=REPLY_SECONDS)
    try:
        async with session.request(method, url, data=payload, headers=headers, timeout=timeout) as response:
            status, told = response.status, dict(response.headers)
            async for chunk in response.content.iter_any():
                data += chunk
    except aiohttp.ClientConnectorError:
        return Answer(status=None, headers={}, data=b"", is_sent=False)
    except (aiohttp.ClientError, ConnectionError):
        pass
    return Answer(status=status, headers=told, data=data)


def _object(text: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    assert isinstance(value, dict)
    return value


def _lines(data: bytes) -> list[dict[str, Any]]:
    """Read the whole lines of newline-delimited JSON; a torn last one is left out."""
    return [json.loads(line) for line in data.split(b"\n")[:-1] if line]


def _events(data: bytes) -> list[dict[str, Any]]:
    """Read the whole events of a stream of server-sent ones; the end mark becomes an empty object."""
    events: list[dict[str, Any]] = []
    for block in data.split(b"\n\n")[:-1]:
        for line in block.split(b"\n"):
            if line.startswith(b"data: "):
                text = line.removeprefix(b"data: ")
                events.append({} if text == b"[DONE]" else json.loads(text))
    return events


def _native(reply: dict[str, Any]) -> Cost:
    usage = reply["usage"]
    return Cost(
        prompt_tokens=usage["prompt_tokens"],
        completion_tokens=usage["completion_tokens"],
        calls_remaining=usage["calls_remaining"],
    )


def read_native(data: bytes) -> Cost | None:
    """Read a whole reply of the native dialect."""
    reply = _object(data)
    return None if reply is None else _native(reply)


def read_native_stream(data: bytes) -> Cost | None:
    """Read a streamed one: it ends with `done`."""
    last = (_lines(data) or [{}])[-1]
    if "error" in last:
        raise FailedError
    return _native(last) if last.get("done") else None


def _openai(usage: dict[str, Any]) -> Cost:
    return Cost(prompt_tokens=usage["prompt_tokens"], completion_tokens=usage["completion_tokens"])


def read_openai(data: bytes) -> Cost | None:
    """Read a whole completion."""
    reply = _object(data)
    return None if reply is None else _openai(reply["usage"])


def read_openai_stream(data: bytes) -> Cost | None:
    """Read a streamed one: it ends with `[DONE]`, and the usage comes before."""
    events = _events(data)
    if any("error" in each for each in events):
        raise FailedError
    return _openai(events[-2]["usage"]) if events and events[-1] == {} else None


def _ollama(reply: dict[str, Any]) -> Cost:
    return Cost(prompt_tokens=reply["prompt_eval_count"], completion_tokens=reply["eval_count"])


def read_ollama(data: bytes) -> Cost | None:
    """Read a whole reply of the Ollama dialect."""
    reply = _object(data)
    return None if reply is None else _ollama(reply)


def read_ollama_stream(data: bytes) -> Cost | None:
    """Read a streamed one: it ends with `done`."""
    last = (_lines(data) or [{}])[-1]
    if "error" in last:
        raise FailedError
    return _ollama(last) if last.get("done") else None


def _anthropic(usage: dict[str, Any]) -> Cost:
    return Cost(prompt_tokens=usage["input_tokens"], completion_tokens=usage["output_tokens"])


def read_anthropic(data: bytes) -> Cost | None:
    """Read a whole message."""
    reply = _object(data)
    return None if reply is None else _anthropic(reply["usage"])


def read_anthropic_stream(data: bytes) -> Cost | None:
    """Read a streamed one: it ends with `message_stop`, and the usage comes before."""
    events = _events(data)
    if any(each.get("type") == "error" for each in events):
        raise FailedError
    if not events or events[-1].get("type") != "message_stop":
        return None
    return _anthropic(next(each["usage"] for each in reversed(events) if each.get("type") == "message_delta"))
