"""The replies that are being written now, found by the Discord messages they belong to.

Owns: who may find a running reply, and the two ways to end one from outside. Does not own: writing (`answering.py`).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bot.errors import StoppedError, WithdrawnError
from bot.lanes import Place


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Running:
    """One reply; `message_ids` says which Discord messages it stands in so far."""

    place: Place
    asker_id: int
    question_message_id: int | None
    message_ids: Callable[[], Sequence[int]]

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
    def entry(self, running: Running) -> Iterator[Running]:
        """Let a reply be found for the block."""
        self._running.add(running)
        try:
            yield running
        finally:
            self._running.discard(running)

    def find(self, message_id: int) -> Running | None:
        """Return the reply that stands in a Discord message."""
        return next((each for each in self._running if message_id in each.message_ids()), None)

    def cancel_by_message(self, message_id: int) -> bool:
        """Withdraw the reply whose question or own message was deleted; says whether there was one."""
        found = [
            each for each in self._running if message_id == each.question_message_id or message_id in each.message_ids()
        ]
        for each in found:
            each.withdraw()
        return bool(found)
