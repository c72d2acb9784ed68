"""What each engine can do, as data: one table that the service validates against and the documentation shows.

Owns: the tables and the comparison of a request's options with one. Does not own: how a refusal is worded for a caller,
whose names for two of the options differ (`num_predict` is `max_tokens` here, `format` is `json_schema`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from generation.engine import SamplingOptions

NEUTRAL: Final[Mapping[str, object]] = MappingProxyType({
    "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "tfs_z": 1.0, "mirostat": 0, "repeat_penalty": 1.0,
    "presence_penalty": 0.0, "frequency_penalty": 0.0, "stop": (), "ignore_eos": False, "json_schema": None,
    "adapter": None, "no_repeat_ngram_size": 0, "logprobs": None,
})  # fmt: skip
"""The value with which an option does nothing, so that every engine can do it. Options that are not here (temperature,
seed, max_tokens) have none, and those of Mirostat and of the penalties' window (`mirostat_tau`, `repeat_last_n`, …) do
nothing unless what they steer is on."""


PENALTIES: Final = frozenset({"repeat_penalty", "presence_penalty", "frequency_penalty"})
"""What `repeat_last_n` is the window of. An engine without that option looks at everything, which is -1."""

WITHOUT: Final[Mapping[str, object]] = MappingProxyType({**NEUTRAL, "repeat_last_n": -1})
"""The value of each option that every engine can honour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """One engine's. Names are those of `SamplingOptions`.

    `apart` are groups of options that work each alone, but not all of a group in one request. `notes` say in a phrase
    what is particular about an option here.
    """

    engine: str
    options: frozenset[str]
    apart: tuple[frozenset[str], ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)


_EVERYTHING: Final = frozenset(SamplingOptions.__dataclass_fields__)

LLAMA_CPP: Final = Abilities(
    engine="llama.cpp",
    options=_EVERYTHING,
    apart=(
        *(frozenset(("tfs_z", other)) for other in ("json_schema", "logprobs")),
        *(frozenset(("no_repeat_ngram_size", other)) for other in ("mirostat", "json_schema", "logprobs")),
    ),
    notes={
        "tfs_z": "below 1 each token is a request of its own; with top_k 0 or above 1,024 the 1,024 likeliest compete",
        "mirostat": "uses the temperature and itself alone; penalties and cuts have no effect with it",
        "json_schema": "with one space after commas and colons and no other white space",
        "no_repeat_ngram_size": "above 0 each token is a request of its own, as with tfs_z",
    },
)

CTRANSFORMERS: Final = Abilities(
    engine="ctransformers",
    # Its C functions have none for adapters, and the llama.cpp inside knows only those from before GGUF.
    options=_EVERYTHING - {"adapter"},
    notes={
        "mirostat": "uses the temperature and itself alone; penalties and cuts have no effect with it",
        "json_schema": "with one space after commas and colons and no other white space",
    },
)

ABILITIES: Final[Mapping[str, Abilities]] = MappingProxyType({
    table.engine: table for table in (LLAMA_CPP, CTRANSFORMERS)
})  # fmt: skip
"""By the name that `PARLEY_ENGINE` gives the engine."""


@dataclass(frozen=True, slots=True)
class Unable:
    """An option that cannot be honoured; `beside` are the options that stand in its way, empty when none would help."""

    option: str
    beside: frozenset[str] = frozenset()


def find_unable(options: SamplingOptions, abilities: Abilities) -> Iterator[Unable]:
    """Yield every option of a request that this engine cannot honour. Mirostat switches tail-free sampling off."""
    active = {name for name, neutral in NEUTRAL.items() if getattr(options, name) != neutral}
    if options.tfs_z > 1 or options.mirostat:
        active.discard("tfs_z")
    if options.repeat_last_n > 0 and active & PENALTIES:
        active.add("repeat_last_n")
    for name in sorted(active - abilities.options):
        yield Unable(name)
    for group in abilities.apart:
        if group <= active:
            first = min(group, key=list(NEUTRAL).index)
            yield Unable(first, group - {first})
