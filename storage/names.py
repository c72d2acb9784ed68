"""Names that people give to what they keep here."""

import unicodedata


def clean_name(name: str, *, max_length: int) -> str:
    """Return a name without the space around it.

    Raises `ValueError`, with a message for people, for one that is empty, too long or breaks the line.
    """
    stripped = name.strip()
    if not 1 <= len(stripped) <= max_length:
        raise ValueError(f"name: give 1 to {max_length} characters")
    # Cc: control characters, Cs: halves of surrogate pairs, Zl and Zp: line and paragraph separators.
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in stripped):
        raise ValueError("name: line breaks and control characters are not allowed")
    return stripped


def fold_name(name: str) -> str:
    """Return a name as it is compared: without regard to case, and to how an accented letter is composed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name.strip()).casefold())
