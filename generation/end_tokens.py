"""Knows which tokens end a reply, by asking llama.cpp's server.

The file names some (`eos`, `eot`), and llama.cpp counts others in by their text; the list changes with its releases. So
a token that might be one is forced once, and the server says whether it ended the reply.

Owns: the question and the memory of its answers. Does not own: who needs to know (`stepping.py`).
"""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any

from generation.client import EngineClient
from generation.errors import EngineUnavailableError
from generation.gguf_file import GgufHeader, TokenKind

_OVERWHELMING = 1e9

_ORDINARY_KINDS = frozenset((TokenKind.NORMAL, TokenKind.BYTE, TokenKind.UNUSED))
_SPECIAL_EDGES = (b"<[", b">]")
"""First and last characters of what looks special although the file calls it ordinary."""


class EndTokens:
    """The ends of one loaded model's replies."""

    def __init__(self, header: GgufHeader) -> None:
        kinds = header.token_kinds or (int(TokenKind.NORMAL),) * len(header.tokens)
        self._suspects = {
            token
            for token, (text, kind) in enumerate(zip(header.tokens, kinds, strict=False))
            if kind not in _ORDINARY_KINDS or _looks_special(text)
        }
        self._answers: dict[int, bool] = {}

    async def contains(
        self, token: int, *, client: EngineClient, prompt: Sequence[int], chosen: Mapping[str, Any]
    ) -> bool:
        """Say whether the token ends a reply; `prompt` is what the slot has computed, so that the question is cheap.

        `chosen` is what the slot's requests add for their LoRA adapter.
        """
        if token not in self._suspects:
            return False
        if token not in self._answers:
            self._answers[token] = await _ask(token, client, prompt, chosen)
        return self._answers[token]


def _looks_special(text: bytes) -> bool:
    return len(text) > 2 and text[0] in _SPECIAL_EDGES[0] and text[-1] in _SPECIAL_EDGES[1]


async def _ask(token: int, client: EngineClient, prompt: Sequence[int], chosen: Mapping[str, Any]) -> bool:
    body = {
        **chosen,
        "prompt": list(prompt),
        "n_predict": 1,
        "samplers": ["top_k"],
        "top_k": 1,
        "mirostat": 0,
        "temperature": 1.0,
        "logit_bias": [[token, _OVERWHELMING]],
        "cache_prompt": True,
        "stream": True,
        "return_progress": True,
    }
    async with aclosing(client.stream("/completion", body)) as events:
        async for event in events:
            if event.get("stop"):
                return bool(event["stop_type"] == "eos")
    raise EngineUnavailableError("the model stopped during the reply")
