"""What a flooder costs everybody else when several processes serve, each with a fair queue of its own.

In virtual time, where the queues themselves run on a clock of their own. N processes have N times the slots and serve N
times the requests; a balancer gives each request to one of them. First three hours of mixed lengths with a flooder
twice an hour: how long the others wait. Then an hour with two that always want more, one of them small requests by the
dozen and the other one large request after the other, or as many: who gets how many LLM tokens.

Prints tables and ends in one line of JSON.
"""

import json
import random
import statistics
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from zlib import crc32

from rich.console import Console
from rich.table import Table

from api.errors import ApiError
from api.expectations import Size
from api.places import Place
from api.queue import RequestQueue

SLOTS = 4
FLOOD = 100
TENANTS = 20
HOURS = 3
PROCESSES = (1, 2, 4)

PROMPT_SECONDS = 0.012
REPLY_SECONDS = 0.1
"""Seconds per token and slot: a 1.1-billion-parameter model on two cores, four slots busy."""

SMALL, LARGE = (40, 60), (1500, 500)
"""Prompt and reply tokens of a small request and of a large one."""


@dataclass(eq=False)
class Visit:
    """One request: who sends it, and what it takes."""

    tenant: str
    size: Size
    prompt_tokens: int
    reply_tokens: int
    then: Callable[[], None] = lambda: None
    stack: ExitStack = field(default_factory=ExitStack)
    came_at: float = 0.0
    seen: int | None = None


class House:
    """So many processes behind a balancer, on one virtual clock."""

    def __init__(self, processes: int, balance: Callable[[Visit], int]) -> None:
        self.now = 0.0
        self.balance = balance
        self.queues = [RequestQueue(slots=SLOTS, max_waiting=1000, now=lambda: self.now) for _ in range(processes)]
        self.waiting: list[list[tuple[Visit, Place]]] = [[] for _ in range(processes)]
        self.flooders_started = [0] * processes
        self.waits: dict[str, list[float]] = {}
        self.passed: list[int] = []
        self.present: Counter[str] = Counter()
        self.tokens: dict[str, int] = {}
        self.refused: dict[str, int] = {}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def at(self, when: float, what: Callable[[], None]) -> None:
        """Do something later."""
        heappush(self._events, (when, next(self._order), what))

    def run(self, *, until: float) -> None:
        """Play up to a moment."""
        while self._events and self._events[0][0] <= until:
            self.now, _, what = heappop(self._events)
            what()

    def come(self, visit: Visit) -> None:
        """Take a place in the process that the balancer chooses."""
        process = self.balance(visit) % len(self.queues)
        context = self.queues[process].place(tenant_id=visit.tenant, person_id=None, size=visit.size)
        try:
            place = visit.stack.enter_context(context)
        except ApiError:
            self.refused[visit.tenant] = self.refused.get(visit.tenant, 0) + 1
            return
        visit.came_at = self.now
        # What is promised is promised to who asks one thing at a time.
        visit.seen = None if self.present[visit.tenant] else self.flooders_started[process]
        self.present[visit.tenant] += 1
        self.waiting[process].append((visit, place))
        self._serve_called(process)

    def _serve_called(self, process: int) -> None:
        for visit, place in [each for each in self.waiting[process] if each[1].is_called]:
            self.waiting[process].remove((visit, place))
            self._serve(process, visit, place)

    def _serve(self, process: int, visit: Visit, place: Place) -> None:
        self.waits.setdefault(visit.tenant, []).append(self.now - visit.came_at)
        if visit.tenant == "flooder":
            self.flooders_started[process] += 1
        elif visit.seen is not None:
            self.passed.append(self.flooders_started[process] - visit.seen)
        place.fitted(visit.prompt_tokens, is_whole=True)
        first = self.now + visit.prompt_tokens * PROMPT_SECONDS
        self.at(first, lambda: place.said(1))
        self.at(first + visit.reply_tokens * REPLY_SECONDS, lambda: self._finish(process, visit, place))

    def _finish(self, process: int, visit: Visit, place: Place) -> None:
        place.ended(visit.reply_tokens, is_cut=visit.reply_tokens == visit.size.reply_tokens)
        visit.stack.close()
        self.present[visit.tenant] -= 1
        self.tokens[visit.tenant] = self.tokens.get(visit.tenant, 0) + visit.prompt_tokens + visit.reply_tokens
        self._serve_called(process)
        visit.then()


def round_robin() -> Callable[[Visit], int]:
    """Give each process one request after the other, as most balancers do."""
    numbers = count()
    return lambda _visit: next(numbers)


