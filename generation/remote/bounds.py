"""How much a server may send for one reply.

Owns: noticing one that goes on where it should have ended. Does not own: the bound on a single event (`wire.py`).
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from generation.engine import Finished, Piece
from generation.errors import EngineUnavailableError

_SLACK_TOKENS = 8
"""More than was allowed: an end that is counted, tokens that come in one event."""

_CHARACTERS_PER_TOKEN = 512
"""The longest tokens are runs of white space, 128 characters and more in some vocabularies."""


_PIECES_PER_TOKEN = 16
"""Gateways that smooth a stream send a character at a time."""


class RanAwayError(EngineUnavailableError):
    """The server sent more than was asked for, so it did not read what it was asked."""


async def bounded(
    events: AsyncGenerator[Piece | Finished, None], *, most_tokens: int
) -> AsyncGenerator[Piece | Finished, None]:
    """Yield a reply's events; raises `RanAwayError` when they are more than `most_tokens` tokens can be."""
    pieces = characters = 0
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Piece):
                pieces += 1
                characters += len(event.text)
            most = most_tokens + _SLACK_TOKENS
            is_long = pieces > _PIECES_PER_TOKEN * most or characters > _CHARACTERS_PER_TOKEN * most
            if is_long or event.completion_tokens > most:
                raise RanAwayError("it does not end its replies where it is told to")
            yield event
