"""`/login/discord`: the browser's way to Discord and back, with a state and PKCE.

Owns: both redirects and what a browser must bring back. Does not own: asking Discord (`discord_oauth.py`).
"""

import base64
import hashlib
import hmac
import secrets

from aiohttp import web

from api import keys
from api.errors import ApiError, Kind
from api.web.discord_oauth import CodeRefusedError, DiscordFailedError
from api.web.login import show_login
from api.web.pages import lead_to

CALLBACK_PATH = "/login/discord/callback"

OFF = "Logging in with Discord is off here: whoever runs Parley sets DISCORD_CLIENT_SECRET."
NOT_OURS = "This log-in did not begin in this browser, or took longer than ten minutes. Log in again."
DECLINED = "You declined at Discord, so nobody was logged in."
NOT_TAKEN = "Discord does not take this log-in any more. Log in again."
NO_ANSWER = "Discord did not answer as it should. Nothing was changed; try again in a minute."


async def start(request: web.Request) -> web.Response:
    """Answer `GET /login/discord`: lead to Discord."""
    oauth = request.app[keys.DISCORD_OAUTH]
    if oauth is None:
        raise ApiError(404, "Not found", OFF, kind=Kind.UNKNOWN_ROUTE)
    request.app[keys.ATTEMPTS].admit(request)
    state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    try:
        address = await oauth.authorize_url(state=state, challenge=challenge, redirect_uri=_redirect_uri(request))
    except DiscordFailedError:
        return show_login(request, problem=NO_ANSWER, status=502)
    response = lead_to(address)
    request.app[keys.SESSIONS].remember_login(response, {"state": state, "verifier": verifier})
    return response


async def callback(request: web.Request) -> web.Response:
    """Answer `GET /login/discord/callback`: Discord sends the visitor back here."""
    oauth, sessions = request.app[keys.DISCORD_OAUTH], request.app[keys.SESSIONS]
    if oauth is None:
        raise ApiError(404, "Not found", OFF, kind=Kind.UNKNOWN_ROUTE)
    request.app[keys.ATTEMPTS].admit(request)
    began = sessions.recall_login(request)
    returned = request.query.get("state", "").encode("utf-8", "surrogatepass")
    if began is None or not hmac.compare_digest(str(began["state"]).encode(), returned):
        return show_login(request, problem=NOT_OURS, status=400)
    if "code" not in request.query:
        return show_login(request, problem=DECLINED, status=400)
    try:
        person = await oauth.identify(
            request.query["code"], verifier=str(began["verifier"]), redirect_uri=_redirect_uri(request)
        )
    except CodeRefusedError:
        return show_login(request, problem=NOT_TAKEN, status=400)
    except DiscordFailedError:
        return show_login(request, problem=NO_ANSWER, status=502)
    response = lead_to("/tokens")
    sessions.forget_login(response)
    sessions.begin(response, sessions.new(person.name, person_id=person.id, servers=person.servers))
    return response


def _redirect_uri(request: web.Request) -> str:
    return request.app[keys.CONFIG].public_url + CALLBACK_PATH
