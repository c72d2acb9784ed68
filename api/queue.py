"""Who waits for a slot of the engine, how many may wait, and about how long that will take.

Owns: the bound and everybody's share of it, being called, leaving, places and estimates. Does not own: whose turn it is
(`fairness.py`), what requests cost (`expectations.py`), the slots themselves, which are the engine's, or what a waiting
caller is told (`pipeline.py`).
"""

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from api.errors import busy
from api.expectations import Arrivals, Expectations, Size
from api.fairness import FairScheduler, Request
from api.forecast import Forecast, Newcomers, foresee

ROOM_SHARE = 3
"""A tenant may have so many times as many requests waiting as places are free (the dynamic threshold of Choudhury and
Hahne, 1998): one alone gets three quarters of the room, the next three quarters of what is left, and so on."""

FORECAST_AGE_SECONDS = 0.005
"""How old a forecast may be, for each request that waits; making it takes about a hundredth of that."""


class Place:
    """One request's place, as `RequestQueue.place` gives it; the holder of a slot says here how far the request is."""

    def __init__(self, queue: "RequestQueue", request: Request, size: Size, *, now: Callable[[], float]) -> None:
        self._queue = queue
        self._now = now
        self._is_called = asyncio.Event()
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
        return self._is_called.is_set()

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
        """Wait so long for the slot, and say whether it is held; may be asked again and again."""
        if self._is_called.is_set():
            return True
        try:
            async with asyncio.timeout(within_seconds):
                await self._is_called.wait()
        except TimeoutError:
            # It may have been called in the same moment.
            return self._is_called.is_set()
        return True

    def call(self) -> None:
        """Let the holder of this place go on: the slot is theirs."""
        self._called_at = self._now()
        self._is_called.set()

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


