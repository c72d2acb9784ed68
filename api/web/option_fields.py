"""The sampling options as a form shows them, read from `api/contract.py`: nothing about an option is typed twice.

Owns: turning a field's JSON Schema into a kind of input and words for its range. Does not own: defaults, ranges,
meanings (`api/contract.py`), or what the loaded engine cannot do (`api/abilities.py`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from api.contract import ChatRequest, SamplingFields

_EXACT: Final = 2**53 - 1
"""Integers beyond it are not exact in a browser; a field's range is cut to it there."""

FIRST: Final = ("temperature", "num_predict", "num_ctx", "top_p", "top_k", "seed", "stop", "format")
"""What people change most, shown first; the rest follows in the contract's order."""


@dataclass(frozen=True, slots=True)
class OptionField:
    """One option. `kind` is `integer`, `number`, `lines` (a text a line) or `format`; bounds are None where open."""

    name: str
    kind: str
    default: str
    minimum: float | None
    maximum: float | None
    range: str
    meaning: str


@cache
def option_fields() -> tuple[OptionField, ...]:
    """List every sampling option and `format`."""
    schemas: Mapping[str, Any] = ChatRequest.model_json_schema()["properties"]
    names = [*FIRST, *(name for name in SamplingFields.model_fields if name not in FIRST)]
    return tuple(_describe(name, schemas[name]) for name in names)


def _describe(name: str, schema: Mapping[str, Any]) -> OptionField:
    minimum, maximum = (schema.get(word) for word in ("minimum", "maximum"))
    default = schema.get("default")
    return OptionField(
        name=name,
        kind=_kind(name, schema),
        default="none" if default is None else str(default),
        minimum=None if minimum is None else max(minimum, -_EXACT),
        maximum=None if maximum is None else min(maximum, _EXACT),
        range=", ".join(_range(schema, minimum, maximum)),
        meaning=str(schema.get("description", "")),
    )


def _kind(name: str, schema: Mapping[str, Any]) -> str:
    match schema.get("type"):
        case "integer" | "number" as kind:
            return str(kind)
        case _:
            return "format" if name == "format" else "lines"


def _range(schema: Mapping[str, Any], minimum: float | None, maximum: float | None) -> Iterator[str]:
    is_open = maximum is None or maximum > _EXACT
    if minimum is not None and minimum >= -_EXACT:
        yield f"{minimum:g} and above" if is_open else f"{minimum:g} to {maximum:g}"
    most = next((part["maxItems"] for part in schema.get("anyOf", ()) if "maxItems" in part), None)
    if most is not None:
        yield f"at most {most}"
