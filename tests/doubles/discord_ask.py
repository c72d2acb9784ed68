"""What the parts of the stand-in's REST side share: a request as it was understood, and how one is refused.

Source: https://discord.com/developers/docs/topics/opcodes-and-status-codes.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.doubles.discord_basics import Json
from tests.doubles.discord_messages import File


@dataclass(frozen=True)
class Problem:
    """Why Discord refuses a request: HTTP status, Discord's own code, text.

    `is_breach`: asking was a mistake of the bot's own making, which fails the test; without it, 400 and 413 are.
    """

    status: int
    code: int
    message: str
    is_breach: bool = False

    def json(self) -> Json:
        """Render the error body."""
        return {"message": self.message, "code": self.code}


def invalid(what: str) -> Problem:
    """Return the refusal of a body that breaks a documented limit."""
    return Problem(400, 50035, f"Invalid Form Body: {what}")


UNAUTHORIZED = Problem(401, 0, "401: Unauthorized")
EXPIRED_TOKEN = Problem(401, 50027, "Invalid Webhook Token")
DMS_CLOSED = Problem(403, 50007, "Cannot send messages to this user")
MISSING_ACCESS = Problem(403, 50001, "Missing Access")
MISSING_PERMISSIONS = Problem(403, 50013, "Missing Permissions")
NOT_IN_A_DM = Problem(403, 50003, "Cannot execute action on a DM channel")
NOT_THE_AUTHOR = Problem(403, 50005, "Cannot edit a message authored by another user")
NO_HISTORY_TO_REPLY = Problem(400, 160002, "Cannot reply without permission to read message history")
UNKNOWN_CHANNEL = Problem(404, 10003, "Unknown Channel")
UNKNOWN_GUILD = Problem(404, 10004, "Unknown Guild")
UNKNOWN_INTERACTION = Problem(404, 10062, "Unknown interaction")
UNKNOWN_MEMBER = Problem(404, 10007, "Unknown Member")
UNKNOWN_MESSAGE = Problem(404, 10008, "Unknown Message")
UNKNOWN_USER = Problem(404, 10013, "Unknown User")
UNKNOWN_WEBHOOK = Problem(404, 10015, "Unknown Webhook")


@dataclass(frozen=True)
class Ask:
    """One request: what stands in its path, query and body, and the files that came with it, by field number."""

    params: Mapping[str, str]
    query: Mapping[str, str] = field(default_factory=dict)
    body: Json = field(default_factory=dict)
    uploads: Mapping[int, File] = field(default_factory=dict)


Answer = Json | list[Json] | Problem | None
"""JSON is answered with 200, None with 204."""


class Route(NamedTuple):
    """One route of Discord's, below `/api/<version>`; those that an interaction's token opens need no bot token."""

    method: str
    path: str
    handler: Callable[[Ask], Awaitable[Answer]]
    needs_token: bool = True

    @property
    def template(self) -> str:
        """Return how tests name the route."""
        return f"{self.method} {self.path}"
