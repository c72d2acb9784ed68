"""The replies that are being written now, found by the Discord messages they belong to.

Owns: who may find a running reply, and the two ways to end one from outside. Does not own: writing (`answering.py`).
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from bot.errors import StoppedError, WithdrawnError
from bot.lanes import Place


@dataclass(slots=True, kw_only=True, eq=False)
class Running:
    """One reply of `asker_id` in a channel; `message_ids` says which Discord messages it stands in so far.

    `is_written` once the model is done with it. `ended` is set when it stands and it is written down where.
    """

    place: Place
    asker_id: int
    channel_id: int
    question_message_id: int | None
    message_ids: Callable[[], Sequence[int]]
    is_written: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self) -> None:
        """End it and keep what has come."""
        self.place.end(StoppedError())

    def withdraw(self) -> None:
        """End it and keep nothing: its question or itself was deleted."""
        self.place.end(WithdrawnError())


class RunningReplies:
    """Everything that is being written by this process."""

    def __init__(self) -> None:
        self._running: set[Running] = set()

    def __len__(self) -> int:
        return len(self._running)

    @contextmanager
    def entry(self, running: Running) -> Iterator[None]:
        """Let a reply be found for the block."""
        self._running.add(running)
        try:
            yield
        finally:
            self._running.discard(running)
            running.ended.set()

    def message_ids(self) -> list[int]:
        """Return the Discord messages in which replies are being written."""
        return [message_id for each in self._running for message_id in each.message_ids()]

    def find(self, message_id: int) -> Running | None:
        """Return the reply that stands in a Discord message."""
        return next((each for each in self._running if message_id in each.message_ids()), None)

    async def is_settled(self, message_id: int) -> bool:
        """Say whether no reply is being written in a Discord message; one that is just being finished is waited for."""
        running = self.find(message_id)
        if running is None:
            return True
        if running.is_written:
            await running.ended.wait()
        return running.is_written

    def cancel_by_message(self, message_id: int) -> None:
        """Withdraw the replies whose question or own message was deleted."""
        for each in tuple(self._running):
            if message_id in (each.question_message_id, *each.message_ids()):
                each.withdraw()

    def cancel_by_channels(self, channel_ids: Collection[int]) -> list[Running]:
        """Withdraw the replies in channels that were deleted; returns them, as one may still be kept at this moment."""
        there = [each for each in self._running if each.channel_id in channel_ids]
        for each in there:
            each.withdraw()
        return there
