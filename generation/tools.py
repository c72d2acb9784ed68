"""What a chat template makes of tools.

Owns: whether it knows them at all, and the texts in them. Does not own: how a reply that calls one is read
(`api/tool_calls.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from generation.engine import Message
from generation.errors import TemplateRefusedError

_PROBE_NAME: Final = "probe_zqx"
_PROBE: Final = {
    "type": "function",
    "function": {"name": _PROBE_NAME, "description": "", "parameters": {"type": "object", "properties": {}}},
}


class Renderer(Protocol):
    """What is needed of a tokenizer."""

    async def render(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> str:
        """Apply the chat template."""


async def knows_tools(renderer: Renderer) -> bool:
    """Say whether the template writes down the tools it is given; one that does not leaves them out in silence."""
    try:
        return _PROBE_NAME in await renderer.render([Message("user", "?")], [_PROBE])
    except TemplateRefusedError:
        return False


def texts_of(value: Any) -> Iterator[str]:
    """Yield every text in a JSON value, keys included."""
    match value:
        case str():
            yield value
        case Mapping():
            for key, each in value.items():
                yield key
                yield from texts_of(each)
        case list() | tuple():
            for each in value:
                yield from texts_of(each)
