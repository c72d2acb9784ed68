"""How the stand-in Discord server takes answers to commands: callbacks, edits of the original, follow-ups.

Owns: the 3 s to the first answer, one first answer only, 15 minutes of a token, and who sees what. Source:
https://discord.com/developers/docs/interactions/receiving-and-responding.
"""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from tests.doubles.discord_limits import Problem, check_message, who_is_pinged
from tests.doubles.discord_model import (
    EPHEMERAL,
    INTERACTION_ANSWER_SECONDS,
    INTERACTION_TOKEN_SECONDS,
    LOADING,
    Interaction,
    Json,
    Message,
)
from tests.doubles.discord_state import DiscordState

MESSAGE, DEFERRED, CHOICES = 4, 5, 8

_UNKNOWN_INTERACTION = Problem(404, 10062, "Unknown interaction")
_ALREADY_ANSWERED = Problem(400, 40060, "Interaction has already been acknowledged.")
_UNKNOWN_WEBHOOK = Problem(404, 10015, "Unknown Webhook")
_EXPIRED = Problem(401, 50027, "Invalid Webhook Token")
_UNKNOWN_MESSAGE = Problem(404, 10008, "Unknown Message")

_Handler = Callable[[web.Request, Json], Awaitable[Json | list[Json] | Problem | None]]


class InteractionRoutes:
    """The routes that an interaction's own token opens."""

    def __init__(self, state: DiscordState, *, post: Callable[[Message], Awaitable[None]]) -> None:
        self._state = state
        self._post = post

    def routes(self) -> list[tuple[str, str, _Handler]]:
        """Return method, path and handler of each route."""
        original = "/webhooks/{application}/{token}/messages/@original"
        return [
            ("POST", "/interactions/{interaction}/{token}/callback", self._callback),
            ("GET", original, self._get_original),
            ("PATCH", original, self._edit_original),
            ("DELETE", original, self._delete_original),
            ("POST", "/webhooks/{application}/{token}", self._follow_up),
        ]

    async def _callback(self, request: web.Request, body: Json) -> Json | Problem | None:
        interaction = self._state.interactions.get(request.match_info["token"])
        if interaction is None or str(interaction.id) != request.match_info["interaction"]:
            return _UNKNOWN_INTERACTION
        now = asyncio.get_running_loop().time()
        if now - interaction.created_at > INTERACTION_ANSWER_SECONDS:
            return _UNKNOWN_INTERACTION
        if interaction.answered_at is not None:
            return _ALREADY_ANSWERED
        data = body.get("data") or {}
        problem = check_message(data) if body["type"] == MESSAGE else None
        if problem is not None:
            return problem
        interaction.answered_at = now
        await self._first_answer(interaction, body["type"], data)
        return _callback_json(interaction, body["type"])

    async def _first_answer(self, interaction: Interaction, kind: int, data: Json) -> None:
        flags = data.get("flags", 0) & EPHEMERAL
        if kind == CHOICES:
            interaction.choices = data["choices"]
            return
        interaction.is_thinking = kind == DEFERRED
        interaction.is_deferred_ephemeral = bool(flags)
        content = data.get("content", "")
        interaction.original = self._message(interaction, content, flags | (LOADING if kind == DEFERRED else 0))
        if kind == MESSAGE:
            await self._show(interaction, interaction.original, data)

    def _message(self, interaction: Interaction, content: str, flags: int) -> Message:
        return Message(interaction.channel, self._state.bot, content, flags=flags, webhook_id=self._state.bot.id)

    async def _show(self, interaction: Interaction, message: Message, payload: Json) -> None:
        """Let people see a message: everybody in the channel, or the asker alone."""
        message.pings = who_is_pinged(payload)
        interaction.replies.append(message)
        if not message.is_ephemeral:
            interaction.channel.messages.append(message)
            await self._post(message)

    def _open(self, request: web.Request) -> Interaction | Problem:
        """Return the interaction whose token this is, while it is good."""
        interaction = self._state.interactions.get(request.match_info["token"])
        if interaction is None:
            return _UNKNOWN_WEBHOOK
        age = asyncio.get_running_loop().time() - interaction.created_at
        if interaction.is_expired or age > INTERACTION_TOKEN_SECONDS:
            return _EXPIRED
        if interaction.answered_at is None:
            self._state.noted_breaches.append(f"/{interaction.command}: follow-up before the first answer")
            return _UNKNOWN_WEBHOOK
        return interaction

    async def _get_original(self, request: web.Request, _body: Json) -> Json | Problem:
        interaction = self._open(request)
        if isinstance(interaction, Problem):
            return interaction
        if interaction.original is None or interaction.original.is_deleted:
            return _UNKNOWN_MESSAGE
        return interaction.original.json()

    async def _edit_original(self, request: web.Request, body: Json) -> Json | Problem:
        interaction = self._open(request)
        if isinstance(interaction, Problem):
            return interaction
        original = interaction.original
        if original is None or original.is_deleted:
            return _UNKNOWN_MESSAGE
        problem = check_message(body)
        if problem is not None:
            return problem
        original.content = body["content"]
        original.flags &= ~LOADING
        if interaction.is_thinking:
            interaction.is_thinking = False
            await self._show(interaction, original, body)
        else:
            original.edits += 1
            original.pings |= who_is_pinged(body)
        return original.json()

    async def _delete_original(self, request: web.Request, _body: Json) -> Problem | None:
        interaction = self._open(request)
        if isinstance(interaction, Problem):
            return interaction
        if interaction.original is not None:
            interaction.original.is_deleted = True
        return None

    async def _follow_up(self, request: web.Request, body: Json) -> Json | Problem:
        """Add a message; the first one after a deferral takes the place of "thinking" and is as visible as that."""
        interaction = self._open(request)
        if isinstance(interaction, Problem):
            return interaction
        problem = check_message(body)
        if problem is not None:
            return problem
        original = interaction.original
        if interaction.is_thinking and original is not None and not original.is_deleted:
            return await self._edit_original(request, body)
        message = self._message(interaction, body["content"], body.get("flags", 0) & EPHEMERAL)
        await self._show(interaction, message, body)
        return message.json()


def _callback_json(interaction: Interaction, kind: int) -> Json:
    """Render the callback object that `with_response` asks for."""
    rendered: Json = {"interaction": {"id": str(interaction.id), "type": 2}}
    original = interaction.original
    if original is not None:
        rendered["interaction"] |= {
            "response_message_id": str(original.id),
            "response_message_loading": interaction.is_thinking,
            "response_message_ephemeral": original.is_ephemeral,
        }
        if kind == MESSAGE:
            rendered["resource"] = {"type": kind, "message": original.json()}
    return rendered
