"""Which part of a stored conversation is sent: all of it, until the wire's limits; then whole leading blocks go.

Owns: staying below the API's message count and body size. Does not own: fitting to the model's context, which the
service does. Both cut in blocks for one reason: while the beginning stays the same, the model's cache of it is good.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, Protocol

from api.contract import MAX_MESSAGES, ChatMessage

BLOCK_MESSAGES = 200
BYTE_BLOCKS = 4
"""Blocks that the room in bytes is divided into."""

RESERVED_BYTES = 4096
"""Room in a body for everything beside the messages."""


class Said(Protocol):
    """A message of a conversation, stored or new."""

    @property
    def role(self) -> Literal["system", "user", "assistant"]:
        """Return who spoke."""

    @property
    def content(self) -> str:
        """Return what was said."""


@dataclass(frozen=True, slots=True)
class Window:
    """What is sent, and how many leading messages of the conversation are not."""

    messages: list[ChatMessage]
    dropped: int


def count_to_skip(stored_count: int, asked_count: int = 1) -> int:
    """Return how many of a conversation's oldest messages need not even be read: they would be too many to send.

    `asked_count` messages follow the stored ones. The number moves in blocks.
    """
    excess = stored_count + asked_count - (MAX_MESSAGES - 1)
    return math.ceil(excess / BLOCK_MESSAGES) * BLOCK_MESSAGES if excess > 0 else 0


def fit(
    system: ChatMessage, stored: Sequence[Said], asked: Sequence[ChatMessage], *, skipped: int, max_body_bytes: int
) -> Window:
    """Return the system message, the part of a conversation that may be sent, and what is asked.

    `stored` is the conversation without the `skipped` messages that `count_to_skip` named. The cut depends on the
    messages from the first on and moves in blocks, so that most next turns choose it again. What is left of a cut
    conversation begins with a question.
    """
    recent = [ChatMessage(role=message.role, content=message.content) for message in stored]
    sizes = [_wire_size(message) for message in (*recent, *asked)]
    start = min(_cut_by_bytes(sizes, max_body_bytes - RESERVED_BYTES - _wire_size(system)), len(recent))
    if start or skipped:
        while start < len(recent) and recent[start].role != "user":
            start += 1
    return Window([system, *recent[start:], *asked], skipped + start)


def _wire_size(message: ChatMessage) -> int:
    """Count the bytes of a message in a JSON array."""
    return len(message.model_dump_json().encode()) + 1


def _cut_by_bytes(sizes: Sequence[int], room_bytes: int) -> int:
    excess = sum(sizes) - room_bytes
    if excess <= 0:
        return 0
    block_bytes = max(1, room_bytes // BYTE_BLOCKS)
    to_drop = math.ceil(excess / block_bytes) * block_bytes
    return next((index for index, dropped in enumerate(accumulate(sizes), 1) if dropped >= to_drop), len(sizes))
