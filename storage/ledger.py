"""What was used: calls per tenant and day, LLM tokens, balances.

Every move is one statement or one transaction, so it is exact under any concurrency. A call is charged first and stays
open until it is settled, kept or given back; calls that a crash left open are given back at the next start.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Connection, Executable, Subquery, and_, bindparam, case, func, select, update

from storage.clock import Clock
from storage.database import Database
from storage.days import DayZone
from storage.errors import AllowanceUsedError
from storage.schema import api_tokens, daily_usage
from storage.upserts import insert_or_update_on

# How many days with calls a usage report reaches back.
REPORTED_DAYS = 30

# The statements of every call are made once: SQLAlchemy takes longer to build one than SQLite to run it.
_usage = daily_usage.c
_same_day = and_(_usage.tenant_id == bindparam("tenant"), _usage.day == bindparam("on"))

# One less, but never below none: a restart may have reclaimed the call meanwhile.
_one_less_open = case((_usage.open_calls > 0, _usage.open_calls - 1), else_=0)

_USED = select(_usage.calls).where(_same_day)
_SETTLE = (
    update(daily_usage)
    .where(_same_day)
    .values(
        open_calls=_one_less_open,
        prompt_tokens=_usage.prompt_tokens + bindparam("prompt", type_=BigInteger),
        completion_tokens=_usage.completion_tokens + bindparam("completion", type_=BigInteger),
    )
)
_SPEND = (
    update(api_tokens)
    .where(api_tokens.c.id == bindparam("tenant"), api_tokens.c.llm_balance.is_not(None))
    .values(llm_balance=api_tokens.c.llm_balance - bindparam("spent", type_=BigInteger))
    .returning(api_tokens.c.llm_balance)
)
_KEEP = update(daily_usage).where(_same_day).values(open_calls=_one_less_open)
_GIVE_BACK = (
    update(daily_usage)
    # Given back already when a restart has reclaimed it.
    .where(_same_day, _usage.open_calls > 0)
    .values(calls=_usage.calls - 1, open_calls=_usage.open_calls - 1)
)
_TAKE_BACK = (
    update(daily_usage)
    .where(_same_day)
    .values(
        calls=_usage.calls - 1,
        prompt_tokens=_usage.prompt_tokens - bindparam("prompt", type_=BigInteger),
        completion_tokens=_usage.completion_tokens - bindparam("completion", type_=BigInteger),
    )
)


@cache
def _take_call(dialect_name: str) -> Executable:
    """Count one call up in one statement; without a row when the limit was reached."""
    insert = insert_or_update_on(dialect_name, daily_usage).values(
        tenant_id=bindparam("tenant"), day=bindparam("on"), calls=1, open_calls=1, prompt_tokens=0, completion_tokens=0
    )
    return insert.on_conflict_do_update(
        index_elements=[_usage.tenant_id, _usage.day],
        set_={"calls": _usage.calls + 1, "open_calls": _usage.open_calls + 1},
        where=_usage.calls < bindparam("limit", type_=BigInteger),
    ).returning(_usage.calls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """Where a tenant stands today, in calls. `resets_at` is the UTC instant of the next day."""

    used: int
    limit: int
    resets_at: datetime

    @property
    def remaining(self) -> int:
        """Calls left today."""
        return max(0, self.limit - self.used)


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge(Allowance):
    """One call taken from a tenant's day, to be settled, kept or given back exactly once."""

    tenant_id: str
    day: date


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRecord:
    """One local day that saw a call."""

    date: date
    calls: int
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantUsage:
    """A tenant's calls today, LLM tokens since ever, and its last 30 days with calls, newest first."""

    used_today: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    days: tuple[DayRecord, ...] = ()


