"""What a picture of usage shows: the numbers, the words, and which series are summed into one.

Owns: those values and their line of JSON between the bot and the process that draws. Does not own: the numbers'
origin (`bot/usage.py`), the words themselves (`bot/texts/`), or how any of it looks (`picture.py`).
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Self

MOST_SERIES = 8
"""How many series are drawn by themselves; colours and hatches stay apart for so many."""

MONTHS = 12


@dataclass(frozen=True, slots=True)
class UsageSeries:
    """What one API token, or the server itself in Discord, used: one number per day, oldest first."""

    name: str
    calls: tuple[int, ...]
    llm_tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartLabels:
    """Every word in the picture."""

    calls_per_day: str
    llm_tokens_per_day: str
    total: str
    """Beside each heading, with `{number}`: the sum of all days."""
    others: str
    """The series that are summed into one."""
    nothing_used: str
    """In an empty panel."""
    months: tuple[str, ...]
    """Twelve short names, January first."""
    day: str
    """A day of the month, with `{day}` and `{month}`."""
    decimal_mark: str

    def __post_init__(self) -> None:
        if len(self.months) != MONTHS:
            raise ValueError("a year has twelve months")

    def name_day(self, day: date) -> str:
        """Return the day as people write it, without the year."""
        return self.day.format(day=day.day, month=self.months[day.month - 1])

    def words(self) -> tuple[str, ...]:
        """Return everything that does not depend on numbers, to see whether it can be drawn."""
        return (
            *(self.calls_per_day, self.llm_tokens_per_day, self.total, self.others, self.nothing_used),
            *(*self.months, self.day, self.decimal_mark),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageChart:
    """All that one picture needs; days are oldest first.

    `plain_labels` are the same words in letters that every installation can draw, used where `labels` cannot be.
    Raises `ValueError` when there is no day, or a series has not one number for each.
    """

    series: tuple[UsageSeries, ...]
    days: tuple[date, ...]
    labels: ChartLabels
    plain_labels: ChartLabels | None = None

    def __post_init__(self) -> None:
        if not self.days:
            raise ValueError("a picture of usage needs at least one day")
        if any(len(numbers) != len(self.days) for each in self.series for numbers in (each.calls, each.llm_tokens)):
            raise ValueError("every series needs one number for each day")

    def to_json(self) -> bytes:
        """Return one JSON document in ASCII; `from_json` reads it back."""
        return json.dumps({**asdict(self), "days": [day.isoformat() for day in self.days]}).encode("ascii")

    @classmethod
    def from_json(cls, document: bytes) -> Self:
        """Read what `to_json` wrote."""
        fields = json.loads(document)
        plain = fields["plain_labels"]
        return cls(
            series=tuple(
                UsageSeries(each["name"], tuple(each["calls"]), tuple(each["llm_tokens"])) for each in fields["series"]
            ),
            days=tuple(date.fromisoformat(day) for day in fields["days"]),
            labels=_labels(fields["labels"]),
            plain_labels=None if plain is None else _labels(plain),
        )


def _labels(fields: dict[str, Any]) -> ChartLabels:
    return ChartLabels(**{**fields, "months": tuple(fields["months"])})


def sum_of_series(name: str, series: Sequence[UsageSeries]) -> UsageSeries:
    """Add series up, day by day."""
    calls, llm_tokens = (
        tuple(map(sum, zip(*numbers, strict=True)))
        for numbers in ([each.calls for each in series], [each.llm_tokens for each in series])
    )
    return UsageSeries(name, calls, llm_tokens)


def pick_drawn(series: Sequence[UsageSeries]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the places of the series that are drawn by themselves, and of those that are summed, both in order.

    Kept are those with the largest share of all calls and of all LLM tokens together, so that a few long requests
    count as well as many short ones.
    """
    all_calls = sum(sum(each.calls) for each in series) or 1
    all_tokens = sum(sum(each.llm_tokens) for each in series) or 1

    def share(place: int) -> float:
        return sum(series[place].calls) / all_calls + sum(series[place].llm_tokens) / all_tokens

    largest = sorted(range(len(series)), key=share, reverse=True)
    return tuple(sorted(largest[:MOST_SERIES])), tuple(sorted(largest[MOST_SERIES:]))
