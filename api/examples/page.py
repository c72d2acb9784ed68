"""The examples as the documentation page shows them: filled in and coloured.

Owns: the markup of code. Does not own: which examples there are (`catalogue.py`), their place on the page
(`templates/docs.html`), the colours (`templates/docs.css`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Final

from markupsafe import Markup
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Keyword, Literal, Name, Operator, _TokenType, is_token_subtype

from api.examples.catalogue import CURL, LANGUAGES, SHELVES, Example, Language, Shelf, read_example

_KINDS: Final = (
    (Comment, "comment"),
    (Literal.String, "string"),
    (Literal.Number, "number"),
    (Keyword, "keyword"),
    (Operator.Word, "keyword"),
    (Name.Variable, "variable"),
)
"""What of a program is coloured, and the class that says so; the page's policy allows no styles in place."""


@dataclass(frozen=True, slots=True)
class Listing:
    """One example in one language, as markup."""

    id: str
    language: Language
    code: Markup


@dataclass(frozen=True, slots=True)
class ShownExample:
    """An example in every language."""

    title: str
    listings: tuple[Listing, ...]


@dataclass(frozen=True, slots=True)
class ShownShelf:
    """A dialect with its examples."""

    shelf: Shelf
    examples: tuple[ShownExample, ...]


@lru_cache(maxsize=1)
def show_examples(address: str, model: str) -> tuple[ShownShelf, ...]:
    """Show every example with this address and model. A process serves one of each, so they are coloured once."""
    return tuple(
        ShownShelf(shelf, tuple(_show(shelf, example, address, model) for example in shelf.examples))
        for shelf in SHELVES
    )


def _show(shelf: Shelf, example: Example, address: str, model: str) -> ShownExample:
    listings = []
    for language in LANGUAGES:
        text = read_example(shelf, example, language, address=address, model=model)
        code = Markup().join(_colour(text, language))
        listings.append(Listing(f"{shelf.id}-{example.name}-{language.id}", language, code))
    return ShownExample(example.title, tuple(listings))


def _colour(text: str, language: Language) -> Iterator[Markup | str]:
    lexer = get_lexer_by_name("bash" if language is CURL else language.id)
    for kind, tokens in groupby(lexer.get_tokens(text), key=lambda token: _kind_of(token[0])):
        part = "".join(text for _, text in tokens)
        yield part if kind is None else Markup('<span class="{}">{}</span>').format(kind, part)


def _kind_of(token: _TokenType) -> str | None:
    return next((kind for group, kind in _KINDS if is_token_subtype(token, group)), None)
