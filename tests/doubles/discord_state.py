"""What the stand-in Discord server holds, shared by its REST side, its gateway and the tests that drive it."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.discord_model import (
    INTERACTION_ANSWER_SECONDS,
    Changes,
    Channel,
    Guild,
    Interaction,
    Json,
    User,
)


@dataclass(frozen=True)
class Call:
    """One REST request: `route` is its template, such as `POST /channels/{channel}/messages`; `reply` its answer."""

    route: str
    path: str
    body: Json
    status: int
    at: float
    reply: Any


@dataclass
class RateLimit:
    """429s still to be answered on a route, and until when a repeat comes too early (loop time, seconds)."""

    retry_after_seconds: float
    times: int
    is_global: bool = False
    has_via: bool = True
    not_before: float = 0.0


@dataclass(eq=False)
class DiscordState:
    """Everything there is; `breaches` are rules of Discord's that a bot broke."""

    token: str
    changes: Changes = field(default_factory=Changes)
    bot: User = field(default_factory=lambda: User("parley", "Parley", is_bot=True))
    guilds: list[Guild] = field(default_factory=list)
    channels: dict[int, Channel] = field(default_factory=dict)
    interactions: dict[str, Interaction] = field(default_factory=dict)
    commands: list[Json] = field(default_factory=list)
    command_syncs: int = 0
    calls: list[Call] = field(default_factory=list)
    limits: dict[str, RateLimit] = field(default_factory=dict)
    failures: dict[str, list[int]] = field(default_factory=dict)
    noted_breaches: list[str] = field(default_factory=list)

    @property
    def breaches(self) -> list[str]:
        """Return every broken rule so far, commands never answered and people pinged included."""
        now = asyncio.get_running_loop().time()
        late = [
            f"/{each.command} was not answered within {INTERACTION_ANSWER_SECONDS:.0f} s"
            for each in self.interactions.values()
            if each.answered_at is None and now - each.created_at > INTERACTION_ANSWER_SECONDS
        ]
        return self.noted_breaches + late + [f"pinged: {who}" for who in sorted(self.pings)]

    @property
    def pings(self) -> set[str]:
        """Return everybody whom the bot's messages notified."""
        posted = [message for channel in self.channels.values() for message in channel.messages]
        answered = [message for each in self.interactions.values() for message in each.replies]
        return {who for message in (*posted, *answered) if message.author is self.bot for who in message.pings}

    def count(self, route: str, *, status: int | None = None) -> int:
        """Count the calls of a route, such as `PUT /applications/{application}/commands`."""
        return sum(call.route == route and status in (None, call.status) for call in self.calls)
