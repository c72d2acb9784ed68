"""Parley as its user starts it: a process of its own, a folder of its own, a port of its own."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from click.testing import CliRunner

from parley.cli import main
from parley.settings import known_names
from tests.noon import NOON_ZONE
from tests.ports import free_port
from tests.waiting import PATIENCE_SECONDS

START_SECONDS = 120.0


def environment(**settings: str) -> dict[str, str]:
    """The environment without any setting of Parley, then those given."""
    clean = {name: value for name, value in os.environ.items() if name not in known_names()}
    return {**clean, "NO_COLOR": "1", "COLUMNS": "200", "PARLEY_RESET_ZONE": NOON_ZONE, **settings}


@dataclass(kw_only=True)
class Parley:
    """A started `parley up`."""

    process: asyncio.subprocess.Process
    url: str
    output: Path
    folder: Path

    def printed(self) -> str:
        return self.output.read_text("utf-8")

    def children(self) -> list[psutil.Process]:
        """The live processes beneath this one."""
        return [each for each in psutil.Process(self.process.pid).children(recursive=True) if each.is_running()]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def stopped(self, *, within_seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for its end and return its exit status."""
        async with asyncio.timeout(within_seconds):
            return await self.process.wait()

    async def until_ready(self, *, within_seconds: float = START_SECONDS) -> None:
        """Wait until `/readyz` answers 200; an early end of the process fails with what it printed."""
        async with asyncio.timeout(within_seconds), aiohttp.ClientSession() as session:
            while True:
                assert self.process.returncode is None, self.printed()
                try:
                    async with session.get(f"{self.url}/readyz") as response:
                        if response.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.05)

    async def until_printed(self, text: str, *, within_seconds: float = START_SECONDS) -> str:
        async with asyncio.timeout(within_seconds):
            while text not in self.printed():
                assert self.process.returncode is None, self.printed()
                await asyncio.sleep(0.05)
        return self.printed()


async def until_it_runs(parley: Parley, asking: asyncio.Task[Any]) -> None:
    """Wait until a request holds a slot; a fast machine may be done with it already."""
    async with asyncio.timeout(PATIENCE_SECONDS), aiohttp.ClientSession() as session:
        while not asking.done():
            async with session.get(f"{parley.url}/metrics") as response:
                if "parley_queue_running 1.0" in await response.text():
                    return


@asynccontextmanager
async def started(folder: Path, *arguments: str, **settings: str) -> AsyncIterator[Parley]:
    """Start `parley` in a folder for the block; whatever is left of it is killed afterwards."""
    async with started_as(folder, "-m", "parley", *(arguments or ("up",)), **settings) as running:
        yield running


@asynccontextmanager
async def started_as(folder: Path, *arguments: str, **settings: str) -> AsyncIterator[Parley]:
    """Start Python with the given arguments as `started` starts `parley`."""
    port = free_port()
    output = folder / f"output-{port}.txt"
    with output.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *arguments),
            cwd=folder,
            env=environment(PORT=str(port), **settings),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    running = Parley(process=process, url=f"http://127.0.0.1:{port}", output=output, folder=folder)
    try:
        yield running
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        children: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            children = psutil.Process(process.pid).children(recursive=True)
            process.kill()
        await process.wait()
        psutil.wait_procs(children, timeout=20)


async def run(folder: Path, *arguments: str, **settings: str) -> tuple[int, str, str]:
    """Run one `parley` command to its end: status, standard output, standard error."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "parley", *arguments),
        cwd=folder,
        env=environment(**settings),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def run_here(folder: Path, *arguments: str, **settings: str) -> tuple[int, str, str]:
    """Run `parley` in a folder without a process of its own, which takes seconds; status, output and errors."""
    with contextlib.chdir(folder):
        runner, clean = CliRunner(), dict.fromkeys(known_names())
        result = await asyncio.to_thread(
            runner.invoke, main, arguments, env={**clean, "COLUMNS": "200", "PARLEY_RESET_ZONE": NOON_ZONE, **settings}
        )
    return result.exit_code, result.stdout, result.stderr
