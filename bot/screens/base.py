"""What it takes to show a reply somewhere: a screen, what one Discord message on it holds, and how that fails.

Owns: these shapes, and that nobody is ever pinged. Does not own: the screens there are (the modules beside this one).
"""

import io
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
import discord

NO_MENTIONS = discord.AllowedMentions.none()

NETWORK_ERRORS = (discord.HTTPException, aiohttp.ClientError, OSError)
"""What a call to Discord raises when it does not come through."""

UNKNOWN_MESSAGE = 10008
"""Discord's code for a message that is not there: https://discord.com/developers/docs/topics/opcodes-and-status-codes"""


class MessageGoneError(Exception):
    """Somebody has deleted the Discord message."""


class MessageOutOfReachError(Exception):
    """The Discord message may still stand but can be changed no more; the next ones are shown elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyFile:
    """A file on a message; `description` is what screen readers say, at most 1,024 characters."""

    name: str
    data: bytes
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one Discord message shows; without a `view` it has no buttons, without a `file` no file."""

    content: str
    view: discord.ui.View | None = None
    file: ReplyFile | None = None


class Screen(Protocol):
    """A place where a reply is shown. What does not come through raises one of `NETWORK_ERRORS`."""

    @property
    def channel_id(self) -> int:
        """Return the channel in which the message sent last stands, or the first one will."""

    @property
    def pacing_key(self) -> str:
        """Return the pacer's key for an edit made now."""

    async def begin(self) -> None:
        """Show a sign of life; for an interaction this must be called within 3 s."""

    async def end(self) -> None:
        """Take the sign of life away. Safe to call twice."""

    async def send(self, part: Part) -> int:
        """Show a new Discord message; returns its id."""

    async def edit(self, message_id: int, part: Part) -> None:
        """Change what a message shows. Raises `MessageGoneError` or `MessageOutOfReachError`."""

    async def delete(self, message_id: int) -> None:
        """Take a message away; one that is gone already or out of reach is left as it is."""

    async def tell_asker(self, sentence: str) -> None:
        """Say something to the asker alone where that is possible, else in an ordinary message."""


def sending(part: Part) -> dict[str, Any]:
    """Return the arguments of discord.py's `send` methods, beside the content."""
    options: dict[str, Any] = {"allowed_mentions": NO_MENTIONS}
    if part.view is not None:
        options["view"] = part.view
    if part.file is not None:
        options["file"] = _upload(part.file)
    return options


def editing(part: Part) -> dict[str, Any]:
    """Return the arguments of discord.py's `edit` methods; they put everything a message showed before aside."""
    return {
        "content": part.content,
        "view": part.view,
        "attachments": [] if part.file is None else [_upload(part.file)],
        "allowed_mentions": NO_MENTIONS,
    }


def _upload(file: ReplyFile) -> discord.File:
    """Return what discord.py sends; it can be sent once."""
    return discord.File(io.BytesIO(file.data), filename=file.name, description=file.description)
