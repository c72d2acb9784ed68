"""Whose turn it is: nobody starves, nobody gets more than a fair share, and no slot is idle for it."""

import random
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.fairness import ALONE_SECONDS, FairScheduler, Request
from api.forecast import Newcomers, Steps, foresee, play
from api.turns import QUANTUM_TOKENS

LARGEST = 4000
COSTS = st.integers(1, LARGEST)


@dataclass
class House:
    """Slots, a scheduler and a clock that a test turns."""

    slots: int
    tenant_slots: int = 1000
    seconds: float = 0.0
    running: list[Request] = field(default_factory=list)
    waiting: list[Request] = field(default_factory=list)
    served: Counter[object] = field(default_factory=Counter)
    started: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.scheduler = FairScheduler(tenant_slots=self.tenant_slots, now=lambda: self.seconds)

    def come(self, tenant: str, cost: int = 300, person: int | None = None) -> Request:
        request = Request(tenant, person, cost)
        self.scheduler.add(request)
        self.waiting.append(request)
        self.fill()
        return request

    def fill(self) -> None:
        while len(self.running) < self.slots and (request := self.scheduler.start_next()):
            self.waiting.remove(request)
            self.running.append(request)
            self.started.append(request)
            self.served[request.tenant_id] += max(QUANTUM_TOKENS, request.cost_tokens)
            self.served[request.tenant_id, request.person_id] += max(QUANTUM_TOKENS, request.cost_tokens)

    def end(self, at: int = 0, cost: int | None = None) -> None:
        self.scheduler.end(self.running.pop(at), cost_tokens=cost)
        self.fill()

    def leave(self, request: Request) -> None:
        self.waiting.remove(request)
        self.scheduler.remove(request)
        self.fill()


def flooded(slots: int, costs: list[int], *, tenant_slots: int = 1000) -> House:
    house = House(slots, tenant_slots)
    for cost in costs:
        house.come("flooder", cost)
    return house


@settings(deadline=None)
@given(
    costs=st.lists(COSTS, min_size=20, max_size=60),
    cost=COSTS,
    ends=st.integers(0, 10),
    slots=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_a_newcomer_waits_for_one_request_of_a_flooder_at_most(
    costs: list[int], cost: int, ends: int, slots: int, seed: int
) -> None:
    house, chance = flooded(slots, costs), random.Random(seed)
    for _ in range(ends):
        # Some cost more than expected, some less, which is paid and credited.
        house.end(chance.randrange(len(house.running)), chance.randint(1, LARGEST))
    before = len(house.started)
    newcomer = house.come("newcomer", cost)
    while newcomer in house.waiting:
        house.end(chance.randrange(len(house.running)), chance.randint(1, LARGEST))
    assert sum(request.tenant_id == "flooder" for request in house.started[before:]) <= 1


@settings(deadline=None)
@given(costs=st.lists(COSTS, min_size=60, max_size=80), cost=COSTS, slots=st.integers(1, 3), seed=st.integers(0, 99))
def test_who_comes_back_waits_for_two_requests_of_a_flooder_at_most_whatever_is_owed(
    costs: list[int], cost: int, slots: int, seed: int
) -> None:
    house, chance = flooded(slots, costs), random.Random(seed)
    for number in range(5):
        before = len(house.started)
        house.come(f"passer-by {number}")
        request = house.come("regular", cost)
        while request in house.waiting:
            house.end(chance.randrange(len(house.running)))
        assert sum(each.tenant_id == "flooder" for each in house.started[before:]) <= 2
        while request in house.running:
            house.end(chance.randrange(len(house.running)), LARGEST)


@settings(deadline=None)
@given(costs=st.lists(COSTS, min_size=20, max_size=40), others=st.integers(1, 6))
def test_newcomers_wait_for_one_request_of_everybody_at_most(costs: list[int], others: int) -> None:
    house = flooded(1, costs)
    for number in range(others):
        for cost in costs[:5]:
            house.come(f"other {number}", cost)
    newcomer = house.come("newcomer", LARGEST)
    before = len(house.started)
    while newcomer in house.waiting:
        house.end()
    counts = Counter(request.tenant_id for request in house.started[before:-1])
    assert all(count == 1 for count in counts.values())


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), parties=st.integers(2, 5), slots=st.integers(1, 4))
def test_those_who_always_wait_are_served_alike_to_a_quantum_and_one_request(
    seed: int, parties: int, slots: int
) -> None:
    house, chance = House(slots), random.Random(seed)
    # Each has its own size of requests, and one of them only small ones.
    sizes = {f"tenant {number}": chance.randint(1, LARGEST) for number in range(parties)} | {"tenant 0": 1}

    def keep_waiting() -> None:
        for tenant, size in sizes.items():
            while house.scheduler.waiting_of(tenant) < slots + 1:
                house.come(tenant, chance.randint(1, size))

    # The slots are taken by others first, so that all wait from the same moment on.
    for _ in range(slots):
        house.come("before")
    for _ in range(60):
        keep_waiting()
        house.end(chance.randrange(slots))
        served = [house.served[tenant] for tenant in sizes]
        assert max(served) - min(served) <= QUANTUM_TOKENS + LARGEST


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), people=st.integers(2, 5))
def test_people_within_a_server_are_served_alike_whatever_other_servers_do(seed: int, people: int) -> None:
    house, chance = House(2), random.Random(seed)
    sizes = {person: chance.randint(1, LARGEST) for person in range(people)}
    for _ in range(2):
        house.come("before")
    for _ in range(60):
        for person, size in sizes.items():
            while house.scheduler.waiting_of_person("server", person) < 3:
                house.come("server", chance.randint(1, size), person)
        while house.scheduler.waiting_of("flooder") < 3:
            house.come("flooder", chance.randint(1, LARGEST))
        house.end(chance.randrange(2))
        served = [house.served["server", person] for person in sizes]
        assert max(served) - min(served) <= QUANTUM_TOKENS + LARGEST
        assert abs(house.served["server"] - house.served["flooder"]) <= QUANTUM_TOKENS + LARGEST


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["come", "come", "end", "leave", "pass"]),
        st.integers(0, 3),
        st.sampled_from([None, 1, 2]),
        st.one_of(st.none(), COSTS),
    ),
    max_size=80,
)


