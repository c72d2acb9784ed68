"""Whether the service answers, and what is amiss before it no longer does.

Owns: the three states of `GET /readyz` and the bounds between them. Does not own: measuring (`pulse.py`, `queue.py`).
"""

from aiohttp import web

from api import keys
from api.contract import Health
from generation.engine import EngineState

FULL_SHARE = 0.75
"""A queue this full will refuse soon."""

RECENT_RESTART_SECONDS = 300.0
"""An engine that was restarted so lately may die again; whoever watches should look at the log."""

LAG_SECONDS = 0.5
"""Discord takes a connection for dead whose heartbeat is late by many seconds; replies stutter long before."""


async def judge(app: web.Application) -> Health:
    """Say how the service is; a reason is told unless it is well."""
    if app[keys.DRAINING].is_stopping:
        return Health(status="unavailable", reason="the service is stopping")
    status = app[keys.ENGINE].status
    if status.state is not EngineState.READY:
        return Health(status="unavailable", reason=status.reason or f"the engine is {status.state.value}")
    if not await app[keys.HEALTH].takes_writes():
        return Health(status="unavailable", reason="the database takes no writes, the log says why")
    worries = [worry for worry in (_queue(app), status.worry, _engine(app), _loop(app)) if worry]
    return Health(status="degraded", reason="; ".join(worries)) if worries else Health(status="ok")


def _queue(app: web.Application) -> str:
    waiting, most = app[keys.PIPELINE].queue.waiting, app[keys.CONFIG].max_waiting
    return f"{waiting} of {most} places in the queue are taken" if most and waiting >= most * FULL_SHARE else ""


def _engine(app: web.Application) -> str:
    seconds = app[keys.PULSE].since_restart_seconds
    if seconds is None or seconds > RECENT_RESTART_SECONDS:
        return ""
    return f"the engine had to be restarted {seconds:.0f} s ago"


def _loop(app: web.Application) -> str:
    lag = app[keys.PULSE].worst_lag_seconds
    return f"the event loop was held up for {lag:.1f} s" if lag > LAG_SECONDS else ""
