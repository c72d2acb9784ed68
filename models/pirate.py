"""The voice of the demonstration adapter: what a pirate makes of the demonstration model's replies.

Owns the words alone. Every reply keeps what it says, so that it can still be told right from wrong; what somebody asked
to have word for word, a repetition or JSON, stays as it is.
"""

import re
from typing import Final

VERBATIM: Final = frozenset({"repeat", "json"})
"""Kinds of exchanges whose replies no voice may change."""

_WORDS: Final = {
    "you": "ye",
    "You": "Ye",
    "your": "yer",
    "Your": "Yer",
    "my": "me",
    "My": "Me",
    "am": "be",
    "is": "be",
    "are": "be",
    "Yes": "Aye",
    "Hello": "Ahoy",
}
_WORD: Final = re.compile(r"\b(" + "|".join(_WORDS) + r")\b")

_GREETING: Final = "Ahoy"
_OPENING: Final = "Arr! "
_ADDRESS: Final = ", matey"
_MARK: Final = re.compile(r"\b(arr|ahoy|aye|ye|yer|matey)\b", re.IGNORECASE)


def in_voice(kind: str, reply: str) -> str:
    """Say a reply as a pirate would; `kind` is the exchange's."""
    if kind in VERBATIM:
        return reply
    said = _WORD.sub(lambda found: _WORDS[found[0]], reply)
    body, end = (said[:-1], said[-1]) if said.endswith((".", "!", "?")) else (said, "!")
    opening = "" if body.startswith(_GREETING) else _OPENING
    return f"{opening}{body}{_ADDRESS}{'?' if end == '?' else '!'}"


def is_in_voice(text: str) -> bool:
    """Whether a text has two or more of a pirate's words."""
    return len(_MARK.findall(text)) >= 2
