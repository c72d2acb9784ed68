"""What a flooder costs everybody else: first come, first served, against the fair queue.

Three measurements. On the real service with the demo model, one tenant sends 100 requests and five others ask once in
between, with either order in turns. Then three hours of mixed lengths in virtual time, where the queue itself runs on a
clock of its own: how long people wait, and how far what they were told is off. Then 2,000 wait at once, and everything
else on the event loop must not notice.

Prints tables and ends in one line of JSON.
"""

import asyncio
import heapq
import json
import random
import statistics
import tempfile
from collections import Counter, deque
from collections.abc import Callable
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from time import perf_counter, process_time, thread_time
from unittest.mock import patch

import aiohttp
from rich.console import Console
from rich.table import Table

from api import foresight, keys, pipeline
from api.errors import ApiError
from api.expectations import Size
from api.fairness import FairScheduler, Request
from api.places import Place
from api.queue import RequestQueue
from generation.launch import LlamaCppConfig
from generation.llama_cpp import LlamaCppEngine
from parley.collector import spare_what_stays
from parley.demo_model import DEMO_NAME, demo_path
from tests.service import Service, running_service

SLOTS = 4
FLOOD = 100
OTHERS = 5
ROUNDS = 2
CROWD = 2000
LAG_SECONDS = 15.0

PROMPT_SECONDS = 0.012
REPLY_SECONDS = 0.1
"""Seconds per token and slot in virtual time: a 1.1-billion-parameter model on two cores, four slots busy."""


class FirstCome(FairScheduler):
    """The order that the service had before: one line for all, no caps."""

    def __init__(self) -> None:
        super().__init__(tenant_slots=SLOTS, now=float)
        self._line: deque[Request] = deque()
        self._runs: set[Request] = set()

    @property
    def running(self) -> int:
        """Count them."""
        return len(self._runs)

    def may_start(self, tenant_id: str) -> bool:
        """Everybody may."""
        del tenant_id
        return True

    def add(self, request: Request) -> None:
        """Take the last place."""
        self._line.append(request)
        self.waiting += 1

    def remove(self, request: Request) -> None:
        """Leave the line."""
        self._line.remove(request)
        self.waiting -= 1

    def start_next(self) -> Request | None:
        """Start the oldest."""
        if not self._line:
            return None
        self.waiting -= 1
        self._runs.add(self._line[0])
        return self._line.popleft()

    def end(self, request: Request, *, cost_tokens: int | None = None) -> None:
        """Free the slot."""
        del cost_tokens
        self._runs.remove(request)

    def copy(self, now: Callable[[], float]) -> "FirstCome":
        """Copy the line."""
        del now
        twin = FirstCome()
        twin.waiting, twin._line, twin._runs = self.waiting, self._line.copy(), self._runs.copy()
        return twin


def in_order(queue: RequestQueue, *, is_fair: bool) -> RequestQueue:
    """Let a new queue be fair, or as it was."""
    if not is_fair:
        queue._scheduler = queue._foresight.scheduler = FirstCome()  # noqa: SLF001 - no part of the product
    return queue


# On the real service.


async def ask(session: aiohttp.ClientSession, service: Service, secret: str, number: int) -> float:
    """Ask for a short reply and give the seconds to its first piece."""
    body = {
        "messages": [{"role": "user", "content": f"Tell me about the number {number}."}],
        "num_predict": 48,
        "stream": True,
        "options": {"temperature": 1.0},
    }
    started = perf_counter()
    headers = {"Authorization": f"Bearer {secret}"}
    async with session.post(f"{service.url}/ai/chat", json=body, headers=headers) as response:
        async for line in response.content:
            if "queue" not in (piece := json.loads(line)):
                assert "error" not in piece, piece
                first = perf_counter() - started
                await response.read()
                return first
    raise AssertionError("no reply")


