"""`GET /state.json`: what the pages show of the service, and of the calls that the visitor may see.

Owns: who may see whose calls. An API token sees its own; a log-in sees those of the Discord servers that it manages,
the operator's everyone's. How the engine is and how many wait is for all of them. Does not own: the counting
(`storage/ledger.py`, `recent.py`).
"""

from aiohttp import hdrs, web

from api import keys
from api.auth import Caller
from api.calls import identified
from api.contract import UsageReply
from api.native import report_usage, usage_reply
from api.readiness import judge
from api.web.contract import QueueState, StateReply
from api.web.sessions import Server, Session

PERSON_PREFIX = "person:"
"""Whom the bot counts beside their server; the server's calls are theirs already."""

MOST_TENANTS = 100
"""API tokens and Discord servers in one reply; the operator sees the busiest."""


async def state(request: web.Request) -> web.Response:
    """Answer `GET /state.json`; costs no call. An API token goes before a log-in."""
    session = request.app[keys.SESSIONS].find(request)
    if session is None or hdrs.AUTHORIZATION in request.headers:
        reply = await _of_token(request)
    else:
        reply = await _of_session(request, session)
    return web.json_response(text=reply.model_dump_json(), headers={hdrs.CACHE_CONTROL: "no-store"})


async def _of_token(request: web.Request) -> StateReply:
    own = await report_usage(request, await identified(request))
    return StateReply(
        scope="token",
        own=own,
        persona=request.app[keys.CONFIG].system_prompt,
        health=await judge(request.app),
        queue=_queue(request.app),
        minutes=request.app[keys.RECENT].minutes({own.id}),
        tenants=[own],
    )


async def _of_session(request: web.Request, session: Session) -> StateReply:
    callers = await _everyone(request) if session.servers is None else await _members(request, session.servers)
    return StateReply(
        scope="everyone" if session.is_operator else "servers",
        own=None,
        persona=request.app[keys.CONFIG].system_prompt,
        health=await judge(request.app),
        queue=_queue(request.app),
        minutes=request.app[keys.RECENT].minutes(None if session.is_operator else {each.tenant_id for each in callers}),
        tenants=await _report(request, callers[:MOST_TENANTS]),
    )


async def _everyone(request: web.Request) -> list[Caller]:
    """List whoever called in the last 30 days, the busiest first."""
    tokens = await request.app[keys.TOKENS].list(include_revoked=True)
    names = {token.id: token.name for token in tokens}
    limits = {token.id: token.daily_calls for token in tokens}
    default = request.app[keys.CONFIG].daily_calls
    return [
        Caller(tenant_id=each, name=names.get(each) or _name(each), daily_calls=limits.get(each, default))
        for each in await request.app[keys.LEDGER].busiest(MOST_TENANTS, but_prefix=PERSON_PREFIX)
    ]


async def _members(request: web.Request, servers: tuple[Server, ...]) -> list[Caller]:
    """List each server with its API tokens."""
    found = []
    for server in servers:
        tenant = f"discord:{server.id}"
        found.append(
            Caller(tenant_id=tenant, name=f"{server.name} in Discord", daily_calls=request.app[keys.CONFIG].daily_calls)
        )
        found += [
            Caller(tenant_id=token.id, name=token.name, daily_calls=token.daily_calls, llm_balance=token.llm_balance)
            for token in await request.app[keys.TOKENS].list(guild_id=server.id, include_revoked=True)
        ]
    return found


async def _report(request: web.Request, callers: list[Caller]) -> list[UsageReply]:
    ledger = request.app[keys.LEDGER]
    recorded = await ledger.usage_of([each.tenant_id for each in callers])
    resets_at = ledger.next_reset()
    return [usage_reply(each, recorded[each.tenant_id], resets_at=resets_at) for each in callers]


def _name(tenant_id: str) -> str:
    """Name whom no API token names: Discord servers and direct messages, by their ids."""
    kind, _, rest = tenant_id.partition(":")
    if kind != "discord":
        return tenant_id
    return f"Direct messages {rest[3:]}" if rest.startswith("dm:") else f"Discord server {rest}"


def _queue(app: web.Application) -> QueueState:
    queue = app[keys.PIPELINE].queue
    return QueueState(slots=app[keys.CONFIG].slots, running=queue.running, waiting=queue.waiting)
