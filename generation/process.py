"""One run of the engine's child process.

Owns: spawning it in a session of its own, handing over its settings, keeping the end of what it logs, stopping it with
everything it started, and saying in words why it ended. Does not own: when to start it again (`supervisor.py`).
"""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from generation.child import CANNOT_LOAD, ChildSettings

_TAIL_BYTES = 8192

_WITHHELD = ("DISCORD_", "PARLEY_", "DATABASE_", "HF_", "HUGGING", "LLAMA_", "AIP_")
"""Beginnings of environment names the child does not get: secrets it has no use for, and names that llama.cpp reads as
settings (`LLAMA_ARG_HOST`, `AIP_MODE`), which would work against the ones given."""

_SPINS = "1000"
"""How long llama.cpp's threads (OpenMP's, in the package) spin for each other before they sleep. The default, 300,000,
is ruin on cores shared with anything else: a model of 0.25 billion parameters on two busy cores made 4 tokens/s with it
and 28 with this. https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html"""

_REASONS: Final = (
    (r"unknown model architecture: '([\w.-]{1,40})'", "llama.cpp does not know its architecture, {0}"),
    (r"unknown pre-tokenizer type: '([\w.-]{1,40})'", "llama.cpp does not know its tokenizer, {0}"),
    (r"not within (?:the )?file bounds|corrupted or incomplete|missing tensor", "the file is damaged or not whole"),
    (
        r"failed to load lora adapter|failed to apply lora adapter",
        "llama.cpp does not take an adapter of PARLEY_LORA; use those trained on this model",
    ),
    (r"failed to allocate|unable to allocate|out of memory|bad_alloc|failed to mmap", "there is too little memory"),
    (r"cannot run server binary: ([\w ]{1,60})", "PARLEY_LLAMA_SERVER cannot be run: {0}"),
    (r"(?:invalid argument|unknown argument): ([\w-]{1,40})", "PARLEY_LLAMA_SERVER is too old, it does not know {0}"),
    (
        r"ImportError: (lib[\w.+-]{1,40}): cannot open",
        "the system lacks {0} (on Debian and Ubuntu: apt install libgomp1)",
    ),
    (r"error while loading shared libraries: ([\w.+-]{1,60})", "PARLEY_LLAMA_SERVER lacks a library, {0}"),
    # Last: whatever else the binary said is a better reason.
    (
        r"server binary ended with status (-?\d{1,4})",
        "PARLEY_LLAMA_SERVER ended with status {0} and no reason; is it a llama-server?",
    ),
)


@dataclass(frozen=True, slots=True)
class Launch:
    """What to run: the engine's name for people, the module of its child, and what that is told."""

    engine: str
    module: str
    settings: ChildSettings


class EngineProcess:
    """A child that runs; made by `spawn`. `engine` is its name for people."""

    def __init__(self, process: asyncio.subprocess.Process, engine: str) -> None:
        self._process = process
        self._engine = engine
        self._tail = bytearray()
        self._reading = asyncio.create_task(self._keep_tail())

    @classmethod
    async def spawn(cls, launch: Launch) -> Self:
        """Start the child and tell it what to do."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            launch.module,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=_environment(os.environ),
            # Ctrl-C in the terminal is for the parent, which then lets running replies finish.
            start_new_session=True,
        )
        child = cls(process, launch.engine)
        with contextlib.suppress(ConnectionError):
            assert process.stdin is not None
            process.stdin.write(launch.settings.to_line())
            await process.stdin.drain()
        return child

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its process group."""
        return self._process.pid

    async def wait(self) -> None:
        """Return when the child has ended and all it said was read."""
        await self._process.wait()
        # A server of the operator's own that outlives the child between us would keep its pipe, and its memory.
        self._signal(signal.SIGKILL)
        await asyncio.shield(self._reading)

    async def stop(self, *, grace_seconds: float) -> None:
        """End the child's whole process group: politely, then not."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                await self._process.wait()
        self._signal(signal.SIGKILL)
        await self.wait()

    def explain_end(self) -> str:
        """Say in a phrase why the child ended."""
        return explain_end(self._tail.decode(errors="replace"), self._process.returncode, engine=self._engine)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    async def _keep_tail(self) -> None:
        assert self._process.stderr is not None
        while said := await self._process.stderr.read(4096):
            self._tail += said
            del self._tail[:-_TAIL_BYTES]


def explain_end(said: str, status: int | None, *, engine: str = "llama.cpp") -> str:
    """Say in a phrase why a child ended, from the end of what it logged and its exit status."""
    for pattern, reason in _REASONS:
        if match := re.search(pattern, said):
            return reason.format(*match.groups())
    if status in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return "its process was killed, perhaps for want of memory"
    if status == CANNOT_LOAD:
        return f"{engine} cannot load it"
    if status == -signal.SIGBUS:
        return "the file is damaged or not whole"
    return f"its process ended with status {status}"


def _environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Pass on what a native library may need, and where this package is found when it is not installed."""
    kept = {name: value for name, value in inherited.items() if not name.startswith(_WITHHELD)}
    root = str(Path(__file__).resolve().parent.parent)
    if "OMP_WAIT_POLICY" not in kept:
        kept.setdefault("GOMP_SPINCOUNT", _SPINS)
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, (root, kept.get("PYTHONPATH"))))
    return kept
