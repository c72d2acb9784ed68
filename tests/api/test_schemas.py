"""Schemas that may not reach the engine are told apart from those that may, quickly."""

import json
from typing import Any

import pytest

from api.errors import ApiError
from api.schemas import MAX_REPETITIONS, MAX_SCHEMA_BYTES, MAX_SCHEMA_PARTS, check_schema

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
    {"type": ["object", "null"], "properties": {"next": {"$ref": "#"}}, "required": ["next"]},
    {"type": "array", "prefixItems": [{"type": "string"}, {"$ref": "#"}], "minItems": 1.0},
    {"$ref": "#/$defs/a%20b~1c", "$defs": {"a b/c": {"type": "integer"}}},
    {"$ref": "#/parts/1", "parts": [5, {"type": "integer"}]},
    {"type": "number", "exclusiveMinimum": 0, "maximum": 5},
    {"type": "number", "minimum": 0, "maximum": 0.5},
]

LOOKS_LIKE_KEYWORDS: list[dict[str, Any]] = [
    {"type": "object", "properties": {"minItems": {"type": "integer"}}},
    {
        "type": "object",
        "properties": {"required": {"type": "boolean"}, "anyOf": {}, "items": {}},
        "required": ["anyOf"],
    },
    {"$ref": "#/$defs/maxLength", "$defs": {"maxLength": {"type": "string"}}},
    {"const": {"minItems": "x"}},
    {"const": {"minItems": MAX_REPETITIONS + 1}},
    {"const": {"required": 5}},
    {"enum": [{"$ref": "#"}, {"allOf": 5}]},
    {"default": {"properties": []}, "examples": [{"type": 5, "maxLength": 10**9}]},
]

BAD: list[tuple[dict[str, Any], str]] = [
    ({"type": "objekt"}, "not a JSON Schema"),
    ({"type": 5}, "not a JSON Schema"),
    ({"properties": []}, "not a JSON Schema"),
    ({"minimum": "one"}, "not a JSON Schema"),
    ({"required": "name"}, "not a JSON Schema"),
    ({"pattern": "("}, "not a JSON Schema"),
    ({"type": "number", "exclusiveMinimum": 0, "maximum": 0.5}, "exclusiveMinimum 0"),
    ({"type": "number", "exclusiveMaximum": 0, "minimum": -0.5}, "exclusiveMaximum 0"),
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
    ({"pattern": "a{99999999999999999}"}, "repeats"),
    ({"pattern": "(" * 5000 + ")" * 5000}, "nested"),
    ({"type": "array", "prefixItems": [{}, {"$ref": "#"}], "minItems": 2}, "without end"),
    ({"type": "array", "prefixItems": [{}], "items": {"$ref": "#"}, "minItems": 2}, "without end"),
    ({"$ref": "#/const", "const": {"required": 5}}, "not a JSON Schema"),
    ({"$ref": "#/const", "const": 5}, "refers to nothing"),
    ({"$ref": "#/parts/a", "parts": {"a": {"maxLength": 10**9}}}, "maxLength"),
    ({"$ref": "#/parts/a", "parts": {"a": {"items": {"minItems": "x"}}}}, "not a JSON Schema"),
    ({"$ref": "#/parts/²", "parts": [{}]}, "refers to nothing"),
    ({"$ref": "#/parts/" + "9" * 5000, "parts": [{}]}, "refers to nothing"),
    ({"properties": {"minItems": {"minItems": 10**9}}}, "minItems"),
]


@pytest.mark.parametrize("schema", GOOD, ids=json.dumps)
def test_a_usable_schema_passes(schema: dict[str, Any]) -> None:
    check_schema(schema)


@pytest.mark.parametrize("schema", LOOKS_LIKE_KEYWORDS, ids=json.dumps)
def test_names_and_values_that_look_like_keywords_are_none(schema: dict[str, Any]) -> None:
    check_schema(schema)


def chain(length: int, *, end: dict[str, Any]) -> dict[str, Any]:
    links: dict[str, Any] = {str(each): {"$ref": f"#/$defs/{each + 1}"} for each in range(length)}
    return {"$ref": "#/$defs/0", "$defs": {**links, str(length): end}}


def test_a_chain_as_long_as_a_schema_may_be_is_followed_to_its_end() -> None:
    good = chain(990, end={"type": "integer"})
    assert len(json.dumps(good)) > 0.8 * MAX_SCHEMA_BYTES
    check_schema(good)
    with pytest.raises(ApiError) as caught:
        check_schema(chain(990, end={"$ref": "#"}))
    assert "without end" in caught.value.details[0].problem


@pytest.mark.parametrize(("schema", "problem"), BAD, ids=lambda value: str(value)[:50])
def test_an_unusable_schema_is_refused_by_name(schema: dict[str, Any], problem: str) -> None:
    with pytest.raises(ApiError, match="Invalid request") as caught:
        check_schema(schema)
    assert caught.value.status == 400
    (detail,) = caught.value.details
    assert detail.field == "format"
    assert any(word in detail.problem for word in problem.split("|"))


@pytest.mark.parametrize("depth", [32, 500, 5000])
def test_a_deep_schema_is_refused(depth: int) -> None:
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {"items": schema}
    with pytest.raises(ApiError) as caught:
        check_schema(schema)
    assert "nested" in caught.value.details[0].problem
