"""The simulation queues as theory says, as the real service does, and computes as the GPU did that was measured."""

import asyncio
import heapq
import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api import keys
from benchmarks.instant_engine import InstantEngine
from benchmarks.simulate_servers import Trial, percentile, try_busy_hour
from benchmarks.simulated_people import Day, People, draw_day
from benchmarks.simulated_replica import H200_8B, Speed
from benchmarks.simulated_service import BYTES_PER_TOKEN, SimulatedService, Visit
from generation.engine import Finished, Message, Piece, SamplingOptions
from tests.service import running_service
from tests.waiting import eventually

ALL_DAY = 10.0**6


def day_of(
    starts: Sequence[float], servers: Sequence[int], *, questions: Sequence[int], replies: Sequence[int], **people: Any
) -> Day:
    """A day of single questions of one person in each server."""
    count = len(starts)
    return Day(
        people=People(persona_tokens=0, **people),
        servers=np.array(servers),
        persons=np.zeros(count, np.int64),
        starts=np.array(starts),
        first_turns=np.arange(count),
        turns=np.ones(count, np.int64),
        histories=np.zeros(count, np.int64),
        is_flood=np.zeros(count, np.bool_),
        question_tokens=np.array(questions),
        reply_tokens=np.array(replies),
        pauses=np.zeros(count),
        questions_of=np.bincount(servers),
    )


def steady(*, slots: int, tokens_per_second: float) -> Speed:
    """A replica whose replies are as fast however many there are, and whose prompts take no time."""
    return Speed(
        name="steady",
        slots=slots,
        prompt_tokens_per_second=math.inf,
        prompt_seconds=0.0,
        streams=((1, tokens_per_second), (slots, tokens_per_second)),
    )


def erlang_c_seconds(slots: int, load: float) -> float:
    """The mean wait of an M/M/c queue whose services take a second on average (Erlang, 1917)."""
    blocked = 1.0
    for number in range(1, slots + 1):
        blocked = load * blocked / (number + load * blocked)
    waits = blocked / (1 - load / slots * (1 - blocked))
    return waits / (slots - load)


def one_tenant(count: int, *, slots: int, busy: float, seed: int) -> tuple[Day, list[float]]:
    """A day of one tenant whose questions and replies are random (M/M/c), and what each waits for one of the slots."""
    chance = np.random.default_rng(seed)
    starts = np.cumsum(chance.exponential(1 / (slots * busy), count)).tolist()
    replies = np.maximum(1, np.round(chance.exponential(100, count)).astype(np.int64)).tolist()
    day = day_of(starts, [0] * count, questions=[10] * count, replies=replies, most_reply_tokens=2000)
    service = SimulatedService(day, steady(slots=slots, tokens_per_second=100), max_waiting=count)
    service.run(0, ALL_DAY)
    waited = {one.came_at: one.waited_seconds for one in service.felt}
    return day, [seconds for start in starts if (seconds := waited[start]) is not None]


@pytest.mark.parametrize("slots", [1, 4])
def test_one_tenant_waits_for_the_slot_that_is_free_first(slots: int) -> None:
    day, waited = one_tenant(2_000, slots=slots, busy=0.9, seed=1)
    free_at = [0.0] * slots
    expected = []
    for start, reply in zip(day.starts.tolist(), day.reply_tokens.tolist(), strict=True):
        begins = max(start, heapq.heappop(free_at))
        heapq.heappush(free_at, begins + reply / 100)
        expected.append(begins - start)
    assert waited == pytest.approx(expected, abs=1e-6)
    assert max(waited) > 1


def test_one_tenant_waits_as_long_as_erlang_c_says() -> None:
    _, waited = one_tenant(12_000, slots=4, busy=0.7, seed=2)
    assert sum(waited) / len(waited) == pytest.approx(erlang_c_seconds(4, 4 * 0.7), rel=0.1)


