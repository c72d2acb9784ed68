"""`GET /state.json`: what the pages show of the service, and of the calls that the visitor may see.

Owns: who may see whose calls. An API token sees its own; a log-in sees those it may manage (`sessions.py`). How the
engine is and how many wait is for both. Does not own: the counting (`storage/ledger.py`, `recent.py`).
"""

from aiohttp import hdrs, web

from api import keys
from api.calls import identified
from api.native import report_usage
from api.readiness import judge
from api.web.contract import QueueState, StateReply


async def state(request: web.Request) -> web.Response:
    """Answer `GET /state.json`; costs no call."""
    own = await report_usage(request, await identified(request))
    reply = StateReply(
        scope="token",
        own=own,
        persona=request.app[keys.CONFIG].system_prompt,
        health=await judge(request.app),
        queue=_queue(request.app),
        minutes=request.app[keys.RECENT].minutes({own.id}),
        tenants=[own],
    )
    return web.json_response(text=reply.model_dump_json(), headers={hdrs.CACHE_CONTROL: "no-store"})


def _queue(app: web.Application) -> QueueState:
    queue = app[keys.PIPELINE].queue
    return QueueState(slots=app[keys.CONFIG].slots, running=queue.running, waiting=queue.waiting)
