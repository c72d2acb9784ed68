"""A month of calls in the ledger, as if people had called."""

from datetime import UTC, datetime, timedelta

from storage.ledger import Ledger
from tests.service import Service


class SetClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.instant = datetime.now(UTC)

    def now(self) -> datetime:
        return self.instant


async def call_for_days(service: Service, tenant_id: str, *, days: int, step: int = 1) -> None:
    """Charge and settle some calls on each of the last days, in a pattern that looks like a week."""
    clock = SetClock()
    ledger = Ledger(service.ledger._database, zone=service.ledger._zone, clock=clock)
    today = clock.instant
    for ago in range(0, days, step):
        clock.instant = today - timedelta(days=ago)
        calls = 2 + (clock.instant.toordinal() * 7 % 5) + (0 if clock.instant.weekday() > 4 else 3)
        for _ in range(calls):
            charge = await ledger.charge(tenant_id, limit=1000)
            await ledger.settle(charge, prompt_tokens=140 + 3 * ago, completion_tokens=60 + ago)
