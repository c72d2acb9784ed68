"""`python -m tests.soak`: ten minutes, or as long as it is told."""

import argparse
import asyncio
import secrets
import sys

from tests.soak.chaos import Pace
from tests.soak.soak import Plan, print_report, soak


def main() -> None:
    """Run the soak; exit status 1 when something must not be."""
    parser = argparse.ArgumentParser(description="Mixed traffic and kill -9, then the books are compared.")
    parser.add_argument("--seconds", type=float, default=600.0, help="of traffic")
    parser.add_argument("--workers", type=int, default=24, help="callers at once")
    parser.add_argument(
        "--seed", type=int, default=None, help="of the last line of an earlier run, to repeat its choices"
    )
    asked = parser.parse_args()
    plan = Plan(
        seconds=asked.seconds,
        workers=asked.workers,
        seed=secrets.randbelow(10**6) if asked.seed is None else asked.seed,
        pace=Pace(pause=(2.0, 20.0), calm_seconds=asked.seconds / 5),
        is_long=asked.seconds >= 300,
    )
    report = asyncio.run(soak(plan))
    print_report(report)
    sys.exit(1 if report["problems"] else 0)


if __name__ == "__main__":
    main()
