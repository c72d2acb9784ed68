"""Tail-free sampling on llama.cpp behaves as the engine's own loop does, but for what it samples."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio

from generation.candidates import probabilities
from generation.client import EngineClient
from generation.engine import Finished, Message, Piece, SamplingOptions
from generation.errors import FormatRefusedError
from generation.gguf_file import read_gguf_header
from generation.llama_cpp import LlamaCppEngine
from generation.stepping import Stepper, _fetch_step, needs_stepping
from parley.demo_model import demo_path
from tests.generation.asking import ask, count_busy_slots, options, text_of, wait_for_busy_slots
from tests.generation.conftest import config_for

pytestmark = pytest.mark.asyncio(loop_scope="session")

LONG_PROMPT = [1] + [300] * 16_000


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def demo() -> AsyncIterator[LlamaCppEngine]:
    engine = LlamaCppEngine(config_for(demo_path()))
    await engine.start()
    yield engine
    await engine.close()


def stepper_for(model: Path) -> Stepper:
    return Stepper(read_gguf_header(model), context_tokens=2048)


async def step(
    engine: LlamaCppEngine, model: Path, prompt: list[int], sampling: SamplingOptions
) -> tuple[str, Finished]:
    """Take the stepping path for options that the engine's own loop could do too."""
    events = [event async for event in stepper_for(model).generate(engine._client, prompt, sampling, chosen={})]
    *pieces, end = events
    assert isinstance(end, Finished)
    return "".join(piece.text for piece in pieces if isinstance(piece, Piece)), end


async def test_only_tail_free_sampling_needs_it() -> None:
    assert needs_stepping(options(tfs_z=0.99))
    assert not needs_stepping(options(tfs_z=1.0))
    assert not needs_stepping(options(tfs_z=0.5, mirostat=2))


async def test_greedy_steps_say_what_the_engines_own_loop_says_and_count_alike(demo: LlamaCppEngine) -> None:
    questions = ("Hello, who are you?", "What can you do?", "Tell me a story.", "Count to ten.", "2+2", "")
    cases = ({"ignore_eos": False}, {"top_k": 0, "ignore_eos": False}, {"repeat_penalty": 1.3, "presence_penalty": 0.5})
    for question in questions:
        prompt = await demo.encode_chat([Message("user", question)])
        for case in cases:
            sampling = options(temperature=0.0, max_tokens=40, **case)
            pieces, end = await ask(demo, prompt, sampling)
            said, stepped = await step(demo, demo_path(), prompt, sampling)
            assert said == text_of(pieces)
            assert (stepped.reason, stepped.completion_tokens) == (end.reason, end.completion_tokens)
            assert (stepped.prompt_tokens, stepped.cached_tokens) == (len(prompt), len(prompt) - 1)


async def test_the_end_of_the_context_ends_the_reply(engine: LlamaCppEngine) -> None:
    _, end = await ask(engine, [1] + [300] * 2042, options(max_tokens=400, tfs_z=0.9))
    assert (end.reason, end.completion_tokens) == ("length", 5)


async def test_a_stop_text_may_lie_across_steps(demo: LlamaCppEngine) -> None:
    prompt = await demo.encode_chat([Message("user", "Hello, who are you?")])
    sampling = options(temperature=0.0, tfs_z=0.9, max_tokens=40, repeat_penalty=1.0)
    whole = text_of((await ask(demo, prompt, sampling))[0])
    stop = whole[5:12]
    pieces, end = await ask(demo, prompt, options(**{**_changes(sampling), "stop": ("never said", stop)}))
    assert (text_of(pieces), end.reason, end.stop_text) == (whole[: whole.index(stop)], "stop", stop)


def _changes(sampling: SamplingOptions) -> dict[str, object]:
    return {name: getattr(sampling, name) for name in ("temperature", "tfs_z", "max_tokens", "repeat_penalty")}


