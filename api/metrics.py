"""What Prometheus sees. Labels hold routes, statuses and states; never a token, a name or a text."""

import asyncio

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from api.allowance import Allowance
from api.queue import RequestQueue
from generation.engine import Engine, EngineState

SECONDS_BUCKETS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """The metrics of one service, in a registry of its own."""

    def __init__(self, *, engine: Engine, queue: RequestQueue, allowance: Allowance) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self.requests = Counter(
            "parley_requests", "Answered requests", ["method", "route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "parley_request_seconds",
            "Time from a request's arrival to the end of its reply",
            ["route"],
            buckets=SECONDS_BUCKETS,
            registry=registry,
        )
        self.llm_tokens = Counter("parley_llm_tokens", "Charged LLM tokens", ["kind"], registry=registry)
        self.hang_ups = Counter("parley_hang_ups", "Callers that left before the reply", registry=registry)
        _gauge(registry, "parley_queue_waiting", "Requests waiting for a slot").set_function(lambda: queue.waiting)
        _gauge(registry, "parley_queue_running", "Requests holding a slot").set_function(lambda: queue.running)
        _gauge(registry, "parley_engine_ready", "1 when the model answers").set_function(
            lambda: engine.status.state is EngineState.READY
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

    def exposition(self) -> bytes:
        """Render the Prometheus text format 0.0.4."""
        return generate_latest(self._registry)


def _gauge(registry: CollectorRegistry, name: str, documentation: str) -> Gauge:
    return Gauge(name, documentation, registry=registry)
