"""When those who wait will start: the schedule played forward, with newcomers who come as they came lately.

Owns: the playing, and what can be read off it. Does not own: the order (`fairness.py`, the very code that decides), or
how long a request takes (`expectations.py`).
"""

import heapq
import math
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

from api.fairness import FairScheduler, Request

NEWCOMERS_EACH = 4
"""So many newcomers at most, for each request that waits: where more come than the slots can do, no play would end."""

GOLDEN_SHARE = (math.sqrt(5) - 1) / 2

_NEWCOMER = "newcomer "
"""How the names of their tenants begin, as no tenant's id does."""


@dataclass(slots=True)
class Forecast:
    """What was foreseen at the instant `made_at`.

    `starts` holds who waits, in order, with the instant of their start; `last_of` the last of each tenant's.
    `room_at` is the next instant at which anybody starts or, where nobody waits, a slot is free.
    """

    made_at: float
    room_at: float
    starts: dict[Request, float] = field(default_factory=dict)
    positions: dict[Request, int] = field(default_factory=dict)
    last_of: dict[str, float] = field(default_factory=dict)

    def add(self, request: Request, at: float) -> None:
        """Note the next start."""
        self.starts[request] = at
        self.positions[request] = len(self.starts)
        self.last_of[request.tenant_id] = at


@dataclass(frozen=True, slots=True)
class Newcomers:
    """Requests of tenants that had none waiting, as they came lately: each goes before all but one of a long line."""

    seconds_apart: float
    cost_tokens: int
    service_seconds: float


class _Stage:
    """The time within a play."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


Steps = Generator[None, None, Forecast]
"""A play that can be laid aside after each step; it ends with what it foresees."""


def foresee(steps: Steps, *, until: Callable[[], bool] = lambda: False) -> Forecast | None:
    """Take steps to the end; or, one at least, until it is time for something else: None."""
    try:
        next(steps)
        while not until():
            next(steps)
    except StopIteration as end:
        forecast: Forecast = end.value
        return forecast
    return None


def play(
    scheduler: FairScheduler,
    *,
    slots: int,
    ends_at: Mapping[Request, float],
    lasts: Callable[[Request, float], float],
    newcomers: Newcomers | None,
    now: float,
) -> Steps:
    """Play on from what runs and waits in `scheduler` at the first step; what changes there later changes nothing here.

    `ends_at` holds the expected end of each running request; `lasts` says how many seconds a
    waiting one will run, in a share of all cases at most, which is another one for each.
    """
    stage = _Stage(now)
    ahead = scheduler.copy(stage)
    yield
    order = count()
    # What has taken longer than expected already ends any moment.
    ends = [(max(now, at), next(order), request) for request, at in ends_at.items()]
    heapq.heapify(ends)
    forecast = Forecast(made_at=now, room_at=ends[0][0] if len(ends) >= slots else now)
    coming = _coming(newcomers, now=now, most=NEWCOMERS_EACH * ahead.waiting)
    comes_at, newcomer = next(coming)
    left = ahead.waiting
    while left:
        while ahead.running < slots and (request := ahead.start_next()) is not None:
            if request.tenant_id.startswith(_NEWCOMER):
                assert newcomers is not None
                heapq.heappush(ends, (stage.now + newcomers.service_seconds, next(order), request))
                continue
            left -= 1
            forecast.add(request, stage.now)
            heapq.heappush(ends, (stage.now + lasts(request, spread(left)), next(order), request))
        if ends and ends[0][0] <= comes_at:
            stage.now, _, ended = heapq.heappop(ends)
            ahead.end(ended)
        else:
            stage.now = comes_at
            ahead.add(newcomer)
            comes_at, newcomer = next(coming)
        yield
    return forecast


def spread(number: int) -> float:
    """Give the shares 0 to 1 evenly, in an order in which any few that follow each other are spread out, too."""
    return (0.5 + number * GOLDEN_SHARE) % 1


def _coming(newcomers: Newcomers | None, *, now: float, most: int) -> Iterator[tuple[float, Request]]:
    """Give newcomers at even distances, each a tenant of its own, and at last one that never comes."""
    if newcomers is not None:
        for number in range(most):
            request = Request(f"{_NEWCOMER}{number}", None, newcomers.cost_tokens)
            yield now + (number + 0.5) * newcomers.seconds_apart, request
    yield math.inf, Request(_NEWCOMER, None, 0)
