"""Where a field belongs that a route does not take, for bodies that went to another dialect's route.

Owns: telling by the fields of a body whose form it has. Does not own: any dialect's fields (its contract).
"""

import difflib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import Final

from pydantic import BaseModel

from api.anthropic_contract import AnthropicMessage, AnthropicRequest
from api.contract import ChatMessage, ChatRequest
from api.modelslab_contract import ModelsLabRequest
from api.ollama_contract import OllamaChatRequest, OllamaGenerateRequest, OllamaMessage, OllamaOptions
from api.openai_contract import ChatCompletionRequest, OpenAIMessage

Forms = Mapping[str, type[BaseModel]]

_NATIVE: Final = "Parley's own POST /ai/chat"
_OPENAI: Final = "OpenAI's POST /v1/chat/completions"
_OLLAMA: Final = "Ollama's POST /api/chat"
_ANTHROPIC: Final = "Anthropic's POST /v1/messages"

BODIES: Final[Forms] = MappingProxyType({
    _NATIVE: ChatRequest,
    _OPENAI: ChatCompletionRequest,
    _OLLAMA: OllamaChatRequest,
    "Ollama's POST /api/generate": OllamaGenerateRequest,
    _ANTHROPIC: AnthropicRequest,
    "ModelsLab's POST /api/v6/llm/chat": ModelsLabRequest,
})  # fmt: skip
"""Every route that generates, in words, with its body."""

_MESSAGES: Final[Forms] = MappingProxyType({
    _NATIVE: ChatMessage,
    _OPENAI: OpenAIMessage,
    _OLLAMA: OllamaMessage,
    _ANTHROPIC: AnthropicMessage,
})  # fmt: skip

Path = tuple[int | str, ...]


def explain_unknown(path: Path, *, model: type[BaseModel], sent: AbstractSet[str]) -> str:
    """Say where a field belongs that a body of this model has not, or which one may be meant.

    `path` is the field's place in the body, `sent` are the names at the body's top.
    """
    match path:
        case (str(name),):
            return _explain_at_the_top(name, model, sent)
        case ("options", str(name)):
            if name in model.model_fields:
                return "unknown option; here it stands beside options"
            return _say(_homes(name, BODIES, sent), _close(name, OllamaOptions))
        case ("messages", int(), name):
            return _say(_homes(str(name), _MESSAGES, set()), "")
        case _:
            return "unknown field"


def _explain_at_the_top(name: str, model: type[BaseModel], sent: AbstractSet[str]) -> str:
    homes = _homes(name, BODIES, sent)
    if "options" in model.model_fields and name in OllamaOptions.model_fields:
        return f"unknown field here; put it into options, or send the body to {_either(homes)}"
    # A body that fits nowhere better is this route's own, with a slip in it.
    is_own = all(_fit(model, sent) >= _fit(BODIES[home], sent) for home in homes)
    return _say(homes, _close(name, model) if is_own else "")


def _homes(name: str, forms: Forms, sent: AbstractSet[str]) -> list[str]:
    """Find the routes that take a field; of these the ones that take most of what was sent."""
    fits = {home: _fit(model, sent) for home, model in forms.items() if name in model.model_fields}
    return [home for home, fit in fits.items() if fit == max(fits.values())]


def _fit(model: type[BaseModel], sent: AbstractSet[str]) -> int:
    return len(sent & model.model_fields.keys())


def _close(name: str, model: type[BaseModel]) -> str:
    return next(iter(difflib.get_close_matches(name, model.model_fields, n=1)), "")


def _say(homes: list[str], close: str) -> str:
    said = f"unknown field here; it belongs to {_either(homes)}" if homes else "unknown field"
    return f"{said}; did you mean {close}?" if close else said


def _either(homes: list[str]) -> str:
    *others, last = homes
    return f"{', '.join(others)} or {last}" if others else last
