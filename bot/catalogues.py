"""`python -m bot.catalogues` brings the catalogues in `locales/` up to date: new texts come in empty, old ones go.

Owns: finding every text that can be translated, in the calls of `tr` and `tr_count` and in the commands themselves, and
the files. What it writes depends on the texts and translations alone: no dates, no line numbers, no versions. Does not
own: translating, or the rules for a translation (`translation_rules.py`).

`--check` changes nothing and fails where a text is missing, left over or wrongly translated.
"""

import argparse
import ast
import asyncio
import sys
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po, write_po
from discord import app_commands

from bot.language import CATALOGUES, ENGLISH, LANGUAGES
from bot.translating import texts_of
from bot.translation_rules import Text, faults

TRANSLATED = tuple(language for language in LANGUAGES if language != ENGLISH)

_BOT = Path(__file__).parent
_WIDTH = 120
_FORMS = {"tr": 1, "tr_count": 2}
"""How many texts a call begins with."""


def find_said(folder: Path = _BOT) -> Iterator[Text]:
    """Yield what `tr` and `tr_count` say, each with the docstring of the function that says it.

    Raises `ValueError` where the text is not written in the call, or no function is there to be called in a language.
    """
    for path in sorted(folder.rglob("*.py")):
        for call, docstring in _calls(ast.parse(path.read_text("utf-8")), None):
            arguments = call.args[: _FORMS[call.func.id]]
            said = [each.value for each in arguments if isinstance(each, ast.Constant) and isinstance(each.value, str)]
            if len(said) != _FORMS[call.func.id] or docstring is None:
                raise ValueError(f"{path.name}, line {call.lineno}: write the text into the call, inside a function")
            yield Text(context=None, one=said[0], many=said[1] if said[1:] else None, notes=(docstring,))


def _calls(node: ast.AST, docstring: str | None) -> Iterator[tuple[Any, str | None]]:
    """Yield the calls that say something, with the first paragraph of the docstring around them."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        docstring = (ast.get_docstring(node) or "").split("\n\n")[0]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _FORMS:
        yield node, docstring
    for child in ast.iter_child_nodes(node):
        yield from _calls(child, docstring)


def find_in_commands(tree: app_commands.CommandTree[Any]) -> Iterator[Text]:
    """Yield the names and descriptions of commands, groups and options, and the names of choices."""
    for command in tree.get_commands():
        for context, text, owner in texts_of(command):
            yield Text(context=context, one=text, notes=(owner,))


def combine(texts: Iterable[Text]) -> list[Text]:
    """Return every text once, with all its notes, in the order of the catalogues.

    Raises `ValueError` for a text that has a plural in one place and none, or another one, in another.
    """
    found: dict[tuple[str | None, str], Text] = {}
    for text in texts:
        known = found.get(text.key, text)
        if known.many != text.many:
            raise ValueError(f"one text with two plurals: {text.one}")
        notes = tuple(sorted({*known.notes, *text.notes}))
        found[text.key] = Text(context=text.context, one=text.one, many=text.many, notes=notes)
    return [found[key] for key in sorted(found, key=lambda key: (key[0] or "", key[1]))]


async def find_all() -> list[Text]:
    """Return every text that can be translated."""
    from bot.client import ParleyBot  # noqa: PLC0415 - the short way for those who only read and write
    from bot.config import BotConfig  # noqa: PLC0415

    config = BotConfig(token="", api_url="", service_token="", public_url="", system_prompt="")
    stores: Any = _Nothing()
    async with ParleyBot(config, stores) as bot:
        await bot.add_all()
        return combine([*find_said(), *find_in_commands(bot.tree)])


def problems(language: str, wanted: Collection[Text], *, folder: Path = CATALOGUES) -> list[str]:
    """Say what a catalogue lacks, has too much or has wrong, one line each."""
    kept = _read(language, folder)
    keys = {text.key for text in wanted}
    found = [f"{language}: is left over: {one}" for context, one in kept if (context, one) not in keys]
    for text in wanted:
        message = kept.get(text.key)
        if message is None:
            found.append(f"{language}: is missing: {text.one}")
        else:
            found += [f"{language}: {fault}, for: {text.one}" for fault in faults(text, _forms(message))]
    return found


def update(language: str, wanted: Iterable[Text], *, folder: Path = CATALOGUES) -> None:
    """Write a catalogue with exactly the wanted texts, in their order; translations and translators' remarks are kept.

    A file that is not there is made.
    """
    old = _read(language, folder)
    new = Catalog(locale=language, charset="utf-8")
    for text in wanted:
        kept = old.get(text.key)
        new.add(
            text.one if text.many is None else (text.one, text.many),
            string=None if kept is None else kept.string,
            context=text.context,
            auto_comments=text.notes,
            user_comments=() if kept is None else kept.user_comments,
            flags={"fuzzy"} if kept is not None and kept.fuzzy else (),
        )
    with (folder / f"{language}.po").open("wb") as file:
        file.write(_header(new).encode())
        write_po(file, new, width=_WIDTH, omit_header=True)


def _read(language: str, folder: Path) -> dict[tuple[str | None, str], Message]:
    path = folder / f"{language}.po"
    if not path.exists():
        return {}
    with path.open("rb") as file:
        catalogue = read_po(file, locale=language)
    return {_key(message): message for message in catalogue if message.id}


def _header(catalogue: Catalog) -> str:
    """Return what a catalogue begins with: its language, plural rule and encoding, and nothing that changes."""
    lines = [
        f"Language: {catalogue.locale}",
        f"Plural-Forms: {catalogue.plural_forms}",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
    ]
    return "\n".join(['msgid ""', 'msgstr ""', *(f'"{line}\\n"' for line in lines), "", ""])


def _key(message: Message) -> tuple[str | None, str]:
    return message.context, message.id if isinstance(message.id, str) else message.id[0]


def _forms(message: Message) -> list[str]:
    """Return the forms of a translation; one that a translator marked as doubtful counts as none."""
    if message.fuzzy:
        return []
    return [message.string] if isinstance(message.string, str) else list(message.string or ())


class _Nothing:
    """Stands for stores that are never asked: the commands are only looked at."""

    def __getattr__(self, name: str) -> Any:
        return self


def main() -> int:
    """Update or check the catalogues; returns the exit status."""
    parser = argparse.ArgumentParser(description="Bring the catalogues of translations up to date.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail where something is wrong")
    is_check = parser.parse_args().check
    wanted = asyncio.run(find_all())
    if not is_check:
        for language in TRANSLATED:
            update(language, wanted)
    found = [problem for language in TRANSLATED for problem in problems(language, wanted)]
    for problem in found:
        print(" ".join(problem.split()))  # noqa: T201 - a tool's report
    return 1 if found and is_check else 0


if __name__ == "__main__":
    sys.exit(main())
