"""Taking turns: one ring of a deficit round robin, whoever takes them and whatever they then do with a turn.

Owns: credit and debt in LLM tokens, and the order of turns. Does not own: tenants, people and their requests
(`fairness.py`).

The round robin is that of Shreedhar and Varghese (SIGCOMM 1995) in the form that lets a turn overdraw (Surplus Round
Robin; Adiseshu, Parulkar and Varghese, SIGCOMM 1996): whoever has credit is served whatever the request costs, and
passes as many turns as pay for it. Nobody has to save up for a large request, and a cost that turns out higher is paid
later.
"""

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

QUANTUM_TOKENS = 64
"""What a turn pays, and the least that a request costs: so a turn serves one request, never a run of small ones."""

MOST_PASSED = 2
"""An idler who comes back and still owes is passed by so many requests of each other at most, and then owes nothing."""

PartyKey = str | int | None


class Party:
    """Somebody who takes turns. `credit_tokens` below zero are owed; `waiting` counts requests.

    `patience` counts the rounds that an idler who came back may still be passed in, `seen_served` the turns that were
    served up to the last of them.
    """

    __slots__ = ("credit_tokens", "is_in_line", "key", "patience", "seen_served", "waiting")

    def __init__(self, key: PartyKey) -> None:
        self.key = key
        self.credit_tokens = 0
        self.waiting = 0
        self.is_in_line = False
        self.patience = 0
        self.seen_served = 0

    @property
    def is_needed(self) -> bool:
        """Say whether there is anything to remember of somebody who neither waits nor owes."""
        return False


PartyT = TypeVar("PartyT", bound=Party)


class Ring(Generic[PartyT]):
    """Parties in turn: those who wait, and those who owe until their turns have paid it.

    `ready` counts who in line waits. `period` counts the times that all debts were forgotten.
    """

    __slots__ = ("_line", "_make", "_served", "members", "period", "ready")

    def __init__(self, make: Callable[[PartyKey], PartyT]) -> None:
        self._make = make
        self._line: deque[PartyT] = deque()
        self.members: dict[PartyKey, PartyT] = {}
        self.ready = 0
        self.period = 0
        self._served = 0

    def member(self, key: PartyKey) -> PartyT:
        """Find somebody, or meet them."""
        found = self.members.get(key)
        if found is None:
            found = self.members[key] = self._make(key)
        return found

    def add_waiting(self, party: PartyT) -> None:
        """Count one request more; who comes anew takes the last place in line."""
        party.waiting += 1
        if party.waiting == 1 and not party.is_needed:
            party.patience, party.seen_served = MOST_PASSED, self._served
        if party.is_in_line:
            self.ready += party.waiting == 1
        else:
            self.join(party)

    def drop_waiting(self, party: PartyT) -> None:
        """Count one request less."""
        party.waiting -= 1
        self.ready -= party.is_in_line and not party.waiting

    def join(self, party: PartyT) -> None:
        """Put somebody who is not in line at its end."""
        party.is_in_line = True
        self._line.append(party)
        self.ready += party.waiting > 0

    def next(self, may_go: Callable[[PartyT], bool]) -> PartyT | None:
        """Go round, each turn paying a quantum, to somebody who waits and has credit; None when there is nobody.

        Whoever waits and may not go leaves the line, until `join` or another request brings them back.
        """
        while self.ready:
            party = self._line.popleft()
            if party.waiting and not may_go(party):
                party.is_in_line = False
                self.ready -= 1
                continue
            # Alone in line there is nobody to owe anything to.
            party.credit_tokens = (party.credit_tokens if self._line else max(0, party.credit_tokens)) + QUANTUM_TOKENS
            if not party.waiting and party.credit_tokens >= 0:
                self._leave(party)
                continue
            self._line.append(party)
            if party.waiting and (party.credit_tokens > 0 or self._forgives(party)):
                party.patience = 0
                self._served += 1
                return party
        return None

    def _forgives(self, party: PartyT) -> bool:
        """Forgive what an idler owed who has been passed often enough, and say so."""
        if not party.patience or party.seen_served == self._served:
            return False
        party.seen_served = self._served
        party.patience -= 1
        if party.patience:
            return False
        party.credit_tokens = QUANTUM_TOKENS
        return True

    def credit(self, party: PartyT, tokens: int) -> None:
        """Give back, or below zero charge, what was expected wrongly; who does not wait saves nothing up."""
        party.credit_tokens += tokens
        if not party.is_in_line and not party.waiting:
            party.credit_tokens = min(0, party.credit_tokens)
            if party.credit_tokens:
                self.join(party)

    def begin_period(self) -> None:
        """Forget all debts: nobody waits, so nobody is owed anything."""
        while self._line:
            self._leave(self._line.popleft())
        self.period += 1

    def forget(self, party: PartyT) -> None:
        """Drop somebody of whom there is nothing to remember."""
        if not (party.waiting or party.is_in_line or party.is_needed):
            self.members.pop(party.key, None)

    def copy(self, copy_party: Callable[[PartyT], PartyT]) -> "Ring[PartyT]":
        """Copy the ring with everybody in it."""
        twin: Ring[PartyT] = Ring(self._make)
        twin.ready, twin.period, twin._served = self.ready, self.period, self._served
        for key, party in self.members.items():
            copied = twin.members[key] = copy_party(party)
            copied.credit_tokens, copied.waiting = party.credit_tokens, party.waiting
            copied.is_in_line, copied.patience = party.is_in_line, party.patience
            copied.seen_served = party.seen_served
        twin._line.extend(twin.members[party.key] for party in self._line)
        return twin

    def _leave(self, party: PartyT) -> None:
        party.is_in_line = False
        party.credit_tokens = 0
        self.forget(party)
