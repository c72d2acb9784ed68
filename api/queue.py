"""Who waits for a slot of the engine, how many may wait, and about how long that will take.

Owns: the bound and everybody's share of it, who gives way, and what is said of places. Does not own: a place as its
holder sees it (`places.py`), whose turn it is (`fairness.py`), what requests cost (`expectations.py`), foreseeing
(`foresight.py`), the slots themselves, which are the engine's, or what a waiting caller is told (`pipeline.py`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from api.errors import busy, gave_way
from api.expectations import Arrivals, Expectations, Size
from api.fairness import FairScheduler, Request
from api.foresight import Foresight, Lasting
from api.places import Outlook, Place

ROOM_SHARE = 3
"""A tenant may have so many times as many requests waiting as places are free (the dynamic threshold of Choudhury and
Hahne, 1998): one alone gets three quarters of the room, the next three quarters of what is left, and so on."""

TYPICAL_SHARE = 0.6
"""The mean of an exponential time is about what it takes in so many of all cases at most."""


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
        self._newcomers = Arrivals()
        self._foresight = Foresight(
            self._scheduler,
            slots=slots,
            lasting=Lasting(running=self._running_requests, seconds_left=self._lasts),
            newcomers=self._newcomers,
            now=now,
        )
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
        if not is_started and not self._has_room(tenant_id, person_id) and self._find_displaced(tenant_id) is None:
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
        self._displace_for(tenant_id)
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

    async def outlook_of(self, place: Place) -> Outlook | None:
        """Give what was foreseen for a place, and foresee anew where that is due and nobody else is at it."""
        forecast = await self._foresight.by_and_by(place.request)
        starts_at = forecast.starts.get(place.request)
        if starts_at is None:
            return None
        wait_seconds = max(1, round(starts_at - self._now())) if self.expectations.knows_times else None
        return Outlook(forecast.positions[place.request], wait_seconds)

    def position_of(self, place: Place) -> int:
        """Count the starts up to a place: 1 is next, 0 holds a slot."""
        return 0 if place.is_called else self._foresight.at_once(place.request).positions[place.request]

    def expected_seconds_of(self, place: Place) -> float | None:
        """Estimate how long the slot is away for a place; None while no time was measured."""
        if not self.expectations.knows_times:
            return None
        starts_at = self._now() if place.is_called else self._foresight.at_once(place.request).starts[place.request]
        return max(0.0, starts_at - self._now())

    def _has_room(self, tenant_id: str, person_id: int | None) -> bool:
        """Say whether a tenant, and a person within it, has less than its share waiting."""
        room = ROOM_SHARE * (self._max_waiting - self.waiting) - self._scheduler.waiting_of(tenant_id)
        if person_id is None:
            return room > 0
        return self._scheduler.waiting_of_person(tenant_id, person_id) < ROOM_SHARE * room

    def _find_displaced(self, tenant_id: str) -> Request | None:
        """Find what has to give way in a full room to a tenant that has nothing waiting."""
        if self.waiting < self._max_waiting or self._scheduler.waiting_of(tenant_id):
            return None
        return self._scheduler.find_displaced()

    def _displace_for(self, tenant_id: str) -> None:
        displaced = self._find_displaced(tenant_id)
        if displaced is not None:
            of_tenant = self._scheduler.waiting_of(displaced.tenant_id)
            refusal = gave_way(of_tenant - 1, self._retry_seconds(displaced.tenant_id))
            self._scheduler.remove(displaced)
            self._places[displaced].give_way(refusal)

    def _retry_seconds(self, tenant_id: str) -> int:
        """Estimate when a refused tenant gets on: when its last request starts, or anybody's where it has none."""
        forecast = self._foresight.at_hand()
        if forecast is None:
            return self._guess_retry_seconds(tenant_id)
        return max(1, round(forecast.last_of.get(tenant_id, forecast.room_at) - self._now()))

    def _guess_retry_seconds(self, tenant_id: str) -> int:
        """Do the same in a large room that filled a moment ago: all requests are taken to be like the newest one."""
        seconds = self._seconds_left(next(reversed(self._places.values())), TYPICAL_SHARE)
        starts = self.waiting if self._scheduler.waiting_of(tenant_id) else 1
        return max(1, round(seconds * starts / self._slots))

    def _fill_slots(self) -> None:
        while self.running < self._slots and (request := self._scheduler.start_next()) is not None:
            self._places[request].call()

    def _leave(self, place: Place, *, is_measured: bool) -> None:
        del self._places[place.request]
        if not place.is_called:
            if not place.has_given_way:
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

    def _running_requests(self) -> list[Request]:
        return [place.request for place in self._places.values() if place.is_called]

    def _lasts(self, request: Request, share: float) -> float:
        """Say the same of a request, which may have left while the schedule is played."""
        place = self._places.get(request)
        return 0.0 if place is None else self._seconds_left(place, share)

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
