"""No run of so many tokens occurs twice in a reply, with either engine, counted token by token."""

import random
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from generation import stepping
from generation.client import EngineClient
from generation.ctransformers_engine import CTransformersEngine
from generation.engine import Engine, Message
from generation.errors import FormatRefusedError
from generation.llama_cpp import LlamaCppEngine
from generation.runs import SaidRuns
from tests.generation.asking import ask, options, text_of
from tests.generation.test_ctransformers_engine import config_for

SESSION = pytest.mark.asyncio(loop_scope="session")

TURNS = [Message("user", "the end the end"), Message("assistant", "the end us"), Message("user", "Again the end us?")]


def most_often(tokens: Sequence[int], length: int) -> int:
    """Say how often the most frequent run of this length occurs."""
    runs = Counter(tuple(tokens[at : at + length]) for at in range(len(tokens) - length + 1))
    return max(runs.values(), default=0)


@given(st.integers(1, 5), st.lists(st.integers(0, 3), max_size=60))
def test_exactly_what_would_repeat_a_run_is_named(length: int, wished: list[int]) -> None:
    runs, said = SaidRuns(length), list[int]()
    for token in wished:
        repeating = runs.repeating()
        for each in range(4):
            assert (each in repeating) == (most_often([*said, each], length) > 1)
        if token not in repeating:
            runs.add(token)
            said.append(token)


def test_length_0_forbids_nothing() -> None:
    runs = SaidRuns(0)
    for _ in range(10):
        runs.add(1)
        assert not runs.repeating()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def second(tiny_model: Path) -> AsyncIterator[CTransformersEngine]:
    engine = CTransformersEngine(config_for(tiny_model))
    await engine.start()
    yield engine
    await engine.close()


@pytest.fixture(params=["llama.cpp", "ctransformers"])
def either(request: pytest.FixtureRequest, engine: LlamaCppEngine, second: CTransformersEngine) -> Engine:
    return engine if request.param == "llama.cpp" else second


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The tokens of the replies, as they are drawn on one engine and as the other's child names them."""
    tokens: list[int] = []
    draw, stream = stepping._Reply.draw, EngineClient.stream_together

    def noting_draw(reply: Any, step: Any) -> int:
        tokens.append(draw(reply, step))
        return tokens[-1]

    async def noting_stream(
        client: EngineClient, path: str, body: Mapping[str, Any]
    ) -> AsyncGenerator[Sequence[dict[str, Any]], None]:
        async for events in stream(client, path, body):
            if "no_repeat_ngram_size" in body:
                tokens.extend(token for event in events for token in event["tokens"])
            yield events

    monkeypatch.setattr(stepping._Reply, "draw", noting_draw)
    monkeypatch.setattr(EngineClient, "stream_together", noting_stream)
    return tokens


@SESSION
@pytest.mark.parametrize("length", [1, 2, 3, 5])
async def test_no_run_occurs_twice(either: Engine, drawn: list[int], length: int) -> None:
    chance = random.Random(length)
    prompt = await either.encode_chat(TURNS)
    for case in range(6):
        sampling = options(
            no_repeat_ngram_size=length,
            # Greedy, or from few: that is what runs in circles.
            temperature=chance.choice([0.0, 0.0, 0.3, 1.0]),
            top_k=chance.choice([0, 1, 3, 50]),
            top_p=chance.choice([0.5, 1.0]),
            repeat_penalty=1.0,
            seed=case + 1,
            max_tokens=120,
        )
        drawn.clear()
        _, end = await ask(either, prompt, sampling)
        assert len(drawn) == end.completion_tokens
        assert most_often(drawn, length) == 1


@SESSION
async def test_without_it_the_same_model_runs_in_circles(second: CTransformersEngine, drawn: list[int]) -> None:
    prompt = await second.encode_chat(TURNS)
    await ask(second, prompt, options(temperature=0.0, repeat_penalty=1.0, max_tokens=120))
    assert most_often(drawn, 5) > 1


@SESSION
async def test_runs_of_the_prompt_may_be_said(either: Engine, drawn: list[int]) -> None:
    """The tiny model says a control token's neighbour or two again; a run of one token is the strictest case."""
    prompt = await either.encode_chat(TURNS)
    await ask(either, prompt, options(no_repeat_ngram_size=1, temperature=0.0, repeat_penalty=1.0, max_tokens=200))
    assert set(drawn) & set(prompt)


@SESSION
async def test_a_reply_that_needs_no_forbidding_is_the_ordinary_one(either: Engine) -> None:
    prompt = await either.encode_chat([Message("user", "Hello")])
    plain = options(temperature=0.0, repeat_penalty=1.0, max_tokens=4, ignore_eos=False)
    expected, _ = await ask(either, prompt, plain)
    held, _ = await ask(either, prompt, options(**{
        **{name: getattr(plain, name) for name in plain.__dataclass_fields__}, "no_repeat_ngram_size": 5,
    }))  # fmt: skip
    assert text_of(held) == text_of(expected)


@SESSION
async def test_the_same_seed_gives_the_same_reply(either: Engine) -> None:
    prompt = await either.encode_chat(TURNS)
    sampling = options(no_repeat_ngram_size=2, seed=5, max_tokens=40)
    first, _ = await ask(either, prompt, sampling)
    again, _ = await ask(either, prompt, sampling)
    assert text_of(first) == text_of(again)


@SESSION
async def test_a_vocabulary_that_is_used_up_ends_the_reply(either: Engine, drawn: list[int]) -> None:
    prompt = await either.encode_chat([Message("user", "Hello")])
    _, end = await ask(either, prompt, options(no_repeat_ngram_size=1, max_tokens=900, ignore_eos=True))
    assert len(set(drawn)) == len(drawn)
    assert end.reason in ("stop", "length")


@SESSION
async def test_with_a_schema_one_engine_refuses_and_the_other_keeps_the_schema(
    engine: LlamaCppEngine, second: CTransformersEngine
) -> None:
    schema = {"const": "a a a a a a a a a a a a"}
    sampling = options(no_repeat_ngram_size=2, json_schema=schema, max_tokens=60)
    prompt = await engine.encode_chat([Message("user", "Hello")])
    with pytest.raises(FormatRefusedError):
        await ask(engine, prompt, sampling)
    pieces, _ = await ask(second, prompt, sampling)
    assert text_of(pieces) == '"a a a a a a a a a a a a"'