class RequestQueue:
    """At most `slots` requests run, at most `max_waiting` wait; more are refused at once.

    While others are about, a tenant holds at most `tenant_slots`; None is all but one. `now` gives seconds.
    """

    def __init__(
        self, *, slots: int, max_waiting: int, tenant_slots: int | None = None, now: Callable[[], float] = monotonic
    ) -> None:
        self._now = now
        self._slots = slots
        self._max_waiting = max_waiting
        self._scheduler = FairScheduler(
            tenant_slots=max(1, slots - 1) if tenant_slots is None else tenant_slots, now=now
        )
        self._places: dict[Request, Place] = {}
        self._forecast = Forecast(made_at=-math.inf, room_at=-math.inf)
        self._newcomers = Arrivals()
        self.expectations = Expectations()

    @property
    def waiting(self) -> int:
        """Count the requests that wait."""
        return self._scheduler.waiting

    @property
    def running(self) -> int:
        """Count the requests that hold a slot."""
        return self._scheduler.running

    def check_room(self, *, tenant_id: str, person_id: int | None) -> None:
        """Raise the 503 when a request that came now would be refused."""
        is_started = self.running < self._slots and self._scheduler.may_start(tenant_id)
        if not is_started and not self._has_room(tenant_id, person_id):
            of_tenant = self._scheduler.waiting_of(tenant_id)
            is_own = self.waiting < self._max_waiting
            raise busy(of_tenant if is_own else self.waiting, self._retry_seconds(tenant_id), is_own=is_own)

    @contextmanager
    def place(self, *, tenant_id: str, person_id: int | None, size: Size) -> Iterator[Place]:
        """Take a place, and leave it at the end of the block, waiting or holding a slot.

        Taking it awaits nothing, so the order of calls is the order of turns among requests of one person.
        Raises the 503 of a queue in which there is no room for this tenant and person.
        """
        self.check_room(tenant_id=tenant_id, person_id=person_id)
        request = Request(tenant_id, person_id, self.expectations.cost_tokens(tenant_id, size))
        place = self._places[request] = Place(self, request, size, now=self._now)
        if not self._scheduler.waiting_of(tenant_id):
            place.is_newcomer = True
            self._newcomers.note(self._now())
        self._scheduler.add(request)
        self._fill_slots()
        is_measured = True
        try:
            yield place
        except Exception:
            # What failed does not say how long a slot is held; a reply that its caller gave up does.
            is_measured = False
            raise
        finally:
            self._leave(place, is_measured=is_measured)

    def position_of(self, place: Place) -> int:
        """Count the starts up to a place: 1 is next, 0 holds a slot."""
        return 0 if place.is_called else self._foresee(place.request).positions[place.request]

    def expected_seconds_of(self, place: Place) -> float | None:
        """Estimate how long the slot is away for a place; None while no time was measured."""
        if not self.expectations.knows_times:
            return None
        starts_at = self._now() if place.is_called else self._foresee(place.request).starts[place.request]
        return max(0.0, starts_at - self._now())

    def _has_room(self, tenant_id: str, person_id: int | None) -> bool:
        """Say whether a tenant, and a person within it, has less than its share waiting."""
        room = ROOM_SHARE * (self._max_waiting - self.waiting) - self._scheduler.waiting_of(tenant_id)
        if person_id is None:
            return room > 0
        return self._scheduler.waiting_of_person(tenant_id, person_id) < ROOM_SHARE * room

    def _retry_seconds(self, tenant_id: str) -> int:
        """Estimate when a refused tenant gets on: when its last request starts, or anybody's where it has none."""
        forecast = self._foresee()
        return max(1, round(forecast.last_of.get(tenant_id, forecast.room_at) - self._now()))

    def _fill_slots(self) -> None:
        while self.running < self._slots and (request := self._scheduler.start_next()) is not None:
            self._places[request].call()

    def _leave(self, place: Place, *, is_measured: bool) -> None:
        del self._places[place.request]
        if not place.is_called:
            self._scheduler.remove(place.request)
            return
        if is_measured:
            self._learn(place)
        self._scheduler.end(place.request, cost_tokens=place.cost_tokens)
        self._fill_slots()

    def _learn(self, place: Place) -> None:
        if place.said_tokens:
            # Its caller left in the middle of it, which ends it like any other.
            place.ended(place.said_tokens, is_cut=False)
        if place.reply_tokens:
            prompt_seconds, reply_seconds = place.served_seconds
            self.expectations.learn_seconds(
                prompt_tokens=place.prompt_tokens or 0,
                prompt_seconds=prompt_seconds,
                reply_tokens=place.reply_tokens,
                reply_seconds=reply_seconds,
            )
            if place.is_newcomer:
                self._newcomers.learn(cost_tokens=place.cost_tokens, seconds=prompt_seconds + reply_seconds)

    def _foresee(self, request: Request | None = None) -> Forecast:
        """Play the schedule forward, or find what was foreseen a moment ago; `request` is one that must be in it."""
        now = self._now()
        is_fresh = now - self._forecast.made_at < FORECAST_AGE_SECONDS * self.waiting
        if not is_fresh or (request is not None and request not in self._forecast.starts):
            self._forecast = foresee(
                self._scheduler,
                slots=self._slots,
                ends_at={
                    place.request: now + self._seconds_left(place, (number + 0.5) / self.running)
                    for number, place in enumerate(self._running_places())
                },
                lasts=lambda request, share: self._seconds_left(self._places[request], share),
                newcomers=self._expect_newcomers(now),
                now=now,
            )
        return self._forecast

    def _expect_newcomers(self, now: float) -> Newcomers | None:
        expected = self._newcomers.expect(now)
        if expected is None:
            return None
        seconds_apart, cost_tokens, service_seconds = expected
        return Newcomers(seconds_apart, round(cost_tokens), service_seconds)

    def _running_places(self) -> Iterator[Place]:
        return (place for place in self._places.values() if place.is_called)

    def _seconds_left(self, place: Place, share: float) -> float:
        """Say how long a place will hold its slot, or go on holding it, in `share` of all cases at most."""
        expect, tenant_id, size = self.expectations, place.request.tenant_id, place.size
        prompt_tokens = expect.prompt_tokens(size) if place.prompt_tokens is None else place.prompt_tokens
        reply_tokens = expect.reply_tokens_at(
            tenant_id, size, share, prompt_tokens=prompt_tokens, said_tokens=place.said_tokens
        )
        if place.choices_left > 1:
            reply_tokens += (place.choices_left - 1) * expect.reply_tokens(tenant_id, size, prompt_tokens=prompt_tokens)
        prompt_seconds = 0.0 if place.reply_tokens else expect.seconds(prompt_tokens, 0) - place.served_seconds[0]
        return max(0.0, prompt_seconds) + expect.seconds(0, reply_tokens)
