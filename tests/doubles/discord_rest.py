"""The REST side of the stand-in Discord server: what a bot may ask, and Discord's answers, limits and refusals.

Owns: routes below `/api/<version>`, authorisation, rate limits on demand. Does not own: what tests do
(`discord_server.py`). Source: https://discord.com/developers/docs/reference.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from tests.doubles.discord_interactions import InteractionRoutes
from tests.doubles.discord_limits import Problem, check_commands, check_message, who_is_pinged
from tests.doubles.discord_model import REPLY_MESSAGE, Channel, Json, Message
from tests.doubles.discord_state import Call, DiscordState, RateLimit

PREFIX = "/api/{version}"

_BUCKET_HEADERS = {
    "X-RateLimit-Limit": "50",
    "X-RateLimit-Remaining": "49",
    "X-RateLimit-Reset-After": "1.000",
    "X-RateLimit-Bucket": "stand-in",
}
_UNKNOWN_CHANNEL = Problem(404, 10003, "Unknown Channel")
_UNKNOWN_MESSAGE = Problem(404, 10008, "Unknown Message")
_MISSING_PERMISSIONS = Problem(403, 50013, "Missing Permissions")
_UNAUTHORIZED = Problem(401, 0, "401: Unauthorized")

_Handler = Callable[[web.Request, Json], Awaitable[Json | list[Json] | Problem | None]]


class DiscordRest:
    """Answers one bot's requests. `post` is told about every message that lands in a channel."""

    def __init__(self, state: DiscordState, *, post: Callable[[Message], Awaitable[None]]) -> None:
        self._state = state
        self._post = post
        self._interactions = InteractionRoutes(state, post=post)
        self.gateway_url = ""

    def add_routes(self, app: web.Application) -> None:
        """Add every route this stand-in knows; anything else is a 404 that tests will notice."""
        self._add(app, "GET", "/users/@me", self._me)
        self._add(app, "GET", "/oauth2/applications/@me", self._application)
        self._add(app, "GET", "/gateway/bot", self._gateway)
        self._add(app, "POST", "/users/@me/channels", self._open_dm)
        self._add(app, "GET", "/applications/{application}/commands", self._list_commands)
        self._add(app, "PUT", "/applications/{application}/commands", self._put_commands)
        self._add(app, "POST", "/channels/{channel}/messages", self._create_message)
        self._add(app, "PATCH", "/channels/{channel}/messages/{message}", self._edit_message)
        self._add(app, "DELETE", "/channels/{channel}/messages/{message}", self._delete_message)
        self._add(app, "POST", "/channels/{channel}/typing", self._type)
        for method, path, handler in self._interactions.routes():
            self._add(app, method, path, handler, needs_token=False)

    def _add(
        self, app: web.Application, method: str, path: str, handler: _Handler, *, needs_token: bool = True
    ) -> None:
        route = f"{method} {path}"

        async def serve(request: web.Request) -> web.Response:
            body: Json = {}
            if request.can_read_body:
                parsed = await request.json()
                body = parsed if isinstance(parsed, dict) else {"list": parsed}
            response = await self._serve(request, route, body, handler if self._admits(request, needs_token) else None)
            now = asyncio.get_running_loop().time()
            reply = json.loads(response.body) if isinstance(response.body, bytes) else None
            self._state.calls.append(Call(route, request.path, body, response.status, now, reply))
            self._state.changes.announce()
            return response

        app.router.add_route(method, PREFIX + path, serve)

    def _admits(self, request: web.Request, needs_token: bool) -> bool:
        return not needs_token or request.headers.get("Authorization") == f"Bot {self._state.token}"

    async def _serve(self, request: web.Request, route: str, body: Json, handler: _Handler | None) -> web.Response:
        if handler is None:
            return _respond(_UNAUTHORIZED.status, _UNAUTHORIZED.json())
        limit = self._state.limits.get(route)
        limited = None if limit is None else self._limit(route, limit)
        if limited is not None:
            return limited
        if self._state.failures.get(route):
            return _respond(self._state.failures[route].pop(0), {"message": "fault on demand", "code": 0})
        result = await handler(request, body)
        if isinstance(result, Problem):
            if result.status == 400:
                self._state.noted_breaches.append(f"{route}: {result.message}")
            return _respond(result.status, result.json())
        return _respond(204 if result is None else 200, result)

    def _limit(self, route: str, limit: RateLimit) -> web.Response | None:
        """Answer 429 as long as the test asked for it; a repeat that comes too early breaks a rule."""
        now = asyncio.get_running_loop().time()
        # 20 ms of grace: timers of the event loop may fire a clock tick early.
        if now < limit.not_before - 0.02:
            self._state.noted_breaches.append(f"{route}: repeated before Retry-After was over")
        if limit.times <= 0:
            return None
        limit.times -= 1
        limit.not_before = now + limit.retry_after_seconds
        body = {
            "message": "You are being rate limited.",
            "retry_after": limit.retry_after_seconds,
            "global": limit.is_global,
        }
        headers = {"Retry-After": str(max(1, round(limit.retry_after_seconds)))}
        if limit.has_via:
            headers["Via"] = "1.1 stand-in"
        return _respond(429, body, headers)

    async def _me(self, _request: web.Request, _body: Json) -> Json:
        private = {"mfa_enabled": True, "locale": "en-US", "verified": True, "email": None}
        return {**self._state.bot.json(), **private}

    async def _application(self, _request: web.Request, _body: Json) -> Json:
        return {
            "id": str(self._state.bot.id),
            "name": self._state.bot.name,
            "icon": None,
            "description": "",
            "type": None,
            "bot_public": True,
            "bot_require_code_grant": False,
            "verify_key": "0" * 64,
            "flags": 0,
            "flags_new": "0",
            "redirect_uris": [],
            "role_connections_verification_url": None,
            "approximate_guild_count": len(self._state.guilds),
            "approximate_user_install_count": 0,
            "approximate_user_authorization_count": 0,
            "explicit_content_filter": 0,
            "eligible_oauth2_scopes": ["bot", "applications.commands"],
            "owner": {**self._state.bot.json(), "id": "1", "bot": False},
            "team": None,
            "interactions_endpoint_url": None,
        }

    async def _gateway(self, _request: web.Request, _body: Json) -> Json:
        start_limit = {"total": 1000, "remaining": 999, "reset_after": 86_400_000, "max_concurrency": 1}
        return {"url": self.gateway_url, "shards": 1, "session_start_limit": start_limit}

    async def _open_dm(self, _request: web.Request, body: Json) -> Json | Problem:
        for channel in self._state.channels.values():
            if channel.recipient is not None and str(channel.recipient.id) == str(body["recipient_id"]):
                return channel.json()
        return Problem(403, 50007, "Cannot send messages to this user")

    async def _list_commands(self, _request: web.Request, _body: Json) -> list[Json]:
        return self._state.commands

    async def _put_commands(self, request: web.Request, body: Json) -> list[Json] | Problem:
        problems = check_commands(body["list"])
        if problems:
            self._state.noted_breaches += problems
            return Problem(400, 50035, "Invalid Form Body")
        application = request.match_info["application"]
        self._state.commands = [
            {
                **command,
                "id": str(index),
                "application_id": application,
                "version": "1",
                "default_member_permissions": _as_text(command.get("default_member_permissions")),
            }
            for index, command in enumerate(body["list"], start=1)
        ]
        self._state.command_syncs += 1
        return self._state.commands

    def _channel(self, request: web.Request) -> Channel | None:
        channel = self._state.channels.get(int(request.match_info["channel"]))
        return None if channel is None or channel.is_deleted else channel

    def _message(self, request: web.Request) -> Message | None:
        channel = self._channel(request)
        wanted = request.match_info["message"]
        own = [] if channel is None else channel.own_messages(self._state.bot)
        return next((message for message in own if str(message.id) == wanted), None)

    async def _create_message(self, request: web.Request, body: Json) -> Json | Problem:
        channel = self._channel(request)
        if channel is None:
            return _UNKNOWN_CHANNEL
        if not channel.may_bot_speak:
            return _MISSING_PERMISSIONS
        problem = check_message(body)
        if problem is not None:
            return problem
        reply_to = _referenced(channel, body)
        if isinstance(reply_to, Problem):
            return reply_to
        author = None if reply_to is None else str(reply_to.author.id)
        message = Message(channel, self._state.bot, body["content"], reply_to=reply_to)
        message.type = REPLY_MESSAGE if reply_to is not None else message.type
        message.pings = who_is_pinged(body, author_of_reference=author)
        channel.messages.append(message)
        await self._post(message)
        return message.json()

    async def _edit_message(self, request: web.Request, body: Json) -> Json | Problem:
        message = self._message(request)
        if message is None:
            return _UNKNOWN_MESSAGE
        problem = check_message(body)
        if problem is not None:
            return problem
        message.content = body.get("content", message.content)
        message.edits += 1
        return message.json()

    async def _delete_message(self, request: web.Request, _body: Json) -> Problem | None:
        message = self._message(request)
        if message is None:
            return _UNKNOWN_MESSAGE
        message.is_deleted = True
        return None

    async def _type(self, request: web.Request, _body: Json) -> Problem | None:
        channel = self._channel(request)
        if channel is None:
            return _UNKNOWN_CHANNEL
        channel.typing_calls += 1
        return None


def _as_text(permissions: int | str | None) -> str | None:
    """Write permissions as Discord does; it takes a number, too."""
    return None if permissions is None else str(permissions)


def _referenced(channel: Channel, body: Json) -> Message | Problem | None:
    """Find the message that a new one replies to."""
    reference = body.get("message_reference")
    if reference is None:
        return None
    wanted = str(reference["message_id"])
    found = next((each for each in channel.messages if str(each.id) == wanted and not each.is_deleted), None)
    if found is None and reference.get("fail_if_not_exists", True):
        return Problem(400, 50035, "Invalid Form Body: message_reference: Unknown message")
    return found


def _respond(status: int, body: Any, headers: dict[str, str] | None = None) -> web.Response:
    """Render JSON; discord.py takes it for JSON only when the content type is exactly this."""
    if status == 204:
        return web.Response(status=204, headers=_BUCKET_HEADERS)
    return web.Response(
        status=status,
        body=json.dumps(body).encode(),
        headers={**_BUCKET_HEADERS, "Content-Type": "application/json", **(headers or {})},
    )
