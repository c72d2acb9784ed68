"""One request's place in the queue, as its holder sees it: waiting, called or gone, and how far the request is.

Does not own: whose turn it is, the bound and what is foreseen (`queue.py`).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from api.errors import ApiError
from api.expectations import Size
from api.fairness import Request

if TYPE_CHECKING:
    from api.queue import RequestQueue


@dataclass(frozen=True, slots=True)
class Outlook:
    """How many starts up to a place, 1 is next; in about how many whole seconds, None while nothing was measured."""

    position: int
    wait_seconds: int | None


class Place:
    """One request's place, as `RequestQueue.place` gives it; the holder of a slot says here how far the request is."""

    def __init__(self, queue: "RequestQueue", request: Request, size: Size, *, now: Callable[[], float]) -> None:
        self._queue = queue
        self._now = now
        self._is_woken = asyncio.Event()
        self._gave_way: ApiError | None = None
        self._came_at = now()
        self._called_at: float | None = None
        self._first_token_at: float | None = None
        self.request = request
        self.size = size
        self.prompt_tokens: int | None = None
        self._ended_tokens = 0
        self.said_tokens = 0
        self.choices_left = size.choices
        self.is_newcomer = False

    @property
    def is_called(self) -> bool:
        """Say whether a slot is held."""
        return self._called_at is not None

    @property
    def position(self) -> int:
        """How many starts up to this one if nobody else comes: 1 is next, 0 holds a slot."""
        return self._queue.position_of(self)

    @property
    def expected_seconds(self) -> float | None:
        """Estimate how long the slot is away; None while no time was measured."""
        return self._queue.expected_seconds_of(self)

    @property
    def wait_seconds(self) -> int | None:
        """Estimate the same in whole seconds, as people are told it."""
        seconds = self.expected_seconds
        return None if seconds is None else max(1, round(seconds))

    async def outlook(self) -> Outlook | None:
        """Say position and wait as they were foreseen a while ago; None while the request is in no forecast yet.

        Takes no longer at once in a room with thousands, as `position` and `wait_seconds` do.
        """
        return await self._queue.outlook_of(self)

    @property
    def waited_seconds(self) -> float:
        """How long the slot was waited for, or has been until now."""
        return (self._now() if self._called_at is None else self._called_at) - self._came_at

    @property
    def served_seconds(self) -> tuple[float, float]:
        """How long a slot has been held: up to the first token, and from there on."""
        now = self._now()
        called_at = now if self._called_at is None else self._called_at
        first_token_at = now if self._first_token_at is None else self._first_token_at
        return first_token_at - called_at, now - first_token_at

    @property
    def cost_tokens(self) -> int:
        """How many LLM tokens the request has cost so far."""
        return (self.prompt_tokens or 0) + self.reply_tokens

    @property
    def reply_tokens(self) -> int:
        """How many tokens all its replies have so far."""
        return self._ended_tokens + self.said_tokens

    async def turn(self, *, within_seconds: float) -> bool:
        """Wait so long for the slot, and say whether it is held; may be asked again and again.

        Raises the 503 of a place that had to give way.
        """
        if not self._is_woken.is_set():
            # It may be called in the moment in which the time is over.
            with suppress(TimeoutError):
                async with asyncio.timeout(within_seconds):
                    await self._is_woken.wait()
        if self._gave_way is not None:
            raise self._gave_way
        return self.is_called

    def call(self) -> None:
        """Let the holder of this place go on: the slot is theirs."""
        self._called_at = self._now()
        self._is_woken.set()

    def give_way(self, refusal: ApiError) -> None:
        """Let the holder of this place, who waits, go with a 503: its place is another's now."""
        self._gave_way = refusal
        self._is_woken.set()

    @property
    def has_given_way(self) -> bool:
        """Say whether the place is gone."""
        return self._gave_way is not None

    def fitted(self, prompt_tokens: int, *, is_whole: bool) -> None:
        """Say how long the prompt is, and whether it is all of the conversation."""
        self.prompt_tokens = prompt_tokens
        if is_whole:
            self._queue.expectations.learn_prompt(self.size, prompt_tokens)

    def said(self, tokens: int) -> None:
        """Say how many tokens the current reply has taken so far."""
        if self._first_token_at is None:
            self._first_token_at = self._now()
        self.said_tokens = tokens

    def ended(self, tokens: int, *, is_cut: bool) -> None:
        """Say that a reply is whole, and whether it was cut at its bound."""
        self.said(tokens)
        self._queue.expectations.learn_reply(self.request.tenant_id, self.size, tokens=tokens, is_cut=is_cut)
        self._ended_tokens += tokens
        self.said_tokens = 0
        self.choices_left -= 1
