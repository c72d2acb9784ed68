"""How the stand-in Discord server lets a bot read, post, edit and delete messages of channels by its own token.

Owns: permissions and ownership of messages. Does not own: answers to interactions (`discord_interactions.py`). Sources:
https://discord.com/developers/docs/resources/message and https://discord.com/developers/docs/topics/permissions.
"""

from tests.doubles.discord_announcer import Announcer
from tests.doubles.discord_ask import (
    DMS_CLOSED,
    MISSING_ACCESS,
    MISSING_PERMISSIONS,
    NO_HISTORY_TO_REPLY,
    NOT_IN_A_DM,
    NOT_THE_AUTHOR,
    UNKNOWN_CHANNEL,
    UNKNOWN_MESSAGE,
    Ask,
    Problem,
    Route,
    invalid,
)
from tests.doubles.discord_basics import (
    ATTACH_FILES,
    FORUM,
    MANAGE_MESSAGES,
    PUBLIC_THREAD,
    READ_MESSAGE_HISTORY,
    REPLY_MESSAGE,
    SEND_MESSAGES,
    SEND_MESSAGES_IN_THREADS,
    VIEW_CHANNEL,
    Json,
)
from tests.doubles.discord_limits import who_is_pinged
from tests.doubles.discord_messages import Message
from tests.doubles.discord_payloads import check_message, fill
from tests.doubles.discord_places import Channel
from tests.doubles.discord_state import DiscordState
from tests.doubles.discord_uploads import Cdn

OLD_SECONDS = 3600.0
EDITS_WHEN_OLD = 3
"""Discord says that there is a limit for messages older than an hour, and not which: 30046 in
https://discord.com/developers/docs/topics/opcodes-and-status-codes#json."""

_NO_TEXT_CHANNEL = Problem(400, 50008, "Cannot send messages in a non-text channel")
_EDITED_TOO_OFTEN = Problem(
    429, 30046, "Maximum number of edits to messages older than 1 hour reached. Try again later", is_breach=True
)


