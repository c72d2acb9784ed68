"""Schemas that may not reach the engine are told apart from those that may, quickly."""

import json
from typing import Any

import pytest

from api.errors import ApiError
from api.schemas import MAX_SCHEMA_PARTS, check_schema

TREE = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#"}}},
    "required": ["name", "children"],
}

GOOD: list[dict[str, Any]] = [
    {},
    {"type": "object"},
    {"enum": ["red", "green"]},
    {"const": 5},
    TREE,
    {"$ref": "#/$defs/a", "$defs": {"a": {"type": "integer"}}},
    {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
    {"type": "array", "items": {"type": "string"}, "minItems": 3, "maxItems": 5},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "minItems": 2},
    {"type": "object", "properties": {"$ref": {"type": "string"}}, "required": ["$ref"]},
    {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}, "required": ["next"]},
]

BAD: list[tuple[dict[str, Any], str]] = [
    ({"type": "objekt"}, "not a JSON Schema"),
    ({"type": 5}, "not a JSON Schema"),
    ({"properties": []}, "not a JSON Schema"),
    ({"minimum": "one"}, "not a JSON Schema"),
    ({"required": "name"}, "not a JSON Schema"),
    ({"pattern": "("}, "not a JSON Schema"),
    ({"$ref": "#"}, "without end"),
    ({"$ref": "#/$defs/none"}, "refers to nothing"),
    ({"$ref": "https://example.com/schema.json"}, "refers to nothing"),
    ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}, "without end"),
    ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "without end"),
    ({"type": "array", "items": {"$ref": "#"}, "minItems": 1}, "without end"),
    ({"anyOf": [{"$ref": "#"}, {"allOf": [{"$ref": "#"}]}]}, "without end"),
    ({"anyOf": [{"type": "integer"}] * (MAX_SCHEMA_PARTS + 1)}, "larger|parts"),
    ({"type": "string", "maxLength": 10**9}, "maxLength"),
    ({"type": "array", "minItems": 10**6}, "minItems"),
    ({"enum": ["x" * 100_000]}, "larger"),
]


@pytest.mark.parametrize("schema", GOOD, ids=json.dumps)
def test_a_usable_schema_passes(schema: dict[str, Any]) -> None:
    check_schema(schema)


@pytest.mark.parametrize(("schema", "problem"), BAD, ids=lambda value: str(value)[:50])
def test_an_unusable_schema_is_refused_by_name(schema: dict[str, Any], problem: str) -> None:
    with pytest.raises(ApiError, match="Invalid request") as caught:
        check_schema(schema)
    assert caught.value.status == 400
    (detail,) = caught.value.details
    assert detail.field == "format"
    assert any(word in detail.problem for word in problem.split("|"))


def test_a_deep_schema_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(500):
        schema = {"items": schema}
    with pytest.raises(ApiError) as caught:
        check_schema(schema)
    assert "nested" in caught.value.details[0].problem
