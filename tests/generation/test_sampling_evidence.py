"""Every sampling option does on both engines what the reference says, shown with the demo model.

The reference's logits come from a program of their own (`reference_logits.py`).
"""

import asyncio
import json
import math
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from generation.candidates import Candidates
from generation.ctransformers_engine import CTransformersEngine
from generation.engine import Message, SamplingOptions
from generation.gguf_file import GgufHeader, read_gguf_header
from generation.launch import LocalConfig
from generation.llama_cpp import LlamaCppEngine
from generation.reference_sampler import ReferenceSampler
from generation.sampling import completion_body
from generation.served_engine import ServedEngine
from generation.text_tokens import TextTokens
from parley.demo_model import demo_path
from tests.generation.asking import ask, options, text_of
from tests.generation.conftest import config_for
from tests.generation.reference_logits import Logits, fetch_logits

pytestmark = pytest.mark.asyncio(loop_scope="session")

HELD_OUT = Path(__file__).resolve().parent.parent.parent / "models" / "heldout.jsonl"
ENGINES = ("llama.cpp", "ctransformers")

DRAWS = 2000
"""Single-token draws per case and engine, each with a seed of its own: 0, 1, 2, …"""

STRICT = 3.72
"""Standard deviations: an engine that agrees is called wrong once in ten thousand runs, and seeds are fixed."""

