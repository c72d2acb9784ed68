"""Places in line: being called, leaving, the bound and everybody's share of it, the estimate."""

import asyncio
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api import foresight
from api.errors import ApiError
from api.expectations import Size
from api.places import Place
from api.queue import RequestQueue

SIZE = Size(prompt_bytes=100, context_tokens=4096, reply_tokens=100)


class Clock:
    """Seconds that a test turns forward; each look takes a moment."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        self.seconds += 0.01
        return self.seconds


class Holder:
    """Somebody with a place, until `leave`."""

    def __init__(
        self, queue: RequestQueue, tenant: str = "tenant", person: int | None = None, *, reply_tokens: int = 100
    ) -> None:
        size = Size(prompt_bytes=100, context_tokens=4096, reply_tokens=reply_tokens)
        self._stack = ExitStack()
        self.place: Place = self._stack.enter_context(queue.place(tenant_id=tenant, person_id=person, size=size))

    def leave(self) -> None:
        self._stack.close()

    def fail(self) -> None:
        error = RuntimeError()
        assert not self._stack.__exit__(type(error), error, None)

    def reply(self, tokens: int, *, prompt_tokens: int = 30, is_cut: bool = True) -> None:
        """Make a whole reply at once and leave."""
        self.place.fitted(prompt_tokens, is_whole=True)
        self.place.ended(tokens, is_cut=is_cut)
        self.leave()


@settings(deadline=None, max_examples=50)
@given(leaving=st.lists(st.integers(0, 9), max_size=30), slots=st.integers(1, 4))
def test_positions_of_one_person_are_those_of_a_plain_line(leaving: list[int], slots: int) -> None:
    queue = RequestQueue(slots=slots, max_waiting=100, now=Clock())
    line: list[Holder] = []
    for number in leaving:
        line += [Holder(queue), Holder(queue)]
        if number < len(line):
            line.pop(number).leave()
        assert [holder.place.position for holder in line] == [max(0, at + 1 - slots) for at in range(len(line))]
        assert (queue.running, queue.waiting) == (min(slots, len(line)), max(0, len(line) - slots))


@settings(deadline=None)
@given(tenants=st.lists(st.integers(0, 3), min_size=1, max_size=30), slots=st.integers(1, 3))
def test_positions_are_the_order_in_which_the_slots_are_given(tenants: list[int], slots: int) -> None:
    queue = RequestQueue(slots=slots, max_waiting=1000, tenant_slots=slots, now=Clock())
    running = [Holder(queue, "before") for _ in range(slots)]
    waiting = [Holder(queue, f"tenant {number}") for number in tenants]
    # One slot after the other is left, so requests of one size start in the order that was foreseen.
    foreseen = sorted(waiting, key=lambda holder: holder.place.position)
    assert [holder.place.position for holder in foreseen] == list(range(1, len(waiting) + 1))
    for holder in foreseen:
        # It takes what was expected of it.
        running.pop(0).reply(100)
        assert holder.place.position == 0
        running.append(holder)


async def test_a_turn_comes_when_a_slot_is_left_and_not_before() -> None:
    queue = RequestQueue(slots=1, max_waiting=10)
    first, second, third = (Holder(queue) for _ in range(3))
    assert await first.place.turn(within_seconds=0)
    assert not await second.place.turn(within_seconds=0)
    waiting = asyncio.create_task(third.place.turn(within_seconds=20))
    second.leave()
    first.leave()
    assert await waiting


def test_how_long_a_place_was_waited_for_is_known() -> None:
    clock = Clock()
    queue = RequestQueue(slots=1, max_waiting=10, now=clock)
    first, second = Holder(queue), Holder(queue)
    clock.seconds = 5
    assert first.place.waited_seconds == pytest.approx(0, abs=0.1)
    assert second.place.waited_seconds == pytest.approx(5, abs=0.1)
    first.leave()
    clock.seconds = 9
    assert second.place.waited_seconds == pytest.approx(5, abs=0.1)


def test_a_full_line_is_refused_and_changes_nothing() -> None:
    queue = RequestQueue(slots=1, max_waiting=1)
    holders = [Holder(queue), Holder(queue)]
    with pytest.raises(ApiError) as refused:
        Holder(queue, "other")
    assert (refused.value.status, refused.value.title) == (503, "Busy")
    assert refused.value.message.startswith("1 requests are waiting")
    assert int(refused.value.headers["Retry-After"]) >= 1
    assert (queue.running, queue.waiting) == (1, 1)
    for holder in holders:
        holder.leave()
    assert (queue.running, queue.waiting) == (0, 0)


def fill(queue: RequestQueue, tenant: str, person: int | None = None, *, tries: int = 1000) -> list[Holder]:
    """Come again and again, and give those who were let in."""
    holders = []
    for _ in range(tries):
        try:
            holders.append(Holder(queue, tenant, person))
        except ApiError:
            continue
    return holders


def test_a_flooder_leaves_room_for_others_and_they_for_more() -> None:
    queue = RequestQueue(slots=4, max_waiting=64)
    flooder = fill(queue, "flooder")
    assert len(flooder) == 4 + 48
    second, third = fill(queue, "second"), fill(queue, "third")
    assert len(second) >= 8
    assert len(third) >= 1
    fourth = Holder(queue, "fourth")
    assert fourth.place.position > 0
    assert queue.waiting <= 64
    # Nobody was thrown out for it.
    assert sum(holder.place.position == 0 for holder in flooder) == 4
    assert all(holder.place.position > 0 for holder in [*flooder[4:], *second, *third])


def test_a_refused_flooder_is_told_that_the_requests_are_its_own() -> None:
    queue = RequestQueue(slots=1, max_waiting=64)
    flooder = fill(queue, "flooder", tries=100)
    with pytest.raises(ApiError) as refused:
        Holder(queue, "flooder")
    assert refused.value.message.startswith(f"{len(flooder) - 1} of your requests are waiting")


def test_one_person_leaves_room_for_others_of_the_server() -> None:
    queue = RequestQueue(slots=4, max_waiting=64)
    first = fill(queue, "server", 1)
    assert len(first) > 40
    assert len(fill(queue, "server", 2, tries=3)) == 3


async def test_in_a_room_full_of_many_flooders_a_newcomer_has_the_place_of_the_greediests_newest() -> None:
    queue = RequestQueue(slots=1, max_waiting=16)
    flooders = [fill(queue, f"flooder {number}", tries=40) for number in range(12)]
    assert queue.waiting == 16
    assert all(any(not holder.place.has_given_way for holder in holders) for holders in flooders)
    staying = [holder for holder in flooders[0] if not holder.place.has_given_way]
    newcomer = Holder(queue, "newcomer")
    assert newcomer.place.position > 0
    assert queue.waiting == 16
    with pytest.raises(ApiError) as gave_way:
        await staying[-1].place.turn(within_seconds=0)
    assert (gave_way.value.status, gave_way.value.title) == (503, "Busy")
    assert f"{len(staying) - 2} of yours are still waiting" in gave_way.value.message
    assert int(gave_way.value.headers["Retry-After"]) >= 1
    staying[-1].leave()
    assert queue.waiting == 16
    assert all([not await holder.place.turn(within_seconds=0) for holder in staying[1:-1]])
    for tenant in ("newcomer", "flooder 0", "flooder 11"):
        with pytest.raises(ApiError):
            Holder(queue, tenant)


def test_of_a_server_the_person_with_most_gives_way() -> None:
    queue = RequestQueue(slots=1, max_waiting=8)
    running = Holder(queue, "other")
    brief, flooding = fill(queue, "server", 1, tries=2), fill(queue, "server", 2)
    rest = fill(queue, "third", tries=2)
    assert queue.waiting == 8
    Holder(queue, "newcomer")
    assert [holder.place.has_given_way for holder in flooding] == [False] * (len(flooding) - 1) + [True]
    assert not any(holder.place.has_given_way for holder in [running, *brief, *rest])


def test_nobody_gives_way_who_waits_with_a_single_request() -> None:
    queue = RequestQueue(slots=1, max_waiting=8)
    holders = [Holder(queue, f"tenant {number}") for number in range(9)]
    with pytest.raises(ApiError):
        Holder(queue, "newcomer")
    assert not any(holder.place.has_given_way for holder in holders)


@given(max_waiting=st.integers(1, 200), tenants=st.integers(1, 5))
@settings(deadline=None, max_examples=30)
def test_the_bound_holds_whoever_comes(max_waiting: int, tenants: int) -> None:
    queue = RequestQueue(slots=2, max_waiting=max_waiting)
    holders = [fill(queue, f"tenant {number}", tries=250) for number in range(tenants)]
    assert all(holders[: 1 + (max_waiting >= 16)])
    assert queue.waiting <= max_waiting


def test_a_tenant_at_its_cap_waits_while_a_slot_is_free_and_another_does_not() -> None:
    queue = RequestQueue(slots=2, max_waiting=10, tenant_slots=1)
    Holder(queue, "other").leave()
    flooder = [Holder(queue, "flooder"), Holder(queue, "flooder")]
    assert [holder.place.position for holder in flooder] == [0, 1]
    assert Holder(queue, "other").place.position == 0


def test_without_a_measured_reply_nothing_is_estimated() -> None:
    queue = RequestQueue(slots=1, max_waiting=10, now=Clock())
    running, waiting = Holder(queue), Holder(queue)
    assert waiting.place.wait_seconds is None
    # What failed before it said anything measures nothing.
    running.fail()
    assert Holder(queue).place.wait_seconds is None


def test_the_estimate_counts_the_tokens_of_what_runs_and_waits() -> None:
    clock = Clock()
    queue = RequestQueue(slots=1, max_waiting=10, now=clock)
    measured = Holder(queue)
    measured.place.fitted(30, is_whole=True)
    clock.seconds += 3
    measured.place.said(1)
    clock.seconds += 10
    measured.place.ended(100, is_cut=True)
    measured.leave()
    # 0.1 s each token of a prompt, and of a reply.
    running, second, third = Holder(queue), Holder(queue, reply_tokens=600), Holder(queue)
    assert [holder.place.wait_seconds for holder in (second, third)] == [13, 13 + 63]
    running.place.fitted(30, is_whole=True)
    clock.seconds += 3
    running.place.said(1)
    clock.seconds += 5
    running.place.said(50)
    assert [holder.place.wait_seconds for holder in (second, third)] == [5, 5 + 63]
    # What takes longer than expected may end any moment.
    running.place.said(101)
    assert [holder.place.wait_seconds for holder in (second, third)] == [1, 63]


def test_the_estimate_knows_how_long_a_tenants_replies_are() -> None:
    clock = Clock()
    queue = RequestQueue(slots=1, max_waiting=10, now=clock)
    for _ in range(60):
        for tenant, tokens in (("brief", 10), ("long", 100)):
            measured = Holder(queue, tenant)
            measured.place.said(1)
            clock.seconds += tokens / 10
            measured.reply(tokens, is_cut=tenant == "long")
    for tenant, seconds in (("brief", 1), ("long", 10)):
        running, waiting = Holder(queue, tenant), Holder(queue, tenant)
        assert waiting.place.expected_seconds == pytest.approx(seconds, rel=0.3)
        waiting.leave()
        running.leave()


def test_the_estimate_of_a_long_line_counts_newcomers_as_they_came_lately() -> None:
    def last_of_a_flood(*, seconds_apart: float) -> tuple[int, float]:
        clock = Clock()
        queue = RequestQueue(slots=1, max_waiting=100, now=clock)
        for number in range(20):
            clock.seconds += seconds_apart - 10
            measured = Holder(queue, f"tenant {number}")
            measured.place.said(1)
            clock.seconds += 10
            measured.reply(100)
        flood = [Holder(queue, "flooder") for _ in range(11)]
        expected = flood[-1].place.expected_seconds
        assert expected is not None
        return flood[-1].place.position, expected

    # Newcomers who fill half the time double what ten replies of ten seconds take. Places count who is there.
    position, expected = last_of_a_flood(seconds_apart=20)
    assert position == 10
    assert expected == pytest.approx(200, rel=0.15)
    position, expected = last_of_a_flood(seconds_apart=1000)
    assert position == 10
    assert expected == pytest.approx(100, rel=0.15)


def test_a_refusal_says_when_there_is_room_again() -> None:
    clock = Clock()
    queue = RequestQueue(slots=1, max_waiting=1, now=clock)
    measured = Holder(queue)
    measured.place.said(1)
    clock.seconds += 10
    measured.reply(100)
    holders = [Holder(queue), Holder(queue)]
    with pytest.raises(ApiError) as refused:
        Holder(queue, "other")
    assert [holder.place.position for holder in holders] == [0, 1]
    assert int(refused.value.headers["Retry-After"]) == 10


@pytest.fixture
def in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every room for a large one, and a step of a play for a slice."""
    monkeypatch.setattr(foresight, "PLAYED_AT_ONCE", 0)
    monkeypatch.setattr(foresight, "SLICE_SECONDS", 0.0)


