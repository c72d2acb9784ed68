"""One of several processes that charge the same tenants at the same moment and close every call, in some way.

Says `ready`, waits for a line on standard input, then prints how many calls it left used, and what LLM tokens it
settled. Run as `python -m tests.storage.busy_ledger URL SEED CALLS`.
"""

import asyncio
import random
import sys

from storage.clock import SystemClock
from storage.database import Database
from storage.days import DayZone
from storage.ledger import Ledger

TENANTS = ("tok_a", "tok_b", "tok_c")
ENDS = ("settle", "keep", "give back")
PROMPT, COMPLETION = 3, 4


async def main(url: str, seed: int, calls: int) -> None:
    chance = random.Random(seed)
    database = await Database.open(url, busy_timeout_seconds=30)
    try:
        ledger = Ledger(database, zone=DayZone("UTC"), clock=SystemClock())
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)
        used = await asyncio.gather(
            *(
                call(ledger, chance.choice(TENANTS), chance.choice(("settle", "keep", "give back")))
                for _ in range(calls)
            )
        )
    finally:
        await database.close()
    sys.stdout.write(f"{sum(calls for calls, _ in used)} {sum(tokens for _, tokens in used)}\n")


async def call(ledger: Ledger, tenant: str, end: str) -> tuple[int, int]:
    charge = await ledger.charge(tenant, limit=10**6)
    match end:
        case "settle":
            await ledger.settle(charge, prompt_tokens=PROMPT, completion_tokens=COMPLETION)
            return 1, PROMPT + COMPLETION
        case "keep":
            await ledger.keep(charge)
            return 1, 0
        case _:
            await ledger.give_back(charge)
            return 0, 0


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
