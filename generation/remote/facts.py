"""What is known of a server: which kind it is, which models it has, how much fits in.

Owns: the values, and whether two servers are the same for a caller. Does not own: asking (`look.py`, `probing.py`).
"""

import enum
from dataclasses import dataclass

from generation.engine import ModelInfo


class Kind(enum.StrEnum):
    """How a server is spoken to. The values are what people read."""

    LLAMA_SERVER = "llama-server"
    """llama.cpp's: it takes token ids on `/completion`, with all of llama.cpp's options."""
    VLLM = "vLLM"
    """vLLM's: it takes token ids on `/v1/completions`, and tokenizes and renders on `/tokenize`."""
    CHAT = "OpenAI-compatible"
    """Anything else: it takes messages on `/v1/chat/completions`, and what becomes of them it alone knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One server, as it presented itself.

    `names` are the models that may be asked for, the chosen one first; `upstream` is what the server itself calls that.
    `context_tokens` is None where the server does not say. `sample` are the token ids of a fixed text: servers with
    the same ones read alike.
    """

    kind: Kind
    names: tuple[str, ...]
    upstream: str
    context_tokens: int | None
    model: ModelInfo
    vocabulary_size: int = 0
    sample: tuple[int, ...] = ()

    def differs_from(self, other: "Facts") -> str | None:
        """Say in a phrase what a request would notice of the difference; None where that is nothing."""
        if self.kind is not other.kind:
            return f"it is {self.kind}, not {other.kind}"
        if not set(other.names) <= set(self.names):
            return "it has other models"
        if self.sample != other.sample:
            return "it reads texts as other tokens, so it has another model under the same name"
        if (self.context_tokens or 0) < (other.context_tokens or 0):
            return f"it takes {self.context_tokens} tokens of context, not {other.context_tokens}"
        return None