@settings(max_examples=200, deadline=None)
@given(events=EVENTS, slots=st.integers(1, 4), tenant_slots=st.integers(1, 4))
def test_whatever_happens_order_caps_and_slots_hold(
    events: list[tuple[str, int, int | None, int | None]], slots: int, tenant_slots: int
) -> None:
    house = House(slots, tenant_slots)
    arrived: list[Request] = []
    for event, number, person, cost in events:
        tenant = f"tenant {number}"
        match event:
            case "come":
                arrived.append(house.come(tenant, cost or 1, person))
            case "end" if house.running:
                house.end(number % len(house.running), cost)
            case "leave" if house.waiting:
                house.leave(house.waiting[number % len(house.waiting)])
            case "pass":
                house.seconds += ALONE_SECONDS / 2
        counts = Counter(request.tenant_id for request in house.running)
        assert (house.scheduler.waiting, house.scheduler.running) == (len(house.waiting), len(house.running))
        for each in {request.tenant_id for request in house.waiting} if len(house.running) < slots else ():
            # A slot is free: all who wait have as many as they may.
            assert counts[each] >= tenant_slots
    _order_of_each_person_is_kept(house, arrived)
    while house.running:
        house.end()
    assert not house.waiting, "nobody starves"


def _order_of_each_person_is_kept(house: House, arrived: list[Request]) -> None:
    for line in {(request.tenant_id, request.person_id) for request in arrived}:
        started = [each for each in house.started if (each.tenant_id, each.person_id) == line]
        assert started == [each for each in arrived if each in set(started)]


@settings(deadline=None)
@given(costs=st.lists(COSTS, min_size=10, max_size=30), tenant_slots=st.integers(1, 3))
def test_no_tenant_has_more_slots_than_the_cap_while_others_are_about(costs: list[int], tenant_slots: int) -> None:
    house = House(4, tenant_slots)
    house.come("other")
    house.end()
    for cost in costs:
        house.come("flooder", cost)
        assert house.scheduler.running_of("flooder") <= tenant_slots
    newcomer = house.come("newcomer")
    assert newcomer in house.running, "a slot was left"
    for _ in costs:
        house.end()
        assert house.scheduler.running_of("flooder") <= tenant_slots


