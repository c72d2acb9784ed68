"""The OAuth2 side of the stand-in Discord server: who agrees, codes that work once, access tokens.

Owns: `/oauth2/authorize` as a browser sees it, `/oauth2/token`, its revocation, and what an access token opens. Strict
where Discord and the RFCs are: PKCE (RFC 7636), an exact redirect address, forms and not JSON. Sources:
https://discord.com/developers/docs/topics/oauth2, https://discord.com/developers/docs/resources/user.
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import web
from aiohttp.typedefs import Handler

from tests.doubles.discord_basics import Json
from tests.doubles.discord_people import User
from tests.doubles.discord_places import Guild
from tests.doubles.discord_rest import PREFIX
from tests.doubles.discord_state import DiscordState

CLIENT_SECRET = "stand-in-client-secret"


@dataclass(frozen=True)
class _Granted:
    """What a code was given for."""

    person: User
    redirect_uri: str
    challenge: str


class OAuthRoutes:
    """Log-ins at the stand-in. `person` is who sits at the browser; None declines. `is_down`: every answer is a 500."""

    def __init__(self, state: DiscordState) -> None:
        self._state = state
        self._codes: dict[str, _Granted] = {}
        self._access: dict[str, User] = {}
        self.person: User | None = None
        self.is_down = False

    @property
    def open_tokens(self) -> int:
        """Count the access tokens that were not given back."""
        return len(self._access)

    def add_routes(self, app: web.Application) -> None:
        """Add every route."""
        app.router.add_get(PREFIX + "/oauth2/authorize", self._authorize)
        app.router.add_post(PREFIX + "/oauth2/token", self._token)
        app.router.add_post(PREFIX + "/oauth2/token/revoke", self._revoke)
        app.router.add_get(PREFIX + "/users/@me/guilds", self._guilds)

    @web.middleware
    async def answer_bearer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer `/users/@me` for an access token; the bot's own token asks the same address."""
        bearer = request.headers.get("Authorization", "").startswith("Bearer ")
        if not bearer or not request.path.endswith("/users/@me"):
            return await handler(request)
        person = self.owner_of(request)
        if person is None:
            return web.json_response({"message": "401: Unauthorized", "code": 0}, status=401)
        return web.json_response({**person.json(), "locale": person.locale, "mfa_enabled": False})

    def owner_of(self, request: web.Request) -> User | None:
        """Return whose access token a request carries."""
        return self._access.get(request.headers.get("Authorization", "").removeprefix("Bearer "))

    async def _authorize(self, request: web.Request) -> web.Response:
        """Agree at once, as for somebody who has agreed before (`prompt=none`)."""
        asked = request.query
        is_known = asked["client_id"] == str(self._state.bot.id) and asked["response_type"] == "code"
        scopes = set(asked["scope"].split())
        if not is_known or asked["code_challenge_method"] != "S256" or scopes != {"identify", "guilds"}:
            return web.Response(status=400, text="invalid_request")
        back = {"state": asked["state"]}
        if self.person is None:
            back["error"] = "access_denied"
        else:
            code = secrets.token_urlsafe(16)
            self._codes[code] = _Granted(self.person, asked["redirect_uri"], asked["code_challenge"])
            back["code"] = code
        return web.Response(status=302, headers={"Location": f"{asked['redirect_uri']}?{urlencode(back)}"})

    async def _token(self, request: web.Request) -> web.Response:
        if self.is_down:
            return web.json_response({"message": "500: Internal Server Error"}, status=500)
        if request.content_type != "application/x-www-form-urlencoded":
            return web.json_response({"error": "invalid_request"}, status=400)
        form = await request.post()
        granted = self._codes.pop(str(form["code"]), None)
        if not self._knows(form["client_id"], form["client_secret"]):
            return web.json_response({"error": "invalid_client"}, status=401)
        digest = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if granted is None or (granted.redirect_uri, granted.challenge) != (form["redirect_uri"], challenge):
            return web.json_response({"error": "invalid_grant"}, status=400)
        access = secrets.token_urlsafe(16)
        self._access[access] = granted.person
        answer = {"access_token": access, "token_type": "Bearer", "expires_in": 604800, "scope": "identify guilds"}
        return web.json_response({**answer, "refresh_token": secrets.token_urlsafe(16)})

    async def _revoke(self, request: web.Request) -> web.Response:
        form = await request.post()
        if not self._knows(form["client_id"], form["client_secret"]):
            return web.json_response({"error": "invalid_client"}, status=401)
        self._access.pop(str(form["token"]), None)
        return web.json_response({})

    async def _guilds(self, request: web.Request) -> web.Response:
        person = self.owner_of(request)
        if person is None:
            return web.json_response({"message": "401: Unauthorized", "code": 0}, status=401)
        return web.json_response([_partial(guild, person) for guild in self._state.guilds])

    def _knows(self, client_id: object, client_secret: object) -> bool:
        return (client_id, client_secret) == (str(self._state.bot.id), CLIENT_SECRET)


def _partial(guild: Guild, person: User) -> Json:
    return {
        "id": str(guild.id),
        "name": guild.name,
        "icon": None,
        "banner": None,
        "owner": guild.owner is person,
        "permissions": str(person.permissions_in(guild)),
        "features": list(guild.features),
    }
