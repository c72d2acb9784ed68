"""Who asks what and when, in a simulated day of many Discord servers.

Owns: the assumptions about people, each a field of `People` with its reason, and drawing a day from them. Does not own:
what becomes of a question (`simulated_service.py`). We know of no public figures of how bots are used over a day, so
all of this is assumed; `docs/scaling.md` repeats it, and `simulate_servers.py` tries some of it otherwise.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

HOUR = 3600.0
DAY = 24 * HOUR

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """What is assumed of a day. Tokens are LLM tokens, times are seconds."""

    servers: int = 100_000
    active_share: float = 0.2
    """Servers in which anybody asks anything on a day; the rest have a bot and forgot it."""

    median_questions: float = 8.0
    spread: float = 1.5
    """Questions of an active server and day are log-normal: half ask up to 8, the mean is 25, 1 % ask over 260."""

    most_questions: int = 1_000
    """The allowance of a server and day (`PARLEY_DAILY_CALLS`)."""

    zones: tuple[tuple[float, float], ...] = ((-5.0, 0.45), (1.0, 0.35), (8.0, 0.2))
    """Hours from UTC, and the share of servers there: the Americas, Europe with Africa, Asia."""

    hours: tuple[float, ...] = (3, 2, 1, 1, 1, 1, 2, 3, 4, 5, 5, 6, 6, 6, 6, 7, 8, 9, 10, 11, 12, 12, 9, 6)
    """Activity in each local hour from midnight on, the evening being twelve times the night."""

    turns: float = 4.0
    """Questions that one person asks in a row, on average; geometric."""

    together: float = 2.0
    """People who join in: sessions of a server come in clusters of so many on average, geometric."""

    joining_seconds: float = 180.0
    """How much later the others of a cluster begin, on average; exponential."""

    pause_seconds: float = 25.0
    pause_spread: float = 0.8
    """From the end of a reply to the next question: reading and typing, log-normal with this median."""

    persona_tokens: int = 120
    question_tokens: float = 25.0
    question_spread: float = 0.9
    """Log-normal, with this median; at most a thousand."""

    reply_tokens: float = 120.0
    reply_spread: float = 0.7
    most_reply_tokens: int = 512
    """Log-normal with this median (mean 150), cut where the bot cuts."""

    old_share: float = 0.5
    """Sessions in a channel that has a history, which is as likely any length up to the window; others begin anew."""

    flooding_share: float = 0.01
    flood: int = 100
    flood_people: int = 10
    flood_seconds: float = 10.0
    """Of the active servers so many send all of their allowance in floods: 100 questions of ten people within 10 s."""


@dataclass(frozen=True, slots=True)
class Session:
    """One person's questions in a row. `first_turn` is the place of the first in the turns' arrays."""

    number: int
    server: int
    person: int
    starts_at: float
    first_turn: int
    turns: int
    history_tokens: int
    is_flood: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A day of sessions in the order of their starts, and each turn's question, reply and pause after it."""

    people: People
    servers: Integers
    persons: Integers
    starts: Floats
    first_turns: Integers
    turns: Integers
    histories: Integers
    is_flood: NDArray[np.bool_]
    question_tokens: Integers
    reply_tokens: Integers
    pauses: Floats
    questions_of: Integers = field(repr=False)

    def sessions(self, begins: float, ends: float) -> Iterator[Session]:
        """Yield the sessions that start within these seconds."""
        first, last = np.searchsorted(self.starts, [begins, ends])
        for number in range(first, last):
            yield Session(
                number=number,
                server=int(self.servers[number]),
                person=int(self.persons[number]),
                starts_at=float(self.starts[number]),
                first_turn=int(self.first_turns[number]),
                turns=int(self.turns[number]),
                history_tokens=int(self.histories[number]),
                is_flood=bool(self.is_flood[number]),
            )

    @property
    def questions_by_hour(self) -> Integers:
        """Count the questions of the sessions that start in each hour of UTC."""
        hours = (self.starts // HOUR).astype(np.int64)
        return np.bincount(hours, weights=self.turns, minlength=24).astype(np.int64)


def draw_day(people: People, *, seed: int) -> Day:
    """Draw a day; the same seed draws the same."""
    chance = np.random.default_rng(seed)
    active = round(people.servers * people.active_share)
    flooding = round(active * people.flooding_share)
    offsets, shares = zip(*people.zones, strict=True)
    zones = np.array(offsets)[chance.choice(len(shares), size=active, p=shares)]
    asked = _draw_sessions(chance, people, zones)
    floods = _draw_floods(chance, people, zones, flooding)
    servers, persons, starts, turns = (np.concatenate(pair) for pair in zip(asked, floods, strict=True))
    is_flood = np.arange(len(servers)) >= len(asked[0])
    order = np.argsort(starts, kind="stable")
    turns = turns[order]
    count = int(turns.sum())
    is_old = chance.random(len(order)) < people.old_share
    return Day(
        people=people,
        servers=servers[order],
        persons=persons[order],
        starts=starts[order],
        first_turns=np.cumsum(turns) - turns,
        turns=turns,
        histories=np.where(is_old, chance.integers(0, _window(people), len(order)), 0),
        is_flood=is_flood[order],
        question_tokens=_draw_tokens(chance, people.question_tokens, people.question_spread, 1000, count),
        reply_tokens=_draw_tokens(chance, people.reply_tokens, people.reply_spread, people.most_reply_tokens, count),
        pauses=chance.lognormal(math.log(people.pause_seconds), people.pause_spread, count),
        questions_of=np.bincount(servers, weights=turns[np.argsort(order)], minlength=active).astype(np.int64),
    )


def _window(people: People, context_tokens: int = 4096) -> int:
    """Count what a history may have in a context of Parley's default size."""
    return context_tokens - people.most_reply_tokens - people.persona_tokens


def _draw_sessions(
    chance: np.random.Generator, people: People, zones: Floats
) -> tuple[Integers, Integers, Floats, Integers]:
    wanted = chance.lognormal(math.log(people.median_questions), people.spread, len(zones))
    wanted = np.minimum(wanted, people.most_questions)
    clusters_of = chance.poisson(wanted / (people.turns * people.together))
    cluster_servers = np.repeat(np.arange(len(zones)), clusters_of)
    cluster_starts = _draw_times(chance, people, zones[cluster_servers])
    sizes = chance.geometric(1 / people.together, len(cluster_servers))
    servers = np.repeat(cluster_servers, sizes)
    is_first = np.zeros(len(servers), dtype=bool)
    is_first[np.cumsum(sizes) - sizes] = True
    later = np.where(is_first, 0.0, chance.exponential(people.joining_seconds, len(servers)))
    starts = (np.repeat(cluster_starts, sizes) + later) % DAY
    persons = chance.integers(0, 1000, len(servers))
    return servers, persons, starts, chance.geometric(1 / people.turns, len(servers))


def _draw_floods(
    chance: np.random.Generator, people: People, zones: Floats, flooding: int
) -> tuple[Integers, Integers, Floats, Integers]:
    """Let the last servers of all flood, beside what people ask there."""
    flooders = np.arange(len(zones) - flooding, len(zones))
    flood_servers = np.repeat(flooders, people.most_questions // people.flood)
    flood_starts = _draw_times(chance, people, zones[flood_servers])
    servers = np.repeat(flood_servers, people.flood)
    starts = np.repeat(flood_starts, people.flood) + chance.uniform(0, people.flood_seconds, len(servers))
    persons = chance.integers(0, people.flood_people, len(servers))
    return servers, persons, starts % DAY, np.ones(len(servers), dtype=np.int64)


def _draw_times(chance: np.random.Generator, people: People, zones: Floats) -> Floats:
    """Draw a time of day in UTC for each of these zones."""
    weights = np.array(people.hours) / sum(people.hours)
    local = chance.choice(24, size=len(zones), p=weights) + chance.random(len(zones))
    return ((local - zones) % 24) * HOUR


def _draw_tokens(chance: np.random.Generator, median: float, spread: float, most: int, count: int) -> Integers:
    return np.clip(chance.lognormal(math.log(median), spread, count), 1, most).astype(np.int64)
