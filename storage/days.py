"""Which day an instant belongs to in the operator's zone, and when that day ends.

Owns: the calendar behind the daily allowance. Does not own: counting (`ledger.py`).
"""

import difflib
import zoneinfo
from datetime import UTC, date, datetime, time, timedelta

_SECOND = timedelta(seconds=1)


class DayZone:
    """Days of one IANA time zone, summer time included.

    Raises `ValueError` with a helpful message when there is no such zone.
    """

    def __init__(self, zone_name: str) -> None:
        self.name = zone_name
        self._zone = _find_zone(zone_name)

    def day(self, now: datetime) -> date:
        """Return the local date at an aware instant."""
        return now.astimezone(self._zone).date()

    def next_reset(self, now: datetime) -> datetime:
        """Return the UTC instant at which the next local day begins.

        Where clocks jump over midnight (in spring: America/Havana, Asia/Beirut) it is the first instant after the jump.
        """
        today = self.day(now)
        # For a wall time that does not exist, fold=0 reads the offset before the jump (PEP 495): 00:00 in a jump from
        # 00:00 to 01:00 is then exactly the jump. For one that exists twice it is the earlier.
        midnight = datetime.combine(today + timedelta(days=1), time.min, tzinfo=self._zone).astimezone(UTC)
        if self.day(midnight - _SECOND) <= today < self.day(midnight):
            return midnight
        return self._search_reset(now.astimezone(UTC), today)

    def _search_reset(self, now: datetime, today: date) -> datetime:
        """Find the first second of a later date by bisection, for jumps that begin before midnight."""
        start = now.replace(microsecond=0)
        low, high = 0, int(timedelta(days=3) / _SECOND)
        while high - low > 1:
            middle = (low + high) // 2
            if self.day(start + middle * _SECOND) > today:
                high = middle
            else:
                low = middle
        return start + high * _SECOND


def _find_zone(name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        # OSError: the name of a folder of zones, such as "Europe".
        raise ValueError(_explain_unknown_zone(name)) from None


def _explain_unknown_zone(name: str) -> str:
    known = {zone.lower(): zone for zone in zoneinfo.available_timezones()}
    close = difflib.get_close_matches(name.lower(), known, n=1)
    hint = f"did you mean {known[close[0]]}?" if close else "use an IANA name such as Europe/London"
    return f"no time zone is called {name[:64]!r}; {hint}"
