"""How the stand-in Discord server takes answers to interactions: callbacks, edits of the original, follow-ups.

Owns: the 3 s to the first answer, one first answer only, 15 minutes of a token, and who sees what. Does not own: what
may be in a message (`discord_payloads.py`) or a form (`discord_component_limits.py`). Source:
https://discord.com/developers/docs/interactions/receiving-and-responding.
"""

from tests.doubles.discord_announcer import Announcer
from tests.doubles.discord_ask import (
    EXPIRED_TOKEN,
    UNKNOWN_CHANNEL,
    UNKNOWN_INTERACTION,
    UNKNOWN_MESSAGE,
    UNKNOWN_WEBHOOK,
    Ask,
    Problem,
    Route,
    invalid,
)
from tests.doubles.discord_basics import (
    AUTOCOMPLETE,
    COMMAND,
    COMPONENT,
    DEFAULT_MESSAGE,
    EPHEMERAL,
    INTERACTION_ANSWER_SECONDS,
    INTERACTION_TOKEN_SECONDS,
    LOADING,
    MENU_MESSAGE,
    MODAL_SUBMIT,
    SLASH_MESSAGE,
    Json,
)
from tests.doubles.discord_component_limits import check_form
from tests.doubles.discord_limits import MAX_CHOICES, check_choice, who_is_pinged
from tests.doubles.discord_messages import Message
from tests.doubles.discord_model import Interaction
from tests.doubles.discord_payloads import check_message, fill
from tests.doubles.discord_state import DiscordState
from tests.doubles.discord_uploads import Cdn

MESSAGE, DEFERRED, DEFERRED_UPDATE, UPDATE, CHOICES, MODAL = 4, 5, 6, 7, 8, 9

_ALLOWED = {
    COMMAND: {MESSAGE, DEFERRED, MODAL},
    COMPONENT: {MESSAGE, DEFERRED, DEFERRED_UPDATE, UPDATE, MODAL},
    AUTOCOMPLETE: {CHOICES},
    MODAL_SUBMIT: {MESSAGE, DEFERRED, DEFERRED_UPDATE, UPDATE},
}
_ALREADY_ANSWERED = Problem(400, 40060, "Interaction has already been acknowledged.")


