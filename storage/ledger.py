"""What was used: calls per tenant and day, LLM tokens, balances.

Every move is one statement or one transaction, so it is exact under any concurrency. A call is charged first and stays
open until it is settled, kept or given back; calls that a crash left open are given back at the next start, or by
another process on the same database.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Connection, Subquery, bindparam, delete, func, select, update

from storage.clock import Clock
from storage.database import Database
from storage.days import DayZone
from storage.errors import AllowanceUsedError
from storage.ledger_moves import SAME_DAY, Moves, moves_alone, moves_shared
from storage.processes import lock_gone
from storage.schema import api_tokens, daily_usage, process_calls

# How many days with calls a usage report reaches back.
REPORTED_DAYS = 30

# The statements of every call are made once: SQLAlchemy takes longer to build one than SQLite to run it.
_usage = daily_usage.c

_USED = select(_usage.calls).where(SAME_DAY)
_SPEND = (
    update(api_tokens)
    .where(api_tokens.c.id == bindparam("tenant"), api_tokens.c.llm_balance.is_not(None))
    .values(llm_balance=api_tokens.c.llm_balance - bindparam("spent", type_=BigInteger))
    .returning(api_tokens.c.llm_balance)
)
_TAKE_BACK = (
    update(daily_usage)
    .where(SAME_DAY)
    .values(
        calls=_usage.calls - 1,
        prompt_tokens=_usage.prompt_tokens - bindparam("prompt", type_=BigInteger),
        completion_tokens=_usage.completion_tokens - bindparam("completion", type_=BigInteger),
    )
)


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
        self._moves = moves_shared() if database.is_shared else moves_alone("sqlite")

    async def charge(self, tenant_id: str, *, limit: int) -> Charge:
        """Take one of `limit` calls of the tenant's day; raises `AllowanceUsedError` when none is left."""
        now = self._clock.now()
        day, resets_at = self._zone.day(now), self._zone.next_reset(now)
        taking = {**await self._place(tenant_id, day), "limit": limit}
        is_taken, used = await self._database.change(
            lambda connection: _charge(connection, self._moves, taking), key=tenant_id
        )
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
        place = await self._place(charge.tenant_id, charge.day)
        counts = {**place, "prompt": prompt_tokens, "completion": completion_tokens}
        spent = {"tenant": charge.tenant_id, "spent": prompt_tokens + completion_tokens}

        def settle(connection: Connection) -> int | None:
            connection.execute(self._moves.settle, counts)
            balance: int | None = connection.scalar(_SPEND, spent) if has_balance else None
            return balance

        return await self._database.change(settle, key=charge.tenant_id)

    async def keep(self, charge: Charge) -> None:
        """Close a charge that failed because of the caller: the call stays used."""
        place = await self._place(charge.tenant_id, charge.day)
        await self._database.change(
            lambda connection: connection.execute(self._moves.keep, place).close(), key=charge.tenant_id
        )

    async def give_back(self, charge: Charge) -> None:
        """Close a charge that failed because of us: the call counts as never made."""
        place = await self._place(charge.tenant_id, charge.day)
        await self._database.change(
            lambda connection: connection.execute(self._moves.give_back, place).close(), key=charge.tenant_id
        )

    async def take_back(self, charge: Charge, *, prompt_tokens: int, completion_tokens: int) -> None:
        """Undo a settled charge whose reply was lost because of us; the numbers are those it was settled with."""
        counts = {
            "tenant": charge.tenant_id,
            "on": charge.day,
            "prompt": prompt_tokens,
            "completion": completion_tokens,
        }
        refunded = {"tenant": charge.tenant_id, "spent": -(prompt_tokens + completion_tokens)}

        def take_back(connection: Connection) -> None:
            connection.execute(_TAKE_BACK, counts)
            connection.execute(_SPEND, refunded).close()

        await self._database.change(take_back, key=charge.tenant_id)

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

        On a database of one service that is every open call there is: for its start, the open calls of a running one
        would be lost. On one that several share: those of processes that are gone, at any time.
        """
        if self._database.is_shared:
            return await self._database.change(_reclaim_from_gone)
        async with self._database.writing() as connection:
            query = select(func.coalesce(func.sum(daily_usage.c.open_calls), 0))
            reclaimed = int((await connection.execute(query)).scalar_one())
            await connection.execute(
                update(daily_usage)
                .where(daily_usage.c.open_calls > 0)
                .values(calls=daily_usage.c.calls - daily_usage.c.open_calls, open_calls=0)
            )
        return reclaimed

    async def _place(self, tenant_id: str, day: date) -> dict[str, Any]:
        """Return where a move counts: on whose day, and for which process where several share the database."""
        place: dict[str, Any] = {"tenant": tenant_id, "on": day}
        if self._database.is_shared:
            place["process"] = await self._database.join()
        return place


def _reclaim_from_gone(connection: Connection) -> int:
    reclaimed = 0
    for process_id in connection.scalars(lock_gone()).all():
        left = delete(process_calls).where(process_calls.c.process_id == process_id).returning(process_calls)
        # In the order in which everybody writes.
        for row in sorted(connection.execute(left), key=lambda row: (row.tenant_id, row.day)):
            connection.execute(
                update(daily_usage)
                .where(_usage.tenant_id == row.tenant_id, _usage.day == row.day)
                .values(calls=_usage.calls - row.open_calls, open_calls=_usage.open_calls - row.open_calls)
            )
            reclaimed += row.open_calls
    return reclaimed


def _charge(connection: Connection, moves: Moves, taking: dict[str, Any]) -> tuple[bool, int]:
    """Take a call where one is left; returns whether one was, and how many are used now."""
    # The conflict clause guards a day that has a row; the first call of a day has none to compare with.
    if taking["limit"] > 0:
        used: int | None = connection.scalar(moves.take, taking)
        if used is not None:
            return True, used
    return False, _fetch_used(connection, taking["tenant"], taking["on"])


def _fetch_used(connection: Connection, tenant_id: str, day: date) -> int:
    used: int | None = connection.scalar(_USED, {"tenant": tenant_id, "on": day})
    return used or 0


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
