"""Where a reply is shown: as the answer to a command, in reply to a message, or after the press of a button.

Owns: which of Discord's routes leads there, also when a command has become too old. Does not own: what is shown, or
when (`live.py`).
"""

from bot.screens.base import (
    NETWORK_ERRORS,
    NO_MENTIONS,
    MessageGoneError,
    MessageOutOfReachError,
    Part,
    ReplyFile,
    Screen,
)
from bot.screens.interactions import ButtonScreen, InteractionScreen
from bot.screens.messages import MessageScreen, may_speak

__all__ = [
    "NETWORK_ERRORS",
    "NO_MENTIONS",
    "ButtonScreen",
    "InteractionScreen",
    "MessageGoneError",
    "MessageOutOfReachError",
    "MessageScreen",
    "Part",
    "ReplyFile",
    "Screen",
    "may_speak",
]
