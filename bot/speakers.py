"""Text from people, made fit to be kept and sent: display names, messages, mentions inside them.

Owns: cleaning. Does not own: forged control tokens of a model (`generation/` neutralises those), or what the bot
posts (`layout.py`, and nobody is ever pinged: `screens/`).
"""

import re
import unicodedata
from collections.abc import Callable, Mapping

MAX_NAME_CHARACTERS = 32
"""Discord's own limit of a nickname: https://discord.com/developers/docs/resources/guild#modify-guild-member"""

NAMELESS = "Someone"

_ZERO_WIDTH_JOINER = "\N{ZERO WIDTH JOINER}"
_KEPT_CONTROLS = frozenset("\n\t")
_MENTION = re.compile(r"<(?P<kind>@!|@&|@|#)(?P<id>[0-9]{1,20})>")


def clean_text(text: str) -> str:
    """Drop what no database or JSON body takes (NUL and other control characters, half surrogate pairs).

    Line ends become line feeds; blank ends are cut. Everything that people can see stays as they wrote it.
    """
    whole = text.encode("utf-8", "ignore").decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    kept = (character for character in whole if character in _KEPT_CONTROLS or unicodedata.category(character) != "Cc")
    return "".join(kept).strip()


def _is_name_character(character: str) -> bool:
    """Refuse control, format (such as right-to-left overrides), private and unassigned characters."""
    return character == _ZERO_WIDTH_JOINER or unicodedata.category(character)[0] != "C"


def _one_readable_line(name: str) -> str:
    composed = unicodedata.normalize("NFC", name.encode("utf-8", "ignore").decode("utf-8"))
    one_line = " ".join(re.sub(r"[:\uFF1A]", " ", composed).split())
    kept = "".join(filter(_is_name_character, one_line))
    return kept[:MAX_NAME_CHARACTERS].strip(" " + _ZERO_WIDTH_JOINER)


def clean_name(display_name: str) -> str:
    """Return one line of at most 32 characters without a colon, so that `name: text` has one meaning."""
    return _one_readable_line(display_name) or NAMELESS


def clean_token_name(name: str) -> str:
    """Return a name that is safe inside bold text and code: no Markdown, no mention, one line; may be empty."""
    return re.sub(r"[`*_~|<>@#\\\[\]()]", "", _one_readable_line(name)).strip()


def spoken(speaker: str, text: str) -> str:
    """Join a speaker and a text as a conversation keeps them; the name is cleaned here."""
    return f"{clean_name(speaker)}: {text}"


def without_mention(text: str, user_id: int) -> str:
    """Take the mentions of one user out, wherever they stand, with the blanks that held them apart."""
    mention = rf"<@!?{user_id}>"
    return re.sub(rf"^{mention}[ \t]*|[ \t]*{mention}", "", text, flags=re.MULTILINE).strip()


def name_mentions(text: str, names: Mapping[str, Callable[[int], str | None]]) -> str:
    """Write other mentions as people see them: `@Ada`, `@Moderators`, `#general`.

    `names` has one look-up per kind: `@`, `@&` and `#`. What a look-up does not know stays as it is.
    """

    def replace(match: re.Match[str]) -> str:
        kind = match["kind"].replace("!", "")
        name = names[kind](int(match["id"])) if kind in names else None
        return match[0] if name is None else f"{kind[0]}{name.lstrip('@')}"

    return _MENTION.sub(replace, text)
