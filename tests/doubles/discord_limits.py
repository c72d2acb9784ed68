"""What Discord refuses about application commands, and whom a message pings.

Sources: https://discord.com/developers/docs/interactions/application-commands,
https://discord.com/developers/docs/reference#locales and
https://discord.com/developers/docs/resources/message#allowed-mentions-object.
"""

import re
from collections.abc import Iterator
from typing import Any

from tests.doubles.discord_basics import Json

MAX_COMMANDS = {1: 100, 2: 15, 3: 15}
"""How many slash, user and message commands an application may have everywhere."""

MAX_OPTIONS = 25
MAX_CHOICES = 25
MAX_CHOICE_TEXT = 100
MAX_DESCRIPTION = 100
MAX_MENU_NAME = 32
MAX_COMMAND_CHARACTERS = 8000
MAX_STRING_OPTION = 6000

LOCALES = frozenset(
    {"id", "da", "de", "en-GB", "en-US", "es-ES", "es-419", "fr", "hr", "it", "lt", "hu", "nl", "no", "pl", "pt-BR"}
    | {"ro", "fi", "sv-SE", "vi", "tr", "cs", "el", "bg", "ru", "uk", "hi", "th", "zh-CN", "ja", "zh-TW", "ko"}
)

_SLASH = 1
_SUBCOMMAND_TYPES = (1, 2)
# Letters and digits of every script; Devanagari and Thai need their vowel signs, too.
_NAME = re.compile(r"[-_'\w\u0900-\u097f\u0e00-\u0e7f]{1,32}")
_USER_MENTION = re.compile(r"<@!?(\d+)>")
_ROLE_MENTION = re.compile(r"<@&(\d+)>")


def who_is_pinged(payload: Json, *, author_of_reference: str | None = None) -> set[str]:
    """Return who would be notified: `everyone`, `user:<id>`, `role:<id>`.

    Without `allowed_mentions` Discord pings everybody whom the text mentions.
    """
    content = payload.get("content") or ""
    allowed = payload.get("allowed_mentions")
    users, roles = set(_USER_MENTION.findall(content)), set(_ROLE_MENTION.findall(content))
    is_for_everyone = "@everyone" in content or "@here" in content
    if allowed is None:
        replied = {author_of_reference} if author_of_reference else set()
        return _named(users | replied, roles, is_for_everyone=is_for_everyone)
    kinds = set(allowed.get("parse", []))
    users &= users if "users" in kinds else set(allowed.get("users", []))
    roles &= roles if "roles" in kinds else set(allowed.get("roles", []))
    if allowed.get("replied_user") and author_of_reference:
        users.add(author_of_reference)
    return _named(users, roles, is_for_everyone=is_for_everyone and "everyone" in kinds)


def _named(users: set[str], roles: set[str], *, is_for_everyone: bool) -> set[str]:
    everyone = {"everyone"} if is_for_everyone else set()
    return {f"user:{each}" for each in users} | {f"role:{each}" for each in roles} | everyone


def check_commands(commands: list[Json]) -> list[str]:
    """Return everything Discord would refuse about a set of commands."""
    problems = []
    for kind, most in MAX_COMMANDS.items():
        same = [command for command in commands if command.get("type", _SLASH) == kind]
        if len(same) > most:
            problems.append(f"{len(same)} commands of type {kind}")
        problems += _check_uniqueness(same, f"commands of type {kind}")
    for command in commands:
        check = _check_node if command.get("type", _SLASH) == _SLASH else _check_menu
        problems += check(command, command["name"])
        if _characters(command) > MAX_COMMAND_CHARACTERS:
            problems.append(f"{command['name']}: more than {MAX_COMMAND_CHARACTERS} characters in all")
    return problems


def _check_uniqueness(nodes: list[Json], where: str) -> Iterator[str]:
    """Find names that two have in the same language; where one has no name of its own there, its usual one counts."""
    for locale in ("", *sorted({each for node in nodes for each in node.get("name_localizations") or {}})):
        names = [(node.get("name_localizations") or {}).get(locale) or node["name"] for node in nodes]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            yield f"{where}: more than one is called {twice} {locale}".strip()


def _check_menu(command: Json, path: str) -> Iterator[str]:
    """Check a command of a user's or a message's menu: a name of any kind, and nothing else."""
    yield from _check_locales(command, path)
    if not all(1 <= len(name) <= MAX_MENU_NAME for name in _texts(command, "name")):
        yield f"{path}: bad name"
    if any(_texts(command, "description")) or command.get("options"):
        yield f"{path}: a menu command has neither description nor options"


def _check_node(node: Json, path: str) -> Iterator[str]:
    yield from _check_locales(node, path)
    if not all(_NAME.fullmatch(name) and name == name.lower() for name in _texts(node, "name")):
        yield f"{path}: bad name among {_texts(node, 'name')}"
    sizes = [len(text) for text in _texts(node, "description")]
    if not all(1 <= size <= MAX_DESCRIPTION for size in sizes):
        yield f"{path}: descriptions of {sizes} characters"
    if node.get("max_length", 0) > MAX_STRING_OPTION:
        yield f"{path}: max_length above {MAX_STRING_OPTION}"
    yield from _check_choices(node.get("choices") or [], path)
    options = node.get("options") or []
    yield from _check_options(options, path)
    for option in options:
        yield from _check_node(option, f"{path} {option['name']}")


def _check_options(options: list[Json], path: str) -> Iterator[str]:
    if len(options) > MAX_OPTIONS:
        yield f"{path}: {len(options)} options"
    yield from _check_uniqueness(options, path)
    if len({option["type"] in _SUBCOMMAND_TYPES for option in options}) > 1:
        yield f"{path}: subcommands beside options"
    required = [option.get("required", False) for option in options if option["type"] not in _SUBCOMMAND_TYPES]
    if required != sorted(required, reverse=True):
        yield f"{path}: a required option after an optional one"


def _check_choices(choices: list[Json], path: str) -> Iterator[str]:
    if len(choices) > MAX_CHOICES:
        yield f"{path}: {len(choices)} choices"
    for choice in choices:
        yield from _check_locales(choice, path)
        yield from check_choice(choice, path)


def check_choice(choice: Json, path: str) -> Iterator[str]:
    """Return what Discord would refuse about a choice of an option, or about a suggestion while it is typed."""
    texts = [*_texts(choice, "name"), *([choice["value"]] if isinstance(choice["value"], str) else [])]
    if not all(1 <= len(text) <= MAX_CHOICE_TEXT for text in texts):
        yield f"{path}: a choice with a name or value of {[len(text) for text in texts]} characters"


def _check_locales(node: Json, path: str) -> Iterator[str]:
    for name in ("name_localizations", "description_localizations"):
        given = node.get(name)
        if given is not None and (not isinstance(given, dict) or not given.keys() <= LOCALES):
            yield f"{path}: {name} {given!r}"


def _texts(node: Json, name: str) -> list[str]:
    """Return a name or description in every language it has."""
    return [node.get(name) or "", *(text for text in (node.get(f"{name}_localizations") or {}).values() if text)]


def _characters(node: Json) -> int:
    """Count as Discord does for its limit of a whole command: of each field only the longest language."""
    own = max(map(len, _texts(node, "name"))) + max(map(len, _texts(node, "description")))
    for choice in node.get("choices") or []:
        own += max(map(len, _texts(choice, "name"))) + len(_text(choice["value"]))
    return own + sum(_characters(option) for option in node.get("options") or [])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)
