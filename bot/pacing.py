"""When a growing reply may be edited next, so that Discord never has to refuse an edit.

Owns: what Discord's headers say about its limits on edits, and the turns of edits on the way. Does not own: waiting for
a bucket that is empty, which discord.py does by itself, or the edits (`live.py`). Limits are never assumed, as Discord
asks; they are read from each answer: https://discord.com/developers/docs/topics/rate-limits.
"""

import asyncio
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace

import aiohttp

MIN_SECONDS_BETWEEN_EDITS = 1.0
"""Between two edits of one key, whatever Discord would allow: people read no faster."""

MAX_EDITS_PER_SECOND = 25
"""Over all keys, and less while the bot asks for other things: half of the 50 requests Discord allows it per second.
They are the bot's, however many processes it runs in: each takes its share."""

RESERVED = 1
"""How many requests of a bucket are left alone, for the last edit of a reply, which asks for no turn."""

_MARGIN_SECONDS = 0.05
"""How much later than Discord says a bucket is taken to be full again; clocks differ."""

_MAX_REMEMBERED = 512

_PATHS = {
    "channel": re.compile(r"/channels/(?P<major>\d+)/messages(?P<message>/\d+)?$"),
    "interaction": re.compile(r"/webhooks/\d+/(?P<major>[^/]+)(?P<message>/messages/[^/]+)?$"),
}

_EXEMPT = re.compile(r"/(webhooks|interactions)/\d+/[^/]+")
"""Endpoints of interactions: https://discord.com/developers/docs/topics/rate-limits#global-rate-limit"""


def channel_edits(channel_id: int) -> str:
    """Return the key for edits of the bot's messages in a channel."""
    return f"channel:{channel_id}"


def interaction_edits(token: str) -> str:
    """Return the key for edits made with an interaction's token."""
    return f"interaction:{token}"


@dataclass(slots=True)
class _Bucket:
    """What is left of one of Discord's limits. `resets_at` is of the event loop's clock."""

    limit: int
    remaining: int
    resets_at: float
    window_seconds: float

    def update(self, limit: int, remaining: int, *, resets_at: float, reset_after_seconds: float) -> None:
        """Take in what an answer said; answers of one window may come in any order, so the smallest rest counts."""
        is_same_window = resets_at - self.resets_at < self.window_seconds / 2
        self.remaining = min(self.remaining, remaining) if is_same_window else remaining
        self.window_seconds = max(self.window_seconds if is_same_window else 0.0, reset_after_seconds)
        self.limit, self.resets_at = limit, resets_at

    def free_at(self) -> float:
        """Return when it may be used again without touching the reserve."""
        return self.resets_at + _MARGIN_SECONDS if self.remaining <= RESERVED else 0.0

    def spread_seconds(self) -> float:
        """Return the distance that spreads the requests outside the reserve over the window."""
        return self.window_seconds / max(1, self.limit - RESERVED)


