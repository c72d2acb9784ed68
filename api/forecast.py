"""When those who wait will start: the schedule played forward, as if nobody else came.

Owns: the playing, and what can be read off it. Does not own: the order (`fairness.py`, the very code that decides), or
how long a request takes (`expectations.py`).
"""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count

from api.fairness import FairScheduler, Request


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


class _Stage:
    """The time within a play."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def foresee(
    scheduler: FairScheduler,
    *,
    slots: int,
    ends_at: Mapping[Request, float],
    lasts: Callable[[Request], float],
    now: float,
) -> Forecast:
    """Play on from what runs and waits in `scheduler`, which stays as it is.

    `ends_at` holds the expected end of each running request; `lasts` says how many seconds a waiting one will run.
    """
    stage = _Stage(now)
    play = scheduler.copy(stage)
    order = count()
    # What has taken longer than expected already ends any moment.
    ends = [(max(now, at), next(order), request) for request, at in ends_at.items()]
    heapq.heapify(ends)
    forecast = Forecast(made_at=now, room_at=ends[0][0] if len(ends) >= slots else now)
    while play.waiting:
        while play.running < slots and (request := play.start_next()) is not None:
            forecast.add(request, stage.now)
            heapq.heappush(ends, (stage.now + lasts(request), next(order), request))
        if play.waiting:
            stage.now, _, ended = heapq.heappop(ends)
            play.end(ended)
    return forecast
