"""The statements that take a call and close it, for a database of one service and for one that several share.

Alone, a service counts its open calls beside all calls, and whatever is open when it starts is its forerunner's. Where
several share a database, each also counts its own open calls (`process_calls`), so that those of a process that is gone
can be given back (`docs/decisions/0027-postgresql.md`). A process that was taken for gone and was not finds none of its
own when it closes a call: that call was given back meanwhile, and is taken again where it is to stay used.
"""

from dataclasses import dataclass
from functools import cache

from sqlalchemy import (
    CTE,
    BigInteger,
    Executable,
    ScalarSelect,
    and_,
    bindparam,
    case,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from storage.schema import daily_usage, process_calls
from storage.upserts import insert_or_update_on

_usage = daily_usage.c
SAME_DAY = and_(_usage.tenant_id == bindparam("tenant"), _usage.day == bindparam("on"))

# One less, but never below none: a restart may have reclaimed the call meanwhile.
_one_less_open = case((_usage.open_calls > 0, _usage.open_calls - 1), else_=0)


@dataclass(frozen=True, slots=True)
class Moves:
    """Statements of one ledger move each. Parameters: `tenant`, `on`, and `process` where several share a database.

    `take` has `limit` too, and returns the day's calls, or no row where the limit was reached; `settle` has `prompt`
    and `completion`.
    """

    take: Executable
    settle: Executable
    keep: Executable
    give_back: Executable


@cache
def moves_alone(dialect_name: str) -> Moves:
    """Return the statements for a database of one service."""
    settled = {"open_calls": _one_less_open}
    return Moves(
        take=_take(dialect_name).returning(_usage.calls),
        settle=update(daily_usage).where(SAME_DAY).values(**settled, **_counted()),
        keep=update(daily_usage).where(SAME_DAY).values(**settled),
        give_back=update(daily_usage)
        # Given back already when a restart has reclaimed it.
        .where(SAME_DAY, _usage.open_calls > 0)
        .values(calls=_usage.calls - 1, open_calls=_usage.open_calls - 1),
    )


@cache
def moves_shared() -> Moves:
    """Return the statements for a PostgreSQL that several processes share."""
    own = _closed_own()
    used = {"calls": _usage.calls + 1 - own, "open_calls": _usage.open_calls - own}
    return Moves(
        take=_take_and_note(),
        settle=update(daily_usage).where(SAME_DAY).values(**used, **_counted()),
        keep=update(daily_usage).where(SAME_DAY).values(**used),
        give_back=update(daily_usage)
        .where(SAME_DAY)
        .values(calls=_usage.calls - own, open_calls=_usage.open_calls - own),
    )


def _take(dialect_name: str) -> sqlite.Insert | postgresql.Insert:
    """Count one call up in one statement; without a row when the limit was reached."""
    taking = insert_or_update_on(dialect_name, daily_usage).values(
        tenant_id=bindparam("tenant"), day=bindparam("on"), calls=1, open_calls=1, prompt_tokens=0, completion_tokens=0
    )
    return taking.on_conflict_do_update(
        index_elements=[_usage.tenant_id, _usage.day],
        set_={"calls": _usage.calls + 1, "open_calls": _usage.open_calls + 1},
        where=_usage.calls < bindparam("limit", type_=BigInteger),
    )


def _take_and_note() -> Executable:
    own = process_calls.c
    taken = _take("postgresql").returning(_usage.calls).cte("taken")
    noting = postgresql.insert(process_calls).from_select(
        ["process_id", "tenant_id", "day", "open_calls"],
        select(
            bindparam("process", type_=own.process_id.type),
            bindparam("tenant", type_=own.tenant_id.type),
            bindparam("on", type_=own.day.type),
            literal(1),
        ).select_from(taken),
    )
    noted = noting.on_conflict_do_update(
        index_elements=[own.process_id, own.tenant_id, own.day], set_={"open_calls": own.open_calls + 1}
    )
    return select(taken.c.calls).add_cte(noted.cte("noted"))


def _closed_own() -> "ScalarSelect[int]":
    """Count one of the process's own open calls down; 1 where there was one, else 0."""
    own = process_calls.c
    closing: CTE = (
        update(process_calls)
        .where(
            own.process_id == bindparam("process"),
            own.tenant_id == bindparam("tenant"),
            own.day == bindparam("on"),
            own.open_calls > 0,
        )
        .values(open_calls=own.open_calls - 1)
        .returning(own.day)
        .cte("closing")
    )
    return select(func.count()).select_from(closing).scalar_subquery()


def _counted() -> dict[str, object]:
    return {
        "prompt_tokens": _usage.prompt_tokens + bindparam("prompt", type_=BigInteger),
        "completion_tokens": _usage.completion_tokens + bindparam("completion", type_=BigInteger),
    }
