import zoneinfo
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.days import DayZone

ZONES = {name: DayZone(name) for name in sorted(zoneinfo.available_timezones())}
SECOND = timedelta(seconds=1)
START = datetime(2024, 1, 1, tzinfo=UTC)


@settings(max_examples=500, deadline=None)
@given(
    name=st.sampled_from(sorted(ZONES)),
    now=st.timedeltas(timedelta(0), timedelta(days=12 * 365)).map(lambda since: START + since),
)
def test_a_reset_is_the_first_moment_of_the_next_day(name: str, now: datetime) -> None:
    zone = ZONES[name]
    reset = zone.next_reset(now)
    assert reset > now
    assert reset.tzinfo is UTC
    assert zone.day(reset) == zone.day(now) + timedelta(days=1)
    assert zone.day(reset - SECOND) == zone.day(now)


def _zones_with_different_years() -> list[str]:
    """Return one zone for each way the clocks go between 2024 and 2027."""
    noons = [START + timedelta(days=day) for day in range(0, 4 * 365, 5)]
    years = {
        tuple(noon.astimezone(zoneinfo.ZoneInfo(name)).utcoffset() for noon in noons): name for name in sorted(ZONES)
    }
    return sorted(years.values())


def test_each_day_ends_where_the_next_begins_however_the_clocks_go() -> None:
    for name in _zones_with_different_years():
        zone = ZONES[name]
        reset = zone.next_reset(START)
        while reset.year < 2028:
            following = zone.next_reset(reset)
            assert zone.day(following) - zone.day(reset) == timedelta(days=1), (name, reset)
            assert zone.day(following - SECOND) == zone.day(reset), (name, reset)
            reset = following


@pytest.mark.parametrize(
    ("zone", "now", "reset"),
    [
        pytest.param("Europe/London", "2026-11-20T12:00", "2026-11-21T00:00", id="winter"),
        pytest.param("Europe/London", "2026-07-01T12:00", "2026-07-01T23:00", id="summer"),
        pytest.param("Europe/London", "2027-03-28T00:00", "2027-03-28T23:00", id="23 hours in spring"),
        pytest.param("Europe/London", "2026-10-24T23:00", "2026-10-26T00:00", id="25 hours in autumn"),
        pytest.param("America/Havana", "2027-03-14T04:59:59", "2027-03-14T05:00", id="midnight does not exist"),
        pytest.param("America/Havana", "2026-11-01T03:59:59", "2026-11-01T04:00", id="midnight exists twice"),
        pytest.param("Asia/Beirut", "2027-03-27T12:00", "2027-03-27T22:00", id="jump at midnight, east"),
        pytest.param("Africa/Cairo", "2026-10-29T20:59:59", "2026-10-29T22:00", id="the last hour comes twice"),
        pytest.param("Asia/Kathmandu", "2026-11-20T18:14:59", "2026-11-20T18:15", id="quarter hour"),
        pytest.param("Pacific/Kiritimati", "2026-11-20T10:00", "2026-11-21T10:00", id="furthest east"),
        pytest.param("America/Toronto", "1919-03-31T04:29:59", "1919-03-31T04:30", id="jump begins before midnight"),
        pytest.param("Pacific/Apia", "2011-12-30T09:59:59", "2011-12-30T10:00", id="a date that never was"),
    ],
)
def test_known_nights(zone: str, now: str, reset: str) -> None:
    instant = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert DayZone(zone).next_reset(instant) == datetime.fromisoformat(reset).replace(tzinfo=UTC)


def test_a_day_is_the_date_on_the_wall() -> None:
    instant = datetime(2026, 7, 1, 23, 30, tzinfo=UTC)
    assert DayZone("Europe/London").day(instant) == date(2026, 7, 2)
    assert DayZone("UTC").day(instant) == date(2026, 7, 1)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Europe/Londn", "did you mean Europe/London?"),
        ("europe/london", "did you mean Europe/London?"),
        ("Middle/Earth of nowhere", "use an IANA name"),
        ("", "use an IANA name"),
        ("../../etc/passwd", "use an IANA name"),
        ("/etc/localtime", "no time zone is called"),
        ("Europe", "no time zone is called"),
        ("a\0b", "no time zone is called"),
        ("x" * 10_000, "no time zone is called"),
    ],
)
def test_a_wrong_zone_is_named_with_advice(name: str, hint: str) -> None:
    with pytest.raises(ValueError, match="no time zone is called") as caught:
        DayZone(name)
    assert hint in str(caught.value)
    assert len(str(caught.value)) < 300
