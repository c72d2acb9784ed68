"""API processes before GPU replicas on a virtual clock, with Parley's own queue, fairness and choice of a replica.

Owns: letting people come, and what they feel. Who starts next, who is refused and what is expected of a request is
`api.queue.RequestQueue` itself, on the virtual clock; which replica a conversation goes to is
`generation.remote.pool.Pool.choose` itself. Does not own: who asks (`simulated_people.py`), how fast a replica is
(`simulated_replica.py`).
"""

import hashlib
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import cast

from api.errors import ApiError
from api.expectations import Size
from api.places import Place
from api.queue import RequestQueue
from benchmarks.simulated_people import Day, Session
from benchmarks.simulated_replica import Clock, SimulatedReplica, Speed, Work
from generation.remote.address import Address
from generation.remote.pool import Pool
from generation.remote.replica import Replica

CONTEXT_TOKENS = 4096
BYTES_PER_TOKEN = 4
"""What English has; the queue guesses a prompt's tokens from its bytes, and learns."""


@dataclass(slots=True, eq=False)
class Visit:
    """One question on its way."""

    session: Session
    turn: int
    prompt_tokens: int
    reply_tokens: int
    came_at: float
    is_whole: bool
    stack: ExitStack = field(default_factory=ExitStack)
    place: Place | None = None
    way: "Way | None" = None

    @property
    def conversation(self) -> int:
        """Name the conversation: a person's questions in a row."""
        return self.session.number


@dataclass(slots=True)
class Way:
    """One API process's way to a replica: what `Pool.choose` looks at in `generation.remote.replica.Replica`."""

    address: Address
    replica: "SimulatedReplica"
    running: int = 0
    is_up: bool = True
    may_take: bool = True


class ApiProcess:
    """One API process: its queue, its pool, and those who wait in it."""

    def __init__(
        self,
        clock: Clock,
        replicas: Iterable[SimulatedReplica],
        *,
        slots_each: int,
        max_waiting: int,
        tenant_slots: int | None,
    ) -> None:
        self._ways = [
            Way(Address(number, f"http://replica-{number}:8000"), replica) for number, replica in enumerate(replicas, 1)
        ]
        slots = slots_each * len(self._ways)
        self.queue = RequestQueue(
            slots=slots, max_waiting=max_waiting, tenant_slots=tenant_slots, now=lambda: clock.now
        )
        self.waiting: list[Visit] = []
        self._pool = Pool(slots=slots)
        # `start` would ask them whether they are well.
        self._pool._replicas = cast("list[Replica]", self._ways)  # noqa: SLF001

    def choose(self, conversation: int) -> Way:
        """Choose a replica for a conversation, as the remote engine does."""
        key = hashlib.blake2b(str(conversation).encode(), digest_size=16).digest()
        return cast("Way", self._pool.choose(key))


@dataclass(frozen=True, slots=True)
class Felt:
    """What became of one question: seconds in line and to the first token, both None where it was refused."""

    server: int
    is_flood: bool
    came_at: float
    waited_seconds: float | None
    first_token_seconds: float | None


