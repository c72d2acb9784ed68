"""The end of the time that a run may take, one timer for all of its steps.

`asyncio.timeout` would do for each step, but arming and disarming one costs more than a step of a fast model. Owns: the
timer. Does not own: how long a run may take, or what its caller is told.
"""

import asyncio
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Self, TypeVar

T = TypeVar("T")


class Deadline:
    """Ends whichever step is under way when the time is up, and refuses later ones. A block, around all steps.

    Between two steps nothing is cut short: there the reader of the steps is at work.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._is_over = False
        self._stepping: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._end)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._timer is not None
        self._timer.cancel()

    async def step(self, events: AsyncGenerator[T, None]) -> T:
        """Take the next event; raises `TimeoutError` when the time is up before it comes."""
        if self._is_over:
            raise TimeoutError
        task = asyncio.current_task()
        assert task is not None, "steps are taken in tasks"
        cancelled_before = task.cancelling()
        self._stepping = task
        try:
            return await anext(events)
        except asyncio.CancelledError:
            # Another one's cancellation beside ours goes on being one.
            if self._was_ended(task) and task.cancelling() <= cancelled_before:
                raise TimeoutError from None
            raise
        finally:
            self._was_ended(task)

    def _end(self) -> None:
        self._is_over = True
        if self._stepping is not None:
            self._stepping.cancel()

    def _was_ended(self, task: asyncio.Task[object]) -> bool:
        """Leave the step; says whether the timer cancelled it, and takes that cancellation back."""
        is_ended = self._stepping is not None and self._is_over
        self._stepping = None
        if is_ended:
            task.uncancel()
        return is_ended
