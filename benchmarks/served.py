"""The real service in a process of its own, pinned to a core, for the benchmarks that put load on it.

`python -m benchmarks.served ENGINE` runs it until its standard input ends; ENGINE is `instant` or `demo`. `--core` pins
it, `--cache-mib` bounds what the engine keeps of prompts in memory, `--database` is the URL of one that others may use,
too. Beside it stands, on a port of its own, the least that aiohttp can do: a handler that answers a constant.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from aiohttp import web

from benchmarks.instant_engine import InstantEngine
from generation import launch
from generation.engine import Engine
from generation.launch import LlamaCppConfig
from generation.llama_cpp import LlamaCppEngine
from parley.collector import spare_what_stays
from parley.demo_model import DEMO_NAME, demo_path
from parley.logs import configure_logging
from tests.service import running_service

SLOTS = 4
BARE_REPLY = json.dumps({"message": {"role": "assistant", "content": "Hello there."}, "done": True})


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Where the service and the bare handler listen on 127.0.0.1, and which processes they are."""

    port: int
    bare_port: int
    secret: str
    service_pid: int
    engine_pid: int | None


@contextmanager
def served(
    engine: str, *, core: int | None = None, cache_mib: int | None = None, database: str | None = None
) -> Iterator[Served]:
    """Run the service for the block; what it logs is written to a file, as an operator's would be."""
    given = {"--core": core, "--cache-mib": cache_mib, "--database": database}
    options = [f"{name}={value}" for name, value in given.items() if value is not None]
    command = [sys.executable, "-m", "benchmarks.served", engine, *options]
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)  # noqa: S603 - ourselves
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            yield Served(**json.loads(child.stdout.readline()))
        finally:
            child.stdin.close()
            child.wait()
            child.stdout.close()


async def _bare(_: web.Request) -> web.Response:
    return web.json_response(text=BARE_REPLY)


async def _serve(engine_name: str, database: str | None) -> None:
    engine: Engine = InstantEngine()
    if engine_name == "demo":
        engine = LlamaCppEngine(
            LlamaCppConfig(model_path=demo_path(), model_name=DEMO_NAME, context_tokens=1024, slots=SLOTS, threads=1)
        )
    await engine.start()
    bare = web.Application()
    bare.router.add_post("/ai/chat", _bare)
    runner = web.AppRunner(bare, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            async with running_service(
                engine, Path(folder), database_url=database, daily_calls=10**9, slots=SLOTS
            ) as service:
                ready = Served(
                    port=int(service.url.rpartition(":")[2]),
                    bare_port=runner.addresses[0][1],
                    secret=service.secret,
                    service_pid=os.getpid(),
                    engine_pid=getattr(engine, "child_pid", None),
                )
                spare_what_stays()
                print(json.dumps(asdict(ready)), flush=True)
                await asyncio.to_thread(sys.stdin.buffer.read)
    finally:
        await runner.cleanup()
        await engine.close()


def main() -> None:
    """Pin this process, then serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("engine", choices=["instant", "demo"])
    parser.add_argument("--core", type=int)
    parser.add_argument("--cache-mib", type=int)
    parser.add_argument("--database")
    options = parser.parse_args()
    if options.cache_mib is not None:
        launch.choose_cache_mib = lambda total_bytes: options.cache_mib  # noqa: ARG005 - its name is part of the type
    if options.core is not None:
        os.sched_setaffinity(0, {options.core})
    configure_logging()
    asyncio.run(_serve(options.engine, options.database))


if __name__ == "__main__":
    main()
