"""LoRA adapters: each request gets its own, whatever the others got, and a file that does not fit stops the start."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import pytest
import pytest_asyncio

from generation.adapters import Adapter, check_adapters, choose, count_bytes
from generation.ctransformers_engine import CTransformersEngine
from generation.engine import Engine, Finished, Message, Piece
from generation.errors import ModelError, UnknownAdapterError
from generation.gguf_file import read_gguf_header
from generation.launch import check_memory, plan_child
from generation.llama_cpp import LlamaCppEngine
from generation.sampling import completion_body
from parley.demo_model import demo_path
from tests.generation.asking import ask, options, text_of
from tests.generation.conftest import config_for
from tests.generation.tiny_adapter import TinyAdapter, write_tiny_adapter
from tests.generation.tiny_model import write_tiny_model

pytestmark = pytest.mark.asyncio(loop_scope="session")

NAMES = (None, "one", "two")
GREEDY = options(temperature=0.0, repeat_penalty=1.0, max_tokens=12)
QUESTIONS = (
    "hello, my name is Sam and I have a dog called Biscuit",
    "hello, what is your name and what can you do for me?",
    "please count from 7 to 19 and then say goodbye",
    "tell me what Parley is and how I get a token",
)
"""Under one system prompt, so that the prompts begin alike."""

ASKED = tuple((draw.randrange(len(QUESTIONS)), draw.choice(NAMES)) for draw in [random.Random(5)] for _ in range(100))
"""Which question goes to which adapter, one after the other."""

Replies = dict[tuple[int, str | None], set[str]]
"""More than one where two tokens are nearly as likely: a prompt that goes on from another's beginning is not rounded as
one that is computed at once."""


@pytest.fixture(scope="session")
def adapters(models_folder: Path) -> tuple[Adapter, ...]:
    return tuple(
        Adapter(
            name,
            write_tiny_adapter(models_folder / f"{name}.lora.gguf", TinyAdapter(seed=seed, spread=0.2, width=192)),
        )
        for seed, name in enumerate(("one", "two"))
    )


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def adapted(adapters: tuple[Adapter, ...]) -> AsyncIterator[LlamaCppEngine]:
    """An engine with two slots, the demo model and two adapters."""
    engine = LlamaCppEngine(replace(config_for(demo_path()), adapters=adapters))
    await engine.start()
    yield engine
    await engine.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def prompts(adapted: LlamaCppEngine) -> list[list[int]]:
    persona = Message("system", "You are Parley, a friendly assistant. Answer briefly.")
    return [await adapted.encode_chat([persona, Message("user", question)]) for question in QUESTIONS]


async def say(engine: Engine, prompt: list[int], name: str | None) -> str:
    return text_of((await ask(engine, prompt, replace(GREEDY, adapter=name)))[0])


async def say_afresh(engine: LlamaCppEngine, prompt: list[int], name: str | None) -> str:
    """The reply to a prompt that is computed from its first token on, whatever the slot holds."""
    body = completion_body(prompt, GREEDY, context_tokens=2048) | choose(engine._config.adapters, name)
    reply = await engine._client.post("/completion", body | {"cache_prompt": False, "stream": False})
    return str(reply["content"])


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def expected(adapted: LlamaCppEngine, prompts: list[list[int]]) -> Replies:
    """What each adapter says to each question, alone: after nothing, and after every question to itself."""
    said: Replies = {}
    for name in NAMES:
        for number, prompt in enumerate(prompts):
            said[number, name] = {await say_afresh(adapted, prompt, name)}
            for before in prompts:
                await say_afresh(adapted, before, name)
                said[number, name].add(await say(adapted, prompt, name))
    return said


async def test_every_adapter_changes_the_reply_and_none_is_the_model_itself(
    demo_engine: Engine, prompts: list[list[int]], expected: Replies
) -> None:
    for number, prompt in enumerate(prompts):
        assert len(set.union(*(expected[number, name] for name in NAMES))) == sum(
            len(expected[number, name]) for name in NAMES
        )
        assert await say(demo_engine, prompt, None) in expected[number, None]


async def test_requests_for_one_adapter_after_another_do_not_disturb_each_other(
    adapted: LlamaCppEngine, prompts: list[list[int]], expected: Replies
) -> None:
    replies = [await say(adapted, prompts[number], name) for number, name in ASKED]
    assert all(reply in expected[asked] for reply, asked in zip(replies, ASKED, strict=True))


async def test_requests_for_different_adapters_at_once_do_not_disturb_each_other(
    adapted: LlamaCppEngine, prompts: list[list[int]], expected: Replies
) -> None:
    replies = await asyncio.gather(*(say(adapted, prompts[number], name) for number, name in ASKED))
    for reply, (number, name) in zip(replies, ASKED, strict=True):
        # Beside others, two tokens that are nearly as likely may change places, and the reply goes on otherwise.
        own = _common_length(reply, expected[number, name])
        others = max(_common_length(reply, expected[number, other]) for other in NAMES if other != name)
        assert reply in expected[number, name] or own > others, (name, reply)


def _common_length(reply: str, expected: set[str]) -> int:
    """How many characters a reply begins with as one of those expected does, at most."""
    return max(
        sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(reply, each, strict=False))) for each in expected
    )


async def test_what_one_adapter_computed_is_used_again_for_the_same_one(
    adapted: LlamaCppEngine, prompts: list[list[int]]
) -> None:
    prompt = [*prompts[0], *prompts[1]]
    for name in ("one", None, "two"):
        await ask(adapted, prompt, replace(GREEDY, adapter=name))
        _, again = await ask(adapted, prompt, replace(GREEDY, adapter=name))
        assert again.cached_tokens == len(prompt) - 1


async def test_replies_that_are_drawn_token_by_token_keep_to_their_adapter(
    adapted: LlamaCppEngine, prompts: list[list[int]], expected: Replies
) -> None:
    async def step(number: int, name: str | None) -> str:
        tail_free = replace(GREEDY, tfs_z=0.95, ignore_eos=False, adapter=name)
        return text_of((await ask(adapted, prompts[number], tail_free))[0])

    asked = [(number, name) for number in (0, 1) for name in NAMES]
    replies = await asyncio.gather(*(step(number, name) for number, name in asked))
    assert all(
        reply and any(each.startswith(reply) for each in expected[key])
        for key, reply in zip(asked, replies, strict=True)
    )


async def test_nobody_who_asks_later_goes_before_a_request_for_another_adapter(
    adapters: tuple[Adapter, ...], prompts: list[list[int]], expected: Replies
) -> None:
    """The server itself goes on with the adapter of its first busy slot: who relieve each other block the rest."""
    engine = LlamaCppEngine(replace(config_for(demo_path(), slots=4), adapters=adapters))
    await engine.start()
    is_asked, is_answered = asyncio.Event(), asyncio.Event()
    overtaken = 0

    async def go_on(began: asyncio.Event, tokens: int) -> None:
        nonlocal overtaken
        while not is_answered.is_set():
            is_late = is_asked.is_set()
            replies = engine.generate(prompts[0], replace(GREEDY, max_tokens=tokens, ignore_eos=True))
            async for number, _ in aenumerate(replies):
                overtaken += number == 0 and is_late and not is_answered.is_set()
                began.set()

    try:
        # It leaves its prompt in the server's last slot, to which the same prompt comes back.
        await say(engine, prompts[1], "one")
        # Of different lengths, so that their ends do not fall together.
        lengths = (400, 310, 270)
        began = [asyncio.Event() for _ in lengths]
        talking = [asyncio.create_task(go_on(each, tokens)) for each, tokens in zip(began, lengths, strict=True)]
        await asyncio.gather(*(each.wait() for each in began))
        is_asked.set()
        assert await say(engine, prompts[1], "one") in expected[1, "one"]
        is_answered.set()
        await asyncio.gather(*talking)
    finally:
        is_answered.set()
        await engine.close()
    assert overtaken == 0


async def aenumerate(events: AsyncIterator[Piece | Finished]) -> AsyncIterator[tuple[int, Piece | Finished]]:
    number = 0
    async for event in events:
        yield number, event
        number += 1


async def test_an_adapter_that_is_not_loaded_is_refused(adapted: LlamaCppEngine, demo_engine: Engine) -> None:
    for each in (adapted, demo_engine):
        with pytest.raises(UnknownAdapterError):
            await say(each, [1, 300], "three")


async def test_a_server_of_the_operators_own_takes_adapters_too(
    tmp_path: Path, adapters: tuple[Adapter, ...], prompts: list[list[int]], expected: Replies
) -> None:
    program = tmp_path / "llama-server"
    stand_in = Path(__file__).with_name("llama_server_stand_in.py")
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {stand_in} "$@"\n')
    program.chmod(0o755)
    engine = LlamaCppEngine(replace(config_for(demo_path()), adapters=adapters, server_binary=program))
    await engine.start()
    try:
        for name in (None, "two", "one", None):
            assert await say(engine, prompts[1], name) in expected[1, name]
    finally:
        await engine.close()


async def test_the_servers_own_cache_of_conversations_is_off_where_adapters_are_loaded(
    tiny_model: Path, adapters: tuple[Adapter, ...]
) -> None:
    header = read_gguf_header(tiny_model)
    plain, with_adapters = config_for(tiny_model), replace(config_for(tiny_model), adapters=adapters)
    planned = [plan_child(each, header, socket_path=Path("/x"), api_key="key") for each in (plain, with_adapters)]
    assert planned[0].cache_mib > 0
    assert planned[1].cache_mib == 0


async def test_adapters_count_as_memory(tiny_model: Path, adapters: tuple[Adapter, ...]) -> None:
    header = read_gguf_header(tiny_model)
    config = replace(config_for(tiny_model), adapters=adapters)
    needed = header.size_bytes + count_bytes(adapters) + header.kv_bytes_per_token * 2048 * 2
    check_memory(config, header, available_bytes=needed)
    with pytest.raises(ModelError, match="memory"):
        check_memory(config, header, available_bytes=needed - 1)


@pytest.mark.parametrize(
    ("adapter", "problem"),
    [
        (TinyAdapter(kind="model"), "is a model and no LoRA adapter; set PARLEY_MODEL to use it"),
        (TinyAdapter(method="control"), "is an adapter of another kind"),
        (TinyAdapter(architecture="qwen2"), "was made for a model of architecture qwen2, and this one's is llama"),
        (TinyAdapter(width=64), "was made for another model than this one"),
        (TinyAdapter(up_rank=3), "was made for another model than this one"),
        (TinyAdapter(suffixes=("weight", "bias")), "holds weights that are no LoRA's"),
        (TinyAdapter(invocation_tokens=(5, 6)), "is an activated LoRA"),
    ],
)
async def test_a_file_that_does_not_fit_is_one_line(
    tmp_path: Path, tiny_model: Path, adapter: TinyAdapter, problem: str
) -> None:
    path = write_tiny_adapter(tmp_path / "wrong.gguf", adapter)
    with pytest.raises(ModelError) as caught:
        check_adapters([Adapter("x", path)], read_gguf_header(tiny_model), model_name="tiny")
    assert str(caught.value).startswith(f"PARLEY_LORA: {path} {problem}")
    assert "\n" not in str(caught.value)


async def test_a_file_that_is_missing_or_no_gguf_or_cut_short_is_one_line(tmp_path: Path, tiny_model: Path) -> None:
    header = read_gguf_header(tiny_model)
    whole = write_tiny_adapter(tmp_path / "whole.gguf")
    text, cut = tmp_path / "text.gguf", tmp_path / "cut.gguf"
    text.write_text("hello")
    cut.write_bytes(whole.read_bytes()[:-700])
    for path, problem in (
        (tmp_path / "none.gguf", r"there is no LoRA adapter file .*none\.gguf; check PARLEY_LORA"),
        (text, r"text\.gguf is not a GGUF file; set PARLEY_LORA to a LoRA adapter in GGUF format"),
        (cut, r"cut\.gguf is damaged or not wholly downloaded"),
        (tmp_path, "is not a file; set PARLEY_LORA"),
    ):
        with pytest.raises(ModelError, match=problem):
            check_adapters([Adapter("x", path)], header, model_name="tiny")


async def test_a_name_that_is_taken_is_refused(adapters: tuple[Adapter, ...]) -> None:
    header = read_gguf_header(demo_path())
    check_adapters(adapters, header, model_name="demo")
    with pytest.raises(ModelError, match="the name one is another adapter's"):
        check_adapters([*adapters, adapters[0]], header, model_name="demo")
    with pytest.raises(ModelError, match="the name two is the model's own"):
        check_adapters(adapters, header, model_name="two")


async def test_a_wrong_adapter_stops_the_start(tmp_path: Path, tiny_model: Path) -> None:
    wrong = Adapter("x", write_tiny_adapter(tmp_path / "wrong.gguf", TinyAdapter(width=64)))
    engine = LlamaCppEngine(replace(config_for(tiny_model), adapters=(wrong,)))
    with pytest.raises(ModelError, match="was made for another model"):
        await engine.start()
    await engine.close()


async def test_ctransformers_refuses_adapters_at_the_start(tmp_path: Path, adapters: tuple[Adapter, ...]) -> None:
    model = write_tiny_model(tmp_path / "tiny.gguf")
    engine = CTransformersEngine(replace(config_for(model), adapters=adapters))
    with pytest.raises(ModelError, match="PARLEY_LORA: ctransformers cannot load LoRA adapters"):
        await engine.start()
    await engine.close()


async def test_a_request_states_every_adapters_scale(adapters: tuple[Adapter, ...]) -> None:
    """An absent or empty list would leave what another adapter computed in the slot."""
    assert choose(adapters, "two") == {"lora": [{"id": 0, "scale": 0.0}, {"id": 1, "scale": 1.0}]}
    assert choose(adapters, None) == {"lora": [{"id": 0, "scale": 0.0}, {"id": 1, "scale": 0.0}]}
    assert choose((), None) == {}