class MessageRoutes:
    """The routes below `/channels/{channel}`."""

    def __init__(self, state: DiscordState, announcer: Announcer, cdn: Cdn) -> None:
        self._state = state
        self._announcer = announcer
        self._cdn = cdn

    def routes(self) -> list[Route]:
        """Return the routes."""
        channel, message = "/channels/{channel}", "/channels/{channel}/messages/{message}"
        return [
            Route("GET", channel, self._get_channel),
            Route("POST", f"{channel}/typing", self._type),
            Route("GET", f"{channel}/messages", self._list),
            Route("POST", f"{channel}/messages", self._create),
            Route("GET", message, self._get),
            Route("PATCH", message, self._edit),
            Route("DELETE", message, self._delete),
        ]

    async def _get_channel(self, ask: Ask) -> Json | Problem:
        channel = self._state.open_channel(ask.params["channel"])
        if channel is None:
            return UNKNOWN_CHANNEL
        return channel.json() if channel.bot_permissions & VIEW_CHANNEL else MISSING_ACCESS

    async def _type(self, ask: Ask) -> Problem | None:
        channel = self._state.open_channel(ask.params["channel"])
        if channel is None:
            return UNKNOWN_CHANNEL
        channel.typing_calls += 1
        return None

    async def _list(self, ask: Ask) -> list[Json] | Problem:
        channel = self._state.open_channel(ask.params["channel"])
        if channel is None:
            return UNKNOWN_CHANNEL
        if not channel.bot_permissions & VIEW_CHANNEL:
            return MISSING_ACCESS
        # Discord answers with nothing, rather than with a refusal, where the history may not be read.
        may_read = channel.bot_permissions & READ_MESSAGE_HISTORY
        before, after = int(ask.query.get("before", 1 << 63)), int(ask.query.get("after", 0))
        found = [each for each in channel.messages if not each.is_deleted and after < each.id < before]
        limit = int(ask.query.get("limit", 50))
        chosen = found[:limit] if "after" in ask.query else found[-limit:]
        return [self._announcer.message_json(each) for each in reversed(chosen)] if may_read else []

    async def _create(self, ask: Ask) -> Json | Problem:
        channel = self._state.open_channel(ask.params["channel"])
        if channel is None:
            return UNKNOWN_CHANNEL
        problem = _may_not_post(channel, ask) or check_message(ask.body, ask.uploads)
        if problem is not None:
            return problem
        reply_to = _referenced(channel, ask.body)
        if isinstance(reply_to, Problem):
            return reply_to
        twin = self._posted_before(channel, ask.body)
        if twin is not None:
            return twin.json()
        message = Message(channel, self._state.bot, "", reply_to=reply_to, nonce=ask.body.get("nonce"))
        message.type = REPLY_MESSAGE if reply_to is not None else message.type
        fill(message, ask.body, ask.uploads)
        self._cdn.keep(message)
        author = None if reply_to is None else str(reply_to.author.id)
        message.pings = who_is_pinged(ask.body, author_of_reference=author)
        channel.messages.append(message)
        await self._announcer.created(message)
        return message.json()

    def _posted_before(self, channel: Channel, body: Json) -> Message | None:
        """Return what was posted with the same nonce, where the bot asks for that to be noticed."""
        if not body.get("enforce_nonce") or body.get("nonce") is None:
            return None
        return next((each for each in channel.own_messages(self._state.bot) if each.nonce == body["nonce"]), None)

    async def _get(self, ask: Ask) -> Json | Problem:
        message = self._state.message(ask.params["channel"], ask.params["message"])
        if message is None:
            return self._unknown(ask)
        needed = VIEW_CHANNEL | READ_MESSAGE_HISTORY
        if message.channel.bot_permissions & needed != needed:
            return MISSING_ACCESS
        return self._announcer.message_json(message)

    async def _edit(self, ask: Ask) -> Json | Problem:
        message = self._state.message(ask.params["channel"], ask.params["message"])
        if message is None:
            return self._unknown(ask)
        if message.author is not self._state.bot:
            return NOT_THE_AUTHOR
        if not message.channel.bot_permissions & VIEW_CHANNEL:
            return MISSING_ACCESS
        problem = _may_not_attach(message.channel, ask) or check_message(ask.body, ask.uploads, before=message)
        if problem is not None:
            return problem
        if message.age_seconds > OLD_SECONDS:
            message.edits_when_old += 1
            if message.edits_when_old > EDITS_WHEN_OLD:
                return _EDITED_TOO_OFTEN
        fill(message, ask.body, ask.uploads)
        self._cdn.keep(message)
        message.mark_edited()
        message.pings |= who_is_pinged(ask.body)
        await self._announcer.edited(message)
        return message.json()

    async def _delete(self, ask: Ask) -> Problem | None:
        message = self._state.message(ask.params["channel"], ask.params["message"])
        if message is None:
            return self._unknown(ask)
        if not message.channel.bot_permissions & VIEW_CHANNEL:
            return MISSING_ACCESS
        if message.author is not self._state.bot:
            if message.channel.guild is None:
                return NOT_IN_A_DM
            if not message.channel.bot_permissions & MANAGE_MESSAGES:
                return MISSING_PERMISSIONS
        message.is_deleted = True
        await self._announcer.deleted(message)
        return None

    def _unknown(self, ask: Ask) -> Problem:
        return UNKNOWN_CHANNEL if self._state.open_channel(ask.params["channel"]) is None else UNKNOWN_MESSAGE


def _may_not_post(channel: Channel, ask: Ask) -> Problem | None:
    """Return why the bot may not post there, or None."""
    if channel.type == FORUM:
        return _NO_TEXT_CHANNEL
    if channel.recipient is not None:
        return DMS_CLOSED if channel.recipient.dms_closed else None
    if not channel.bot_permissions & VIEW_CHANNEL:
        return MISSING_ACCESS
    needed = SEND_MESSAGES_IN_THREADS if channel.type == PUBLIC_THREAD else SEND_MESSAGES
    return _may_not_attach(channel, ask) if channel.bot_permissions & needed else MISSING_PERMISSIONS


def _may_not_attach(channel: Channel, ask: Ask) -> Problem | None:
    may = not ask.uploads or channel.bot_permissions & ATTACH_FILES
    return None if may else MISSING_PERMISSIONS


def _referenced(channel: Channel, body: Json) -> Message | Problem | None:
    """Find the message that a new one replies to."""
    reference = body.get("message_reference")
    if reference is None:
        return None
    if not channel.bot_permissions & READ_MESSAGE_HISTORY:
        return NO_HISTORY_TO_REPLY
    found = channel.find(str(reference["message_id"]))
    if found is None and reference.get("fail_if_not_exists", True):
        return invalid("message_reference: Unknown message")
    return found