def test_a_tenant_alone_takes_every_slot_until_another_comes() -> None:
    house = flooded(4, [300] * 20, tenant_slots=3)
    assert house.scheduler.running_of("flooder") == 4
    other = house.come("other")
    house.end()
    assert other in house.running
    house.end(house.running.index(other))
    assert house.scheduler.running_of("flooder") == 3
    house.seconds += ALONE_SECONDS + 1
    house.end()
    assert house.scheduler.running_of("flooder") == 4


def test_what_cost_more_than_expected_is_paid_later() -> None:
    house = House(1)
    house.come("liar", 64)
    for _ in range(40):
        house.come("liar", 64)
        house.come("honest", 64)
    for _ in range(20):
        at_cost = 640 if house.running[0].tenant_id == "liar" else 64
        house.end(cost=at_cost)
    counts = Counter(request.tenant_id for request in house.started)
    assert counts["honest"] >= 8 * (counts["liar"] - 1)


def test_what_cost_less_than_expected_is_credited() -> None:
    house = House(1)
    for _ in range(41):
        house.come("careful", 640)
        house.come("exact", 64)
    for _ in range(20):
        house.end(cost=64)
    counts = Counter(request.tenant_id for request in house.started)
    assert abs(counts["careful"] - counts["exact"]) <= 2


def test_debts_are_forgotten_when_nobody_waits_any_more() -> None:
    house = House(1)
    house.come("large", LARGEST)
    house.come("small", 64)
    house.end(cost=LARGEST)
    house.end(cost=64)
    house.come("before")
    large = house.come("large", LARGEST)
    house.come("small", 64)
    house.end()
    assert large in house.running


def test_who_left_the_line_is_forgotten() -> None:
    house = House(1)
    house.come("running")
    for number in range(100):
        house.leave(house.come(f"tenant {number}", person=number))
    house.end()
    assert not house.scheduler._tenants.members


@pytest.mark.parametrize("tenants", [10, 1000])
def test_a_copy_goes_on_alike_and_apart(tenants: int) -> None:
    chance = random.Random(7)
    house = House(3, 2)
    for _ in range(tenants):
        house.come(f"tenant {chance.randrange(tenants)}", chance.randint(1, LARGEST), chance.randint(1, 3))
    for _ in range(tenants // 10):
        house.end()
    twin = House(3, 2, running=list(house.running), waiting=list(house.waiting))
    twin.scheduler = house.scheduler.copy(lambda: 0.0)
    before, started = house.scheduler.waiting, len(house.started)
    while twin.running:
        twin.end()
    assert house.scheduler.waiting == before
    while house.running:
        house.end()
    assert house.started[started:] == twin.started


@given(data=st.data())
@settings(deadline=None, max_examples=100)
def test_a_play_foresees_the_same_whatever_changes_beside_it(data: st.DataObject) -> None:
    house = House(slots=2, tenant_slots=1)
    tenants, people = st.sampled_from("abcd"), st.integers(1, 3)

    def change() -> None:
        deed = data.draw(st.integers(0, 3))
        if deed == 0 and house.running:
            house.end(cost=data.draw(COSTS))
        elif deed == 1 and house.waiting:
            house.leave(data.draw(st.sampled_from(house.waiting)))
        else:
            house.come(data.draw(tenants), data.draw(COSTS), data.draw(people))

    def steps() -> Steps:
        ends_at = {request: house.seconds + number for number, request in enumerate(house.running)}
        return play(
            house.scheduler,
            slots=house.slots,
            ends_at=ends_at,
            lasts=lambda request, _: request.cost_tokens / 100,
            newcomers=Newcomers(seconds_apart=7.0, cost_tokens=200, service_seconds=3.0),
            now=house.seconds,
        )

    for _ in range(data.draw(st.integers(0, 20))):
        change()
    undisturbed, disturbed = steps(), steps()
    next(undisturbed)
    next(disturbed)
    expected, found = foresee(undisturbed), None
    while found is None:
        change()
        found = foresee(disturbed, until=lambda: True)
    assert found == expected
