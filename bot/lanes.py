"""One request at a time per conversation, first come, first served; conversations do not wait for each other.

Owns: places in line, the bound on them, and ending what is done at a place from outside (stopped, withdrawn, shut
down). Does not own: what is done there.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import copy_context
from time import monotonic

from bot.errors import LaneFullError, RefusedError, ShuttingDownError

MAX_WAITING = 16
"""Open requests per conversation; at a few seconds each, whoever is behind them would rather ask later."""

SECONDS_TO_SAY_SO = 2.0
"""How long those whose turn is ended at shutdown have to tell their person."""

SECONDS_TO_LEAVE = 1.0
"""How long those who were not done with that have to end after a cancellation."""

SMOOTHING = 0.2
"""Weight of the newest turn in the running mean of their lengths."""


class Place:
    """One place in a lane."""

    def __init__(self, on_move: Callable[[int], None] | None) -> None:
        self._on_move = on_move
        # Whoever leaves says how the others move on, each of them in the language of its own task.
        self._context = copy_context()
        self._holder = asyncio.current_task()
        self._is_first = asyncio.Event()
        self._reason: RefusedError | None = None
        self._deadline: asyncio.Timeout | None = None

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until everybody ahead has left, then run the block. Raises the error of `end`."""
        async with self.interruptible():
            await self.reached()
            yield

    async def reached(self) -> None:
        """Wait until everybody ahead has left."""
        await self._is_first.wait()

    @asynccontextmanager
    async def interruptible(self) -> AsyncIterator[None]:
        """Run the block until `end` is called; raises the error given there, at once if it was called before."""
        if self._reason is not None:
            raise self._reason
        deadline = self._deadline = asyncio.timeout(None)
        try:
            async with deadline:
                yield
        except TimeoutError:
            self._explain(deadline)
            raise
        finally:
            self._deadline = None

    def _explain(self, deadline: asyncio.Timeout) -> None:
        """Raise the error of `end` if it was `end` that let the deadline pass."""
        if self._reason is not None and deadline.expired():
            raise self._reason from None

    def call(self) -> None:
        """Let this place's holder begin."""
        self._is_first.set()

    def move_to(self, position: int) -> None:
        """Say how far the front is: 1 is next."""
        if self._on_move is not None:
            self._context.run(self._on_move, position)

    def cancel(self) -> None:
        """Cancel the task that took this place."""
        if self._holder is not None:
            self._holder.cancel()

    def end(self, reason: RefusedError) -> None:
        """End what is done at this place, waiting or begun, with an error; only the first call counts."""
        if self._reason is not None:
            return
        self._reason = reason
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
        self.mean_turn_seconds: float | None = None

    def __len__(self) -> int:
        return len(self._lanes)

    @contextmanager
    def place(self, key: str, *, on_move: Callable[[int], None] | None = None) -> Iterator[Place]:
        """Take the next place in a lane and leave it at the end of the block.

        Taking it awaits nothing, so the order of calls is the order of turns. `on_move` is told the place in line
        whenever it changes, from 1 for the next; not when the turn has come. Raises `LaneFullError` or, once `close`
        was called, `ShuttingDownError`.
        """
        place = self._take(key, on_move)
        try:
            yield place
        finally:
            self._leave(key, place)

    def _take(self, key: str, on_move: Callable[[int], None] | None) -> Place:
        if self._is_closed:
            raise ShuttingDownError
        lane = self._lanes.get(key, deque())
        if len(lane) > self._max_waiting:
            raise LaneFullError(waiting=len(lane))
        place = Place(on_move)
        lane.append(place)
        self._lanes[key] = lane
        self._is_idle.clear()
        if len(lane) == 1:
            place.call()
        else:
            place.move_to(len(lane) - 1)
        return place

    def _leave(self, key: str, place: Place) -> None:
        lane = self._lanes[key]
        behind = lane.index(place)
        lane.remove(place)
        if not lane:
            del self._lanes[key]
            if not self._lanes:
                self._is_idle.set()
            return
        if behind == 0:
            lane[0].call()
        for position in range(max(1, behind), len(lane)):
            lane[position].move_to(position)

    def note_turn(self, started_at: float) -> None:
        """Count a turn that began at that time of `time.monotonic` into the mean."""
        seconds = monotonic() - started_at
        mean = self.mean_turn_seconds
        self.mean_turn_seconds = seconds if mean is None else mean + SMOOTHING * (seconds - mean)

    async def close(self, *, drain_seconds: float) -> None:
        """Take nobody new, let those inside finish for a while, then end what is left.

        What is ended raises `ShuttingDownError`, not a cancellation, so that it can still tell its person; what hangs
        in that, too, is cancelled.
        """
        self._is_closed = True
        if await self._idle_within(drain_seconds):
            return
        for place in self._places():
            place.end(ShuttingDownError())
        if await self._idle_within(SECONDS_TO_SAY_SO):
            return
        for place in self._places():
            place.cancel()
        await self._idle_within(SECONDS_TO_LEAVE)

    def _places(self) -> list[Place]:
        return [place for lane in self._lanes.values() for place in lane]

    async def _idle_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._is_idle.wait()
        except TimeoutError:
            return False
        return True
