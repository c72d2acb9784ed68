"""Interactions of the stand-in Discord server, and the one place from which tests import its records and numbers.

Owns: what became of one command, press, form or half-typed option. People, places and messages lie in
`discord_people.py`, `discord_places.py` and `discord_messages.py`. Source:
https://discord.com/developers/docs/interactions/receiving-and-responding.
"""

from dataclasses import dataclass, field

from tests.doubles.discord_basics import (
    ADMINISTRATOR,
    ALL_PERMISSIONS,
    ATTACH_FILES,
    COMMAND,
    COMPONENT,
    EMBED_LINKS,
    JOIN_MESSAGE,
    MANAGE_CHANNELS,
    MANAGE_GUILD,
    MANAGE_MESSAGES,
    MEMBER_PERMISSIONS,
    MODAL_SUBMIT,
    READ_MESSAGE_HISTORY,
    SEND_MESSAGES,
    SEND_MESSAGES_IN_THREADS,
    VIEW_AUDIT_LOG,
    VIEW_CHANNEL,
    Changes,
    Json,
    LivedTime,
    new_snowflake,
)
from tests.doubles.discord_messages import File, Message
from tests.doubles.discord_people import Role, User
from tests.doubles.discord_places import Channel, Guild

__all__ = [
    "ADMINISTRATOR",
    "ALL_PERMISSIONS",
    "ATTACH_FILES",
    "EMBED_LINKS",
    "JOIN_MESSAGE",
    "MANAGE_CHANNELS",
    "MANAGE_GUILD",
    "MANAGE_MESSAGES",
    "MEMBER_PERMISSIONS",
    "READ_MESSAGE_HISTORY",
    "SEND_MESSAGES",
    "SEND_MESSAGES_IN_THREADS",
    "VIEW_AUDIT_LOG",
    "VIEW_CHANNEL",
    "Changes",
    "Channel",
    "File",
    "Guild",
    "Interaction",
    "Json",
    "Message",
    "Role",
    "User",
]


@dataclass(eq=False)
class Interaction:
    """Something a person did with the bot, and how it was answered. Times are seconds of `lived`.

    `kind` is Discord's number: a command (2), a press or selection (3), an option being typed (4), a form (5).
    `message` is the one whose component was used, also for the form such a press opened; `target` the one a message
    menu was used on; `opened_by` the interaction that was answered with this form. `answer_kind` is the callback's
    number.
    `modal` is the form the bot opened, `choices` what it suggested. `may_stay_unanswered`: no breach if it does.
    """

    user: User
    channel: Channel
    command: str
    changes: Changes
    lived: LivedTime
    kind: int = COMMAND
    message: Message | None = None
    target: Message | None = None
    opened_by: "Interaction | None" = None
    id: int = field(default_factory=new_snowflake)
    token: str = field(default_factory=lambda: f"interaction-{new_snowflake()}")
    created_at: float = field(init=False)
    answered_at: float | None = None
    answer_kind: int | None = None
    is_thinking: bool = False
    is_deferred_ephemeral: bool = False
    is_expired: bool = False
    may_stay_unanswered: bool = False
    original: Message | None = None
    replies: list[Message] = field(default_factory=list)
    choices: list[Json] | None = None
    modal: Json | None = None

    def __post_init__(self) -> None:
        self.created_at = self.lived.now()

    @property
    def age_seconds(self) -> float:
        """Return how long ago it was made."""
        return self.lived.now() - self.created_at

    @property
    def label(self) -> str:
        """Return what to call it in a failure."""
        kinds = {COMPONENT: "component", MODAL_SUBMIT: "form"}
        return f"{kinds[self.kind]} {self.command}" if self.kind in kinds else f"/{self.command}"

    @property
    def deferred_after_seconds(self) -> float | None:
        """Return how long the first answer took; None while there is none."""
        return None if self.answered_at is None else self.answered_at - self.created_at

    def expire(self) -> None:
        """Let 15 minutes be over: whatever the bot asks with the token is answered 401/50027."""
        self.is_expired = True

    async def deferred(self) -> float:
        """Wait for the first answer; returns how long it took."""
        await self.changes.until(lambda: self.answered_at is not None, f"first answer to {self.label}")
        assert self.deferred_after_seconds is not None
        return self.deferred_after_seconds

    async def answered(self) -> int:
        """Wait for the first answer; returns the callback's number, such as 7 for a changed message."""
        await self.deferred()
        assert self.answer_kind is not None
        return self.answer_kind

    async def replied(self, count: int = 1) -> list[str]:
        """Wait for that many messages in answer; returns their texts."""
        await self.changes.until(lambda: len(self.replies) >= count, f"{count} replies to {self.label}")
        return [message.content for message in self.replies]

    async def form(self) -> Json:
        """Wait for the form the bot opens; returns its JSON, which `modal` holds, too."""
        await self.changes.until(lambda: self.modal is not None, f"a form in answer to {self.label}")
        assert self.modal is not None
        return self.modal

    def metadata(self) -> Json:
        """Render what a message says of the interaction that led to it."""
        rendered: Json = {
            "id": str(self.id),
            "type": self.kind,
            "user": self.user.json(),
            "authorizing_integration_owners": owners_json(self.channel),
        }
        if self.kind == COMPONENT:
            assert self.message is not None
            rendered["interacted_message_id"] = str(self.message.id)
        if self.target is not None:
            rendered["target_message_id"] = str(self.target.id)
        if self.opened_by is not None:
            rendered["triggering_interaction_metadata"] = self.opened_by.metadata()
        return rendered


def owners_json(channel: Channel) -> Json:
    """Say by which installation an interaction came: key 0 is the server's, and "0" the value in a DM."""
    return {"0": "0" if channel.guild is None else str(channel.guild.id)}