class SimulatedService:
    """Everything together. `remembers` counts the conversations that a replica's slots keep; None is one in each."""

    def __init__(
        self,
        day: Day,
        speed: Speed,
        *,
        replicas: int = 1,
        processes: int = 1,
        max_waiting: int,
        tenant_slots: int | None = None,
        remembers: int | None = None,
    ) -> None:
        self._day = day
        self.clock = Clock()
        self.felt: list[Felt] = []
        self.said_tokens = 0
        self.slots = replicas * speed.slots
        self.replicas = [
            SimulatedReplica(self.clock, speed, remembers=speed.slots if remembers is None else remembers)
            for _ in range(replicas)
        ]
        self.processes = [
            ApiProcess(
                self.clock,
                self.replicas,
                slots_each=speed.slots // processes,
                max_waiting=max_waiting,
                tenant_slots=tenant_slots,
            )
            for _ in range(processes)
        ]

    def run(self, begins: float, ends: float) -> None:
        """Let everybody come who begins within these seconds, and stop at the end of them."""
        self.clock.now = begins
        for session in self._day.sessions(begins, ends):
            self.clock.at(session.starts_at, lambda session=session: self._ask(session, 0, session.history_tokens))  # type: ignore[misc]
        self.clock.run(ends)

    def _ask(self, session: Session, turn: int, history_tokens: int) -> None:
        """Ask a question behind a history, which is cut in half where it is too long, as `generation.fitting` does."""
        people, at = self._day.people, session.first_turn + turn
        window = CONTEXT_TOKENS - people.most_reply_tokens - people.persona_tokens
        said = history_tokens + int(self._day.question_tokens[at])
        is_whole = said <= window
        visit = Visit(
            session=session,
            turn=turn,
            prompt_tokens=people.persona_tokens + (said if is_whole else window // 2),
            reply_tokens=int(self._day.reply_tokens[at]),
            came_at=self.clock.now,
            is_whole=is_whole,
        )
        self._come(self._process_of(session.server), visit)

    def _process_of(self, server: int) -> ApiProcess:
        """Find a server's process; its shard of the bot asks always the same one."""
        return self.processes[server % len(self.processes)]

    def _come(self, process: ApiProcess, visit: Visit) -> None:
        session = visit.session
        size = Size(
            prompt_bytes=BYTES_PER_TOKEN * visit.prompt_tokens,
            context_tokens=CONTEXT_TOKENS,
            reply_tokens=self._day.people.most_reply_tokens,
        )
        place = process.queue.place(tenant_id=f"server {session.server}", person_id=session.person, size=size)
        try:
            visit.place = visit.stack.enter_context(place)
        except ApiError:
            self._refuse(visit)
            return
        process.waiting.append(visit)
        self._serve_called(process)

    def _serve_called(self, process: ApiProcess) -> None:
        """Serve whoever was given a slot, and let go of whoever gave way."""
        waiting, process.waiting = process.waiting, []
        for visit in waiting:
            assert visit.place is not None
            if visit.place.is_called:
                self._serve(process, visit)
            elif visit.place.has_given_way:
                visit.stack.close()
                self._refuse(visit)
            else:
                process.waiting.append(visit)

    def _serve(self, process: ApiProcess, visit: Visit) -> None:
        assert visit.place is not None
        visit.place.fitted(visit.prompt_tokens, is_whole=visit.is_whole)
        visit.way = process.choose(visit.conversation)
        visit.way.running += 1
        visit.way.replica.take(
            Work(
                conversation=visit.conversation,
                prompt_tokens=visit.prompt_tokens,
                reply_tokens=visit.reply_tokens,
                is_whole=visit.is_whole,
                on_first_token=lambda at: self._first_token(visit, at),
                on_end=lambda: self._end(process, visit),
            )
        )

    def _first_token(self, visit: Visit, at: float) -> None:
        assert visit.place is not None
        visit.place.said(1)
        self._note(visit, visit.place.waited_seconds, at - visit.came_at)

    def _refuse(self, visit: Visit) -> None:
        """Let somebody go who was refused; they ask nothing more."""
        self._note(visit, None, None)

    def _note(self, visit: Visit, waited: float | None, first_token: float | None) -> None:
        session = visit.session
        self.felt.append(Felt(session.server, session.is_flood, visit.came_at, waited, first_token))

    def _end(self, process: ApiProcess, visit: Visit) -> None:
        assert visit.place is not None
        assert visit.way is not None
        visit.way.running -= 1
        self.said_tokens += visit.reply_tokens
        visit.place.ended(visit.reply_tokens, is_cut=visit.reply_tokens == self._day.people.most_reply_tokens)
        visit.stack.close()
        self._serve_called(process)
        turn = visit.turn + 1
        if turn < visit.session.turns:
            history = visit.prompt_tokens - self._day.people.persona_tokens + visit.reply_tokens
            pause = float(self._day.pauses[visit.session.first_turn + visit.turn])
            self.clock.at(self.clock.now + pause, lambda: self._ask(visit.session, turn, history))