@pytest.mark.usefixtures("in_slices")
async def test_in_a_large_room_places_are_those_of_a_small_one_and_others_go_on_meanwhile() -> None:
    queue = RequestQueue(slots=2, max_waiting=1000)
    holders = [Holder(queue, f"tenant {number % 7}") for number in range(60)]
    turns = 0

    async def go_on() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    going_on = asyncio.create_task(go_on())
    outlook = await holders[-1].place.outlook()
    assert turns > 50
    going_on.cancel()
    assert outlook is not None
    assert (outlook.position, outlook.wait_seconds) == (holders[-1].place.position, None)


@pytest.mark.usefixtures("in_slices")
async def test_who_comes_and_goes_while_it_is_foreseen_disturbs_nothing() -> None:
    clock = Clock()
    queue = RequestQueue(slots=2, max_waiting=1000, now=clock)
    holders = [Holder(queue, f"tenant {number % 7}") for number in range(60)]
    foreseeing = asyncio.create_task(holders[-1].place.outlook())
    for number in range(20):
        await asyncio.sleep(0)
        holders.pop(0).leave()
        holders.insert(-1, Holder(queue, f"tenant {number}"))
        assert await holders[-2].place.outlook() is None, "it is foreseen with the next play"
    outlook = await foreseeing
    assert outlook is not None
    assert outlook.position > 20
    clock.seconds += 100
    again = await holders[-2].place.outlook()
    assert again is not None
    assert again.position == holders[-2].place.position


@pytest.mark.usefixtures("in_slices")
async def test_a_play_that_is_cancelled_is_begun_anew_by_whoever_asks_next() -> None:
    queue = RequestQueue(slots=1, max_waiting=1000)
    holders = [Holder(queue) for _ in range(20)]
    foreseeing = asyncio.create_task(holders[-1].place.outlook())
    await asyncio.sleep(0)
    foreseeing.cancel()
    await asyncio.gather(foreseeing, return_exceptions=True)
    outlook = await holders[5].place.outlook()
    assert outlook is not None
    assert outlook.position == 5


@pytest.mark.usefixtures("in_slices")
def test_a_refusal_by_a_large_room_that_nobody_has_looked_at_yet_says_about_when() -> None:
    clock = Clock()
    queue = RequestQueue(slots=1, max_waiting=4, now=clock)
    measured = Holder(queue)
    measured.place.said(1)
    clock.seconds += 10
    measured.reply(100)
    holders = [Holder(queue, f"tenant {number}") for number in range(5)]
    with pytest.raises(ApiError) as refused:
        Holder(queue, "other")
    assert [holder.place.is_called for holder in holders] == [True, False, False, False, False]
    assert int(refused.value.headers["Retry-After"]) == 10
