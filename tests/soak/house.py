"""The process under test, over its lives: started, killed, started again on the same files."""

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from time import monotonic

import psutil

from tests.parley.process import Parley, started
from tests.soak.book import Book

START_SECONDS = 60.0
ORPHAN_SECONDS = 5.0


class House:
    """Parley on one folder. `is_up` is set while it answers."""

    def __init__(self, folder: Path, book: Book, settings: dict[str, str]) -> None:
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self._book = book
        self._settings = {**settings, "TMPDIR": str(self.temporary)}
        self._stack = AsyncExitStack()
        self._parley: Parley | None = None
        self.is_up = asyncio.Event()
        self.lives = 0
        self.outputs: list[Path] = []

    @property
    def database_path(self) -> Path:
        """Where the database lies."""
        return self.folder / "data/parley.db"

    @property
    def url(self) -> str:
        """The address of the life that runs now, or of the last one."""
        assert self._parley is not None
        return self._parley.url

    @property
    def port(self) -> int:
        """The port of that address."""
        return int(self.url.rsplit(":", 1)[1])

    @property
    def process(self) -> psutil.Process:
        """The main process of this life."""
        assert self._parley is not None
        return psutil.Process(self._parley.process.pid)

    @property
    def engines(self) -> list[psutil.Process]:
        """The processes beneath it."""
        return self.process.children(recursive=True)

    async def start(self) -> None:
        """Begin a life."""
        self._parley = await self._stack.enter_async_context(started(self.folder, **self._settings))
        self.outputs.append(self._parley.output)
        await self._parley.until_ready(within_seconds=START_SECONDS)
        self.lives += 1
        self._book.disturbances.append(monotonic())
        self.is_up.set()

    def kill_engine(self) -> None:
        """`kill -9` of whatever runs beneath."""
        self._book.disturbances.append(monotonic())
        self._book.engine_kills.append(monotonic())
        for each in self.engines:
            _kill(each)

    async def kill(self, *, with_engine: bool) -> None:
        """`kill -9` of the whole process, with its engine or without: an orphaned engine has to end by itself."""
        self.is_up.clear()
        self._book.disturbances.append(monotonic())
        self._book.kills.append(monotonic())
        assert self._parley is not None
        engines = self.engines
        for each in [self.process, *(engines if with_engine else ())]:
            _kill(each)
        await self._parley.stopped(within_seconds=10)
        _, alive = await asyncio.to_thread(psutil.wait_procs, engines, timeout=ORPHAN_SECONDS)
        if alive:
            self._book.problem(f"{len(alive)} children outlived their parent")
        await self._stack.aclose()

    async def stop(self) -> None:
        """End the last life as an operator does."""
        self.is_up.clear()
        assert self._parley is not None
        engines = self.engines
        self._parley.signal(signal.SIGTERM)
        status = await self._parley.stopped(within_seconds=20)
        if status != 0:
            self._book.problem(f"the stop ended with status {status}")
        if psutil.wait_procs(engines, timeout=ORPHAN_SECONDS)[1]:
            self._book.problem("the stop left a child")
        await self._stack.aclose()

    async def close(self) -> None:
        """End what still runs. Safe to call at any time."""
        await self._stack.aclose()


def _kill(process: psutil.Process) -> None:
    try:
        os.kill(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        # It ended a moment ago, or the one above it took it along.
        return