class InteractionRoutes:
    """The routes that an interaction's own token opens."""

    def __init__(self, state: DiscordState, announcer: Announcer, cdn: Cdn) -> None:
        self._state = state
        self._announcer = announcer
        self._cdn = cdn

    def routes(self) -> list[Route]:
        """Return the routes."""
        webhook = "/webhooks/{application}/{token}"
        routes = [
            Route("POST", "/interactions/{interaction}/{token}/callback", self._callback, needs_token=False),
            Route("POST", webhook, self._follow_up, needs_token=False),
        ]
        for which in ("@original", "{message}"):
            path = f"{webhook}/messages/{which}"
            routes += [
                Route("GET", path, self._get, needs_token=False),
                Route("PATCH", path, self._edit, needs_token=False),
                Route("DELETE", path, self._delete, needs_token=False),
            ]
        return routes

    # The first answer ---------------------------------------------------------------------------------------------

    async def _callback(self, ask: Ask) -> Json | Problem | None:
        interaction = self._state.interactions.get(ask.params["token"])
        if interaction is None or str(interaction.id) != ask.params["interaction"]:
            return UNKNOWN_INTERACTION
        if interaction.age_seconds > INTERACTION_ANSWER_SECONDS:
            return UNKNOWN_INTERACTION
        if interaction.answered_at is not None:
            return _ALREADY_ANSWERED
        kind, data = ask.body["type"], ask.body.get("data") or {}
        problem = _check_answer(interaction, kind, data, ask)
        if problem is not None:
            return problem
        interaction.answered_at, interaction.answer_kind = self._state.lived.now(), kind
        await self._first_answer(interaction, kind, data, ask)
        return _callback_json(interaction, kind) if "with_response" in ask.query else None

    async def _first_answer(self, interaction: Interaction, kind: int, data: Json, ask: Ask) -> None:
        if kind == CHOICES:
            interaction.choices = data["choices"]
        elif kind == MODAL:
            interaction.modal = data
        elif kind in (UPDATE, DEFERRED_UPDATE):
            interaction.original = interaction.message
            if kind == UPDATE and interaction.message is not None:
                await self._change(interaction.message, data, ask)
        else:
            flags = data.get("flags", 0) & EPHEMERAL
            interaction.is_thinking = kind == DEFERRED
            interaction.is_deferred_ephemeral = bool(flags)
            original = self._message(interaction, flags | (LOADING if kind == DEFERRED else 0))
            original.type = _type_of_original(interaction)
            interaction.original = original
            if kind == MESSAGE:
                await self._show(interaction, original, data, ask)

    def _message(self, interaction: Interaction, flags: int) -> Message:
        message = Message(interaction.channel, self._state.bot, "", flags=flags, webhook_id=self._state.bot.id)
        message.visible_to = interaction.user if message.is_ephemeral else None
        message.interaction_metadata = interaction.metadata()
        if interaction.kind == COMPONENT:
            message.reply_to = interaction.message
        return message

    async def _show(self, interaction: Interaction, message: Message, payload: Json, ask: Ask) -> None:
        """Let people see a message: everybody in the channel, or the asker alone."""
        fill(message, payload, ask.uploads)
        self._cdn.keep(message)
        message.pings = who_is_pinged(payload)
        interaction.replies.append(message)
        if not message.is_ephemeral:
            interaction.channel.messages.append(message)
            await self._announcer.created(message)

    async def _change(self, message: Message, payload: Json, ask: Ask) -> None:
        fill(message, payload, ask.uploads)
        self._cdn.keep(message)
        message.mark_edited()
        message.pings |= who_is_pinged(payload)
        if not message.is_ephemeral:
            await self._announcer.edited(message)

    # What comes after it ------------------------------------------------------------------------------------------

    def _open(self, ask: Ask) -> Interaction | Problem:
        """Return the interaction whose token this is, while it is good."""
        interaction = self._state.interactions.get(ask.params["token"])
        if interaction is None:
            return UNKNOWN_WEBHOOK
        if interaction.is_expired or interaction.age_seconds > INTERACTION_TOKEN_SECONDS:
            return EXPIRED_TOKEN
        if interaction.answered_at is None:
            self._state.noted_breaches.append(f"{interaction.label}: follow-up before the first answer")
            return UNKNOWN_WEBHOOK
        return interaction

    def _found(self, ask: Ask) -> tuple[Interaction, Message] | Problem:
        """Return the message that the path names: `@original`, or one this interaction has led to."""
        interaction = self._open(ask)
        if isinstance(interaction, Problem):
            return interaction
        original = [interaction.original] if interaction.original is not None else []
        wanted = ask.params.get("message")
        among = original if wanted is None else [*original, *interaction.replies]
        found = next((each for each in among if wanted in (None, str(each.id))), None)
        if found is None or found.is_deleted or interaction.channel.is_deleted:
            return UNKNOWN_MESSAGE
        return interaction, found

    async def _get(self, ask: Ask) -> Json | Problem:
        found = self._found(ask)
        return found if isinstance(found, Problem) else found[1].json()

    async def _edit(self, ask: Ask) -> Json | Problem:
        found = self._found(ask)
        if isinstance(found, Problem):
            return found
        interaction, message = found
        problem = check_message(ask.body, ask.uploads, before=message)
        if problem is not None:
            return problem
        if interaction.is_thinking and message is interaction.original:
            interaction.is_thinking = False
            await self._show(interaction, message, ask.body, ask)
        else:
            await self._change(message, ask.body, ask)
        return message.json()

    async def _delete(self, ask: Ask) -> Problem | None:
        found = self._found(ask)
        if isinstance(found, Problem):
            return found
        found[1].is_deleted = True
        if not found[1].is_ephemeral:
            await self._announcer.deleted(found[1])
        return None

    async def _follow_up(self, ask: Ask) -> Json | Problem:
        """Add a message; the first one after a deferral takes the place of "thinking" and is as visible as that."""
        interaction = self._open(ask)
        if isinstance(interaction, Problem):
            return interaction
        if interaction.channel.is_deleted:
            return UNKNOWN_CHANNEL
        problem = check_message(ask.body, ask.uploads)
        if problem is not None:
            return problem
        original = interaction.original
        if interaction.is_thinking and original is not None and not original.is_deleted:
            interaction.is_thinking = False
            await self._show(interaction, original, ask.body, ask)
            return original.json()
        message = self._message(interaction, ask.body.get("flags", 0) & EPHEMERAL)
        await self._show(interaction, message, ask.body, ask)
        return message.json()


def _check_answer(interaction: Interaction, kind: int, data: Json, ask: Ask) -> Problem | None:
    """Return what Discord would refuse about a first answer."""
    if kind not in _ALLOWED[interaction.kind] or (kind == UPDATE and interaction.message is None):
        return invalid(f"type: {kind} is no answer to {interaction.label}")
    if kind in (MESSAGE, UPDATE):
        return check_message(data, ask.uploads, before=interaction.message if kind == UPDATE else None)
    problems = check_form(data) if kind == MODAL else _check_choices(data["choices"]) if kind == CHOICES else []
    return invalid("; ".join(problems)) if problems else None


def _check_choices(choices: list[Json]) -> list[str]:
    problems = [] if len(choices) <= MAX_CHOICES else [f"{len(choices)} choices"]
    return problems + [problem for choice in choices for problem in check_choice(choice, "choices")]


def _type_of_original(interaction: Interaction) -> int:
    if interaction.kind != COMMAND:
        return DEFAULT_MESSAGE
    return SLASH_MESSAGE if interaction.target is None else MENU_MESSAGE


def _callback_json(interaction: Interaction, kind: int) -> Json:
    """Render the callback object that `with_response` asks for."""
    rendered: Json = {"interaction": {"id": str(interaction.id), "type": interaction.kind}}
    original = interaction.original
    if original is not None:
        rendered["interaction"] |= {
            "response_message_id": str(original.id),
            "response_message_loading": interaction.is_thinking,
            "response_message_ephemeral": original.is_ephemeral,
        }
        if kind in (MESSAGE, UPDATE):
            rendered["resource"] = {"type": kind, "message": original.json()}
    return rendered
