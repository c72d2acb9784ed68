"""Catalogues of a few texts, for tests that need a translation and not the translators' work."""

from collections.abc import Mapping
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po

from bot.catalogues import TRANSLATED

Translation = Mapping[tuple[str | None, str], str]
"""Translations by context and English text."""


def write_catalogues(folder: Path, **translations: Translation) -> Path:
    """Write a catalogue for every language into a new folder, empty where nothing is given; returns the folder."""
    folder.mkdir()
    for language in TRANSLATED:
        catalogue = Catalog(locale=language, charset="utf-8")
        for (context, text), translated in translations.get(language, {}).items():
            catalogue.add(text, string=translated, context=context)
        with (folder / f"{language}.po").open("wb") as file:
            write_po(file, catalogue)
    return folder
