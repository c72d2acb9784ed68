"""The REST side of the stand-in Discord server: who may ask, how often, and what is written down about it.

Owns: authorisation, rate limits, faults on demand, the record of calls. Does not own: what is answered
(`discord_application.py`, `discord_message_routes.py`, `discord_interactions.py`). Source:
https://discord.com/developers/docs/reference.
"""

import asyncio
import json
import math
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from tests.doubles.discord_ask import UNAUTHORIZED, Answer, Ask, Problem, Route
from tests.doubles.discord_buckets import Buckets, Refusal, retry_headers
from tests.doubles.discord_state import Call, DiscordState, RateLimit
from tests.doubles.discord_uploads import read_body

PREFIX = "/api/{version}"


class DiscordRest:
    """Answers one bot's requests on the routes that are given; anything else is a 404 that tests will notice."""

    def __init__(self, state: DiscordState, buckets: Buckets, routes: list[Route]) -> None:
        self._state = state
        self._buckets = buckets
        self._routes = routes

    def add_routes(self, app: web.Application) -> None:
        """Add every route."""
        for route in self._routes:
            self._add(app, route)

    def _add(self, app: web.Application, route: Route) -> None:
        async def serve(request: web.Request) -> web.Response:
            body, uploads = await read_body(request)
            ask = Ask(request.match_info, request.query, body, uploads)
            response = await self._serve(route, ask, is_admitted=self._admits(request, route))
            now = asyncio.get_running_loop().time()
            reply = json.loads(response.body) if isinstance(response.body, bytes) else None
            self._state.calls.append(Call(route.template, request.path, body, response.status, now, reply))
            if response.status == 429:
                self._state.rate_limited.append(route.template)
            self._state.changes.announce()
            return response

        app.router.add_route(route.method, PREFIX + route.path, serve)

    def _admits(self, request: web.Request, route: Route) -> bool:
        return not route.needs_token or request.headers.get("Authorization") == f"Bot {self._state.token}"

    async def _serve(self, route: Route, ask: Ask, *, is_admitted: bool) -> web.Response:
        if not is_admitted:
            return _respond(UNAUTHORIZED.status, UNAUTHORIZED.json(), {})
        headers = self._buckets.take(route, ask.params, now=asyncio.get_running_loop().time())
        if isinstance(headers, Refusal):
            return _limited(headers)
        ordered = self._ordered_limit(route.template, headers)
        if ordered is not None:
            return ordered
        if self._state.failures.get(route.template):
            fault = {"message": "fault on demand", "code": 0}
            return _respond(self._state.failures[route.template].pop(0), fault, headers)
        return self._render(route, await route.handler(ask), headers)

    def _render(self, route: Route, answer: Answer, headers: Mapping[str, str]) -> web.Response:
        if not isinstance(answer, Problem):
            return _respond(204 if answer is None else 200, answer, headers)
        if answer.is_breach or answer.status in (400, 413):
            self._state.noted_breaches.append(f"{route.template}: {answer.message}")
        if answer.status == 429:
            wait_seconds = 5.0
            body = {**answer.json(), "retry_after": wait_seconds, "global": False}
            return _respond(429, body, {**headers, **retry_headers(wait_seconds)})
        return _respond(answer.status, answer.json(), headers)

    def _ordered_limit(self, template: str, headers: Mapping[str, str]) -> web.Response | None:
        """Answer 429 as long as the test asked for it; a repeat that comes too early breaks a rule."""
        limit = self._state.limits.get(template)
        if limit is None:
            return None
        now = asyncio.get_running_loop().time()
        # 20 ms of grace: timers of the event loop may fire a clock tick early.
        if now < limit.not_before - 0.02:
            self._state.noted_breaches.append(f"{template}: repeated before Retry-After was over")
        if limit.times <= 0:
            return None
        limit.times -= 1
        limit.not_before = now + limit.retry_after_seconds
        return _limited(_ordered_refusal(limit, headers))


def _ordered_refusal(limit: RateLimit, headers: Mapping[str, str]) -> Refusal:
    scope = {"X-RateLimit-Scope": "global" if limit.is_global else "user"}
    told = {**headers, **scope, **retry_headers(limit.retry_after_seconds)}
    if not limit.has_via:
        del told["Via"]
    return Refusal(limit.retry_after_seconds, told, is_global=limit.is_global)


def _limited(refusal: Refusal) -> web.Response:
    wait_seconds = math.ceil(refusal.retry_after_seconds * 1000) / 1000
    body = {"message": "You are being rate limited.", "retry_after": wait_seconds, "global": refusal.is_global}
    return _respond(429, body, refusal.headers)


def _respond(status: int, body: Any, headers: Mapping[str, str]) -> web.Response:
    """Render JSON; discord.py takes it for JSON only when the content type is exactly this."""
    if status == 204:
        return web.Response(status=204, headers=headers)
    return web.Response(
        status=status, body=json.dumps(body).encode(), headers={**headers, "Content-Type": "application/json"}
    )