async def test_a_character_of_several_tokens_comes_whole(engine: LlamaCppEngine) -> None:
    """Random weights say bytes of characters all the time; none is ever shown by half, and none stops the reply."""
    sampling = options(temperature=3.0, top_k=0, top_p=1.0, tfs_z=0.999, max_tokens=300)
    pieces, end = await ask(engine, [1, 300], sampling)
    assert end.completion_tokens == 300
    text_of(pieces).encode()


class _LeadingClient:
    """The engine's client, in front of a model that wants to begin an emoji: its first byte is made all but certain."""

    def __init__(self, client: EngineClient, lead: int) -> None:
        self._client = client
        self._lead = lead

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        return await self._client.post(path, {**body, "logit_bias": [*body["logit_bias"], [self._lead, 25.0]]})


async def test_a_token_that_only_begins_a_character_is_a_candidate_like_others(
    engine: LlamaCppEngine, tiny_model: Path
) -> None:
    """Where the server itself would draw such a token, it names no candidates at all."""
    tokens = read_gguf_header(tiny_model).tokens
    lead, plain = tokens.index(b"<0xF0>"), tokens.index(b"a")
    body = {
        "prompt": [1, 300], "n_predict": 1, "samplers": ["top_k"], "top_k": 400, "n_probs": 400, "temperature": 1.0,
        "post_sampling_probs": True, "cache_prompt": True, "seed": 1,
    }  # fmt: skip
    usual = (await _fetch_step(engine._client, body, plain=plain)).candidates
    leading = cast("EngineClient", _LeadingClient(engine._client, lead))
    found = (await _fetch_step(leading, body, plain=plain)).candidates
    assert list(found.ids) == list(usual.ids)
    assert probabilities(found)[found.ids == lead] > 0.99
    others = found.ids != lead
    assert probabilities(found.at(others)) == pytest.approx(probabilities(usual.at(others)), rel=1e-3)


async def test_a_seed_repeats(demo: LlamaCppEngine) -> None:
    prompt = await demo.encode_chat([Message("user", "Tell me a story.")])
    said = [
        text_of((await ask(demo, prompt, options(tfs_z=0.97, temperature=2.0, seed=seed)))[0]) for seed in (1, 1, 2)
    ]
    assert said[0] == said[1] != said[2]


async def test_a_schema_beside_tail_free_sampling_is_refused(demo: LlamaCppEngine) -> None:
    with pytest.raises(FormatRefusedError) as caught:
        await ask(demo, [1, 300], options(tfs_z=0.9, json_schema={"type": "object"}))
    assert "tfs_z" in caught.value.problem


async def test_replies_beside_each_other_do_not_mix(demo: LlamaCppEngine) -> None:
    """More of them than slots, some stepping and some not."""
    prompts = [await demo.encode_chat([Message("user", f"Tell me about the number {at}.")]) for at in range(6)]
    samplings = [options(tfs_z=0.9 if at % 2 else 1.0, temperature=0.0, max_tokens=30) for at in range(6)]
    alone = [text_of((await ask(demo, *pair))[0]) for pair in zip(prompts, samplings, strict=True)]
    together = await asyncio.gather(*(ask(demo, *pair) for pair in zip(prompts, samplings, strict=True)))
    assert [text_of(pieces) for pieces, _ in together] == alone


async def test_closing_a_stream_frees_its_slot(demo: LlamaCppEngine) -> None:
    async with aclosing(demo.generate([1, 300], options(max_tokens=1000, tfs_z=0.9))) as events:
        async for event in events:
            assert isinstance(event, Piece)
            break
    await wait_for_busy_slots(demo, 0, timeout_seconds=10)


async def test_cancelling_during_the_prompt_frees_its_slot(slow_engine: LlamaCppEngine) -> None:
    asking = asyncio.create_task(ask(slow_engine, LONG_PROMPT, options(tfs_z=0.9)))
    await wait_for_busy_slots(slow_engine, 1, timeout_seconds=20)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await wait_for_busy_slots(slow_engine, 0, timeout_seconds=10)
    assert await count_busy_slots(slow_engine) == 0
