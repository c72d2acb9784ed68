"""Which dialect a field belongs to, for bodies that went to another one's route.

Owns: fields that tell a dialect, each of which only one of them has. Does not own: any dialect's fields (its contract).
"""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

_NATIVE: Final = "Parley's own route, POST /ai/chat"
_OPENAI: Final = "OpenAI's form: POST /v1/chat/completions"
_OLLAMA: Final = "Ollama's form: POST /api/chat, or /api/generate"
_GENERATE: Final = "Ollama's POST /api/generate, or ModelsLab's POST /api/v6/llm/chat"
_ANTHROPIC: Final = "Anthropic's form: POST /v1/messages"
_MODELSLAB: Final = "ModelsLab's form: POST /api/v6/llm/chat"
_CHATS: Final = "a route for chats: POST /ai/chat, /v1/chat/completions, /api/chat or /v1/messages"

HOMES: Final = MappingProxyType(
    dict.fromkeys(("options", "keep_alive", "think", "raw", "suffix", "images"), _OLLAMA)
    | dict.fromkeys(("template", "context", "truncate", "shift"), _OLLAMA)
    | dict.fromkeys(("messages",), _CHATS)
    | dict.fromkeys(("tools",), f"{_OPENAI} (or to Ollama's POST /api/chat, or Anthropic's POST /v1/messages)")
    | dict.fromkeys(("prompt",), _GENERATE)
    | dict.fromkeys(("num_predict", "num_ctx"), f"{_NATIVE} (or to options of Ollama's POST /api/chat)")
    | dict.fromkeys(("mirostat", "mirostat_eta", "mirostat_tau", "tfs_z"), _NATIVE)
    | dict.fromkeys(("repeat_penalty", "repeat_last_n", "typical_p", "min_p", "format"), _NATIVE)
    | dict.fromkeys(("max_tokens", "max_completion_tokens", "response_format", "stream_options", "n"), _OPENAI)
    | dict.fromkeys(("logprobs", "top_logprobs", "logit_bias", "tool_choice"), _OPENAI)
    | dict.fromkeys(("stop_sequences", "system", "anthropic_version"), _ANTHROPIC)
    | dict.fromkeys(("key", "model_id", "chat_id", "max_new_tokens", "generator_type", "generator_choices"), _MODELSLAB)
    | dict.fromkeys(("system_prompt", "do_sample", "no_repeat_ngram_size", "webhook", "track_id"), _MODELSLAB)
)
"""Where a field would be understood. Every dialect takes its own fields; only those it does not know are looked up."""


def find_home(field: str, known: Iterable[str]) -> str | None:
    """Say where a field that is not among the known ones belongs; None for one that nobody knows."""
    return None if field in known else HOMES.get(field)
