"""Who is logged in to the pages: signed cookies, and the tokens that prove that a form was ours.

Owns: what a session may see and change, its cookie, its end. A session stands in its cookie, so every process of a
database knows it; one that was logged out is refused by the process that ended it, and its cookie is gone. Does not
own: how somebody logs in (`login.py`). Visitors of the chat need none of this: their API token is a header.
"""

import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from aiohttp import web
from itsdangerous import BadData, URLSafeSerializer

from api.errors import ApiError, Kind, forbidden
from storage.clock import Clock

OPERATOR_LIFETIME: Final = timedelta(hours=12)
DISCORD_LIFETIME: Final = timedelta(hours=1)
"""What somebody may manage is asked from Discord at the log-in alone; who loses a right keeps it this long at most."""

LOGIN_LIFETIME: Final = timedelta(minutes=10)

MOST_SERVERS: Final = 40
"""Browsers keep 4 KiB of a cookie (RFC 6265 section 6.1)."""

MOST_REMEMBERED: Final = 10_000

SAME_ORIGIN: Final = ("same-origin", "none")


@dataclass(frozen=True, slots=True)
class Server:
    """A Discord server."""

    id: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A log-in. `servers` are the Discord servers it may manage; None is the operator's, who may manage everything."""

    id: str
    person: str
    person_id: int | None
    servers: tuple[Server, ...] | None
    until: datetime

    @property
    def is_operator(self) -> bool:
        """Say whether everything is theirs to manage."""
        return self.servers is None

    def server(self, server_id: int) -> Server:
        """Find a server that the session may manage; raises the 403."""
        found = next((each for each in self.servers or () if each.id == server_id), None)
        if found is None:
            raise forbidden("You do not manage this Discord server; log in again if that has changed.")
        return found


class Sessions:
    """Writes and reads the cookies of one service; `address` is the one that people see."""

    def __init__(self, key: bytes, *, clock: Clock, address: str) -> None:
        self._sessions = URLSafeSerializer(key, salt="session")
        self._logins = URLSafeSerializer(key, salt="login")
        self._forms = URLSafeSerializer(key, salt="form")
        self._clock = clock
        self._address = address
        self._is_secure = is_secure = address.startswith("https://")
        # The browser itself takes a cookie of this prefix over https from this very host alone.
        prefix = "__Host-" if is_secure else ""
        self._name = f"{prefix}parley_session"
        self._login_name = f"{prefix}parley_login"
        self._ended = _Remembered()
        self._used_forms = _Remembered()

    def new(self, person: str, *, person_id: int | None = None, servers: tuple[Server, ...] | None = None) -> Session:
        """Make a session that begins now."""
        lifetime = OPERATOR_LIFETIME if servers is None else DISCORD_LIFETIME
        until = self._clock.now() + lifetime
        return Session(id=secrets.token_urlsafe(16), person=person, person_id=person_id, servers=servers, until=until)

    def begin(self, response: web.StreamResponse, session: Session) -> None:
        """Put a session into the browser."""
        said = {
            "id": session.id,
            "person": session.person,
            "person_id": session.person_id,
            "servers": None if session.servers is None else [[each.id, each.name] for each in session.servers],
            "until": session.until.timestamp(),
        }
        self._set(response, self._name, str(self._sessions.dumps(said)), session.until - self._clock.now())

    def find(self, request: web.Request) -> Session | None:
        """Return the session of a request; None for none, an old, an ended or a forged one."""
        said = self._read(self._sessions, request.cookies.get(self._name, ""))
        if said is None or said["id"] in self._ended:
            return None
        servers = said["servers"]
        return Session(
            id=said["id"],
            person=said["person"],
            person_id=said["person_id"],
            servers=None if servers is None else tuple(Server(*each) for each in servers),
            until=datetime.fromtimestamp(said["until"], self._clock.now().tzinfo),
        )

    def end(self, response: web.StreamResponse, session: Session | None) -> None:
        """Log out."""
        if session is not None:
            self._ended.add(session.id)
        response.del_cookie(self._name, path="/", secure=self._is_secure, httponly=True, samesite="Lax")

    # Forms ---------------------------------------------------------------------------------------------------------

    def form_token(self, session: Session) -> str:
        """Return what a form of this session carries, another one each time."""
        return str(self._forms.dumps([session.id, secrets.token_urlsafe(9)]))

    def check_form(self, request: web.Request, session: Session, token: str) -> None:
        """Refuse a form that another site sent (403), or that was sent already (409)."""
        self.require_same_origin(request)
        try:
            said = self._forms.loads(token)
        except BadData:
            said = None
        if not isinstance(said, list) or said[0] != session.id:
            raise forbidden("This form is of an earlier log-in; go back to the page and try again.")
        if token in self._used_forms:
            message = "This form was sent already; nothing was done a second time."
            raise ApiError(409, "Already done", message, kind=Kind.FORBIDDEN)
        self._used_forms.add(token)

    def require_same_origin(self, request: web.Request) -> None:
        """Refuse what another site makes a browser send (403).

        By https://www.w3.org/TR/fetch-metadata/, and where a browser says nothing of it, by the Origin: ours, also when
        a proxy gives another Host, is the address that people see.
        """
        site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        if site is not None:
            is_ours = site in SAME_ORIGIN
        else:
            is_ours = origin is None or origin == self._address or origin.partition("//")[2] == request.host
        if not is_ours:
            raise forbidden("Another site has sent this form; open the page here and try again.")

    # The way to Discord and back -----------------------------------------------------------------------------------

    def remember_login(self, response: web.StreamResponse, said: Mapping[str, str]) -> None:
        """Keep in the browser what a log-in with Discord has to match when it comes back."""
        until = (self._clock.now() + LOGIN_LIFETIME).timestamp()
        self._set(response, self._login_name, str(self._logins.dumps({**said, "until": until})), LOGIN_LIFETIME)

    def recall_login(self, request: web.Request) -> Mapping[str, Any] | None:
        """Return that; None where it is over, was forged, or never began in this browser."""
        return self._read(self._logins, request.cookies.get(self._login_name, ""))

    def forget_login(self, response: web.StreamResponse) -> None:
        """Take it back."""
        response.del_cookie(self._login_name, path="/", secure=self._is_secure, httponly=True, samesite="Lax")

    def _read(self, signer: URLSafeSerializer, text: str) -> dict[str, Any] | None:
        try:
            said = signer.loads(text)
        except BadData:
            return None
        return said if isinstance(said, dict) and said["until"] > self._clock.now().timestamp() else None

    def _set(self, response: web.StreamResponse, name: str, value: str, lifetime: timedelta) -> None:
        # Lax: a log-in comes back from Discord by a link, which Strict would leave without its cookie.
        response.set_cookie(
            name,
            value,
            max_age=int(lifetime.total_seconds()),
            path="/",
            secure=self._is_secure,
            httponly=True,
            samesite="Lax",
        )


class _Remembered:
    """The last of many names."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, None] = OrderedDict()

    def add(self, name: str) -> None:
        self._names[name] = None
        if len(self._names) > MOST_REMEMBERED:
            self._names.popitem(last=False)

    def __contains__(self, name: str) -> bool:
        return name in self._names
