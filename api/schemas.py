"""Whether a caller's JSON Schema may reach the engine: a schema, of sane size, whose every instance can end.

Owns: what can be told from the schema alone, quickly. Does not own: what the engine can enforce; that it finds out by
trying (`generation/constraint.py`).
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

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

_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLES = (
    *("items", "contains", "additionalProperties", "propertyNames", "unevaluatedItems", "unevaluatedProperties"),
    *("not", "if", "then", "else", "contentSchema"),
)
"""Where a schema holds schemas (JSON Schema draft 2020-12, Core sections 8, 10 and 11, Validation section 8).
Anything else, such as the value of `const`, is data, whatever it looks like."""

_BESIDE_ZERO = {
    "exclusiveMinimum": ("maximum", "exclusiveMaximum"),
    "exclusiveMaximum": ("minimum", "exclusiveMinimum"),
}

_INDEX = re.compile(r"0|[1-9][0-9]{0,5}")

Schema = dict[str, Any]


def check_schema(schema: Schema, *, field: str = "format") -> None:
    """Raise the 400 that names `field` when the schema cannot be used; each dialect has its own word for `format`."""
    try:
        _check(schema)
    except ApiError as error:
        if field == "format":
            raise
        raise error.renamed({"format": field}) from None


def _check(schema: Schema) -> None:
    _check_size(schema)
    document = _Document(schema)
    for entry in document.entries():
        _check_syntax(entry)
    for part in document.schemas:
        _check_counts(part)
        _check_zero(part)
    if not document.can_end():
        raise _refuse("no reply could ever satisfy this schema: it needs itself without end, or refers to nothing")


def _refuse(problem: str) -> ApiError:
    return invalid_field("format", problem)


def _check_size(schema: Schema) -> None:
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
            pending += [(value, depth + 1) for value in part.values()]
        elif isinstance(part, list):
            pending += [(value, depth + 1) for value in part]
    if len(json.dumps(schema)) > MAX_SCHEMA_BYTES:
        raise _refuse(f"the schema is larger than {MAX_SCHEMA_BYTES} bytes; use a smaller one")


def _check_syntax(schema: Schema) -> None:
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        where = "/".join(map(str, error.absolute_path))[:100] or "its top"
        raise _refuse(f"not a JSON Schema (draft 2020-12): see {where}") from None
    except (RecursionError, OverflowError):
        # From compiling a `pattern`, to see whether it is one.
        raise _refuse("a pattern of the schema is nested too deep or repeats too often; use a simpler one") from None


def _check_counts(schema: Schema) -> None:
    for name in _COUNTS:
        if schema.get(name, 0) > MAX_REPETITIONS:
            raise _refuse(f"{name} is above {MAX_REPETITIONS}; use a smaller one")


def _check_zero(schema: Schema) -> None:
    """Refuse numbers strictly between 0 and less than 1: the engine's constraint lets 0 itself through."""
    for exclusive, others in _BESIDE_ZERO.items():
        bounds = [schema[name] for name in others if name in schema]
        if schema.get(exclusive) == 0 and any(-1 < bound < 1 for bound in bounds):
            raise _refuse(f"{exclusive} 0 next to a bound below 1 cannot be enforced; use a smallest number instead")


class _Document:
    """Every schema inside a document: what keywords lead to from its root, and what a `$ref` points at elsewhere.

    Made before anything is known of the document but its size, so nothing is taken to have the type it should have.
    """

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._inside: set[int] = set()
        found: dict[int, Schema] = {}
        pending = [root]
        while pending:
            schema = pending.pop()
            if id(schema) in found:
                continue
            found[id(schema)] = schema
            inside = [part for part in _parts(schema) if isinstance(part, dict)]
            self._inside |= set(map(id, inside))
            pending += inside
            if isinstance(target := self._target(schema), dict):
                pending.append(target)
        self.schemas = list(found.values())

    def entries(self) -> Iterator[Schema]:
        """Yield the schemas that no other one holds; checking their syntax checks that of all."""
        return (schema for schema in self.schemas if id(schema) not in self._inside)

    def can_end(self) -> bool:
        """Say whether the document, with its syntax checked, has an instance of finite size.

        The least fixed point of "can end": a schema can end when all it needs can, those that need nothing first. What
        only ever leads back to itself is never reached. Each need is looked at once.
        """
        unmet = {id(each): 0 if each else 1 for each in (True, False)}
        waiting: defaultdict[int, list[int]] = defaultdict(list)
        for schema in self.schemas:
            needs, choices = self._needs(schema), _choices(schema)
            unmet[id(schema)] = len(needs) + len(choices)
            for need in [*needs, *choices]:
                waiting[id(need)].append(id(schema))
            for choice in choices:
                unmet[id(choice)] = 1
                for part in choice:
                    waiting[id(part)].append(id(choice))
        ending = [each for each, count in unmet.items() if count == 0]
        while ending:
            for each in waiting[ending.pop()]:
                unmet[each] -= 1
                if unmet[each] == 0:
                    ending.append(each)
        return unmet[id(self._root)] <= 0

    def _needs(self, schema: Schema) -> list[Any]:
        """List the schemas that every instance of this one has to satisfy, whole or with a part of it."""
        needs = [*schema.get("allOf", ())]
        if "$ref" in schema:
            needs.append(self._target(schema))
        match schema.get("type"):
            case "object" | ["object"]:
                properties = schema.get("properties", {})
                needs += [properties[name] for name in schema.get("required", ()) if name in properties]
            case "array" | ["array"]:
                items = schema.get("prefixItems", [])
                least = int(schema.get("minItems", 0))
                needs += items[:least]
                if least > len(items):
                    needs.append(schema.get("items", True))
        return needs

    def _target(self, schema: Schema) -> Schema | bool:
        """Follow `$ref`, a JSON pointer within the document (RFC 6901); False if it leads to no schema: no instance."""
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not re.match("#(/|$)", reference):
            return False
        target: Any = self._root
        for name in unquote(reference).split("/")[1:]:
            key = name.replace("~1", "/").replace("~0", "~")
            if isinstance(target, dict) and key in target:
                target = target[key]
            elif isinstance(target, list) and _INDEX.fullmatch(key) and int(key) < len(target):
                target = target[int(key)]
            else:
                return False
        return target if isinstance(target, dict | bool) else False


def _parts(schema: Schema) -> Iterator[Any]:
    """Walk over what a schema's keywords hold, one step down."""
    for name in _MAPS:
        if isinstance(parts := schema.get(name), dict):
            yield from parts.values()
    for name in _LISTS:
        if isinstance(parts := schema.get(name), list):
            yield from parts
    for name in _SINGLES:
        if name in schema:
            yield schema[name]


def _choices(schema: Schema) -> list[list[Any]]:
    """List the alternatives of which every instance has to satisfy one."""
    return [schema[name] for name in ("anyOf", "oneOf") if name in schema]
