"""Whether a caller's JSON Schema may reach the engine: a schema, of sane size, whose every instance can end.

Owns: what can be told from the schema alone, quickly. Does not own: what the engine can enforce; that it finds out by
trying (`generation/constraint.py`).
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from api.errors import ApiError, invalid_field

MAX_SCHEMA_BYTES = 32_768
MAX_SCHEMA_DEPTH = 32
MAX_SCHEMA_PARTS = 2_000
"""Bounds on what is compiled to a grammar, which takes the engine's time before the first token. Schemas that people
write for replies are far below them."""

MAX_REPETITIONS = 10_000
"""Largest `minItems`, `maxLength` and the like: each unit may become a part of the grammar."""

_COUNTS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")

Schema = Mapping[str, Any] | bool


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raise the 400 that names `format` when the schema cannot be used."""
    if len(json.dumps(schema)) > MAX_SCHEMA_BYTES:
        raise _refuse(f"the schema is larger than {MAX_SCHEMA_BYTES} bytes; use a smaller one")
    _check_shape(schema)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        where = "/".join(map(str, error.absolute_path))[:100] or "its top"
        raise _refuse(f"not a JSON Schema (draft 2020-12): see {where}") from None
    except RecursionError:
        raise _refuse("the schema is nested too deep; use a flatter one") from None
    if not _Instances(schema).can_end():
        raise _refuse("no reply could ever satisfy this schema: it needs itself without end, or refers to nothing")


def _refuse(problem: str) -> ApiError:
    return invalid_field("format", problem)


def _check_shape(schema: Mapping[str, Any]) -> None:
    parts = 0
    pending: list[tuple[Any, int]] = [(schema, 1)]
    while pending:
        part, depth = pending.pop()
        parts += 1
        if depth > MAX_SCHEMA_DEPTH:
            raise _refuse(f"the schema is nested deeper than {MAX_SCHEMA_DEPTH}; use a flatter one")
        if parts > MAX_SCHEMA_PARTS:
            raise _refuse(f"the schema has more than {MAX_SCHEMA_PARTS} parts; use a smaller one")
        if isinstance(part, dict):
            _check_counts(part)
            pending += [(value, depth + 1) for value in part.values()]
        elif isinstance(part, list):
            pending += [(value, depth + 1) for value in part]


def _check_counts(part: Mapping[str, Any]) -> None:
    for name in _COUNTS:
        count = part.get(name)
        if isinstance(count, int | float) and count > MAX_REPETITIONS:
            raise _refuse(f"{name} is above {MAX_REPETITIONS}; use a smaller one")


class _Instances:
    """Finds out whether a schema has an instance of finite size.

    The least fixed point of "can end": a part can end when everything it requires can, known parts first. What only
    ever leads back to itself is never reached.
    """

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._ending: set[int] = set()

    def can_end(self) -> bool:
        """Say whether the whole schema can end."""
        parts = list(_parts(self._root))
        while True:
            known = len(self._ending)
            self._ending |= {id(part) for part in parts if self._ends(part)}
            if id(self._root) in self._ending:
                return True
            if len(self._ending) == known:
                return False

    def _is_known(self, part: Any) -> bool:
        return part is not False and (not isinstance(part, dict) or id(part) in self._ending)

    def _ends(self, part: Mapping[str, Any]) -> bool:
        if "$ref" in part and not self._is_known(self._target(part["$ref"])):
            return False
        properties = part.get("properties", {})
        required = [properties[name] for name in part.get("required", ()) if name in properties]
        needed = [*required, *part.get("allOf", ())]
        if part.get("minItems", 0) > 0:
            needed += part.get("prefixItems", []) or [part.get("items", True)]
        choices = [part[name] for name in ("anyOf", "oneOf") if name in part]
        return all(map(self._is_known, needed)) and all(any(map(self._is_known, each)) for each in choices)

    def _target(self, reference: Any) -> Any:
        """Follow a local reference (RFC 6901); False for one that leads nowhere, which nothing satisfies."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            return False
        target: Any = self._root
        for name in reference[1:].split("/")[1:]:
            key = name.replace("~1", "/").replace("~0", "~")
            if isinstance(target, dict) and key in target:
                target = target[key]
            elif isinstance(target, list) and key.isdigit() and int(key) < len(target):
                target = target[int(key)]
            else:
                return False
        return target


def _parts(root: Any) -> Iterator[Mapping[str, Any]]:
    """Walk over every object inside a schema."""
    pending = [root]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            yield part
            pending += part.values()
        elif isinstance(part, list):
            pending += part
