"""The calls of the last hour, as the pages show them minute by minute. In memory: a restart begins anew.

Owns: remembering and summing up. Does not own: the ledger, which is exact and lasts (`storage/ledger.py`), or the
metrics over all time (`../metrics.py`).
"""

from collections import deque
from collections.abc import Container
from datetime import UTC, datetime
from statistics import median
from typing import NamedTuple

from api.allowance import Call
from api.web.contract import MinuteRecord
from storage.clock import Clock

MINUTES = 60
MOST_CALLS = 20_000
"""About 3 MB; a busier service shows less than an hour."""


class _Ended(NamedTuple):
    minute: int
    tenant_id: str
    first_token_seconds: float | None
    prompt_tokens: int
    cached_tokens: int


class RecentCalls:
    """What the last calls of one process came to."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ended: deque[_Ended] = deque(maxlen=MOST_CALLS)

    def note(self, call: Call) -> None:
        """Remember a call that has ended."""
        finished = call.timings.finished
        ended = _Ended(
            minute=self._minute(),
            tenant_id=call.caller.tenant_id,
            first_token_seconds=call.timings.first_token_seconds,
            prompt_tokens=0 if finished is None else finished.prompt_tokens,
            cached_tokens=0 if finished is None else finished.cached_tokens,
        )
        self._ended.append(ended)

    def minutes(self, tenant_ids: Container[str] | None) -> list[MinuteRecord]:
        """Sum up each minute of the last hour that saw the end of a call; None is for everyone's calls."""
        oldest = self._minute() - MINUTES
        by_minute: dict[int, list[_Ended]] = {}
        for each in self._ended:
            if each.minute > oldest and (tenant_ids is None or each.tenant_id in tenant_ids):
                by_minute.setdefault(each.minute, []).append(each)
        return [_sum_up(minute, ended) for minute, ended in sorted(by_minute.items())]

    def _minute(self) -> int:
        return int(self._clock.now().timestamp()) // 60


def _sum_up(minute: int, ended: list[_Ended]) -> MinuteRecord:
    waits = [each.first_token_seconds for each in ended if each.first_token_seconds is not None]
    return MinuteRecord(
        at=datetime.fromtimestamp(minute * 60, UTC),
        calls=len(ended),
        first_token_seconds=round(median(waits), 4) if waits else None,
        prompt_tokens=sum(each.prompt_tokens for each in ended),
        cached_tokens=sum(each.cached_tokens for each in ended),
    )
