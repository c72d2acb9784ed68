"""Lets requests for one LoRA adapter run together while those for another wait, first come, first served.

llama.cpp's server never computes two adapters in one batch, and goes by the first of the slots at work: until that one
is done, a slot with another adapter stands still, and under steady traffic it may do so for ever. Taking turns here
bounds that wait by the replies that were running or waiting before.

Owns: the order of waiting. Does not own: how many requests run at once (the service's queue).
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class Turns:
    """Who runs and who waits. Where everybody wants the same adapter nobody ever waits."""

    def __init__(self) -> None:
        self._running = 0
        self._current: str | None = None
        self._waiting: deque[tuple[str | None, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def take(self, adapter: str | None) -> AsyncGenerator[None, None]:
        """Wait for this adapter's turn and hold it for the block."""
        if self._waiting or not self._may_run(adapter):
            await self._wait(adapter)
        else:
            self._begin(adapter)
        try:
            yield
        finally:
            self._end()

    async def _wait(self, adapter: str | None) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((adapter, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._admit()
            else:
                # The turn came in the same moment.
                self._end()
            raise

    def _may_run(self, adapter: str | None) -> bool:
        return self._running == 0 or adapter == self._current

    def _begin(self, adapter: str | None) -> None:
        self._current = adapter
        self._running += 1

    def _end(self) -> None:
        self._running -= 1
        self._admit()

    def _admit(self) -> None:
        """Let in whoever waits longest, and those behind them as far as they want the same."""
        while self._waiting:
            adapter, turn = self._waiting[0]
            if not turn.cancelled():
                if not self._may_run(adapter):
                    return
                self._begin(adapter)
                turn.set_result(None)
            self._waiting.popleft()
