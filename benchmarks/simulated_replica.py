"""One GPU replica on a virtual clock, as fast as one was measured to be.

Owns: the clock, the measured speeds, and a model of how a replica shares its time. Does not own: who gets a slot and
which replica (`simulated_service.py`).

A replica computes prompts one after the other, before anything else, and meanwhile no reply goes on: llama.cpp's server
puts 2,048 tokens of prompts into a step, which takes 0.2 s, and a reply gets one token per step. Else all replies go on
at the speed measured for so many. A slot keeps the conversation that it had last; a new one takes the slot that has
been idle for longest.
"""

import heapq
from bisect import bisect_left
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What one replica does. `streams` says the tokens a second of each reply where so many are made together."""

    name: str
    slots: int
    prompt_tokens_per_second: float
    prompt_seconds: float
    """What a prompt takes beside its tokens."""

    streams: tuple[tuple[int, float], ...]

    def each(self, replies: int) -> float:
        """Give tokens a second of each of so many replies; between two measured counts, on the line between them."""
        at = bisect_left(self.streams, (replies, 0.0))
        if at == len(self.streams):
            return self.streams[-1][0] * self.streams[-1][1] / replies
        above, fast = self.streams[at]
        if above == replies or not at:
            return fast
        below, faster = self.streams[at - 1]
        return faster + (fast - faster) * (replies - below) / (above - below)


H200_8B = Speed(
    name="8 billion weights, Q4_0, on one H200",
    slots=32,
    prompt_tokens_per_second=11_000,
    prompt_seconds=0.010,
    streams=((1, 250), (4, 176), (8, 106), (16, 48), (32, 38)),
)
H200_1B = Speed(
    name="1.1 billion weights, Q4_0, on one H200",
    slots=32,
    prompt_tokens_per_second=40_000,
    prompt_seconds=0.010,
    streams=((1, 700), (4, 360), (8, 210), (16, 115), (32, 57)),
)
"""llama.cpp's server built for CUDA, through `POST /ai/chat` (decision 32); alone 210 to 310 tokens/s were measured."""

CPU_1B = Speed(
    name="1.1 billion weights, Q4_0, on two cores",
    slots=4,
    prompt_tokens_per_second=83,
    prompt_seconds=0.010,
    streams=((1, 41), (4, 10)),
)
"""The packaged engine (design, decision 21): about 40 tokens/s, alone or together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A prompt and its reply. `is_whole` says that nothing of the conversation was cut off, which a slot would know."""

    conversation: int
    prompt_tokens: int
    reply_tokens: int
    is_whole: bool
    on_first_token: Callable[[float], None]
    """Told when the first token comes, which may be a moment later than now."""
    on_end: Callable[[], None]


class Clock:
    """Virtual seconds, and what happens when."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def at(self, when: float, what: Callable[[], None]) -> None:
        """Do something later."""
        heapq.heappush(self._events, (when, next(self._order), what))

    def run(self, until: float) -> None:
        """Let time pass."""
        while self._events and self._events[0][0] <= until:
            self.now, _, what = heapq.heappop(self._events)
            what()


class SimulatedReplica:
    """One replica: prompts one after the other, and replies together."""

    def __init__(self, clock: Clock, speed: Speed, *, remembers: int) -> None:
        self._clock = clock
        self._speed = speed
        self._remembers = remembers
        self._prompts: deque[tuple[Work, float]] = deque()
        self._replies: list[tuple[float, int, Work]] = []
        self._order = count()
        self._progress = 0.0
        self._looked_at = 0.0
        self._version = 0
        self._is_computing = False
        self._idle: OrderedDict[int, int] = OrderedDict()
        self.busy_seconds = 0.0
        self.slot_seconds = 0.0
        self.computed_tokens = 0
        self.cached_tokens = 0

    @property
    def running(self) -> int:
        """Count the requests here."""
        return len(self._prompts) + len(self._replies)

    def take(self, work: Work) -> None:
        """Compute a prompt, which may be in a slot already, and then a reply."""
        cached = min(self._idle.pop(work.conversation, 0), work.prompt_tokens - 1) if work.is_whole else 0
        self.cached_tokens += cached
        self.computed_tokens += work.prompt_tokens - cached
        seconds = self._speed.prompt_seconds + (work.prompt_tokens - cached) / self._speed.prompt_tokens_per_second
        self._catch_up()
        self._prompts.append((work, seconds))
        self._keep_no_more_than_fit()
        if not self._is_computing:
            self._go_on()

    def _catch_up(self) -> None:
        """Let the replies have what they got since it was looked at last."""
        seconds = self._clock.now - self._looked_at
        if self.running:
            self.busy_seconds += seconds
            self.slot_seconds += self.running * seconds
        if self._replies and not self._is_computing:
            self._progress += seconds * self._speed.each(len(self._replies))
        self._looked_at = self._clock.now

    def _go_on(self) -> None:
        """Say what ends next."""
        self._version += 1
        self._is_computing = bool(self._prompts)
        if self._prompts:
            seconds, what = self._prompts[0][1], self._end_prompt
        elif self._replies:
            left = self._replies[0][0] - self._progress
            seconds, what = max(0.0, left) / self._speed.each(len(self._replies)), self._end_reply
        else:
            return
        version = self._version
        self._clock.at(self._clock.now + seconds, lambda: what() if version == self._version else None)

    def _end_prompt(self) -> None:
        self._catch_up()
        work, _ = self._prompts.popleft()
        # The first token comes with the step in which the prompt ends; the step is counted as one of the reply's.
        heapq.heappush(self._replies, (self._progress + work.reply_tokens, next(self._order), work))
        work.on_first_token(self._clock.now + 1 / self._speed.each(len(self._replies)))
        self._go_on()

    def _end_reply(self) -> None:
        self._catch_up()
        _, _, work = heapq.heappop(self._replies)
        self._idle[work.conversation] = work.prompt_tokens + work.reply_tokens
        self._keep_no_more_than_fit()
        self._go_on()
        work.on_end()

    def _keep_no_more_than_fit(self) -> None:
        while len(self._idle) > max(0, self._remembers - self.running):
            self._idle.popitem(last=False)
