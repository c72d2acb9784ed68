"""What a translation has to have in common with its English, so that nothing breaks when it is said.

Owns: the rules for one text. Does not own: the catalogues as files (`catalogues.py`), or whether the words are right.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from string import Formatter

from bot.translating import is_taken

_CODE = re.compile(r"`+[^`]+`+")
_MARKUP = re.compile(r"\*+|`+|\n|^- |^\d+\. ", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text that is translated: its context, its English, and in `many` the plural where it has one.

    `notes` tell a translator what it is.
    """

    context: str | None
    one: str
    many: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str | None, str]:
        """Return what a catalogue knows it by."""
        return self.context, self.one


def faults(text: Text, forms: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with a translation; `forms` are its plural forms, the last one for many, or it alone."""
    if not forms or not all(forms):
        yield "is not translated"
        return
    for index, form in enumerate(forms, start=1):
        yield from (f"{fault}: {form}" for fault in _faults_of_form(text, form, is_last=index == len(forms)))


def _faults_of_form(text: Text, form: str, *, is_last: bool) -> Iterator[str]:
    english = text.one if text.many is None else text.many
    if not _has_its_places(text.one, english, form, is_last=is_last):
        yield "has other {places} than the English"
    if _count(_CODE, form) != _count(_CODE, english):
        yield "has other `code` than the English"
    if _count(_MARKUP, form) != _count(_MARKUP, english):
        yield "has other Markdown or line breaks than the English"
    if form != form.strip():
        yield "has blanks at an end"
    if text.context is not None and not is_taken(form, text.context):
        yield f"is not taken by Discord as a {text.context}"


def _has_its_places(one: str, many: str, form: str, *, is_last: bool) -> bool:
    """Compare the places for values: "the first message" need not say its number, "the first 14 messages" must."""
    singular, plural = _places(one), _places(many)
    try:
        found = _places(form)
    except ValueError:
        # A brace that opens or closes nothing.
        return False
    needed = singular | plural if is_last else singular & plural
    return needed <= found <= singular | plural


def _places(text: str) -> set[tuple[str, str | None, str | None]]:
    """Return the places of a text: name, format and conversion. Raises `ValueError` when they cannot be read."""
    parts = Formatter().parse(text)
    return {(name, form, conversion) for _, name, form, conversion in parts if name is not None}


def _count(pattern: re.Pattern[str], text: str) -> Counter[str]:
    return Counter(pattern.findall(text))
