"""Discord's own limits, as the stand-in server enforces them.

Sources: https://discord.com/developers/docs/resources/message#create-message,
https://discord.com/developers/docs/interactions/application-commands and
https://discord.com/developers/docs/resources/message#allowed-mentions-object.
"""

import re
from dataclasses import dataclass
from typing import Any

from tests.doubles.discord_model import Json

MAX_CONTENT = 2000
MAX_COMMANDS = 100
MAX_OPTIONS = 25
MAX_CHOICES = 25
MAX_COMMAND_CHARACTERS = 8000
MAX_STRING_OPTION = 6000

_NAME = re.compile(r"[-_\w]{1,32}")
_USER_MENTION = re.compile(r"<@!?(\d+)>")
_ROLE_MENTION = re.compile(r"<@&(\d+)>")
_SUBCOMMAND_TYPES = (1, 2)


@dataclass(frozen=True)
class Problem:
    """Why Discord refuses a request: HTTP status, Discord's own code, text."""

    status: int
    code: int
    message: str

    def json(self) -> Json:
        """Render the error body."""
        return {"message": self.message, "code": self.code}


def check_message(payload: Json) -> Problem | None:
    """Return what Discord would refuse about a message's body, or None."""
    content = payload.get("content") or ""
    if len(content) > MAX_CONTENT:
        return Problem(400, 50035, "Invalid Form Body: content: Must be 2000 or fewer in length.")
    has_more = any(payload.get(part) for part in ("embeds", "components", "attachments", "files", "poll"))
    if not content.strip() and not has_more:
        return Problem(400, 50006, "Cannot send an empty message")
    return None


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
    problems = [] if len(commands) <= MAX_COMMANDS else [f"{len(commands)} commands"]
    names = [(command.get("type", 1), command["name"]) for command in commands]
    problems += [f"two commands are called {name}" for name in sorted({n for n in names if names.count(n) > 1})]
    for command in commands:
        problems += _check_node(command, command["name"])
        if _characters(command) > MAX_COMMAND_CHARACTERS:
            problems.append(f"{command['name']}: more than {MAX_COMMAND_CHARACTERS} characters in all")
    return problems


def _check_node(node: Json, path: str) -> list[str]:
    problems = []
    if _NAME.fullmatch(node["name"]) is None or node["name"] != node["name"].lower():
        problems.append(f"{path}: bad name")
    if not 1 <= len(node.get("description", "")) <= 100:
        problems.append(f"{path}: description of {len(node.get('description', ''))} characters")
    options = node.get("options", [])
    if len(options) > MAX_OPTIONS or len(node.get("choices", [])) > MAX_CHOICES:
        problems.append(f"{path}: too many options or choices")
    required = [option.get("required", False) for option in options if option["type"] not in _SUBCOMMAND_TYPES]
    if required != sorted(required, reverse=True):
        problems.append(f"{path}: a required option after an optional one")
    if node.get("max_length", 0) > MAX_STRING_OPTION:
        problems.append(f"{path}: max_length above {MAX_STRING_OPTION}")
    for option in options:
        problems += _check_node(option, f"{path} {option['name']}")
    return problems


def _characters(node: Json) -> int:
    """Count name, description and values as Discord does for its limit of a whole command."""
    own = len(node["name"]) + len(node.get("description", ""))
    own += sum(len(str(choice["name"])) + len(str(choice["value"])) for choice in node.get("choices", []))
    return own + sum(_characters(option) for option in node.get("options", []))


def encode_options(command: Json, path: list[str], values: dict[str, Any]) -> list[Json]:
    """Return the options as an interaction carries them; raises `ValueError` where Discord's client would object."""
    if path:
        child = next((each for each in command.get("options", []) if each["name"] == path[0]), None)
        if child is None:
            raise ValueError(f"no subcommand {path[0]}")
        return [{"name": path[0], "type": child["type"], "options": encode_options(child, path[1:], values)}]
    known = {option["name"]: option for option in command.get("options", [])}
    missing = [name for name, option in known.items() if option.get("required") and name not in values]
    if missing or not values.keys() <= known.keys():
        raise ValueError(f"options {sorted(values)}, missing {missing}")
    for name, value in values.items():
        _check_value(known[name], value)
    return [{"name": name, "type": known[name]["type"], "value": value} for name, value in values.items()]


def _check_value(option: Json, value: Any) -> None:
    kind = {3: str, 4: int, 5: bool}[option["type"]]
    if type(value) is not kind:
        raise ValueError(f"{option['name']}: {value!r} is no {kind.__name__}")
    size = len(value) if isinstance(value, str) else value
    low = option.get("min_length" if isinstance(value, str) else "min_value")
    high = option.get("max_length" if isinstance(value, str) else "max_value", None)
    if (low is not None and size < low) or (high is not None and size > high):
        raise ValueError(f"{option['name']}: {size} is not within {low}..{high}")
