"""How what a person enters into a command's options travels to the bot.

Owns: what Discord's client would not let through, and the objects that go along with ids. Sources:
https://discord.com/developers/docs/interactions/application-commands#application-command-object-application-command-option-type
and
https://discord.com/developers/docs/interactions/receiving-and-responding#interaction-object-resolved-data-structure.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.discord_basics import Json
from tests.doubles.discord_messages import File
from tests.doubles.discord_people import Role, User
from tests.doubles.discord_places import Channel, Guild
from tests.doubles.discord_uploads import new_file

NUMBER, ATTACHMENT = 10, 11

_PLAIN: dict[int, type] = {3: str, 4: int, 5: bool}
_REFERENCES: dict[int, Any] = {6: (User,), 7: (Channel,), 8: (Role,), 9: (User, Role)}


@dataclass
class Resolved:
    """The objects behind the ids in an interaction. `keep` gives an attached file its address."""

    guild: Guild | None
    keep: Callable[[File], None]
    users: Json = field(default_factory=dict)
    members: Json = field(default_factory=dict)
    roles: Json = field(default_factory=dict)
    channels: Json = field(default_factory=dict)
    messages: Json = field(default_factory=dict)
    attachments: Json = field(default_factory=dict)

    def json(self) -> Json:
        """Render what there is."""
        names = ("users", "members", "roles", "channels", "messages", "attachments")
        return {name: getattr(self, name) for name in names if getattr(self, name)}

    def add(self, thing: User | Role | Channel | File) -> str:
        """Add an object; returns its id as the interaction carries it."""
        key = str(thing.id)
        match thing:
            case User():
                self.users[key] = thing.json()
                if self.guild is not None:
                    self.members[key] = self._member(thing, self.guild)
            case Role():
                self.roles[key] = thing.json()
            case Channel():
                permissions = {"permissions": str(thing.bot_permissions)}
                self.channels[key] = {**thing.json(), **permissions}
            case File():
                self.keep(thing)
                self.attachments[key] = {**thing.json(), "ephemeral": True}
        return key

    @staticmethod
    def _member(user: User, guild: Guild) -> Json:
        rendered = {**user.member_json(guild), "permissions": str(user.permissions_in(guild))}
        return {name: value for name, value in rendered.items() if name not in ("deaf", "mute")}


def encode_options(
    command: Json, path: list[str], values: dict[str, Any], *, resolved: Resolved, typed: str | None = None
) -> list[Json]:
    """Return the options as an interaction carries them; raises `ValueError` where Discord's client would object.

    `typed` names the option that is still being typed: then nothing has to be there, and that one may be anything.
    """
    if path:
        child = next((each for each in command.get("options", []) if each["name"] == path[0]), None)
        if child is None:
            raise ValueError(f"no subcommand {path[0]}")
        inner = encode_options(child, path[1:], values, resolved=resolved, typed=typed)
        return [{"name": path[0], "type": child["type"], "options": inner}]
    known = {option["name"]: option for option in command.get("options", [])}
    missing = [name for name, option in known.items() if option.get("required") and name not in values]
    if (missing and typed is None) or not values.keys() <= known.keys():
        raise ValueError(f"options {sorted(values)}, missing {missing}")
    return [_encode(known[name], value, resolved, is_typed=name == typed) for name, value in values.items()]


def _encode(option: Json, value: Any, resolved: Resolved, *, is_typed: bool) -> Json:
    encoded: Json = {"name": option["name"], "type": option["type"]}
    if is_typed:
        if not option.get("autocomplete"):
            raise ValueError(f"{option['name']}: the bot does not suggest anything there")
        return {**encoded, "value": value, "focused": True}
    if option["type"] in _REFERENCES:
        if not isinstance(value, _REFERENCES[option["type"]]):
            raise ValueError(f"{option['name']}: {value!r} is of the wrong kind")
        _check_channel_type(option, value)
        return {**encoded, "value": resolved.add(value)}
    if option["type"] == ATTACHMENT:
        return {**encoded, "value": resolved.add(new_file(*value))}
    _check_value(option, value)
    return {**encoded, "value": value}


def _check_channel_type(option: Json, value: Any) -> None:
    allowed = option.get("channel_types")
    if allowed and value.type not in allowed:
        raise ValueError(f"{option['name']}: a channel of type {value.type} is not offered")


def _check_value(option: Json, value: Any) -> None:
    is_right = type(value) in (int, float) if option["type"] == NUMBER else type(value) is _PLAIN[option["type"]]
    if not is_right:
        raise ValueError(f"{option['name']}: {value!r} is of the wrong kind")
    choices = option.get("choices")
    if choices and value not in [choice["value"] for choice in choices]:
        raise ValueError(f"{option['name']}: {value!r} is not offered")
    size = len(value) if isinstance(value, str) else value
    low = option.get("min_length" if isinstance(value, str) else "min_value")
    high = option.get("max_length" if isinstance(value, str) else "max_value")
    if (low is not None and size < low) or (high is not None and size > high):
        raise ValueError(f"{option['name']}: {size} is not within {low}..{high}")
