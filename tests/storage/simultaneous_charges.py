"""One of several processes that open the same database and charge the same tenant at the same moment.

Says `ready`, waits for a line on standard input, then prints how many calls were charged and how many refused.
Run as `python -m tests.storage.simultaneous_charges URL CALLS LIMIT`.
"""

import asyncio
import sys

from storage.clock import SystemClock
from storage.database import Database
from storage.days import DayZone
from storage.errors import AllowanceUsedError
from storage.ledger import Charge, Ledger


async def main(url: str, calls: int, limit: int) -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    database = await Database.open(url, busy_timeout_seconds=30)
    try:
        ledger = Ledger(database, zone=DayZone("UTC"), clock=SystemClock())
        outcomes = await asyncio.gather(
            *(ledger.charge("tenant", limit=limit) for _ in range(calls)), return_exceptions=True
        )
    finally:
        await database.close()
    charged = sum(isinstance(outcome, Charge) for outcome in outcomes)
    refused = sum(isinstance(outcome, AllowanceUsedError) for outcome in outcomes)
    sys.stdout.write(f"{charged} {refused}\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
