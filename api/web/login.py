"""`/login` and `/logout`: the operator's one-time link, and the end of any log-in.

Owns: turning the link's code into a session, and into an API token for a browser that has none. The code stands behind
`#` in the address, so no log and no proxy sees it, and it is taken only by a click of a script: a preview of the link
does not use it up. Does not own: sessions (`sessions.py`), making links (`storage/login_links.py`).
"""

from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from api import keys
from api.body import read_object, validate
from api.errors import ApiError, Kind
from api.web.forms import read_form
from api.web.pages import lead_to, show

TOKEN_NAME = "Start page"  # noqa: S105 - the name of one

LINK_IS_OVER = "This link was used already or has expired. `parley link` in the terminal makes a new one."


class LinkRequest(BaseModel):
    """Body of `POST /login.json`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    code: Annotated[str, Field(max_length=200)]
    needs_token: bool = False


class LinkReply(BaseModel):
    """Reply of `POST /login.json`; `token` is the secret of a new API token, where one was asked for."""

    token: str | None


async def login(request: web.Request) -> web.Response:
    """Answer `GET /login`: the ways to log in."""
    return show_login(request)


def show_login(request: web.Request, *, problem: str = "", status: int = 200) -> web.Response:
    """Show the ways to log in, and what went wrong with the last try."""
    has_discord = request.app[keys.CONFIG].discord_login is not None
    return show(request, "login.html", status=status, session=None, has_discord=has_discord, problem=problem)


async def redeem(request: web.Request) -> web.Response:
    """Answer `POST /login.json`: use the link up and log in."""
    sessions = request.app[keys.SESSIONS]
    sessions.require_same_origin(request)
    request.app[keys.ATTEMPTS].admit(request)
    asked = validate(LinkRequest, await read_object(request))
    if not await request.app[keys.LOGIN_LINKS].take(asked.code):
        raise ApiError(403, "Forbidden", LINK_IS_OVER, kind=Kind.FORBIDDEN)
    secret = None
    if asked.needs_token:
        config = request.app[keys.CONFIG]
        issued = await request.app[keys.TOKENS].create(TOKEN_NAME, daily_calls=config.daily_calls, mature=config.mature)
        secret = issued.secret
    response = web.json_response(text=LinkReply(token=secret).model_dump_json(), headers={"Cache-Control": "no-store"})
    sessions.begin(response, sessions.new("Operator"))
    return response


async def logout(request: web.Request) -> web.Response:
    """Answer `POST /logout`."""
    sessions = request.app[keys.SESSIONS]
    session = sessions.find(request)
    if session is not None:
        sessions.check_form(request, session, (await read_form(request)).get("form", ""))
    response = lead_to("/login")
    sessions.end(response, session)
    return response
