"""Which part of a stored conversation is sent: all of it, until the wire's limits; then whole leading blocks go.

Owns: staying below the API's message count and body size. Does not own: fitting to the model's context, which the
service does. Both cut in blocks for one reason: while the beginning stays the same, the model's cache of it is good.
"""

import math
from collections.abc import Sequence
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


def fit(system: ChatMessage, stored: Sequence[Said], asked: ChatMessage, *, max_body_bytes: int) -> list[ChatMessage]:
    """Return the system message, the part of a whole conversation that may be sent, and the question.

    The cut depends on the messages from the first on and moves in blocks, so that most next turns choose it again.
    """
    recent = [
        ChatMessage(role=message.role, content=message.content) for message in stored[_cut_by_count(len(stored) + 1) :]
    ]
    sizes = [_wire_size(message) for message in (*recent, asked)]
    start = _cut_by_bytes(sizes, max_body_bytes - RESERVED_BYTES - _wire_size(system))
    while start < len(recent) and recent[start].role != "user":
        start += 1
    return [system, *recent[start:], asked]


def _wire_size(message: ChatMessage) -> int:
    """Count the bytes of a message in a JSON array."""
    return len(message.model_dump_json().encode()) + 1


def _cut_by_count(count: int) -> int:
    excess = count - (MAX_MESSAGES - 1)
    return math.ceil(excess / BLOCK_MESSAGES) * BLOCK_MESSAGES if excess > 0 else 0


def _cut_by_bytes(sizes: Sequence[int], room_bytes: int) -> int:
    excess = sum(sizes) - room_bytes
    if excess <= 0:
        return 0
    block_bytes = max(1, room_bytes // BYTE_BLOCKS)
    to_drop = math.ceil(excess / block_bytes) * block_bytes
    return next((index for index, dropped in enumerate(accumulate(sizes), 1) if dropped >= to_drop), len(sizes))
