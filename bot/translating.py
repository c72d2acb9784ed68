"""Names and descriptions of commands in people's languages, as Discord shows them.

Owns: which parts of a command are translated, and what Discord would not take in their place. Does not own: the words
(`locales/`, under the contexts below), or telling Discord (`sync.py`).

Discord takes no two names alike among commands or options that stand side by side, in any language. One such pair and
it takes none of the commands, so a test looks at all catalogues together; here every text is looked at alone.
"""

import re
from collections.abc import Iterator
from typing import Any

import discord
from discord import app_commands
from discord.app_commands import TranslationContextLocation as Location

from bot.language import DISCORD_LOCALES, speaking, tr_command
from bot.option_values import DESCRIPTIONS

NAME = "command name"
MENU = "menu name"
DESCRIPTION = "command description"
CHOICE = "choice"

_CONTEXTS = {
    Location.command_name: NAME,
    Location.group_name: NAME,
    Location.parameter_name: NAME,
    Location.command_description: DESCRIPTION,
    Location.group_description: DESCRIPTION,
    Location.parameter_description: DESCRIPTION,
    Location.choice_name: CHOICE,
}
_MOST_CHARACTERS = {MENU: 32, DESCRIPTION: 100, CHOICE: 100}
_SHAPE = re.compile(r"[-_'\w]{1,32}")

_KEPT_ENGLISH = frozenset(DESCRIPTIONS)
"""Names that belong to the API, such as `top_k`: answers and documents call them so in every language."""


def is_taken(text: str, context: str) -> bool:
    r"""Say whether Discord takes a text.

    Names of commands and options are 1 to 32 letters, digits, `-`, `_` and `'`, in lower case where the script has one.
    An accent has to be one character with its letter, which is what `\w` asks for, too. Descriptions and choices have 1
    to 100 characters, names in menus 1 to 32 of any kind. Sources:
    https://discord.com/developers/docs/interactions/application-commands#application-command-object-application-command-naming
    and the tables below it.
    """
    if context == NAME:
        return _SHAPE.fullmatch(text) is not None and text == text.lower()
    return 1 <= len(text) <= _MOST_CHARACTERS[context]


class CommandTranslator(app_commands.Translator):
    """Translates from the catalogues; what has no translation, or none that Discord takes, stays English."""

    async def translate(
        self,
        string: app_commands.locale_str,
        locale: discord.Locale,
        context: app_commands.TranslationContextTypes,
    ) -> str | None:
        """Return a text in a locale, or None for English."""
        text = string.message
        if str(locale) not in DISCORD_LOCALES or text in _KEPT_ENGLISH or context.location not in _CONTEXTS:
            return None
        kind = MENU if isinstance(context.data, app_commands.ContextMenu) else _CONTEXTS[context.location]
        with speaking(locale):
            translated = tr_command(text, kind=kind)
        return translated if translated != text and is_taken(translated, kind) else None


def texts_of(command: Any) -> Iterator[tuple[str, str, str]]:
    """Yield the parts of a command that are translated: context, English text, and whose they are.

    The last is the command as people type it, or the menu's name.
    """
    if isinstance(command, app_commands.ContextMenu):
        yield MENU, command.name, command.name
        return
    path = f"/{command.qualified_name}"
    yield NAME, command.name, path
    yield DESCRIPTION, command.description, path
    if isinstance(command, app_commands.Group):
        for child in command.commands:
            yield from texts_of(child)
        return
    for parameter in command.parameters:
        yield from _texts_of_parameter(parameter, path)


def _texts_of_parameter(parameter: app_commands.Parameter, path: str) -> Iterator[tuple[str, str, str]]:
    name = str(parameter.display_name)
    option = f"{path} {name}"
    texts = [
        (NAME, name),
        (DESCRIPTION, str(parameter.description)),
        *((CHOICE, choice.name) for choice in parameter.choices),
    ]
    yield from ((context, text, option) for context, text in texts if text not in _KEPT_ENGLISH)