class Ledger:
    """The counts behind allowances and balances. A tenant is an API token or a Discord server."""

    def __init__(self, database: Database, *, zone: DayZone, clock: Clock) -> None:
        self._database = database
        self._zone = zone
        self._clock = clock

    async def charge(self, tenant_id: str, *, limit: int) -> Charge:
        """Take one of `limit` calls of the tenant's day; raises `AllowanceUsedError` when none is left."""
        now = self._clock.now()
        day, resets_at = self._zone.day(now), self._zone.next_reset(now)
        is_taken, used = await self._database.change(lambda connection: _charge(connection, tenant_id, day, limit))
        if not is_taken:
            raise AllowanceUsedError(limit=limit, used=used, resets_at=resets_at)
        return Charge(tenant_id=tenant_id, day=day, used=used, limit=limit, resets_at=resets_at)

    async def settle(
        self, charge: Charge, *, prompt_tokens: int, completion_tokens: int, has_balance: bool = True
    ) -> int | None:
        """Close a charge whose reply was produced: count its LLM tokens on the charge's own day and off the balance.

        Returns the token's new balance, which may be below zero, or None where none is kept. Without `has_balance` it
        is known that there is none: a token has one from its creation on, or never.
        """
        counts = {**_day_of(charge), "prompt": prompt_tokens, "completion": completion_tokens}
        spent = {"tenant": charge.tenant_id, "spent": prompt_tokens + completion_tokens}

        def settle(connection: Connection) -> int | None:
            connection.execute(_SETTLE, counts)
            balance: int | None = connection.scalar(_SPEND, spent) if has_balance else None
            return balance

        return await self._database.change(settle)

    async def keep(self, charge: Charge) -> None:
        """Close a charge that failed because of the caller: the call stays used."""
        await self._database.change(lambda connection: connection.execute(_KEEP, _day_of(charge)).close())

    async def give_back(self, charge: Charge) -> None:
        """Close a charge that failed because of us: the call counts as never made."""
        await self._database.change(lambda connection: connection.execute(_GIVE_BACK, _day_of(charge)).close())

    async def take_back(self, charge: Charge, *, prompt_tokens: int, completion_tokens: int) -> None:
        """Undo a settled charge whose reply was lost because of us; the numbers are those it was settled with."""
        counts = {**_day_of(charge), "prompt": prompt_tokens, "completion": completion_tokens}
        refunded = {"tenant": charge.tenant_id, "spent": -(prompt_tokens + completion_tokens)}

        def take_back(connection: Connection) -> None:
            connection.execute(_TAKE_BACK, counts)
            connection.execute(_SPEND, refunded).close()

        await self._database.change(take_back)

    async def used_today(self, tenant_id: str, *, limit: int) -> Allowance:
        """Say where the tenant stands, without charging."""
        now = self._clock.now()
        day = self._zone.day(now)
        used = await self._database.look(lambda connection: _fetch_used(connection, tenant_id, day))
        return Allowance(used=used, limit=limit, resets_at=self._zone.next_reset(now))

    def today(self) -> date:
        """Return the local date on which calls are counted now."""
        return self._zone.day(self._clock.now())

    async def usage(self, tenant_id: str) -> TenantUsage:
        """Report one tenant; zeros for one that never called."""
        return (await self.usage_of([tenant_id]))[tenant_id]

    async def usage_of(self, tenant_ids: Iterable[str]) -> dict[str, TenantUsage]:
        """Report several tenants in one query; every one asked for is in the answer, in the order asked."""
        asked = list(dict.fromkeys(tenant_ids))
        today = self.today()
        records = _rank_days(asked)
        query = select(records).where(records.c.place <= REPORTED_DAYS).order_by(records.c.day.desc())
        reports = dict.fromkeys(asked, TenantUsage())
        async with self._database.reading() as connection:
            for row in await connection.execute(query):
                record = DayRecord(
                    date=row.day,
                    calls=row.calls,
                    prompt_tokens=row.prompt_tokens,
                    completion_tokens=row.completion_tokens,
                )
                before = reports[row.tenant_id]
                reports[row.tenant_id] = TenantUsage(
                    used_today=record.calls if record.date == today else before.used_today,
                    prompt_tokens=int(row.all_prompt_tokens),
                    completion_tokens=int(row.all_completion_tokens),
                    days=(*before.days, record),
                )
        return reports

    async def busiest(self, most: int, *, but_prefix: str) -> list[str]:
        """Name the tenants with the most calls of the last 30 days, so many at most, the busiest first.

        Those with names that begin with `but_prefix` are left out.
        """
        calls = func.sum(daily_usage.c.calls)
        query = (
            select(daily_usage.c.tenant_id)
            .where(daily_usage.c.day > self.today() - timedelta(days=REPORTED_DAYS), daily_usage.c.calls > 0)
            .where(~daily_usage.c.tenant_id.startswith(but_prefix, autoescape=True))
            .group_by(daily_usage.c.tenant_id)
            .order_by(calls.desc(), daily_usage.c.tenant_id)
            .limit(most)
        )
        async with self._database.reading() as connection:
            return [row.tenant_id for row in await connection.execute(query)]

    def next_reset(self) -> datetime:
        """Return the instant at which the next day begins."""
        return self._zone.next_reset(self._clock.now())

    async def reclaim_open_calls(self) -> int:
        """Give back every call that a crash left open; returns how many.

        For the start of the only service on this database: the open calls of a running one would be lost.
        """
        async with self._database.writing() as connection:
            query = select(func.coalesce(func.sum(daily_usage.c.open_calls), 0))
            reclaimed = int((await connection.execute(query)).scalar_one())
            await connection.execute(
                update(daily_usage)
                .where(daily_usage.c.open_calls > 0)
                .values(calls=daily_usage.c.calls - daily_usage.c.open_calls, open_calls=0)
            )
        return reclaimed


def _charge(connection: Connection, tenant_id: str, day: date, limit: int) -> tuple[bool, int]:
    """Take a call where one is left; returns whether one was, and how many are used now."""
    # The conflict clause guards a day that has a row; the first call of a day has none to compare with.
    if limit > 0:
        values = {"tenant": tenant_id, "on": day, "limit": limit}
        used: int | None = connection.scalar(_take_call(connection.dialect.name), values)
        if used is not None:
            return True, used
    return False, _fetch_used(connection, tenant_id, day)


def _fetch_used(connection: Connection, tenant_id: str, day: date) -> int:
    used: int | None = connection.scalar(_USED, {"tenant": tenant_id, "on": day})
    return used or 0


def _day_of(charge: Charge) -> dict[str, Any]:
    return {"tenant": charge.tenant_id, "on": charge.day}


def _rank_days(tenant_ids: list[str]) -> Subquery:
    """Rank each tenant's days with calls, newest first, beside the sums over all of them."""
    usage = daily_usage.c
    return (
        select(
            usage.tenant_id,
            usage.day,
            usage.calls,
            usage.prompt_tokens,
            usage.completion_tokens,
            func.sum(usage.prompt_tokens).over(partition_by=usage.tenant_id).label("all_prompt_tokens"),
            func.sum(usage.completion_tokens).over(partition_by=usage.tenant_id).label("all_completion_tokens"),
            func.row_number().over(partition_by=usage.tenant_id, order_by=usage.day.desc()).label("place"),
        )
        .where(usage.tenant_id.in_(tenant_ids), usage.calls > 0)
        .subquery()
    )
