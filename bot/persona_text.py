"""Personas and their names as people write them: cleaned, measured, and shown so that nothing in them takes effect.

Owns: what a persona may be. Does not own: where personas are kept (`storage/`), or the words around them (`texts/`).
"""

import unicodedata
from io import BytesIO

import discord

from bot.profile_errors import BadPersonaNameError, PersonaTooLongError, UnreadablePersonaError
from bot.speakers import clean_text, clean_token_name

MAX_PERSONA_CHARACTERS = 4000
"""What fits a form of Discord's: https://discord.com/developers/docs/components/reference#text-input"""

MAX_PERSONA_NAME_CHARACTERS = 32

MAX_SHOWN_CHARACTERS = 1500
"""Longer personas are shown as a file: with the sentence above it, this fits a message in every language."""

FILE_NAME = "persona.txt"

_FENCE = "```"


def clean_persona(text: str) -> str:
    """Return a persona as it is kept; raises `UnreadablePersonaError` or `PersonaTooLongError`."""
    cleaned = clean_text(text)
    if not _is_readable(cleaned):
        raise UnreadablePersonaError
    if len(cleaned) > MAX_PERSONA_CHARACTERS:
        raise PersonaTooLongError(characters=len(cleaned), limit=MAX_PERSONA_CHARACTERS)
    return cleaned


def clean_persona_name(name: str) -> str:
    """Return a name of 1 to 32 characters on one line; raises `BadPersonaNameError`."""
    cleaned = clean_token_name(name)
    if not _is_readable(cleaned):
        raise BadPersonaNameError
    return cleaned


def as_code(text: str) -> str | None:
    """Return a text as a code block, in which nothing takes effect; None for one that only a file can show."""
    if len(text) > MAX_SHOWN_CHARACTERS or _FENCE in text or not text:
        return None
    return f"{_FENCE}\n{text}\n{_FENCE}"


def as_file(text: str, *, description: str) -> discord.File:
    """Return a text as a file; `description` is for screen readers, at most 1,024 characters."""
    return discord.File(BytesIO(text.encode()), FILE_NAME, description=description)


def _is_readable(text: str) -> bool:
    """Say whether anything shows: C are control and format characters, Z are blanks, M are marks on nothing."""
    return any(unicodedata.category(character)[0] not in "CZM" for character in text)
