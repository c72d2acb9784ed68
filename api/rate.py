"""How far a caller's day is used, and the headers that say so in every dialect.

Does not own: the counting (`storage/ledger.py`), or headers of one dialect alone (its own module).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class RateState:
    """What the rate-limit headers of one reply say."""

    limit: int
    remaining: int
    resets_at: datetime

    def seconds_left(self, now: datetime) -> int:
        """Count the whole seconds to the next day, rounded up."""
        return max(0, math.ceil((self.resets_at - now).total_seconds()))

    def headers(self, now: datetime) -> Mapping[str, str]:
        """Render `X-RateLimit-*` and the IETF fields (draft-ietf-httpapi-ratelimit-headers-10).

        `t` is the true number of seconds to the local midnight; `w` is nominal, a day may last 23 or 25 hours.
        """
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(math.ceil(self.resets_at.timestamp())),
            "RateLimit-Policy": f'"daily";q={self.limit};w=86400',
            "RateLimit": f'"daily";r={self.remaining};t={self.seconds_left(now)}',
        }
