"""What the stand-in Discord server holds, shared by its REST side, its gateway and the tests that drive it."""

from dataclasses import dataclass, field
from typing import Any

from tests.doubles.discord_basics import INTERACTION_ANSWER_SECONDS, Changes, Json, LivedTime
from tests.doubles.discord_messages import Message
from tests.doubles.discord_model import Interaction
from tests.doubles.discord_people import User
from tests.doubles.discord_places import Channel, Guild


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
    """Everything there is; `breaches` are rules of Discord's that a bot broke.

    `rate_limited` names the route of every 429 that was answered, on whatever ground. `shows_mature_commands`: the
    client offers age-restricted commands everywhere, as an old or modified one might.
    """

    token: str
    changes: Changes = field(default_factory=Changes)
    lived: LivedTime = field(default_factory=LivedTime)
    bot: User = field(default_factory=lambda: User("parley", "Parley", is_bot=True))
    people: dict[int, User] = field(default_factory=dict)
    guilds: list[Guild] = field(default_factory=list)
    channels: dict[int, Channel] = field(default_factory=dict)
    interactions: dict[str, Interaction] = field(default_factory=dict)
    commands: list[Json] = field(default_factory=list)
    command_syncs: int = 0
    calls: list[Call] = field(default_factory=list)
    limits: dict[str, RateLimit] = field(default_factory=dict)
    failures: dict[str, list[int]] = field(default_factory=dict)
    noted_breaches: list[str] = field(default_factory=list)
    rate_limited: list[str] = field(default_factory=list)
    shows_mature_commands: bool = False
    recommended_shards: int = 1

    def __post_init__(self) -> None:
        self.people[self.bot.id] = self.bot

    @property
    def breaches(self) -> list[str]:
        """Return every broken rule so far, commands never answered and people pinged included."""
        late = [
            f"{each.label} was not answered within {INTERACTION_ANSWER_SECONDS:.0f} s"
            for each in self.interactions.values()
            if each.answered_at is None
            and not each.may_stay_unanswered
            and each.age_seconds > INTERACTION_ANSWER_SECONDS
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

    def open_channel(self, channel_id: str) -> Channel | None:
        """Return a channel that has not been deleted."""
        channel = self.channels.get(int(channel_id))
        return None if channel is None or channel.is_deleted else channel

    def message(self, channel_id: str, message_id: str) -> Message | None:
        """Return a message that is still there; ephemeral ones are in no channel."""
        channel = self.open_channel(channel_id)
        return None if channel is None else channel.find(message_id)