async def flood(engine: LlamaCppEngine, *, is_fair: bool) -> tuple[list[float], list[float]]:
    """Flood the service once: seconds to the first piece, of the flooder's requests and of the others'."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            running_service(engine, Path(folder), slots=SLOTS, max_waiting=4 * FLOOD) as service,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        ):
            in_order(service.app[keys.PIPELINE].queue, is_fair=is_fair)
            others = [await service.tokens.create(f"other {number}", daily_calls=10) for number in range(OTHERS)]
            flooding = [asyncio.create_task(ask(session, service, service.secret, number)) for number in range(FLOOD)]
            queue = service.app[keys.PIPELINE].queue
            while queue.running + queue.waiting + sum(task.done() for task in flooding) < FLOOD:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            asking = []
            for number, other in enumerate(others):
                asking.append(asyncio.create_task(ask(session, service, other.secret, FLOOD + number)))
                await asyncio.sleep(0.1)
            return await asyncio.gather(*flooding), await asyncio.gather(*asking)


async def measure_service() -> dict[str, float]:
    """Let both orders take turns and give the medians of all rounds."""
    config = LlamaCppConfig(
        model_path=demo_path(), model_name=DEMO_NAME, context_tokens=4096, slots=SLOTS, threads=2, server_binary=None
    )
    engine = LlamaCppEngine(config)
    await engine.start()
    figures: dict[str, list[float]] = {}
    try:
        for _ in range(ROUNDS):
            for name, is_fair in (("fifo", False), ("fair", True)):
                flooder, others = await flood(engine, is_fair=is_fair)
                figures.setdefault(f"{name}_flooder_s", []).extend(flooder)
                figures.setdefault(f"{name}_others_s", []).extend(others)
    finally:
        await engine.close()
    return {name: round(statistics.median(values), 3) for name, values in figures.items()}


# In virtual time.


@dataclass
class Visit:
    """One request of the play: what it asks for, what it will take, and what it was told."""

    tenant: str
    size: Size
    prompt_tokens: int
    reply_tokens: int
    stack: ExitStack = field(default_factory=ExitStack)
    told: list[tuple[float, float]] = field(default_factory=list)
    place: Place | None = None
    came_at: float = 0.0
    seen: int | None = None


class Play:
    """The real queue on a virtual clock. Places and estimates are asked for as the pipeline does, once a second."""

    def __init__(self, *, is_fair: bool) -> None:
        self.now = 0.0
        self.queue = in_order(RequestQueue(slots=SLOTS, max_waiting=1000, now=lambda: self.now), is_fair=is_fair)
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.order = count()
        self.waiting: list[Visit] = []
        self.present: Counter[str] = Counter()
        self.waits: dict[str, list[float]] = {"flooder": [], "others": []}
        self.errors: dict[str, list[float]] = {"flooder": [], "others": []}
        self.starts: list[str] = []
        self.passed: list[int] = []
        self.forecasts: list[tuple[int, float]] = []

    def at(self, when: float, what: Callable[[], None]) -> None:
        """Do something later."""
        heapq.heappush(self.events, (when, next(self.order), what))

    def run(self) -> None:
        """Play to the end."""
        while self.events:
            self.now, _, what = heapq.heappop(self.events)
            what()

    def come(self, visit: Visit) -> None:
        """Take a place and wait."""
        try:
            visit.place = visit.stack.enter_context(
                self.queue.place(tenant_id=visit.tenant, person_id=None, size=visit.size)
            )
        except ApiError:
            return
        visit.came_at = self.now
        visit.seen = None if self.present[visit.tenant] else len(self.starts)
        self.present[visit.tenant] += 1
        self.waiting.append(visit)
        self.at(self.now + 1, lambda: self.tell(visit))
        self.serve_called()

    def tell(self, visit: Visit) -> None:
        """Tell a visitor who waits the estimate, and again in a while."""
        if visit not in self.waiting:
            return
        assert visit.place is not None
        started = process_time()
        expected = visit.place.expected_seconds
        self.forecasts.append((self.queue.waiting, process_time() - started))
        if expected is not None:
            visit.told.append((self.now, max(1, round(expected))))
        self.at(self.now + 5, lambda: self.tell(visit))

    def serve_called(self) -> None:
        """Serve whoever was given a slot."""
        for visit in [each for each in self.waiting if each.place is not None and each.place.is_called]:
            self.waiting.remove(visit)
            self.serve(visit)

    def serve(self, visit: Visit) -> None:
        """Hold the slot for as long as the tokens take."""
        place = visit.place
        assert place is not None
        kind = "flooder" if visit.tenant == "flooder" else "others"
        self.waits[kind].append(self.now - visit.came_at)
        self.errors[kind] += [abs(told - (self.now - at)) / (self.now - at) for at, told in visit.told if self.now > at]
        if kind == "others" and visit.seen is not None:
            self.passed.append(self.starts[visit.seen :].count("flooder"))
        self.starts.append(visit.tenant)
        place.fitted(visit.prompt_tokens, is_whole=True)
        first = self.now + visit.prompt_tokens * PROMPT_SECONDS
        self.at(first, lambda: place.said(1))
        for said in range(10, visit.reply_tokens, 10):
            self.at(first + said * REPLY_SECONDS, lambda said=said: place.said(said))  # type: ignore[misc]
        self.at(first + visit.reply_tokens * REPLY_SECONDS, lambda: self.finish(visit, place))

    def finish(self, visit: Visit, place: Place) -> None:
        """End the reply and leave."""
        place.ended(visit.reply_tokens, is_cut=visit.reply_tokens == visit.size.reply_tokens)
        visit.stack.close()
        self.present[visit.tenant] -= 1
        self.serve_called()


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


def play(*, is_fair: bool, seed: int) -> Play:
    """Play three hours: twenty tenants at two thirds of what the slots can do, and a flooder twice an hour."""
    chance, scene = random.Random(seed), Play(is_fair=is_fair)
    seconds = 0.0
    while (seconds := seconds + chance.expovariate(0.22)) < 3 * 3600:
        visit = mixed(chance, f"tenant {chance.randrange(20)}")
        scene.at(seconds, lambda visit=visit: scene.come(visit))  # type: ignore[misc]
    for half_hour in range(6):
        for _ in range(FLOOD):
            visit = mixed(chance, "flooder")
            scene.at(half_hour * 1800 + 600, lambda visit=visit: scene.come(visit))  # type: ignore[misc]
    scene.run()
    return scene


def summary(scene: Play) -> dict[str, float]:
    """Give what people felt: waits, and how far the estimates were off."""
    waits, errors = scene.waits, scene.errors
    forecasts = [took / waiting for waiting, took in scene.forecasts if took > 1e-4]
    return {
        "flooder_median_s": round(statistics.median(waits["flooder"]), 1),
        "others_median_s": round(statistics.median(waits["others"]), 1),
        "others_p95_s": round(statistics.quantiles(waits["others"], n=20)[-1], 1),
        "flooders_before_most": max(scene.passed),
        "estimates": len(errors["flooder"]) + len(errors["others"]),
        "estimate_error": round(statistics.median(errors["flooder"] + errors["others"]), 3),
        "estimate_error_others": round(statistics.median(errors["others"]), 3),
        "forecast_us_each": round(statistics.median(forecasts) * 1e6, 1),
    }


# A room of thousands.


async def measure_lag(*, waiting: int, tenants: int, in_slices: bool) -> dict[str, float]:
    """Let so many wait and be told their places, as the pipeline does, and measure what else has to wait for that."""
    queue = RequestQueue(slots=SLOTS, max_waiting=2 * waiting)
    size = Size(prompt_bytes=1000, context_tokens=4096, reply_tokens=200)
    lags: list[float] = []

    async def visit(tenant: str, holds_seconds: float) -> None:
        with queue.place(tenant_id=tenant, person_id=None, size=size) as place:
            async with aclosing(pipeline._wait_in_line(place)) as places:  # noqa: SLF001 - the very loop
                async for _ in places:
                    pass
            place.fitted(250, is_whole=True)
            place.said(1)
            await asyncio.sleep(holds_seconds)
            place.ended(100, is_cut=False)

    async def watch() -> None:
        # In time of the processor, which does not count what other programs take.
        while True:
            looked_at = thread_time()
            await asyncio.sleep(0.001)
            lags.append(thread_time() - looked_at)

    with ExitStack() as changes:
        if not in_slices:
            changes.enter_context(patch.object(foresight, "PLAYED_AT_ONCE", 10**9))
        visits = []
        for number in range(waiting + SLOTS):
            visits.append(asyncio.create_task(visit(f"tenant {number % tenants}", 0.2)))
            await asyncio.sleep(0.001)
        spare_what_stays()
        watching = asyncio.create_task(watch())
        ends_at = perf_counter() + LAG_SECONDS
        while perf_counter() < ends_at:
            # As many come as the slots can do.
            await asyncio.sleep(0.2 / SLOTS)
            visits.append(asyncio.create_task(visit(f"tenant {len(visits) % tenants}", 0.2)))
        for task in (watching, *visits):
            task.cancel()
        await asyncio.gather(watching, *visits, return_exceptions=True)
    lags.sort()
    return {"lag_p99_ms": round(lags[int(len(lags) * 0.99)] * 1e3, 1), "lag_most_ms": round(lags[-1] * 1e3, 1)}


def measure_lags() -> dict[str, dict[str, float]]:
    """Measure rooms of many tenants and of few, with forecasts at once and in slices."""
    return {
        f"{tenants} tenants, {name}": asyncio.run(measure_lag(waiting=CROWD, tenants=tenants, in_slices=in_slices))
        for tenants in (20, CROWD)
        for name, in_slices in (("at once", False), ("in slices", True))
    }


def main() -> None:
    """Run all, print the tables, end in JSON."""
    real = asyncio.run(measure_service())
    table = Table("seconds to the first piece, median", "first come", "fair", title=f"{FLOOD} requests at once, real")
    for name in ("flooder", "others"):
        table.add_row(name, str(real[f"fifo_{name}_s"]), str(real[f"fair_{name}_s"]))
    Console().print(table)
    virtual = {name: summary(play(is_fair=is_fair, seed=1)) for name, is_fair in (("fifo", False), ("fair", True))}
    table = Table("", "first come", "fair", title="Mixed lengths, three hours of virtual time")
    for row in virtual["fair"]:
        table.add_row(row, str(virtual["fifo"][row]), str(virtual["fair"][row]))
    Console().print(table)
    lags = measure_lags()
    table = Table("", "p99, ms", "most, ms", title=f"Lag of the event loop, {CROWD} waiting")
    for name, figures in lags.items():
        table.add_row(name, *map(str, figures.values()))
    Console().print(table)
    played = {f"virtual_{name}": virtual[name] for name in virtual}
    print(json.dumps({"benchmark": "fair_queue", "real": real, **played, "lags": lags}))


if __name__ == "__main__":
    main()
