"""Which language the bot's own words are in, and the catalogues they come from.

English stands in the code; the others are gettext catalogues, `locales/<language>.po`, kept with Babel's tools
(`make words`). A handler calls `speak` once with the person's locale as Discord names it; everything it says from then
on, tasks it starts included, is in that language. Does not own: the words (`texts/`), or the model's language.

Babel is imported when it is first needed: the command line, which loads this module, starts without it.
"""

import functools
import gettext
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from io import BytesIO
from pathlib import Path

ENGLISH = "en"
LANGUAGES = (ENGLISH, "de", "fr", "es", "pt_BR", "ja")

DISCORD_LOCALES = {
    "de": "de",
    "fr": "fr",
    "es-ES": "es",
    "es-419": "es",
    "pt-BR": "pt_BR",
    "ja": "ja",
}
"""Discord's names (https://discord.com/developers/docs/reference#locales) of the languages that have a catalogue."""

CATALOGUES = Path(__file__).parent / "locales"
_ORDINAL_ENDINGS = {1: "st", 2: "nd", 3: "rd"}

_language: ContextVar[str] = ContextVar("language", default=ENGLISH)


def language_of(discord_locale: object) -> str:
    """Return the catalogue for a locale as Discord names it; English for those that have none."""
    return DISCORD_LOCALES.get(str(discord_locale), ENGLISH)


def speak(discord_locale: object) -> None:
    """Speak a person's language for the rest of this task; None and unknown locales are English."""
    _language.set(language_of(discord_locale))


@contextmanager
def speaking(discord_locale: object) -> Iterator[None]:
    """Speak somebody else's language inside the block."""
    token = _language.set(language_of(discord_locale))
    try:
        yield
    finally:
        _language.reset(token)


def spoken_language() -> str:
    """Return the language spoken in this task."""
    return _language.get()


def tr(message: str, /, **values: object) -> str:
    """Return a message in the spoken language, its `{names}` filled in."""
    return _catalogue(_language.get()).gettext(message).format(**values)


def tr_count(one: str, many: str, count: int, /, **values: object) -> str:
    """Return the form of a message that fits a count; `{count}` is written as the language writes numbers."""
    form = _catalogue(_language.get()).ngettext(one, many, count)
    return form.format(count=number(count), **values)


def tr_command(text: str, /, *, kind: str) -> str:
    """Return a part of a command in the spoken language; `kind` is its context in the catalogue."""
    return _catalogue(_language.get()).pgettext(kind, text)


def number(value: int) -> str:
    """Write a number with the separators of the spoken language: `1,000` or `1.000`."""
    from babel.numbers import format_decimal  # noqa: PLC0415 - see the module's docstring

    return format_decimal(value, locale=_language.get())


def ordinal(value: int) -> str:
    """Write a place in line: `3rd`, `3.`, `3e`, `3.º`, `3º`, `3番目`."""
    match _language.get():
        case "de":
            return f"{value}."
        case "fr":
            return f"{value}{'er' if value == 1 else 'e'}"
        case "es":
            return f"{value}.º"
        case "pt_BR":
            return f"{value}º"
        case "ja":
            return f"{value}番目"
        case _:
            ending = "th" if value % 100 in (11, 12, 13) else _ORDINAL_ENDINGS.get(value % 10, "th")
            return f"{value}{ending}"


def _catalogue(language: str) -> gettext.NullTranslations:
    """Return a language's catalogue; English is the source and has none."""
    return gettext.NullTranslations() if language == ENGLISH else _read(CATALOGUES / f"{language}.po", language)


@functools.cache
def _read(path: Path, language: str) -> gettext.NullTranslations:
    """Read a catalogue, once. A text without a translation stays English."""
    from babel.messages.mofile import write_mo  # noqa: PLC0415 - see the module's docstring
    from babel.messages.pofile import read_po  # noqa: PLC0415

    with path.open("rb") as file:
        read = read_po(file, locale=language)
    compiled = BytesIO()
    write_mo(compiled, read)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
