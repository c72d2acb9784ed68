"""How every handler begins: who is calling, and the call that is charged.

Owns: these two lines, for all dialects. Does not own: finding the token (`dialect.py`), knowing it (`auth.py`), or the
counting (`allowance.py`).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from api import keys
from api.allowance import Call
from api.auth import Caller
from api.dialect import Dialect


def dialect_of(request: web.Request) -> Dialect:
    """Find the dialect a request is in, and remember it: it is asked for several times."""
    if keys.DIALECT not in request:
        request[keys.DIALECT] = request.app[keys.DIALECTS].of(request)
    return request[keys.DIALECT]


@asynccontextmanager
async def charged(request: web.Request, *, secret: str | None = None) -> AsyncIterator[Call]:
    """Authenticate and charge one call for the block, before anything of the body is read.

    `secret` is for the dialect whose token stands in the body. Raises the 401, the 403 and the 429.
    """
    caller = await _authenticate(request, secret)
    async with request.app[keys.ALLOWANCE].charged(caller) as call:
        request[keys.CALL] = call
        yield call


async def identified(request: web.Request, *, secret: str | None = None) -> Caller:
    """Authenticate for a route that costs no call. Raises the 401 and the 403."""
    caller = await _authenticate(request, secret)
    request[keys.RATE] = await request.app[keys.ALLOWANCE].look(caller)
    return caller


async def _authenticate(request: web.Request, secret: str | None) -> Caller:
    found = dialect_of(request).read_secret(request) if secret is None else secret
    return await request.app[keys.AUTHENTICATOR].authenticate(request, found)
