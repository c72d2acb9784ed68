"""Says sampling options in the words of OpenAI's routes, with vLLM's additions where a server has them.

Owns: the part of a request's body that `completions.py` and `chat.py` have in common. Does not own: what a server can
do (`probing.py`).

https://docs.vllm.ai/en/latest/api/vllm/sampling_params/
"""

from collections.abc import Mapping
from typing import Any

from generation.abilities import Abilities
from generation.engine import SamplingOptions


def say_options(options: SamplingOptions, abilities: Abilities) -> dict[str, Any]:
    """Say every option that the server has, since its own defaults may be anything."""
    # A window of no tokens: what looks at everything can only be switched off.
    has_window = options.repeat_last_n != 0
    body: dict[str, Any] = {
        "temperature": options.temperature,
        "top_p": options.top_p,
        "presence_penalty": options.presence_penalty if has_window else 0.0,
        "frequency_penalty": options.frequency_penalty if has_window else 0.0,
        "seed": options.seed,
        "max_tokens": options.max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if options.stop:
        body["stop"] = list(options.stop)
    if options.json_schema is not None:
        body |= say_schema(options.json_schema)
    further = {
        "top_k": ("top_k", options.top_k),
        "min_p": ("min_p", options.min_p),
        "repeat_penalty": ("repetition_penalty", options.repeat_penalty if has_window else 1.0),
        # After the JSON's end nothing may follow.
        "ignore_eos": ("ignore_eos", options.ignore_eos and options.json_schema is None),
    }
    return body | dict(said for name, said in further.items() if name in abilities.options)


def say_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Hold a reply to a JSON Schema."""
    named = {"name": "reply", "schema": dict(schema), "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": named}}
