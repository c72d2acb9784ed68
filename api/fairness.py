"""Who is next: deficit round robin over tenants, and over the people within each, in LLM tokens.

Owns: the order, the cap of running requests per tenant, corrections of what was expected. Does not own: taking turns
(`turns.py`), slots, callers and the bound (`queue.py`), or what a request will probably cost (`expectations.py`). It
awaits nothing and asks `now` for the time, so that a simulation runs the very same code.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from api.turns import QUANTUM_TOKENS, Party, PartyKey, Ring

ALONE_SECONDS = 600.0
"""A tenant is alone when no other's request came or ended for so long: then the cap would only waste slots."""


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """One request, waiting or running, with what it will probably cost; no two are equal."""

    tenant_id: str
    person_id: int | None
    cost_tokens: int


class Person(Party):
    """Somebody's waiting requests, in order."""

    __slots__ = ("requests",)

    def __init__(self, key: PartyKey) -> None:
        super().__init__(key)
        self.requests: OrderedDict[Request, None] = OrderedDict()

    def copy(self) -> "Person":
        """Copy the line; its requests stay the same."""
        twin = Person(self.key)
        twin.requests = self.requests.copy()
        return twin


class Tenant(Party):
    """A tenant's people, and how many of its requests run.

    A copy shares the people until one of the two changes them: a room may hold thousands of tenants, and a play of the
    schedule must not stop everything while they are copied.
    """

    __slots__ = ("_is_shared", "_people", "running")

    def __init__(self, key: PartyKey, original: "Tenant | None" = None) -> None:
        super().__init__(key)
        self._people = Ring(Person) if original is None else original.people
        self._is_shared = original is not None
        self.running: int = 0 if original is None else original.running

    @property
    def people(self) -> Ring[Person]:
        """Give the people, to look at."""
        return self._people

    def own_people(self) -> Ring[Person]:
        """Give the people, to change them."""
        if self._is_shared:
            self._people, self._is_shared = self._people.copy(Person.copy), False
        return self._people

    @property
    def is_needed(self) -> bool:
        """Say whether requests run, whose slots count."""
        return self.running > 0

    def copy(self) -> "Tenant":
        """Copy the tenant with its people."""
        self._is_shared = True
        return Tenant(self.key, self)


