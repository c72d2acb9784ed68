"""Discord's side of a log-in: who somebody is, and which servers they manage that the bot is in.

Owns: the requests to Discord. What somebody's access token opens is read once, then the token is given back. Does not
own: the browser's part (`discord_login.py`). Sources: https://discord.com/developers/docs/topics/oauth2,
RFC 7636 (PKCE), https://discord.com/developers/docs/topics/permissions.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp

from api.config import DiscordApplication
from api.web.sessions import MOST_SERVERS, Server

API_URL: Final = "https://discord.com/api/v10"
AUTHORIZE_URL: Final = "https://discord.com/oauth2/authorize"
SCOPES: Final = "identify guilds"

TIMEOUT_SECONDS: Final = 15.0
AT_ONCE: Final = 5
"""Requests about servers at the same time; Discord allows 50 a second in all."""

_ADMINISTRATOR: Final = 1 << 3
_MANAGE_GUILD: Final = 1 << 5

MAX_NAME_CHARACTERS: Final = 32


class DiscordFailedError(Exception):
    """Discord did not answer, or not as documented; nobody is logged in."""


class CodeRefusedError(Exception):
    """Discord does not take the code: it was used, is too old, or belongs to another log-in."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who has logged in."""

    id: int
    name: str
    servers: tuple[Server, ...]


class DiscordOAuth:
    """One application at Discord. `http` stays its owner's."""

    def __init__(self, application: DiscordApplication, http: aiohttp.ClientSession) -> None:
        self._application = application
        self._http = http
        self._api_url = application.api_url or API_URL
        self._client_id: str | None = None

    async def authorize_url(self, *, state: str, challenge: str, redirect_uri: str) -> str:
        """Give the address that asks the visitor; raises `DiscordFailedError`."""
        query = {
            "response_type": "code",
            "client_id": await self._find_client_id(),
            "scope": SCOPES,
            "redirect_uri": redirect_uri,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            # Who has agreed before is not asked again.
            "prompt": "none",
        }
        base = AUTHORIZE_URL if self._application.api_url is None else f"{self._api_url}/oauth2/authorize"
        return f"{base}?{urlencode(query)}"

    async def identify(self, code: str, *, verifier: str, redirect_uri: str) -> Person:
        """Turn the code into a person; raises `CodeRefusedError` and `DiscordFailedError`."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        granted = await self._post("/oauth2/token", {**form, "code_verifier": verifier})
        access_token = granted.get("access_token")
        if not isinstance(access_token, str):
            raise DiscordFailedError
        try:
            bearer = f"Bearer {access_token}"
            user = await self._get("/users/@me", bearer)
            guilds = await self._get("/users/@me/guilds", bearer)
            return Person(int(user["id"]), _name_of(user), await self._shared(guilds))
        except (KeyError, TypeError, ValueError):
            raise DiscordFailedError from None
        finally:
            await self._revoke(access_token)

    async def _shared(self, guilds: list[dict[str, Any]]) -> tuple[Server, ...]:
        """Keep the servers that the person manages and the bot is in."""
        managed = [
            Server(int(each["id"]), str(each["name"])[:MAX_NAME_CHARACTERS]) for each in guilds if _manages(each)
        ]
        room = asyncio.Semaphore(AT_ONCE)

        async def is_in(server: Server) -> bool:
            async with room:
                return await self._get(f"/guilds/{server.id}", self._bot, may_be_refused=True) is not None

        here = await asyncio.gather(*map(is_in, managed))
        return tuple(server for server, is_here in zip(managed, here, strict=True) if is_here)[:MOST_SERVERS]

    @property
    def _bot(self) -> str:
        return f"Bot {self._application.bot_token}"

    async def _find_client_id(self) -> str:
        if self._client_id is None:
            application = await self._get("/oauth2/applications/@me", self._bot)
            self._client_id = str(application["id"])
        return self._client_id

    async def _get(self, path: str, authorization: str, *, may_be_refused: bool = False) -> Any:
        """Ask Discord; None for what is refused, where it may be."""
        try:
            async with self._http.get(
                self._api_url + path, headers={"Authorization": authorization}, allow_redirects=False
            ) as response:
                if may_be_refused and response.status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
                    return None
                if response.status != HTTPStatus.OK:
                    raise DiscordFailedError
                return await response.json()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            raise DiscordFailedError from None

    async def _post(self, path: str, form: Mapping[str, str]) -> dict[str, Any]:
        identified = {
            **form,
            "client_id": await self._find_client_id(),
            "client_secret": self._application.client_secret,
        }
        try:
            async with self._http.post(self._api_url + path, data=identified, allow_redirects=False) as response:
                if response.status == HTTPStatus.BAD_REQUEST:
                    raise CodeRefusedError
                if response.status != HTTPStatus.OK:
                    raise DiscordFailedError
                answer = await response.json()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            raise DiscordFailedError from None
        if not isinstance(answer, dict):
            raise DiscordFailedError
        return answer

    async def _revoke(self, access_token: str) -> None:
        """Give the access token back; should that fail, it ends by itself."""
        try:
            await self._post("/oauth2/token/revoke", {"token": access_token, "token_type_hint": "access_token"})
        except (DiscordFailedError, CodeRefusedError):
            return


def _manages(guild: dict[str, Any]) -> bool:
    return bool(guild.get("owner") or int(guild["permissions"]) & (_ADMINISTRATOR | _MANAGE_GUILD))


def _name_of(user: dict[str, Any]) -> str:
    return str(user.get("global_name") or user["username"])[:MAX_NAME_CHARACTERS]
