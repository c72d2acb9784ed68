"""Messages and their files in the stand-in Discord server, and how Discord writes them as JSON.

Owns: what a message holds now and has held before. Does not own: which payloads are allowed (`discord_payloads.py`).
Sources: https://discord.com/developers/docs/resources/message and https://discord.com/developers/docs/components/reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.doubles.discord_basics import DEFAULT_MESSAGE, EPHEMERAL, Json, new_snowflake, timestamp

if TYPE_CHECKING:
    from tests.doubles.discord_people import User
    from tests.doubles.discord_places import Channel

ROW, BUTTON, STRING_SELECT, TEXT_INPUT, LABEL = 1, 2, 3, 4, 18
SELECTS = (STRING_SELECT, 5, 6, 7, 8)


@dataclass(eq=False)
class File:
    """A file as it lies on the stand-in's CDN; `url` needs no authorisation."""

    filename: str
    data: bytes
    content_type: str | None = None
    description: str | None = None
    url: str = ""
    size_pixels: tuple[int, int] | None = None
    id: int = field(default_factory=new_snowflake)

    def json(self) -> Json:
        """Render an attachment object; `width` and `height` are there for images only."""
        rendered: Json = {
            "id": str(self.id),
            "filename": self.filename,
            "size": len(self.data),
            "url": self.url,
            "proxy_url": self.url,
            "content_type": self.content_type,
            "description": self.description,
        }
        if self.size_pixels is not None:
            rendered["width"], rendered["height"] = self.size_pixels
        return {name: value for name, value in rendered.items() if value is not None}


@dataclass(eq=False)
class Message:
    """One message; `pings` names who was, or would have been, notified by it.

    `versions` are all texts it has had, the present one last. `visible_to` is the one person who sees an ephemeral
    message. `age_seconds` makes a message older than it is.
    """

    channel: Channel
    author: User
    content: str
    type: int = DEFAULT_MESSAGE
    reply_to: Message | None = None
    mentions: list[User] = field(default_factory=list)
    flags: int = 0
    webhook_id: int | None = None
    pings: set[str] = field(default_factory=set)
    edits: int = 0
    is_deleted: bool = False
    id: int = field(default_factory=new_snowflake)
    created: str = field(default_factory=timestamp)
    edited: str | None = None
    embeds: list[Json] = field(default_factory=list)
    components: list[Json] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    visible_to: User | None = None
    interaction_metadata: Json | None = None
    nonce: str | int | None = None
    thread: Channel | None = None
    age_seconds: float = 0.0
    edits_when_old: int = 0

    def __post_init__(self) -> None:
        self.versions.append(self.content)

    @property
    def is_ephemeral(self) -> bool:
        """Say whether only the asker sees it."""
        return bool(self.flags & EPHEMERAL)

    @property
    def buttons(self) -> dict[str, Json]:
        """Return the buttons by what is written on them."""
        return {each.get("label", ""): each for each in walk(self.components) if each["type"] == BUTTON}

    def custom_id(self, label: str) -> str:
        """Return the custom id of the button with that label; raises `ValueError` when there is none."""
        if label not in self.buttons:
            raise ValueError(f"no button {label!r} among {sorted(self.buttons)}")
        found = self.buttons[label]["custom_id"]
        assert isinstance(found, str)
        return found

    def component(self, custom_id: str) -> Json | None:
        """Return the component with that custom id."""
        return next((each for each in walk(self.components) if each.get("custom_id") == custom_id), None)

    def edit_text(self, content: str) -> None:
        """Change the text and say that it was."""
        self.content = content
        self.versions.append(content)

    def mark_edited(self) -> None:
        """Count an edit, whatever it changed."""
        self.edits += 1
        self.edited = timestamp()

    def json(self, *, with_content: bool = True, with_reply: bool = True) -> Json:
        """Render a message object; Discord empties four fields for bots that may not read it.

        See https://discord.com/developers/docs/events/gateway#message-content-intent.
        """
        rendered: Json = {
            "id": str(self.id),
            "channel_id": str(self.channel.id),
            "author": self.author.json(),
            "content": self.content if with_content else "",
            "timestamp": self.created,
            "edited_timestamp": self.edited,
            "tts": False,
            "mention_everyone": False,
            "mentions": [user.json() for user in self.mentions],
            "mention_roles": self._mentioned_roles(),
            "attachments": [file.json() for file in self.files] if with_content else [],
            "embeds": self.embeds if with_content else [],
            "components": self.components if with_content else [],
            "pinned": False,
            "type": self.type,
            "flags": self.flags,
        }
        rendered |= self._links()
        if self.reply_to is not None and with_reply:
            gone = self.reply_to.is_deleted
            rendered["referenced_message"] = None if gone else self.reply_to.json(with_reply=False)
        return rendered

    def _mentioned_roles(self) -> list[str]:
        roles = self.channel.guild.roles if self.channel.guild is not None else []
        return [str(role.id) for role in roles if role.mention in self.content]

    def _links(self) -> Json:
        """Render what ties the message to other things, as far as there is any."""
        links: Json = {}
        if self.webhook_id is not None:
            links["webhook_id"] = str(self.webhook_id)
        if self.interaction_metadata is not None:
            links["application_id"] = str(self.author.id)
            links["interaction_metadata"] = self.interaction_metadata
        if self.nonce is not None:
            links["nonce"] = self.nonce
        if self.thread is not None and not self.thread.is_deleted:
            links["thread"] = self.thread.json()
        if self.reply_to is not None:
            there = self.reply_to.channel
            links["message_reference"] = {
                "type": 0,
                "message_id": str(self.reply_to.id),
                "channel_id": str(there.id),
                **({"guild_id": str(there.guild.id)} if there.guild is not None else {}),
            }
        return links


def walk(components: list[Json]) -> Iterator[Json]:
    """Go through components and everything they hold: rows, sections with accessories, containers, labels."""
    for component in components:
        yield component
        inner: list[Any] = [*component.get("components", []), component.get("accessory"), component.get("component")]
        yield from walk([each for each in inner if each is not None])


def with_ids(components: list[Json]) -> list[Json]:
    """Return the components as Discord answers them: each with a number of its own within the message."""
    numbered = [_copy(component) for component in components]
    taken = {each["id"] for each in walk(numbered) if each.get("id")}
    free = (number for number in range(1, 1_000) if number not in taken)
    for each in walk(numbered):
        if not each.get("id"):
            each["id"] = next(free)
        if each["type"] in SELECTS:
            each.setdefault("min_values", 1)
            each.setdefault("max_values", 1)
    return numbered


def _copy(component: Json) -> Json:
    """Copy a component without what is null: Discord takes that, and leaves it out of its answers."""
    copied = {name: value for name, value in component.items() if value is not None}
    if "emoji" in copied:
        copied["emoji"] = {name: value for name, value in copied["emoji"].items() if value is not None}
    if "options" in copied:
        copied["options"] = [_copy(each) for each in copied["options"]]
    if "components" in copied:
        copied["components"] = [_copy(each) for each in copied["components"]]
    for single in ("accessory", "component"):
        if single in copied:
            copied[single] = _copy(copied[single])
    return copied