@dataclass(slots=True)
class _Line:
    """Those who wait to edit under one key, first come, first served."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    next_at: float = 0.0
    has_turn: bool = False


class Pacer:
    """Hands out turns to edit. One per Discord client, whose requests it must see: `http_trace=pacer.trace_config()`.

    Until it has seen an answer it lets edits through at `MIN_SECONDS_BETWEEN_EDITS`. `share` is this process's part of
    what the bot may ask for, above 0 and at most 1.
    """

    def __init__(self, *, share: float = 1.0) -> None:
        self._seconds_apart = 1 / (MAX_EDITS_PER_SECOND * share)
        # Routes share a limit when Discord gives them the same bucket; which they do is learnt from the answers.
        self._names: dict[str, str] = {}
        self._buckets: dict[tuple[str, str], _Bucket] = {}
        self._lines: dict[str, _Line] = {}
        self._everybody = _Line()

    def __len__(self) -> int:
        return len(self._lines) + len(self._buckets)

    def trace_config(self) -> aiohttp.TraceConfig:
        """Return what reads the headers of Discord's answers; give it to the client as `http_trace`."""
        config = aiohttp.TraceConfig()
        config.on_request_start.append(self._asked)
        config.on_request_end.append(self._answered)
        return config

    async def turn_to_edit(self, key: str) -> None:
        """Return when an edit on the way may be made; `key` is one of `channel_edits` or `interaction_edits`.

        Turns are spread over Discord's window and leave `RESERVED` requests of it; those of one key come in the order
        they were asked for. A cancelled wait takes no turn.
        """
        line = self._line(key)
        async with line.lock:
            while True:
                await _sleep_until(self._free_at(key, line))
                async with self._everybody.lock:
                    while (now := _now()) < self._everybody.next_at:
                        await _sleep_until(self._everybody.next_at)
                    if self._free_at(key, line) <= now:
                        self._take(key, line, now)
                        return

    def _line(self, key: str) -> _Line:
        if key not in self._lines:
            self._forget_the_idle()
            self._lines[key] = _Line()
        return self._lines[key]

    def _bucket(self, key: str) -> _Bucket | None:
        """Return the bucket of a key's edits, as far as it is known."""
        route = f"PATCH {key.partition(':')[0]} message"
        return self._buckets.get((self._names.get(route, route), key))

    def _free_at(self, key: str, line: _Line) -> float:
        bucket = self._bucket(key)
        return line.next_at if bucket is None else max(line.next_at, bucket.free_at())

    def _take(self, key: str, line: _Line, now: float) -> None:
        distance_seconds = MIN_SECONDS_BETWEEN_EDITS
        bucket = self._bucket(key)
        if bucket is not None:
            distance_seconds = max(distance_seconds, bucket.spread_seconds())
            bucket.remaining -= 1
        line.next_at = now + distance_seconds
        line.has_turn = True
        self._everybody.next_at = now + self._seconds_apart

    async def _asked(
        self, _session: aiohttp.ClientSession, _context: SimpleNamespace, params: aiohttp.TraceRequestStartParams
    ) -> None:
        self.note_request(params.method, params.url.path)

    def note_request(self, method: str, path: str) -> None:
        """Let edits on the way make room for a request; those of interactions do not count towards the global limit."""
        if _EXEMPT.search(path):
            return
        match = _PATHS["channel"].search(path) if method == "PATCH" else None
        line = None if match is None else self._lines.get(channel_edits(int(match["major"])))
        if line is not None and line.has_turn:
            # An edit on the way, which was counted when it got its turn.
            line.has_turn = False
            return
        now = _now()
        busy_until = max(self._everybody.next_at, now) + self._seconds_apart
        # What is asked for now says nothing about the second after the next.
        self._everybody.next_at = max(self._everybody.next_at, min(busy_until, now + 1))

    async def _answered(
        self, _session: aiohttp.ClientSession, _context: SimpleNamespace, params: aiohttp.TraceRequestEndParams
    ) -> None:
        self.note(params.method, params.url.path, status=params.response.status, headers=params.response.headers)

    def note(self, method: str, path: str, *, status: int, headers: Mapping[str, str]) -> None:
        """Take in what an answer of Discord's says about its limits."""
        is_refused = status == 429
        retry_after_seconds = _number(headers, "Retry-After") if is_refused else None
        if retry_after_seconds is not None and headers.get("X-RateLimit-Global", "").lower() == "true":
            self._everybody.next_at = max(self._everybody.next_at, _now() + retry_after_seconds)
            return
        for kind, pattern in _PATHS.items():
            match = pattern.search(path)
            if match is not None:
                route = f"{method} {kind}{' message' if match['message'] else ''}"
                self._note(route, f"{kind}:{match['major']}", headers, retry_after_seconds)

    def _note(self, route: str, key: str, headers: Mapping[str, str], retry_after_seconds: float | None) -> None:
        limit, remaining = _number(headers, "X-RateLimit-Limit"), _number(headers, "X-RateLimit-Remaining")
        reset_after_seconds = _number(headers, "X-RateLimit-Reset-After")
        if retry_after_seconds is not None:
            remaining, reset_after_seconds = 0.0, max(retry_after_seconds, reset_after_seconds or 0.0)
        if remaining is None or reset_after_seconds is None:
            return
        name = self._names[route] = headers.get("X-RateLimit-Bucket", route)
        resets_at = _now() + reset_after_seconds
        bucket = self._buckets.get((name, key))
        if bucket is None:
            self._forget_the_idle()
            bucket = self._buckets[name, key] = _Bucket(int(limit or 1), int(remaining), resets_at, reset_after_seconds)
        else:
            bucket.update(
                int(limit or bucket.limit),
                int(remaining),
                resets_at=resets_at,
                reset_after_seconds=reset_after_seconds,
            )

    def _forget_the_idle(self) -> None:
        """Keep memory bounded: what has run out says nothing any more."""
        if len(self) < _MAX_REMEMBERED:
            return
        now = _now()
        self._buckets = {name: bucket for name, bucket in self._buckets.items() if bucket.resets_at > now}
        self._lines = {key: line for key, line in self._lines.items() if line.next_at > now or line.lock.locked()}


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _sleep_until(moment: float) -> None:
    delay_seconds = moment - _now()
    if delay_seconds > 0:
        await asyncio.sleep(delay_seconds)


def _number(headers: Mapping[str, str], name: str) -> float | None:
    """Return a header's number; None where there is none that can be read."""
    try:
        number = float(headers[name])
    except (KeyError, ValueError):
        return None
    return number if math.isfinite(number) else None
