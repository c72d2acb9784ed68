"""Calls of functions in a streamed reply of `/v1/chat/completions`, written as a model writes them.

Owns: putting the parts of a call together. Does not own: reading calls out of a text (`api/tool_calls.py`), which goes
on from what is written here.

https://platform.openai.com/docs/guides/function-calling#streaming
"""

import json
from collections.abc import Mapping
from typing import Any

MOST_CALLS = 64


class CalledFunctions:
    """The calls of one reply, by their place in it."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._arguments: dict[int, list[str]] = {}

    def add(self, deltas: Any) -> bool:
        """Take in what an event says of calls; returns whether it said anything. Raises `ValueError` for too many."""
        for delta in deltas or ():
            place, function = int(delta.get("index") or 0), delta.get("function") or {}
            if place not in self._names and len(self._names) >= MOST_CALLS:
                raise ValueError("calls without end")
            self._names[place] = self._names.get(place) or str(function.get("name") or "")
            self._arguments.setdefault(place, []).append(_as_text(function.get("arguments")))
        return bool(deltas)

    def write(self) -> str:
        """Write all of them, each in the form of Hermes and Qwen; raises `ValueError` where arguments are no JSON."""
        return "".join(
            f"<tool_call>{json.dumps(_call(name, ''.join(self._arguments[place])), ensure_ascii=False)}</tool_call>"
            for place, name in sorted(self._names.items())
        )


def _as_text(arguments: object) -> str:
    """Take text, which comes in parts; some servers send an object, whole."""
    if isinstance(arguments, Mapping):
        return json.dumps(arguments, ensure_ascii=False)
    return str(arguments or "")


def _call(name: str, arguments: str) -> Mapping[str, Any]:
    return {"name": name, "arguments": json.loads(arguments or "{}")}
