"""Which letters the installed fonts can draw, and what stands for the others.

Owns: the choice of fonts, and making any name drawable, in any script, without boxes for missing letters. Does not own:
where text stands and how large it is (`picture.py`).

The font that matplotlib brings, DejaVu Sans, has Latin, Greek, Cyrillic, Arabic, Hebrew and a few more scripts. Where
the machine has one of the fonts named here, its letters are used too. matplotlib shapes and orders right-to-left text
itself: https://matplotlib.org/stable/users/prev_whats_new/whats_new_3.11.0.html
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache

from matplotlib.font_manager import FontProperties, fontManager, get_font

_BROUGHT = "DejaVu Sans"

_FURTHER = (
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans CJK KR", "Noto Sans JP", "Noto Sans SC", "Noto Sans KR"),
    *("Hiragino Sans", "Yu Gothic", "PingFang SC", "Microsoft YaHei", "Apple SD Gothic Neo", "Malgun Gothic"),
    *("WenQuanYi Zen Hei", "Droid Sans Fallback", "IPAGothic", "NanumGothic", "Arial Unicode MS", "Noto Sans"),
    *("Noto Sans Devanagari", "Noto Sans Bengali", "Noto Sans Tamil", "Noto Sans Telugu", "Noto Sans Thai"),
    *("Noto Sans Khmer", "Noto Sans Ethiopic", "Noto Sans Sinhala", "Noto Sans Symbols", "STIXGeneral"),
)
"""Fonts that Linux, macOS and Windows commonly have, best first; the last comes with matplotlib. None of coloured
bitmaps, which cannot be drawn at every size, and none that has a box for every character."""

_MISSING = "…"
_MOST_MARKS = 2
"""Accents on one letter: Vietnamese and Hebrew need two, and a pile of them would reach into the lines above."""


@cache
def _letters_of(family: str) -> frozenset[int]:
    """Return the code points that a family can draw, both plain and bold."""
    plain, bold = (
        get_font(
            fontManager.findfont(FontProperties(family=[family], weight=weight), fallback_to_default=False)
        ).get_charmap()
        for weight in ("normal", "bold")
    )
    return frozenset(plain.keys() & bold.keys())


class Lettering:
    """The fonts for the texts of one picture. `families` are the names of those in use."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.families = [_BROUGHT]
        self._letters = _letters_of(_BROUGHT)
        installed = {font.name for font in fontManager.ttflist}
        wanted = {ord(letter) for text in texts for letter in unicodedata.normalize("NFC", text)}
        for family in _FURTHER:
            # A font is opened only while something is missing: the large ones take their time.
            if not wanted <= self._letters and family in installed and wanted & _letters_of(family) - self._letters:
                self.families.append(family)
                self._letters |= _letters_of(family)

    def can_draw(self, text: str) -> bool:
        """Say whether every letter of the text is in one of the fonts."""
        return all(ord(letter) in self._letters for letter in text)

    def drawable(self, text: str) -> str:
        """Return one line that `can_draw`, as close to the text as possible; empty when none of it can be read.

        A letter that no font has becomes its plain form where it has one, as 𝒜 has A; several that have none become
        one ellipsis; symbols that no font has are left out, and so are control characters.
        """
        pieces = (self._piece(letter) for letter in unicodedata.normalize("NFC", text))
        line = " ".join(re.sub(f"{_MISSING}[{_MISSING} ]*{_MISSING}", _MISSING, "".join(pieces)).split())
        return "" if not line.strip(f"{_MISSING} ") else _without_piles(line)

    def _piece(self, letter: str) -> str:
        if letter.isspace():
            return " "
        # Controls, formats such as right-to-left overrides, halves of surrogate pairs, private use.
        if unicodedata.category(letter)[0] == "C":
            return ""
        if self.can_draw(letter):
            return letter
        plain = "".join(part for part in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(part))
        if plain and self.can_draw(plain):
            return plain
        return _MISSING if unicodedata.category(letter)[0] in "LN" else ""


def _without_piles(line: str) -> str:
    kept, marks = "", 0
    for letter in line:
        marks = marks + 1 if unicodedata.category(letter)[0] == "M" else 0
        kept += letter if marks <= _MOST_MARKS else ""
    return kept
