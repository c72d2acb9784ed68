"""Where one thing that people see as a character ends and the next begins.

Owns: the part of Unicode's text segmentation (UAX #29) that matters for cutting a message: emoji of several code
points, flags, accents, Hangul, line ends. Does not own: scripts whose clusters only fonts know, such as conjuncts of
Indic scripts, which may be cut between two letters but never between a letter and its marks.
"""

import unicodedata

_JOINERS = frozenset("\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}")
_MARKS = frozenset({"Mn", "Mc", "Me"})
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_TAGS = range(0xE0020, 0xE0080)
_FLAG_LETTERS = range(0x1F1E6, 0x1F200)
_HANGUL_VOWELS_AND_ENDS = range(0x1160, 0x1200)
_HANGUL = (range(0x1100, 0x1200), range(0xAC00, 0xD7A4))


def _extends(character: str) -> bool:
    """Say whether a character belongs to the one before it, whatever that is."""
    code = ord(character)
    return character in _JOINERS or code in _SKIN_TONES or code in _TAGS or unicodedata.category(character) in _MARKS


def _flag_letters_before(text: str, position: int) -> int:
    count = 0
    while count < position and ord(text[position - count - 1]) in _FLAG_LETTERS:
        count += 1
    return count


def is_boundary(text: str, position: int) -> bool:
    """Say whether cutting before `text[position]` leaves everything that people see as one character whole."""
    if position <= 0 or position >= len(text):
        return True
    before, after = text[position - 1], text[position]
    if before == "\r" and after == "\n":
        return False
    if _extends(after) or before == "\N{ZERO WIDTH JOINER}":
        return False
    if ord(after) in _FLAG_LETTERS and _flag_letters_before(text, position) % 2 == 1:
        return False
    follows_hangul = any(ord(before) in block for block in _HANGUL)
    return not (ord(after) in _HANGUL_VOWELS_AND_ENDS and follows_hangul)
