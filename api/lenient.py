"""What the requests of several dialects have in common: null for left out, and fields taken only when they ask nothing.

Imports pydantic alone. Does not own: any dialect's fields (its contract).
"""

from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


class only:  # noqa: N801 - reads as a word of the annotation
    """Refuses a field that would change the reply and cannot be honoured, unless its value asks for nothing."""

    def __init__(self, *neutral: object) -> None:
        self._neutral = neutral

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "enum": [*self._neutral, None], "description": "not supported"}

    def _check(self, value: object) -> object:
        # 0 equals False, but no JSON Schema says so.
        is_neutral = value is None or any(value == each and type(value) is type(each) for each in self._neutral)
        if not is_neutral:
            raise ValueError("is not supported here; leave it out")
        return value


def no_nulls(value: object) -> object:
    """Take null for left out, as the clients mean it."""
    return {key: each for key, each in value.items() if each is not None} if isinstance(value, dict) else value


def tuple_of(value: object) -> object:
    """Take an array of JSON for a tuple."""
    return tuple(value) if isinstance(value, list) else value


def allow_nulls(schema: dict[str, Any]) -> None:
    """Say in the JSON Schema that null is left out."""
    required = schema.get("required", ())
    for name, part in schema["properties"].items():
        if name not in required:
            said = {key: part.pop(key) for key in ("description", "default", "title") if key in part}
            schema["properties"][name] = {"anyOf": [part, {"type": "null"}], **said}
