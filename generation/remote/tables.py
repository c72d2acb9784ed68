"""What each kind of server can do with an option, before one is asked; the tables that the documentation shows.

Owns: what is known from their documentation. Does not own: what a server answers to trials (`probing.py`), which
decides where it and a table differ.
"""

from types import MappingProxyType
from typing import Final

from generation.abilities import Abilities
from generation.engine import SamplingOptions
from generation.remote.facts import Kind

_EVERYTHING: Final = frozenset(SamplingOptions.__dataclass_fields__)

STANDARD: Final = frozenset({
    "temperature", "top_p", "presence_penalty", "frequency_penalty", "seed", "max_tokens", "stop", "adapter",
    "shown_tokens", "conversation",
})  # fmt: skip
"""What OpenAI's routes have had from the beginning. `adapter` is any other name of the list."""

LLAMA_SERVER: Final = Abilities(
    engine="llama-server",
    # A token a request, which these two need, is too slow over a network.
    options=_EVERYTHING - {"tfs_z", "no_repeat_ngram_size"},
    notes={"mirostat": "uses the temperature and itself alone; penalties and cuts have no effect with it"},
)

_PENALTY: Final = "looks at the prompt and all of the reply; repeat_last_n other than -1 and 0 is refused"
_REPLY_ONLY: Final = "counts the reply's own tokens, not the prompt's"
_NOTES: Final = {"presence_penalty": _REPLY_ONLY, "frequency_penalty": _REPLY_ONLY}

VLLM: Final = Abilities(
    engine="vLLM",
    options=STANDARD | {"top_k", "min_p", "repeat_penalty", "ignore_eos", "json_schema", "logprobs"},
    notes={**_NOTES, "repeat_penalty": _PENALTY},
)

OLLAMA: Final = Abilities(
    engine="Ollama",
    options=STANDARD | {"json_schema", "logprobs"},
    notes=_NOTES,
)
"""By its route `/v1`; through that of its own it can do more, which Parley does not speak as a client."""

PLAIN: Final = Abilities(engine="OpenAI-compatible", options=STANDARD, notes=_NOTES)

KINDS: Final = MappingProxyType({Kind.LLAMA_SERVER: LLAMA_SERVER, Kind.VLLM: VLLM, Kind.CHAT: PLAIN})

SHOWN: Final = (LLAMA_SERVER, VLLM, OLLAMA, PLAIN)
"""The columns of the table in docs/scaling.md; the last is the least that any server can do."""
