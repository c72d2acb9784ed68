"""llama-servers that a test can start, kill and start again: the packaged one, in processes of their own, on TCP."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import aiohttp

from parley.demo_model import demo_path
from tests.ports import free_port

KEY = "key-of-the-servers"
PROGRAM = Path(__file__).with_name("llama_server_program.py")
CONTEXT_TOKENS = 1024
_START_SECONDS = 60.0


class LlamaServer:
    """One server; `model` is the demo model unless said otherwise."""

    def __init__(
        self,
        *,
        model: Path | None = None,
        slots: int = 2,
        context_tokens: int = CONTEXT_TOKENS,
        adapters: Sequence[Path] = (),
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._arguments = [
            str(model or demo_path()),
            str(self.port),
            str(slots),
            str(context_tokens),
            KEY,
            *map(str, adapters),
        ]
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Return when it answers."""
        null = asyncio.subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, str(PROGRAM), *self._arguments, stdin=null, stdout=null, stderr=null
        )
        async with asyncio.timeout(_START_SECONDS), aiohttp.ClientSession() as session:
            while not await self._answers(session):  # noqa: ASYNC110 - another process decides
                await asyncio.sleep(0.05)

    async def _answers(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"http://127.0.0.1:{self.port}/health") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    async def kill(self) -> None:
        """End it as a crash would. Safe to call twice."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
