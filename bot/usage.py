"""The report of `/developer usage`, as text."""

from collections.abc import Sequence
from datetime import date, timedelta

from bot import texts
from bot.dialogue import tenant_of
from bot.speakers import clean_token_name
from storage.ledger import Ledger, TenantUsage
from storage.tokens import ApiToken

REPORTED_DAYS = timedelta(days=30)


async def usage_report(
    ledger: Ledger, tokens: Sequence[ApiToken], *, guild_id: int | None, guild_daily_calls: int
) -> str:
    """Report API tokens and, with a `guild_id`, the server's own use in Discord, one line each."""
    subjects = [(token.tenant_id, clean_token_name(token.name), token.daily_calls) for token in tokens]
    if guild_id is not None:
        subjects.insert(0, (tenant_of(guild_id, 0), texts.server_in_discord(), guild_daily_calls))
    if not subjects:
        return texts.no_own_tokens()
    used = await ledger.usage_of([tenant_id for tenant_id, _, _ in subjects])
    standing = await ledger.used_today(subjects[0][0], limit=subjects[0][2])
    since = (standing.resets_at - REPORTED_DAYS).date()
    lines = [_line(name, limit, used[tenant_id], since=since) for tenant_id, name, limit in subjects]
    return "\n".join([texts.usage_heading(resets_at=standing.resets_at), *lines])


def _line(name: str, limit: int, usage: TenantUsage, *, since: date) -> str:
    # The newest day with a call is today's, if today saw one.
    today = usage.days[:1] if usage.used_today else ()
    recent = [day for day in usage.days if day.date >= since]
    return texts.usage_line(
        name=name,
        calls=usage.used_today,
        limit=limit,
        tokens_today=sum(day.prompt_tokens + day.completion_tokens for day in today),
        calls_month=sum(day.calls for day in recent),
        tokens_month=sum(day.prompt_tokens + day.completion_tokens for day in recent),
    )
