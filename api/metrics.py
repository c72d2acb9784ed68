"""What Prometheus sees. Labels hold routes, statuses, states and kinds; never a token, a name or a text.

Owns: names, meanings and buckets of the metrics. Does not own: measuring (`timings.py`, `pulse.py`), or the dashboard
and the alerts made of them (`docs/monitoring/`).
"""

import asyncio
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from api.allowance import Allowance
from api.errors import Kind
from api.queue import RequestQueue
from api.timings import Timings
from generation.engine import Engine, EngineState
from storage.health import DatabaseHealth

SECONDS_BUCKETS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
LAG_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5)
SPEED_BUCKETS = (1, 2, 5, 10, 20, 35, 50, 75, 100, 150, 250, 500, 1000, 2500)

REFUSALS = {Kind.CALLS_USED: "calls", Kind.BALANCE_SPENT: "llm_tokens", Kind.BUSY: "queue"}
"""What a caller ran into, by the kind of the refusal."""


class Metrics:
    """The metrics of one service, in a registry of its own."""

    def __init__(
        self, *, engine: Engine, queue: RequestQueue, allowance: Allowance, health: DatabaseHealth, slots: int
    ) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self._requests = Counter(
            "parley_requests", "Answered requests", ["method", "route", "status"], registry=registry
        )
        self._seconds = _histogram(
            registry, "parley_request_seconds", "Time from a request's arrival to the end of its reply", ["route"]
        )
        self._waited = _histogram(registry, "parley_queue_wait_seconds", "Time from a charged call to its slot")
        self._first_token = _histogram(
            registry, "parley_first_token_seconds", "Time from a charged call to the first token of its reply"
        )
        self._speed = Histogram(
            "parley_reply_tokens_per_second",
            "Tokens a second of one reply while it was decoded",
            buckets=SPEED_BUCKETS,
            registry=registry,
        )
        llm_tokens = Counter("parley_llm_tokens", "Charged LLM tokens", ["kind"], registry=registry)
        self._spent_on_prompts, self._spent_on_replies = llm_tokens.labels("prompt"), llm_tokens.labels("completion")
        prompt_tokens = Counter(
            "parley_prompt_tokens",
            "Tokens of whole replies' prompts, by where they came from",
            ["source"],
            registry=registry,
        )
        self.hang_ups = Counter("parley_hang_ups", "Callers that left before the reply", registry=registry)
        self._refusals = Counter(
            "parley_refusals", "Requests refused for what they ran into", ["limit"], registry=registry
        )
        self.loop_lag = Histogram(
            "parley_event_loop_lag_seconds",
            "How much later than wanted the event loop woke",
            buckets=LAG_BUCKETS,
            registry=registry,
        )
        _gauge(registry, "parley_queue_waiting", "Requests waiting for a slot").set_function(lambda: queue.waiting)
        _gauge(registry, "parley_queue_running", "Requests holding a slot").set_function(lambda: queue.running)
        _gauge(registry, "parley_slots", "Requests that can hold a slot at the same time").set(slots)
        _gauge(registry, "parley_engine_ready", "1 when the model answers").set_function(
            lambda: engine.status.state is EngineState.READY
        )
        _gauge(registry, "parley_database_ready", "1 when the database took the last write").set_function(
            lambda: health.took_writes
        )
        _gauge(registry, "parley_engine_restarts", "Restarts of the engine since the start").set_function(
            lambda: engine.status.restarts
        )
        _gauge(registry, "parley_open_calls", "Charged calls whose end is not booked yet").set_function(
            lambda: len(allowance.open)
        )
        _gauge(registry, "parley_tasks", "Tasks of the event loop; at rest always as many").set_function(
            lambda: len(asyncio.all_tasks())
        )
        ProcessCollector(registry=registry)
        for limit in REFUSALS.values():
            self._refusals.labels(limit)
        self._cached_tokens, self._computed_tokens = prompt_tokens.labels("cache"), prompt_tokens.labels("computed")
        # Finding a child by its labels takes longer than counting; there are only so many routes and statuses.
        self._count_of = cache(self._requests.labels)
        self._time_of = cache(self._seconds.labels)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request and the time it took."""
        self._count_of(method, route, status).inc()
        self._time_of(route).observe(seconds)

    def spent(self, *, prompt_tokens: int, completion_tokens: int) -> None:
        """Count charged LLM tokens."""
        self._spent_on_prompts.inc(prompt_tokens)
        self._spent_on_replies.inc(completion_tokens)

    def refused(self, kind: Kind) -> None:
        """Count a refusal, if it is one of a limit."""
        if kind in REFUSALS:
            self._refusals.labels(REFUSALS[kind]).inc()

    def called(self, timings: Timings) -> None:
        """Count what is known of a call that has ended."""
        if timings.waited_seconds is not None:
            self._waited.observe(timings.waited_seconds)
        if timings.first_token_seconds is not None:
            self._first_token.observe(timings.first_token_seconds)
        if timings.decoding is not None:
            self._speed.observe(timings.decoding.tokens_per_second)
        if timings.finished is not None:
            cached_tokens = timings.finished.cached_tokens
            self._cached_tokens.inc(cached_tokens)
            self._computed_tokens.inc(max(0, timings.finished.prompt_tokens - cached_tokens))

    def exposition(self) -> bytes:
        """Render the Prometheus text format 0.0.4."""
        return generate_latest(self._registry)


def _gauge(registry: CollectorRegistry, name: str, documentation: str) -> Gauge:
    return Gauge(name, documentation, registry=registry)


def _histogram(
    registry: CollectorRegistry, name: str, documentation: str, labels: list[str] | None = None
) -> Histogram:
    return Histogram(name, documentation, labels or [], buckets=SECONDS_BUCKETS, registry=registry)
