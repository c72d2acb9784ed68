"""Finds out whether the engine enforces a JSON Schema.

The packaged llama.cpp constrains with llguidance, which answers an unusable schema (an unknown type, a reference to
nowhere, a contradiction) by silently not constraining at all. So a new schema is probed: one token is produced while a
token that begins no JSON is made overwhelmingly likely. If that token comes out, nothing binds.

Owns: the probe and the memory of its outcomes. Does not own: the request it protects (`llama_cpp.py`).
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

from generation.client import EngineClient, EngineRefusedError
from generation.errors import EngineUnavailableError, FormatRefusedError
from generation.vocabulary import Tokenize

CANNOT_CONSTRAIN = "this JSON Schema cannot be enforced by the model's engine; use a simpler one"
"""What people read; the engine's own words name its parts and repeat the schema."""

_REMEMBERED = 256
"""Schemas whose outcome is kept; callers send the same few again and again."""

_NO_JSON = "zz"
"""Begins no JSON value, and neither does its last token, whatever the vocabulary."""

_OVERWHELMING = 1e6

_GREEDY = {
    "n_predict": 1, "temperature": 0.0, "mirostat": 0, "repeat_penalty": 1.0, "presence_penalty": 0.0,
    "frequency_penalty": 0.0, "ignore_eos": False, "stop": [], "return_tokens": True,
}  # fmt: skip

_SCHEMA_WORDS = ("schema", "grammar", "samplers")


class SchemaProbe:
    """Knows which schemas bind."""

    def __init__(self, tokenize: Tokenize) -> None:
        self._tokenize = tokenize
        self._outcomes: OrderedDict[bytes, bool] = OrderedDict()

    async def check(self, client: EngineClient, body: Mapping[str, Any]) -> tuple[bool, Mapping[str, Any] | None]:
        """Say whether the schema of a request binds, and give the probe's last event when one was needed.

        The probe uses the request's own prompt, which the request then finds computed. Raises `EngineRefusedError`.
        """
        key = hashlib.sha256(json.dumps(body["json_schema"], sort_keys=True).encode()).digest()
        if key in self._outcomes:
            self._outcomes.move_to_end(key)
            return self._outcomes[key], None
        is_enforced, event = await self._probe(client, body)
        self._outcomes[key] = is_enforced
        if len(self._outcomes) > _REMEMBERED:
            self._outcomes.popitem(last=False)
        return is_enforced, event

    async def _probe(self, client: EngineClient, body: Mapping[str, Any]) -> tuple[bool, Mapping[str, Any]]:
        no_json = (await self._tokenize(_NO_JSON, parse_special=False))[-1]
        probe = {**body, **_GREEDY, "logit_bias": [[no_json, _OVERWHELMING]]}
        drawn: list[int] = []
        last: Mapping[str, Any] = {}
        async with aclosing(client.stream("/completion", probe)) as events:
            async for event in events:
                if "prompt_progress" not in event:
                    drawn += event.get("tokens", ())
                last = event
        if not last.get("stop"):
            raise EngineUnavailableError("the model stopped during the request")
        return drawn != [no_json], last


def require_json(text: str) -> None:
    """Check a reply that the model ended itself: a schema too large for llguidance stops binding in the middle.

    Raises `FormatRefusedError`.
    """
    try:
        json.loads(text)
    except ValueError:
        raise FormatRefusedError(CANNOT_CONSTRAIN) from None


def looks_like_schema_refusal(error: EngineRefusedError) -> bool:
    """Tell a server's refusal of a schema from its other errors: by its words, as it has no code for it."""
    return any(word in error.detail.lower() for word in _SCHEMA_WORDS)
