"""What is said about the calls per day of one person in a server."""

from datetime import datetime

from bot.language import number, tr
from bot.texts.forms import calls, relative_time


def person_limit_used(*, limit: int, resets_at: datetime) -> str:
    """Say that a person has used the day's calls; with a limit of 0 there never were any."""
    if limit == 0:
        return tr("You have no calls to me in this server. Those who manage it can change that.")
    return tr(
        "You have used your {calls} of today in this server. You can ask again {when}.",
        calls=calls(limit),
        when=relative_time(resets_at),
    )


def everyones_limit_set(*, daily_calls: int) -> str:
    """Confirm a limit for everyone."""
    return tr("Done: each person in this server has {calls} a day.", calls=calls(daily_calls))


def role_limit_set(*, role: str, daily_calls: int) -> str:
    """Confirm a limit for a role."""
    return tr(
        "Done: each person with {role} has {calls} a day. Of several such roles the highest limit counts.",
        role=role,
        calls=calls(daily_calls),
    )


def everyones_limit_cleared() -> str:
    """Confirm that the limit for everyone is gone."""
    return tr("Done: this server no longer has a limit for everyone.")


def role_limit_cleared(*, role: str) -> str:
    """Confirm that the limit for a role is gone."""
    return tr("Done: {role} no longer has a limit of its own.", role=role)


def no_such_limit() -> str:
    """Say that there is nothing to clear."""
    return tr("No such limit is set. `/developer limit show` lists those that are.")


def too_many_limits(*, limit: int) -> str:
    """Say that a server has all the limits it may have."""
    return tr(
        "This server has {count} limits already, which is the most. Clear one first with `/developer limit clear`.",
        count=number(limit),
    )


def limits_heading() -> str:
    """Open the list of limits."""
    return tr("Calls a day of one person in this server:")


def everyones_limit(*, daily_calls: int) -> str:
    """Describe the limit for everyone in the list."""
    return tr("- everyone: {calls}", calls=calls(daily_calls))


def default_limit(*, daily_calls: int | None) -> str:
    """Describe in the list what holds where the server has set nothing for everyone."""
    if daily_calls is None:
        return tr("- everyone: no limit")
    return tr("- everyone: {calls}, as I was set up", calls=calls(daily_calls))


def role_limit(*, role: str, daily_calls: int) -> str:
    """Describe the limit for a role in the list."""
    return tr("- {role}: {calls}", role=role, calls=calls(daily_calls))


def deleted_role(*, role_id: int) -> str:
    """Name a role that is no longer there."""
    return tr("a deleted role (`{id}`)", id=role_id)


def suggested_limit(*, role: str, daily_calls: int) -> str:
    """Describe a limit where it can be chosen; Discord shows no markup there."""
    return tr("{role}: {calls}", role=role, calls=calls(daily_calls))


def own_standing(*, used: int, limit: int, resets_at: datetime) -> str:
    """Say where the person stands today."""
    return tr(
        "You have used {used} of your {calls} today; the next day starts {when}.",
        used=number(used),
        calls=calls(limit),
        when=relative_time(resets_at),
    )


def no_own_limit() -> str:
    """Say that nothing bounds the person but what the server has together."""
    return tr("You have no limit of your own; what the server has a day is for everyone together.")
