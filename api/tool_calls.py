"""Function calls in a reply: reading them out of its text, and holding a reply to one.

Models write calls as their templates taught them. Read here are the forms of most open models: Hermes and Qwen
(`<tool_call>{"name", "arguments"}</tool_call>`), Mistral (`[TOOL_CALLS][{…}]`), Llama 3 (a bare
`{"name", "parameters"}`, also after `<|python_tag|>`). What is none of these, or calls nothing that was offered, stays
text.

Owns: these forms. Does not own: telling the model of its tools (the engine's `encode_chat`), or a dialect's form of a
call (its module).
"""

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Any, Final

from api.job import Piece, ToolCall, Tools

SHOWN_TOKENS: Final = ("<tool_call>", "</tool_call>", "[TOOL_CALLS]", "<|python_tag|>")
"""Control tokens in some vocabularies, without which a call could not be told from text."""

_OPENINGS: Final = ("<tool_call>", "[TOOL_CALLS]", "<|python_tag|>")
_MARKS: Final = re.compile(r"</?tool_call>|\[TOOL_CALLS\]|<\|python_tag\|>|[\s;,]+")


class CallReader:
    """Reads one reply as it grows. Without tools every text is certain at once."""

    def __init__(self, tools: Tools | None) -> None:
        self._names = frozenset(name_of(tool) for tool in tools.offered) if tools is not None else frozenset()
        self._most_calls = 1 if tools is not None and tools.is_one_call_at_most else None
        self._held = ""
        self._is_calling = False
        self._is_begun = False

    def add(self, text: str) -> str:
        """Take new text and return what is certainly no call."""
        if not self._names:
            return text
        self._held += text
        if self._is_calling:
            return ""
        if not self._is_begun and self._held.lstrip()[:1] in ("{", "["):
            self._is_calling = True
            return ""
        return self._take(self._count_certain())

    def finish(self, choice: int) -> Piece | None:
        """Return what was held back, as calls or as text; None when nothing was."""
        calls = tuple(self._read_calls())[: self._most_calls] if self._is_calling else ()
        if calls:
            return Piece("", choice, tool_calls=calls)
        return Piece(self._take(len(self._held)), choice) if self._held else None

    def _take(self, count: int) -> str:
        text, self._held = self._held[:count], self._held[count:]
        self._is_begun = self._is_begun or bool(text.strip())
        return text

    def _count_certain(self) -> int:
        found = [at for at in map(self._held.find, _OPENINGS) if at >= 0]
        if found:
            self._is_calling = True
            return min(found)
        tails = ((at, self._held[at:]) for at in range(len(self._held)))
        certain = next((at for at, tail in tails if any(each.startswith(tail) for each in _OPENINGS)), len(self._held))
        # White space alone may stand before a bare call.
        return certain if self._is_begun or self._held[:certain].strip() else 0

    def _read_calls(self) -> Iterator[ToolCall]:
        """Yield the calls; none at all when anything in the text is not one."""
        calls: list[ToolCall] = []
        for found in _values(self._held):
            name = found.get("name") if isinstance(found, dict) else None
            if name not in self._names:
                return
            given = found.get("arguments", found.get("parameters", {}))
            arguments = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
            calls.append(ToolCall(id=f"call_{secrets.token_hex(12)}", name=name, arguments=arguments))
        yield from calls


def _values(text: str) -> Iterator[Any]:
    """Yield the JSON values of a text between marks, those of a list one by one; None for what is no JSON."""
    decoder = json.JSONDecoder()
    at = _skip(text, 0)
    while at < len(text):
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            yield None
            return
        yield from value if isinstance(value, list) else [value]
        at = _skip(text, at)


def _skip(text: str, at: int) -> int:
    while mark := _MARKS.match(text, at):
        at = mark.end()
    return at


def name_of(tool: Mapping[str, Any]) -> str:
    """Give a function's name."""
    return str(tool["function"]["name"])


def as_object(arguments: str) -> dict[str, Any]:
    """Read a call's arguments where a dialect has an object; a model's that are none are kept under one name."""
    try:
        found = json.loads(arguments)
    except ValueError:
        found = arguments
    return found if isinstance(found, dict) else {"arguments": found}


def call_schema(tools: Tools) -> dict[str, Any] | None:
    """Build the JSON Schema of a call of one of the functions that must be called; None where none must."""
    functions = [tool["function"] for tool in tools.offered if name_of(tool) in tools.must_call]
    if not functions:
        return None
    if len(functions) == 1:
        return _one_call(functions[0], "#")
    return {"anyOf": [_one_call(function, f"#/anyOf/{at}") for at, function in enumerate(functions)]}


def _one_call(function: Mapping[str, Any], place: str) -> dict[str, Any]:
    arguments = _moved(function.get("parameters") or {"type": "object"}, f"{place}/properties/arguments")
    return {
        "type": "object",
        "properties": {"name": {"const": function["name"]}, "arguments": arguments},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _moved(schema: Any, place: str) -> Any:
    """Let the references of a schema that was a document of its own point to where it stands now."""
    if isinstance(schema, list):
        return [_moved(each, place) for each in schema]
    if not isinstance(schema, dict):
        return schema
    moved = {key: _moved(value, place) for key, value in schema.items()}
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#"):
        moved["$ref"] = place + reference[1:]
    return moved