NEUTRAL: Mapping[str, Any] = {
    "temperature": 1.0, "top_k": 0, "top_p": 1.0, "repeat_penalty": 1.0, "max_tokens": 1, "ignore_eos": False,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bench:
    """Both engines with the demo model, and its vocabulary."""

    engines: Mapping[str, ServedEngine]
    vocabulary: TextTokens

    def text(self, token: int) -> str:
        return self.vocabulary.bytes[token].decode(errors="ignore")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bench() -> AsyncIterator[Bench]:
    config = config_for(demo_path(), slots=4)
    engines: dict[str, ServedEngine] = {
        "llama.cpp": LlamaCppEngine(config),
        "ctransformers": CTransformersEngine(LocalConfig(
            model_path=demo_path(), model_name="demo", context_tokens=2048, slots=4, threads=2
        )),
    }  # fmt: skip
    for engine in engines.values():
        await engine.start()
    yield Bench(engines, _vocabulary(read_gguf_header(demo_path())))
    for engine in engines.values():
        await engine.close()


def _vocabulary(header: GgufHeader) -> TextTokens:
    return TextTokens(header, bos=1, eos=2, tokenize_plain=lambda _: [])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def prompt(bench: Bench) -> tuple[list[int], Mapping[str, Logits]]:
    """A prompt after which many tokens are likely, with each engine's logits after it.

    It holds the likeliest of them once or more, so that penalties have something to do. llama.cpp's server tells
    log-probabilities; the constant that makes logits of them comes from the native library.
    """
    whole = await bench.engines["llama.cpp"].encode_chat([Message("user", "Tell me about the sea and the old town")])
    starts = [whole[:end] for end in range(2, len(whole))]
    start = max(zip(starts, await fetch_logits(starts), strict=True), key=lambda pair: _entropy(pair[1][0]))
    likely = [int(token) for token in np.argsort(-start[1][0])[:6]]
    full = [*likely, *likely[:2], likely[0], *start[0]]
    native = (await fetch_logits([full]))[0][0]
    told = await _fetch_log_probabilities(bench.engines["llama.cpp"], full, len(native))
    top = np.argsort(-native)[:100]
    return full, {"ctransformers": native, "llama.cpp": told + np.mean((native - told)[top])}


async def _fetch_log_probabilities(engine: ServedEngine, prompt: Sequence[int], count: int) -> Logits:
    body = {"prompt": list(prompt), "n_predict": 1, "n_probs": count, "temperature": 1.0}
    (place,) = (await engine._client.post("/completion", body))["completion_probabilities"]
    told = np.empty(count, dtype=np.float32)
    for entry in place["top_logprobs"]:
        told[entry["id"]] = entry["logprob"]
    return told


def _entropy(logits: Logits) -> float:
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    return float(-(shares * np.log2(shares + 1e-30)).sum())


CASES: tuple[Mapping[str, Any], ...] = (
    {"temperature": 0.7},
    {"temperature": 1.6},
    {"top_k": 5},
    {"top_p": 0.7},
    {"min_p": 0.1},
    {"typical_p": 0.6},
    {"tfs_z": 0.9},
    {"repeat_penalty": 1.3},
    {"presence_penalty": 1.5},
    {"frequency_penalty": 0.8},
    {"frequency_penalty": 1.0, "repeat_last_n": 9, "repeat_penalty": 1.1},
    {"top_k": 40, "tfs_z": 0.95, "typical_p": 0.9, "top_p": 0.95, "min_p": 0.02, "temperature": 1.3},
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: ",".join(f"{name}={value}" for name, value in case.items()))
@pytest.mark.parametrize("name", ENGINES)
async def test_draws_follow_the_reference(
    bench: Bench, prompt: tuple[list[int], Mapping[str, Logits]], name: str, case: Mapping[str, Any]
) -> None:
    tokens, logits = prompt[0], prompt[1][name]
    sampling = options(**{**NEUTRAL, **case})
    expected = _expected_texts(bench, tokens, logits, sampling)
    seen = await _draw_many(bench.engines[name], tokens, {**NEUTRAL, **case})
    strangers = sum(count for text, count in seen.items() if text not in expected)
    # The engines' logits differ in their last bits, so that a token on a cut's border may be in or out.
    assert strangers <= DRAWS * 0.01, sorted(set(seen) - set(expected))
    deviation = _chi_squared_deviation(seen, expected)
    assert deviation < STRICT


def _expected_texts(bench: Bench, tokens: Sequence[int], logits: Logits, sampling: SamplingOptions) -> dict[str, float]:
    """Probabilities by text: some tokens read alike, and halves of characters read as nothing."""
    reference = ReferenceSampler(sampling, previous=tokens, vocabulary_size=len(logits))
    kept, shares = reference.distribution(Candidates.from_logits(logits))
    expected: defaultdict[str, float] = defaultdict(float)
    for token, share in zip(kept.ids, shares, strict=True):
        expected[bench.text(int(token))] += float(share)
    return expected


async def _draw_many(engine: ServedEngine, tokens: Sequence[int], case: Mapping[str, Any]) -> Counter[str]:
    seeds = iter(range(DRAWS))

    async def draw_some() -> Counter[str]:
        return Counter([text_of((await ask(engine, tokens, options(**{**case, "seed": seed})))[0]) for seed in seeds])

    return sum(await asyncio.gather(*(draw_some() for _ in range(4))), Counter())


def _chi_squared_deviation(seen: Mapping[str, int], expected: Mapping[str, float]) -> float:
    """Chi-squared of the draws in standard deviations (Wilson and Hilferty's cube root), rare texts taken together."""
    statistic, groups, rare_seen, rare_expected = 0.0, 0, 0.0, 0.0
    for text, share in expected.items():
        if share * DRAWS < 10:
            rare_seen += seen.get(text, 0)
            rare_expected += share * DRAWS
        else:
            statistic += (seen.get(text, 0) - share * DRAWS) ** 2 / (share * DRAWS)
            groups += 1
    if rare_expected >= 10:
        statistic += (rare_seen - rare_expected) ** 2 / rare_expected
        groups += 1
    freedom = groups - 1
    assert freedom >= 1
    spread = 2 / (9 * freedom)
    return (math.cbrt(statistic / freedom) - (1 - spread)) / math.sqrt(spread)


@pytest.mark.parametrize("wrong", [{"temperature": 1.6}, {"top_k": 10}, {"presence_penalty": 2.0}, {"top_p": 0.6}])
async def test_the_comparison_notices_a_wrong_option(
    bench: Bench, prompt: tuple[list[int], Mapping[str, Logits]], wrong: Mapping[str, Any]
) -> None:
    tokens, logits = prompt[0], prompt[1]["llama.cpp"]
    expected = _expected_texts(bench, tokens, logits, options(**NEUTRAL))
    seen = await _draw_many(bench.engines["llama.cpp"], tokens, {**NEUTRAL, **wrong})
    assert _chi_squared_deviation(seen, expected) > STRICT


async def test_both_engines_compute_the_same_probabilities(
    prompt: tuple[list[int], Mapping[str, Logits]],
) -> None:
    """Their kernels round differently, to eight bits here; likely tokens must be equally likely all the same."""
    native, told = prompt[1]["ctransformers"], prompt[1]["llama.cpp"]
    top = np.argsort(-native)[:100]
    assert np.abs(native - told)[top].max() < 0.3


async def test_both_engines_read_and_say_the_same_for_a_hundred_prompts(bench: Bench) -> None:
    conversations = [json.loads(line)["messages"] for line in HELD_OUT.read_text("utf-8").splitlines()[:100]]
    assert len(conversations) == 100
    sampling = options(temperature=0.0, repeat_penalty=1.0, ignore_eos=False, max_tokens=24)
    for conversation in conversations:
        asked = [Message(message["role"], message["content"]) for message in conversation[:-1]]
        prompts = [await bench.engines[name].encode_chat(asked) for name in ENGINES]
        assert prompts[0] == prompts[1]
        said = [text_of((await ask(bench.engines[name], prompts[0], sampling))[0]) for name in ENGINES]
        if said[0] != said[1]:
            assert await _is_near_tie(bench, prompts[0], sampling), said


async def _is_near_tie(bench: Bench, tokens: list[int], sampling: SamplingOptions) -> bool:
    """Explain a difference: where the engines part, their two tokens are about equally likely."""
    ours, theirs = [await _fetch_tokens(bench.engines[name], tokens, sampling) for name in ENGINES]
    at = next(at for at, (one, two) in enumerate(zip(ours, theirs, strict=False)) if one != two)
    logits = (await fetch_logits([[*tokens, *ours[:at]]]))[0][0]
    return bool(abs(logits[ours[at]] - logits[theirs[at]]) < 0.1)


async def _fetch_tokens(engine: ServedEngine, prompt: Sequence[int], sampling: SamplingOptions) -> list[int]:
    body = completion_body(prompt, sampling, context_tokens=2048) | {"return_tokens": True, "tfs_z": sampling.tfs_z}
    tokens: list[int] = []
    async with aclosing(engine._client.stream("/completion", body)) as events:
        async for event in events:
            tokens += event.get("tokens", ())
    return tokens


@pytest.mark.parametrize("case", [{}, {"mirostat": 1}, {"mirostat": 2}, {"tfs_z": 0.9}])
@pytest.mark.parametrize("name", ENGINES)
async def test_a_seed_repeats_and_another_differs(bench: Bench, name: str, case: Mapping[str, Any]) -> None:
    engine = bench.engines[name]
    tokens = await engine.encode_chat([Message("user", "Tell me a story.")])
    said = [
        text_of((await ask(engine, tokens, options(temperature=1.5, max_tokens=60, seed=seed, **case)))[0])
        for seed in (1, 1, 2)
    ]
    assert said[0] == said[1] != said[2]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("name", ENGINES)
async def test_mirostats_measured_surprise_converges_on_tau(bench: Bench, name: str, version: int) -> None:
    """Two targets, both below the model's own surprise at this temperature; measured on the tokens it said."""
    tokens = await bench.engines[name].encode_chat([Message("user", "Tell me a story.")])
    for tau in (1.0, 2.0):
        sampling = options(
            temperature=2.5, mirostat=version, mirostat_tau=tau, mirostat_eta=0.1, max_tokens=500, seed=3
        )
        said = await _fetch_tokens(bench.engines[name], tokens, sampling)
        logits = (await fetch_logits([[*tokens, *said[:-1]]], last=len(said)))[0]
        surprises = _measure_surprises(said, logits, sampling)
        assert np.mean(surprises[100:]) == pytest.approx(tau, abs=0.2)


def _measure_surprises(said: Sequence[int], logits: Logits, sampling: SamplingOptions) -> list[float]:
    """Follow the engine's draws with the reference's cut, in bits."""
    reference = ReferenceSampler(sampling, previous=(), vocabulary_size=logits.shape[1])
    mirostat = reference._mirostat
    assert mirostat is not None
    surprises = []
    for token, row in zip(said, logits, strict=True):
        kept, shares = reference.distribution(Candidates.from_logits(row))
        # A token on the cut's border may be out here and in there.
        places = np.flatnonzero(kept.ids == token)
        share = float(shares[places[0] if len(places) else -1])
        mirostat.learn(share)
        surprises.append(-math.log2(share))
    return surprises