class FairScheduler:
    """Says which request starts next, to whoever has a free slot.

    A tenant has at most `tenant_slots` requests running while others are about. `now` gives seconds.
    """

    def __init__(self, *, tenant_slots: int, now: Callable[[], float]) -> None:
        self._tenant_slots = tenant_slots
        self._now = now
        self._tenants = Ring(Tenant)
        self._periods: dict[Request, tuple[int, int]] = {}
        self._company = _Company()
        self.waiting = 0

    @property
    def running(self) -> int:
        """Count the requests that have started and not ended."""
        return len(self._periods)

    def waiting_of(self, tenant_id: str) -> int:
        """Count a tenant's waiting requests."""
        tenant = self._tenants.members.get(tenant_id)
        return 0 if tenant is None else tenant.waiting

    def waiting_of_person(self, tenant_id: str, person_id: int | None) -> int:
        """Count the waiting requests of one person of a tenant."""
        tenant = self._tenants.members.get(tenant_id)
        person = None if tenant is None else tenant.people.members.get(person_id)
        return 0 if person is None else person.waiting

    def find_displaced(self) -> Request | None:
        """Find the newest waiting request of the tenant, and the person in it, with most; None where all have one."""
        tenant = max(self._tenants.members.values(), key=_count_waiting, default=None)
        if tenant is None or tenant.waiting < 2:
            return None
        person = max(tenant.people.members.values(), key=_count_waiting)
        return next(reversed(person.requests))

    def running_of(self, tenant_id: str) -> int:
        """Count a tenant's running requests."""
        tenant = self._tenants.members.get(tenant_id)
        return 0 if tenant is None else tenant.running

    def may_start(self, tenant_id: str) -> bool:
        """Say whether the cap leaves a tenant another slot."""
        return self.running_of(tenant_id) < self._tenant_slots or self._company.is_alone(tenant_id, self._now())

    def add(self, request: Request) -> None:
        """Let a request wait, behind the others of the same person."""
        self._company.note(request.tenant_id, self._now())
        tenant = self._tenants.member(request.tenant_id)
        people = tenant.own_people()
        person = people.member(request.person_id)
        person.requests[request] = None
        people.add_waiting(person)
        self._tenants.add_waiting(tenant)
        self.waiting += 1

    def remove(self, request: Request) -> None:
        """Take a waiting request out; it was never there."""
        tenant = self._tenants.members[request.tenant_id]
        self._take_out(request, tenant, tenant.own_people().members[request.person_id])

    def start_next(self) -> Request | None:
        """Start the next request and charge what it will probably cost; None when nobody waits who may start."""
        tenant = self._tenants.next(lambda tenant: self.may_start(str(tenant.key)))
        if tenant is None:
            return None
        people = tenant.own_people()
        person = people.next(lambda _: True)
        assert person is not None, "a tenant waits through its people"
        request = next(iter(person.requests))
        self._periods[request] = (self._tenants.period, people.period)
        tenant.running += 1
        for party in (tenant, person):
            party.credit_tokens -= _charge(request.cost_tokens)
        self._take_out(request, tenant, person)
        return request

    def end(self, request: Request, *, cost_tokens: int | None = None) -> None:
        """Free the slot of a running request, and correct what was charged for it where the true cost is known."""
        self._company.note(request.tenant_id, self._now())
        tenant = self._tenants.members[request.tenant_id]
        period, people_period = self._periods.pop(request)
        tenant.running -= 1
        if cost_tokens is not None:
            wrongly_charged = _charge(request.cost_tokens) - _charge(cost_tokens)
            # Debts of an earlier period are forgotten, and so is what was wrong with them.
            if self.waiting and period == self._tenants.period:
                self._tenants.credit(tenant, wrongly_charged)
            if tenant.waiting and people_period == tenant.people.period:
                people = tenant.own_people()
                people.credit(people.member(request.person_id), wrongly_charged)
                people.forget(people.member(request.person_id))
        if tenant.waiting and not tenant.is_in_line:
            self._tenants.join(tenant)
        self._tenants.forget(tenant)

    def copy(self, now: Callable[[], float]) -> "FairScheduler":
        """Copy everything, to play the schedule forward on another clock."""
        twin = FairScheduler(tenant_slots=self._tenant_slots, now=now)
        twin.waiting = self.waiting
        twin._tenants = self._tenants.copy(Tenant.copy)
        twin._periods = self._periods.copy()
        twin._company = self._company.copy()
        return twin

    def _take_out(self, request: Request, tenant: Tenant, person: Person) -> None:
        people = tenant.own_people()
        del person.requests[request]
        self.waiting -= 1
        people.drop_waiting(person)
        self._tenants.drop_waiting(tenant)
        if not tenant.waiting:
            people.begin_period()
            # Whom the cap had taken out of line pays as an idler there.
            self._tenants.credit(tenant, 0)
        if not self.waiting:
            self._tenants.begin_period()
        self._tenants.forget(tenant)


def _count_waiting(party: Party) -> int:
    return party.waiting


def _charge(cost_tokens: int) -> int:
    return max(QUANTUM_TOKENS, cost_tokens)


class _Company:
    """Knows when somebody else than a given tenant was about last; two names are enough for that."""

    def __init__(self) -> None:
        self._latest: str | None = None
        self._latest_at = -math.inf
        self._others_at = -math.inf

    def note(self, tenant_id: str, now: float) -> None:
        """Note that a tenant is about."""
        if tenant_id != self._latest:
            self._latest, self._others_at = tenant_id, self._latest_at
        self._latest_at = now

    def is_alone(self, tenant_id: str, now: float) -> bool:
        """Say whether nobody else was about lately."""
        others_at = self._others_at if tenant_id == self._latest else self._latest_at
        return now - others_at > ALONE_SECONDS

    def copy(self) -> "_Company":
        """Copy what is known."""
        twin = _Company()
        twin._latest, twin._latest_at, twin._others_at = self._latest, self._latest_at, self._others_at
        return twin
