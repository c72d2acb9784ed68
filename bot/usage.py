"""The report of `/developer usage`: what each API token, and the server itself in Discord, has used.

Owns: which numbers are reported and their order. Does not own: the words (`texts/usage.py`), the picture (`charts/`),
or the counting (`storage/ledger.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from bot.charts import ChartLabels, UsageSeries
from bot.charts.series import sum_of_series
from bot.dialogue import tenant_of
from bot.speakers import clean_token_name
from bot.texts import usage as words
from storage.ledger import Ledger, TenantUsage
from storage.tokens import ApiToken

REPORTED_DAYS = 30

MAX_ACTIVE = 50
MAX_REVOKED = 25
"""So many API tokens, those used most, have lines of their own; the rest is summed up in one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """What is reported: the numbers as text of any length, and the same day by day, `days` oldest first."""

    text: str
    series: tuple[UsageSeries, ...]
    days: tuple[date, ...]

    def describe_picture(self, labels: ChartLabels) -> str:
        """Return the alternative text of the picture, below 1,024 characters."""
        calls_of_days = [sum(numbers) for numbers in zip(*(each.calls for each in self.series), strict=True)]
        most = max(calls_of_days)
        return words.picture_described(
            calls_month=sum(calls_of_days),
            tokens_month=sum(sum(each.llm_tokens) for each in self.series),
            busiest_day=labels.name_day(self.days[calls_of_days.index(most)]),
            calls_that_day=most,
        )


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the report; `limit` is calls per day, None for what may make none today."""

    name: str
    limit: int | None
    usage: TenantUsage
    series: UsageSeries

    @property
    def calls(self) -> int:
        """Calls in the reported days."""
        return sum(self.series.calls)


async def usage_report(
    ledger: Ledger, tokens: Sequence[ApiToken], *, guild_id: int | None, guild_daily_calls: int
) -> UsageReport | None:
    """Report API tokens and, with a `guild_id`, the server's own use in Discord; None where there is nothing of these.

    Of the revoked ones only those are reported that were used in these days. Raises `StorageError`.
    """
    today = ledger.today()
    days = tuple(today - timedelta(days=ago) for ago in reversed(range(REPORTED_DAYS)))
    subjects = [(token.tenant_id, *_name_and_limit(token)) for token in tokens]
    if guild_id is not None:
        subjects.insert(0, (tenant_of(guild_id, 0), words.server_in_discord(), guild_daily_calls))
    used = await ledger.usage_of([tenant_id for tenant_id, _, _ in subjects])
    rows = [_row(name, limit, used[tenant_id], days) for tenant_id, name, limit in subjects]
    own, of_tokens = (rows[:1], rows[1:]) if guild_id is not None else ([], rows)
    shown = [*own, *_shorten(of_tokens)]
    if not shown:
        return None
    heading = words.usage_heading(resets_at=(await ledger.used_today(subjects[0][0], limit=0)).resets_at)
    return UsageReport(
        text="\n".join([heading, *map(_line, shown)]),
        series=tuple(row.series for row in shown),
        days=days,
    )


def _shorten(rows: Sequence[_Row]) -> list[_Row]:
    """Return what is shown of API tokens: none that was revoked and not used, and a sum of some if there are many."""
    active, less_active = _busiest([row for row in rows if row.limit is not None], MAX_ACTIVE)
    revoked, less_revoked = _busiest([row for row in rows if row.limit is None and row.calls], MAX_REVOKED)
    rest = [*less_active, *less_revoked]
    if not rest:
        return [*active, *revoked]
    name = words.further_tokens(count=len(rest))
    return [*active, *revoked, _Row(name, None, TenantUsage(), sum_of_series(name, [row.series for row in rest]))]


def _busiest(rows: Sequence[_Row], count: int) -> tuple[list[_Row], list[_Row]]:
    """Return the rows with the most calls, and the others; each in the order they came."""
    ranked = sorted(range(len(rows)), key=lambda place: rows[place].calls, reverse=True)
    return [rows[place] for place in sorted(ranked[:count])], [rows[place] for place in sorted(ranked[count:])]


def _name_and_limit(token: ApiToken) -> tuple[str, int | None]:
    name = clean_token_name(token.name)
    return (name, token.daily_calls) if token.revoked_at is None else (words.revoked(name=name), None)


def _row(name: str, limit: int | None, usage: TenantUsage, days: Sequence[date]) -> _Row:
    records = {record.date: record for record in usage.days}
    found = [records.get(day) for day in days]
    calls = tuple(0 if record is None else record.calls for record in found)
    llm_tokens = tuple(0 if record is None else record.prompt_tokens + record.completion_tokens for record in found)
    return _Row(name, limit, usage, UsageSeries(name, calls, llm_tokens))


def _line(row: _Row) -> str:
    month = {"calls_month": row.calls, "tokens_month": sum(row.series.llm_tokens)}
    if row.limit is None:
        return words.past_line(name=row.name, **month)
    return words.usage_line(
        name=row.name,
        calls_today=row.usage.used_today,
        limit=row.limit,
        tokens_today=row.series.llm_tokens[-1],
        **month,
    )
