"""What a reply of the ModelsLab dialect may look like: any text, JSON of a schema, one of a list, or a data type.

Owns: the JSON Schema that stands for each, and how its JSON becomes the message. The engine holds every reply to its
schema, token by token, so a reply is valid by construction. Does not own: what is asked of the engine.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from api.errors import ApiError, invalid_field
from api.schemas import check_schema

MAX_CHOICES: Final = 500
MAX_CHOICE_LENGTH: Final = 500

FIELD: Final = "generator_choices"

_LEAP: Final = r"(?:(?:1[0-9]|2[0-9])(?:0[48]|[2468][048]|[13579][26])|(?:1[26]|2[048])00)-02-29"
_DATE: Final = (
    r"(?:[12][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    rf"|02-(?:0[1-9]|1[0-9]|2[0-8]))|{_LEAP})"
)
"""A day that is in the calendar, of the years 1000 to 2999."""

_TIME: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,20}[a-z0-9])?"
_DOMAIN: Final = rf"(?:{_LABEL}\.){{1,3}}[a-z]{{2,12}}"
_BYTE: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_HEX: Final = "[0-9a-f]"


def _pattern(pattern: str) -> Mapping[str, Any]:
    return {"type": "string", "pattern": f"^{pattern}$"}


_URL: Final = _pattern(rf"https?://{_DOMAIN}(?:/[A-Za-z0-9._~-]{{1,30}}){{0,5}}/?")
_INSTANT: Final = _pattern(rf"{_DATE}T{_TIME}(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9])")
_INTEGER: Final = {"type": "integer", "minimum": -(10**15), "maximum": 10**15}
_NUMBER: Final = _pattern(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,10})?")
_BOOLEAN: Final = {"type": "boolean"}
_TEXT: Final = {"type": "string"}

DATA_TYPES: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType({
    "integer": _INTEGER, "int": _INTEGER,
    "number": _NUMBER, "float": _NUMBER, "decimal": _NUMBER,
    "boolean": _BOOLEAN, "bool": _BOOLEAN,
    "string": _TEXT, "str": _TEXT,
    "date": _pattern(_DATE),
    "time": _pattern(_TIME),
    "datetime": _INSTANT, "date-time": _INSTANT,
    "duration": _pattern(r"P(?:[1-9][0-9]{0,3}D(?:T[1-9][0-9]{0,3}[HMS])?|T[1-9][0-9]{0,3}[HMS])"),
    "email": _pattern(rf"[a-z0-9](?:[a-z0-9_+-]{{0,20}}[a-z0-9])?(?:\.[a-z0-9]{{1,20}}){{0,2}}@{_DOMAIN}"),
    "url": _URL, "uri": _URL,
    "uuid": _pattern(rf"{_HEX}{{8}}-{_HEX}{{4}}-4{_HEX}{{3}}-[89ab]{_HEX}{{3}}-{_HEX}{{12}}"),
    "hostname": _pattern(_DOMAIN),
    "ipv4": _pattern(rf"{_BYTE}(?:\.{_BYTE}){{3}}"),
    "color": _pattern(rf"#{_HEX}{{6}}"),
    "phone": _pattern(r"\+[1-9][0-9]{7,14}"),
})  # fmt: skip
"""Each by its JSON Schema. Sources: ISO 8601 and RFC 3339 for days and times, RFC 5321 for mail addresses, RFC 3986 for
addresses, RFC 9562 version 4 for UUIDs, ITU E.164 for telephone numbers; of each the common part that is valid
everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What a reply is held to: `schema` None is any text. `read` makes the message of the JSON."""

    schema: Mapping[str, Any] | None
    read: Callable[[str], str] = str


def choose_form(generator_type: str, choices: object) -> Form:
    """Choose by the two fields of the request; raises the 400 that names the wrong one."""
    if generator_type == "text":
        if choices is not None:
            raise _refuse("leave it out with generator_type text")
        return Form(schema=None)
    if choices is None:
        raise _refuse(f"needed with generator_type {generator_type}")
    match generator_type:
        case "json":
            return _json_form(choices)
        case "choices":
            return _choice_form(choices)
        case _:
            return _data_form(choices)


def _refuse(problem: str) -> ApiError:
    return invalid_field(FIELD, problem)


def _json_form(schema: object) -> Form:
    if isinstance(schema, str):
        schema = _parse(schema)
    if not isinstance(schema, dict):
        raise _refuse("give a JSON Schema object with generator_type json")
    try:
        check_schema(schema)
    except ApiError as error:
        raise _refuse(error.message.removeprefix("format: ")) from None
    return Form(schema=schema)


def _choice_form(choices: object) -> Form:
    if isinstance(choices, str):
        # The documentation of the original calls the field a string: a list as JSON, or with commas.
        parsed = _parse(choices)
        choices = parsed if isinstance(parsed, list) else [each.strip() for each in choices.split(",")]
    if not isinstance(choices, list) or not 1 <= len(choices) <= MAX_CHOICES:
        raise _refuse(f"give a list of 1 to {MAX_CHOICES} choices with generator_type choices")
    for each in choices:
        if not isinstance(each, str | int | float) or not 1 <= len(str(each)) <= MAX_CHOICE_LENGTH:
            raise _refuse(f"each choice is a text of 1 to {MAX_CHOICE_LENGTH} characters, a number or a truth value")
    texts = [each if isinstance(each, str) else json.dumps(each) for each in choices]
    return Form(schema={"enum": list(dict.fromkeys(texts))}, read=_unquote)


def _data_form(name: object) -> Form:
    schema = DATA_TYPES.get(name.strip().lower()) if isinstance(name, str) else None
    if schema is None:
        raise _refuse(f"give one of {', '.join(DATA_TYPES)} with generator_type format")
    return Form(schema=schema, read=_unquote if schema.get("type") == "string" else str)


def _parse(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _unquote(text: str) -> str:
    said: str = json.loads(text)
    return said
