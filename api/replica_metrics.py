"""What Prometheus sees of an engine's servers, where there are several. The label is their place in the settings.

Owns: these four metrics. Does not own: the counting, which is the engine's (`EngineStatus.replicas`).
"""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from generation.engine import Engine

_LABELS = ("replica",)


class ReplicaCollector(Collector):
    """Reads the engine's status at each scrape; without replicas there are names and no samples."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def describe(self) -> list[Metric]:
        """Say nothing beforehand: an engine that has not started has no status to read."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield a sample for each replica."""
        up = GaugeMetricFamily("parley_replica_up", "1 when an engine server takes requests", labels=_LABELS)
        running = GaugeMetricFamily("parley_replica_running", "Replies in the making there", labels=_LABELS)
        replies = CounterMetricFamily("parley_replica_replies", "Replies that were made there", labels=_LABELS)
        failures = CounterMetricFamily("parley_replica_failures", "Requests that it failed", labels=_LABELS)
        for each in self._engine.status.replicas:
            place = (str(each.number),)
            up.add_metric(place, float(each.is_up))
            running.add_metric(place, each.running)
            replies.add_metric(place, each.replies)
            failures.add_metric(place, each.failures)
        yield from (up, running, replies, failures)
