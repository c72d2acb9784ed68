"""Storage work done over and over by a process that is going to be killed, and what it must have left behind.

Each worker repeats the same cycle on a tenant and a conversation of its own and acknowledges every step on standard
output, so that from the number of acknowledged steps the tables can be foretold.
Run as `python -m tests.storage.steady_work URL ROUND`.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from storage.clock import SystemClock
from storage.conversations import Conversations, NewMessage
from storage.database import Database
from storage.days import DayZone
from storage.ledger import Ledger

WORKERS = 4
LIMIT = 10**9
STEPS_PER_CYCLE = 7


@dataclass
class Expected:
    """What one worker has done."""

    calls: int = 0
    open_calls: int = 0
    llm_tokens: int = 0
    contents: list[str] = field(default_factory=list)


def tenant(kill_round: int, worker: int) -> str:
    return f"round-{kill_round}-worker-{worker}"


def foretell(steps: int) -> Expected:
    """Say what the tables hold after so many steps of `work`."""
    state = Expected()
    for step in range(steps):
        match step % STEPS_PER_CYCLE:
            case 0 | 2 | 4:
                state.calls += 1
                state.open_calls += 1
            case 1:
                state.open_calls -= 1
                state.llm_tokens += 3 * step
            case 3:
                state.open_calls -= 1
            case 5:
                state.open_calls -= 1
                state.calls -= 1
            case _:
                state.contents += [f"question {step}", f"answer {step}"]
    return state


async def work(name: str, ledger: Ledger, conversations: Conversations) -> AsyncIterator[int]:
    """Do one step after the other for ever, yielding after each how many are done."""
    step = 0
    while True:
        charge = await ledger.charge(name, limit=LIMIT)
        yield step + 1
        await ledger.settle(charge, prompt_tokens=step + 1, completion_tokens=2 * (step + 1))
        yield step + 2
        charge = await ledger.charge(name, limit=LIMIT)
        yield step + 3
        await ledger.keep(charge)
        yield step + 4
        charge = await ledger.charge(name, limit=LIMIT)
        yield step + 5
        await ledger.give_back(charge)
        yield step + 6
        question = NewMessage(role="user", content=f"question {step + 6}")
        answer = NewMessage(role="assistant", content=f"answer {step + 6}")
        await conversations.append(name, question, answer)
        yield step + 7
        step += STEPS_PER_CYCLE


async def _acknowledge(worker: int, name: str, ledger: Ledger, conversations: Conversations) -> None:
    async for done in work(name, ledger, conversations):
        sys.stdout.write(f"{worker} {done}\n")
        sys.stdout.flush()


async def main(url: str, kill_round: int) -> None:
    database = await Database.open(url, sole_service=True)
    clock = SystemClock()
    ledger = Ledger(database, zone=DayZone("UTC"), clock=clock)
    conversations = Conversations(database, clock=clock)
    async with asyncio.TaskGroup() as group:
        for worker in range(WORKERS):
            group.create_task(_acknowledge(worker, tenant(kill_round, worker), ledger, conversations))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