def at_random() -> Callable[[Visit], int]:
    """Give each request to any process, as several balancers side by side do."""
    chance = random.Random(7)
    return lambda _visit: chance.randrange(1 << 16)


def by_tenant() -> Callable[[Visit], int]:
    """Give all requests of a tenant to one process, as a balancer with sticky sessions does."""
    return lambda visit: crc32(visit.tenant.encode())


BALANCERS = {"round robin": round_robin, "random": at_random, "sticky": by_tenant}


def mixed(chance: random.Random, tenant: str) -> Visit:
    """Draw a request of mixed length: short questions to long histories, replies that mostly end by themselves."""
    prompt_bytes = round(min(12_000, chance.lognormvariate(6.5, 1)))
    most = chance.choice([64, 128, 256, 512])
    return Visit(
        tenant=tenant,
        size=Size(prompt_bytes=prompt_bytes, context_tokens=4096, reply_tokens=most),
        prompt_tokens=max(10, round(prompt_bytes * chance.uniform(0.2, 0.3))),
        reply_tokens=max(1, min(most, round(chance.lognormvariate(4.5, 0.7)))),
    )


def flooded(processes: int, balancer: str, *, with_flood: bool = True) -> dict[str, float]:
    """Play the hours: tenants at two thirds of what the slots can do, and a flooder twice an hour."""
    chance, house = random.Random(1), House(processes, BALANCERS[balancer]())
    seconds = 0.0
    while (seconds := seconds + chance.expovariate(0.22 * processes)) < HOURS * 3600:
        visit = mixed(chance, f"tenant {chance.randrange(TENANTS)}")
        house.at(seconds, lambda visit=visit: house.come(visit))  # type: ignore[misc]
    for half_hour in range(2 * HOURS if with_flood else 0):
        for _ in range(FLOOD * processes):
            visit = mixed(chance, "flooder")
            house.at(half_hour * 1800 + 600, lambda visit=visit: house.come(visit))  # type: ignore[misc]
    house.run(until=(HOURS + 2) * 3600)
    flooder = house.waits.pop("flooder", [0.0])
    others = [wait for waits in house.waits.values() for wait in waits]
    return {
        "others_median_s": round(statistics.median(others), 1),
        "others_p95_s": round(statistics.quantiles(others, n=20)[-1], 1),
        "others_p99_s": round(statistics.quantiles(others, n=100)[-1], 1),
        "flooder_median_s": round(statistics.median(flooder), 1),
        "flooders_before_most": max(house.passed),
    }


def contested(processes: int, *, others_waiting: int) -> dict[str, float]:
    """Let a flooder of small requests and somebody with large ones want more for an hour; who gets what."""
    house = House(processes, round_robin())

    def send(tenant: str, tokens: tuple[int, int]) -> None:
        size = Size(prompt_bytes=4 * tokens[0], context_tokens=4096, reply_tokens=tokens[1])
        house.come(Visit(tenant, size, *tokens, then=lambda: send(tenant, tokens)))

    for _ in range(20 * processes):
        house.at(0.0, lambda: send("flooder", SMALL))
    for _ in range(others_waiting):
        house.at(1.0, lambda: send("large", LARGE))
    house.run(until=3600)
    waits = house.waits["large"][1:] or [0.0]
    return {
        "large_share": round(house.tokens["large"] / sum(house.tokens.values()), 3),
        "large_median_wait_s": round(statistics.median(waits), 1),
    }


def main() -> None:
    """Run all, print the tables, end in JSON."""
    console, figures = Console(width=120), {}
    table = Table(title=f"{FLOOD} requests at once for each process; the others' waits in seconds")
    for heading in ("processes", "balancer", "median", "p95", "p99", "flooder", "flooders before one", "calm: p95"):
        table.add_column(heading)
    for processes in PROCESSES:
        for balancer in BALANCERS if processes > 1 else ("round robin",):
            found = flooded(processes, balancer)
            found["calm_p95_s"] = flooded(processes, balancer, with_flood=False)["others_p95_s"]
            figures[f"{processes} {balancer}"] = found
            table.add_row(str(processes), balancer, *map(str, found.values()))
    console.print(table)
    table = Table(title="Small requests without end against large ones, an hour")
    for heading in ("processes", "large ones at a time", "their share of tokens", "median wait"):
        table.add_column(heading)
    for processes in PROCESSES:
        for others_waiting in (1, 8 * processes):
            found = contested(processes, others_waiting=others_waiting)
            figures[f"{processes} contested by {others_waiting}"] = found
            table.add_row(str(processes), str(others_waiting), *map(str, found.values()))
    console.print(table)
    print(json.dumps({"benchmark": "split_fairness", **figures}))


if __name__ == "__main__":
    main()