class Logged(SimulatedService):
    """A simulation that says what happened in which order: a question came, a reply ended."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.happened: list[tuple[str, int]] = []
        self.started: list[int] = []

    def _come(self, process: Any, visit: Visit) -> None:
        self.happened.append(("came", visit.session.number))
        super()._come(process, visit)

    def _serve(self, process: Any, visit: Visit) -> None:
        self.started.append(visit.session.number)
        super()._serve(process, visit)

    def _end(self, process: Any, visit: Visit) -> None:
        self.happened.append(("ended", visit.session.number))
        super()._end(process, visit)


class HeldEngine(InstantEngine):
    """Each question is its number, padded; each reply ends when it is let go, with as many tokens as were simulated."""

    def __init__(self, replies: Sequence[int]) -> None:
        self._replies = replies
        self.may_end = [asyncio.Event() for _ in replies]
        self.started: list[int] = []

    async def encode_chat(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> list[int]:
        content = messages[-1].content
        return [int(content)] * (len(content) // BYTES_PER_TOKEN)

    async def generate(self, prompt: Sequence[int], options: SamplingOptions) -> AsyncGenerator[Piece | Finished, None]:
        number = prompt[0]
        self.started.append(number)
        yield Piece("a", 1)
        await self.may_end[number].wait()
        yield Finished(
            reason="length" if self._replies[number] == options.max_tokens else "stop",
            prompt_tokens=len(prompt),
            completion_tokens=self._replies[number],
            cached_tokens=0,
            prompt_duration_ns=1,
            completion_duration_ns=1,
        )


async def test_the_real_service_starts_requests_in_the_same_order(tmp_path: Path) -> None:
    chance = np.random.default_rng(2)
    count, slots, tenants = 40, 3, 4
    starts = np.sort(chance.uniform(0, 10, count)).tolist()
    # One floods.
    servers = np.where(chance.random(count) < 0.6, 0, chance.integers(1, tenants, count)).tolist()
    questions, replies = chance.integers(5, 900, count).tolist(), chance.integers(20, 512, count).tolist()
    day = day_of(starts, servers, questions=questions, replies=replies)
    simulated = Logged(day, steady(slots=slots, tokens_per_second=100), max_waiting=64)
    simulated.run(0, ALL_DAY)

    engine = HeldEngine(replies)
    async with running_service(engine, tmp_path, slots=slots, max_waiting=64) as service:
        queue = service.app[keys.PIPELINE].queue
        secrets = [(await service.tokens.create(f"{tenant}", daily_calls=99)).secret for tenant in range(tenants)]
        asked: dict[int, asyncio.Task[Any]] = {}
        for happened, number in simulated.happened:
            if happened == "came":
                content = str(number).zfill(questions[number] * BYTES_PER_TOKEN)
                body = {"messages": [{"role": "user", "content": content}], "num_predict": 512, "num_ctx": 4096}
                headers = {"Authorization": secrets[servers[number]]}
                asked[number] = asyncio.create_task(service.post("/ai/chat", body, headers=headers))
            else:
                engine.may_end[number].set()
                assert (await asked.pop(number))[0] == 200
            await eventually(lambda: queue.running + queue.waiting == len(asked))
            # Who has a slot has begun.
            await eventually(lambda: len(engine.started) - (count - left(engine)) == queue.running)
    assert engine.started == simulated.started
    assert engine.started != sorted(engine.started), "they did take turns"


def left(engine: HeldEngine) -> int:
    """Count the replies that were not let go."""
    return sum(not event.is_set() for event in engine.may_end)


def first_tokens(prompt_tokens: int, *, callers: int) -> list[float]:
    """Seconds to the first token of so many callers at once on an idle H200."""
    day = day_of([0.0] * callers, list(range(callers)), questions=[prompt_tokens] * callers, replies=[100] * callers)
    service = SimulatedService(day, H200_8B, max_waiting=64)
    service.run(0, ALL_DAY)
    return [one.first_token_seconds for one in service.felt if one.first_token_seconds is not None]


# Decision 32, without a cache.


@pytest.mark.parametrize(("prompt_tokens", "measured"), [(467, 0.057), (2767, 0.268)])
def test_one_prompt_takes_what_was_measured(prompt_tokens: int, measured: float) -> None:
    assert first_tokens(prompt_tokens, callers=1) == [pytest.approx(measured, rel=0.05)]


@pytest.mark.parametrize(("callers", "measured"), [(8, 0.28), (16, 0.52), (32, 0.83)])
def test_simultaneous_prompts_take_no_less_than_what_was_measured(callers: int, measured: float) -> None:
    seconds = sorted(first_tokens(350, callers=callers))
    assert seconds[len(seconds) // 2] < measured < seconds[-1]


def test_a_seed_gives_the_same_figures() -> None:
    people = People(servers=500)
    trial = Trial(speed=H200_8B, replicas=2)
    first, second = (try_busy_hour(draw_day(people, seed=7), trial) for _ in range(2))
    assert first == second
    assert first != try_busy_hour(draw_day(people, seed=8), trial)


def test_somebody_refused_counts_as_one_who_waited_for_ever() -> None:
    day = day_of([0.0, 1.0, 2.0, 3.0], [0, 1, 2, 3], questions=[9] * 4, replies=[100] * 4)
    service = SimulatedService(day, steady(slots=1, tokens_per_second=1), max_waiting=1)
    service.run(0, ALL_DAY)
    assert [one.server for one in service.felt if one.first_token_seconds is None] == [2, 3]
    assert math.isinf(percentile(service.felt, 0.5))
