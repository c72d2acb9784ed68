"""Says sampling options in the words of llama.cpp's server.

Owns: the body of a `/completion` request. Every option is written out, because the server's own defaults differ from
Parley's and change between releases. Does not own: defaults and ranges (`api/contract.py`).

Facts about the server: https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from generation.candidates import COLDEST
from generation.engine import SamplingOptions

SEEDS = 2**32 - 1
"""Seeds the server tells apart: 2**32 - 1 itself means "draw one"."""

_MOST_INT = 2**31 - 1

_TIGHT_JSON: Final = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}

SAMPLERS = ("penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature")
"""llama.cpp's own order, said explicitly: penalties see the model's untouched scores, the cuts work on what they leave,
from coarse to fine, and temperature comes last so that it never changes how many candidates a cut keeps. The samplers
that Parley does not offer stay in the list, switched off, so that it is the order people know from llama.cpp.
With Mirostat llama.cpp uses the temperature and Mirostat alone."""


def derive_seed(seed: int, choice: int) -> int:
    """Give each of several replies to one prompt a seed of its own; the first has the given one.

    Neighbouring seeds would do, but then the second reply of one seed would be the first of the next.
    """
    if choice == 0:
        return seed
    digest = hashlib.blake2b(f"{seed} {choice}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % SEEDS


def completion_body(prompt: Sequence[int], options: SamplingOptions, *, context_tokens: int) -> dict[str, Any]:
    """Say what `/completion` shall do; `context_tokens` is one slot's context.

    Numbers are bounded by the context here: the server reserves memory for `repeat_last_n` as it comes.
    """
    body: dict[str, Any] = {
        "prompt": list(prompt),
        "stream": True,
        # A write per batch of the prompt is how the server finds out that the caller is gone.
        "return_progress": True,
        "cache_prompt": True,
        "n_predict": min(options.max_tokens, context_tokens),
        # Single precision overflows below; the reference takes it for greedy too.
        "temperature": options.temperature if options.temperature >= COLDEST else 0.0,
        "top_k": min(options.top_k, _MOST_INT),
        "top_p": options.top_p,
        "min_p": options.min_p,
        "typical_p": options.typical_p,
        "repeat_last_n": context_tokens if options.repeat_last_n < 0 else min(options.repeat_last_n, context_tokens),
        "repeat_penalty": options.repeat_penalty,
        "presence_penalty": options.presence_penalty,
        "frequency_penalty": options.frequency_penalty,
        "mirostat": options.mirostat,
        "mirostat_tau": options.mirostat_tau,
        "mirostat_eta": options.mirostat_eta,
        "dry_multiplier": 0.0,
        "xtc_probability": 0.0,
        "dynatemp_range": 0.0,
        "top_n_sigma": -1.0,
        "samplers": list(SAMPLERS),
        "seed": options.seed % SEEDS,
        "ignore_eos": options.ignore_eos,
        "stop": list(options.stop),
        # With 0 the server names none at all, with 1 the drawn token and the likeliest.
        "n_probs": 0 if options.logprobs is None else max(1, options.logprobs),
        "timings_per_token": False,
        "preserved_tokens": list(options.shown_tokens),
    }
    if options.json_schema is not None:
        body["json_schema"] = dict(options.json_schema)
        # After the JSON's end only the model's own end is allowed; without it, llama.cpp goes on with anything.
        body["ignore_eos"] = False
    return body


def tightened(body: Mapping[str, Any]) -> dict[str, Any]:
    """Allow a schema's reply one space after a comma or colon, and no other white space: a model may put any runs on.

    In the words of llguidance, with which the packaged llama.cpp and the ctransformers engine constrain; a server of
    the operator's own, which may not know them, never lets white space run on.
    https://github.com/guidance-ai/llguidance/blob/main/docs/json_schema.md
    """
    if "json_schema" not in body:
        return dict(body)
    return {**body, "json_schema": {**body["json_schema"], "x-guidance": _TIGHT_JSON}}
