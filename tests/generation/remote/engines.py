"""How the tests of this folder make a remote engine, as the wiring does it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from generation.remote.address import read_addresses
from generation.remote.cluster import Cluster
from generation.remote.engine import RemoteEngine
from generation.remote.learn import RemoteConfig, learn
from generation.remote.replica import Watching
from generation.remote.wire import Patience
from tests.generation.remote.llama_servers import KEY

QUICK = Watching(every=0.2, answer_within=10.0)


def config_for(*urls: str, **changes: Any) -> RemoteConfig:
    """The settings of a test: watched closely, given up on soon."""
    values: dict[str, Any] = {
        "addresses": read_addresses(",".join(urls)),
        "model": None,
        "context_tokens": 1024,
        "slots": 4,
        "api_key": KEY,
        "patience": Patience(connect=5.0, document=15.0, first_piece=30.0, next_piece=15.0),
        "watching": QUICK,
        "start_seconds": 0.0,
    }
    return RemoteConfig(**{**values, **changes})


@asynccontextmanager
async def running_engine(config: RemoteConfig) -> AsyncIterator[tuple[RemoteEngine, Cluster]]:
    """An engine for the block, and what was learned before it started."""
    cluster = await learn(config)
    engine = RemoteEngine(config, cluster)
    await engine.start()
    try:
        yield engine, cluster
    finally:
        await engine.close()
