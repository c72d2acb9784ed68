"""One request at a time per conversation, first come, first served; conversations do not wait for each other.

Owns: places in line, the bound on them, and ending them at shutdown. Does not own: what is done in a turn.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from bot.errors import LaneFullError, ShuttingDownError

MAX_WAITING = 16
"""Open requests per conversation; at a few seconds each, whoever is behind them would rather ask later."""


SECONDS_TO_SAY_SO = 2.0
"""How long those whose turn is ended at shutdown have to tell their person."""


class Place:
    """One place in a lane."""

    def __init__(self) -> None:
        self._is_first = asyncio.Event()
        self._is_ended = False
        self._deadline: asyncio.Timeout | None = None

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until everybody ahead has left, then run the block. Raises `ShuttingDownError` when it is ended."""
        if self._is_ended:
            raise ShuttingDownError
        deadline = self._deadline = asyncio.timeout(None)
        try:
            async with deadline:
                await self._is_first.wait()
                yield
        except TimeoutError:
            if deadline.expired():
                raise ShuttingDownError from None
            raise
        finally:
            self._deadline = None

    def call(self) -> None:
        """Let this place's holder begin."""
        self._is_first.set()

    def end(self) -> None:
        """End the turn, waiting or begun."""
        self._is_ended = True
        if self._deadline is not None:
            self._deadline.reschedule(asyncio.get_running_loop().time())


class Lanes:
    """The lanes that have somebody in them; an empty lane is forgotten at once."""

    def __init__(self, *, max_waiting: int = MAX_WAITING) -> None:
        self._max_waiting = max_waiting
        self._lanes: dict[str, deque[Place]] = {}
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._lanes)

    @contextmanager
    def place(self, key: str) -> Iterator[Place]:
        """Take the next place in a lane and leave it at the end of the block.

        Taking it awaits nothing, so the order of calls is the order of turns. Raises `LaneFullError` or, once
        `close` was called, `ShuttingDownError`.
        """
        place = self._take(key)
        try:
            yield place
        finally:
            self._leave(key, place)

    def _take(self, key: str) -> Place:
        if self._is_closed:
            raise ShuttingDownError
        lane = self._lanes.get(key, deque())
        if len(lane) > self._max_waiting:
            raise LaneFullError(waiting=len(lane))
        place = Place()
        lane.append(place)
        self._lanes[key] = lane
        self._is_idle.clear()
        lane[0].call()
        return place

    def _leave(self, key: str, place: Place) -> None:
        lane = self._lanes[key]
        lane.remove(place)
        if lane:
            lane[0].call()
            return
        del self._lanes[key]
        if not self._lanes:
            self._is_idle.set()

    async def close(self, *, drain_seconds: float) -> None:
        """Take nobody new, let those inside finish for a while, then end what is left.

        What is ended raises `ShuttingDownError`, not a cancellation, so that it can still tell its person.
        """
        self._is_closed = True
        if await self._idle_within(drain_seconds):
            return
        for lane in self._lanes.values():
            for place in lane:
                place.end()
        await self._idle_within(SECONDS_TO_SAY_SO)

    async def _idle_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._is_idle.wait()
        except TimeoutError:
            return False
        return True
