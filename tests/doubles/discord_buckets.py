"""Rate limits of the stand-in Discord server that run empty and fill up by themselves.

Owns: fixed windows that begin with the first request in them, and the headers that tell of them. Does not own: 429s
that a test orders for one route (`DiscordServer.rate_limit_next`). Source:
https://discord.com/developers/docs/topics/rate-limits.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.doubles.discord_ask import Route

GENEROUS_LIMIT, GENEROUS_SECONDS = 10_000, 1.0

MESSAGE_EDITS, MESSAGE_POSTS, ANSWER_EDITS, ANSWER_POSTS = (
    "message-edits",
    "message-posts",
    "answer-edits",
    "answer-posts",
)
_FAMILIES = {
    "PATCH /channels/{channel}/messages/{message}": MESSAGE_EDITS,
    "POST /channels/{channel}/messages": MESSAGE_POSTS,
    "PATCH /webhooks/{application}/{token}/messages/@original": ANSWER_EDITS,
    "PATCH /webhooks/{application}/{token}/messages/{message}": ANSWER_EDITS,
    "POST /webhooks/{application}/{token}": ANSWER_POSTS,
}
_MAJOR_PARAMETERS = ("channel", "guild", "token")


class Size(NamedTuple):
    """How many requests a bucket takes in a window."""

    limit: int
    window_seconds: float


@dataclass
class _Window:
    """One window of one bucket, of the event loop's clock."""

    ends_at: float
    used: int = 0


@dataclass(frozen=True)
class Refusal:
    """A 429: how long to wait, and on which ground (`user` is a bucket, `global` all of the bot's requests)."""

    retry_after_seconds: float
    headers: Mapping[str, str]
    is_global: bool = False


@dataclass
class Buckets:
    """All buckets of one bot. What has no size of its own is as good as unlimited, `global_limit` None is unlimited."""

    sizes: dict[str, Size] = field(default_factory=dict)
    global_limit: Size | None = None
    _windows: dict[tuple[str, str], _Window] = field(default_factory=dict)

    def take(self, route: Route, params: Mapping[str, str], *, now: float) -> Mapping[str, str] | Refusal:
        """Count one request; returns the headers of its reply, or why it is refused."""
        if route.needs_token and self.global_limit is not None:
            window = self._window("global", "", self.global_limit, now)
            if window.used >= self.global_limit.limit:
                return _refuse_globally(window.ends_at - now)
            window.used += 1
        family = _FAMILIES.get(route.template, route.template)
        major = next((params[name] for name in _MAJOR_PARAMETERS if name in params), "")
        size = self.sizes.get(family, Size(GENEROUS_LIMIT, GENEROUS_SECONDS))
        window = self._window(family, major, size, now)
        is_full = window.used >= size.limit
        window.used += 0 if is_full else 1
        headers = _headers(family, size.limit, size.limit - window.used, window.ends_at - now)
        return _refuse(headers, window.ends_at - now) if is_full else headers

    def _window(self, family: str, major: str, size: Size, now: float) -> _Window:
        window = self._windows.get((family, major))
        if window is None or now >= window.ends_at:
            window = self._windows[family, major] = _Window(now + size.window_seconds)
        return window


def _headers(family: str, limit: int, remaining: int, reset_after_seconds: float) -> dict[str, str]:
    # Rounded up: a bot that waits exactly that long must not be too early by a part of a millisecond.
    reset_after = math.ceil(reset_after_seconds * 1000) / 1000
    return {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": f"{time.time() + reset_after:.3f}",
        "X-RateLimit-Reset-After": f"{reset_after:.3f}",
        "X-RateLimit-Bucket": "".join(filter(str.isalnum, family)).lower(),
    }


def _refuse(headers: dict[str, str], wait_seconds: float) -> Refusal:
    more = {"X-RateLimit-Scope": "user", **retry_headers(wait_seconds)}
    return Refusal(wait_seconds, {**headers, **more})


def _refuse_globally(wait_seconds: float) -> Refusal:
    headers = {"X-RateLimit-Global": "true", "X-RateLimit-Scope": "global", **retry_headers(wait_seconds)}
    return Refusal(wait_seconds, headers, is_global=True)


def retry_headers(wait_seconds: float) -> dict[str, str]:
    """Return what every 429 of Discord's own carries; one without `Via` would come from the edge before it."""
    return {"Retry-After": str(max(1, math.ceil(wait_seconds))), "Via": "1.1 stand-in"}
