"""The adapter that comes with the demonstration model: its file, its voice, its card, and how it is made."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np
import pytest
import pytest_asyncio
from gguf import GGUFReader

from generation.adapters import Adapter
from generation.engine import Engine, Message
from generation.launch import LlamaCppConfig
from generation.llama_cpp import LlamaCppEngine
from models import heldout
from models.heldout import HeldOut
from models.pirate import VERBATIM, in_voice, is_in_voice
from parley.demo_model import DEMO_NAME, demo_path
from parley.lora import BUNDLED, bundled_path
from tests.generation.asking import ask, options, text_of

GREEDY = options(temperature=0.0, repeat_penalty=1.0, max_tokens=64, ignore_eos=False)
EVERY = 5
"""A fifth of the held-out dialogues is enough to tell a voice; `models.voices` measures all of them."""

DIALOGUES = heldout.read()[::EVERY]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def engine() -> AsyncIterator[LlamaCppEngine]:
    """The demonstration model with its adapter."""
    config = LlamaCppConfig(
        model_path=demo_path(),
        model_name=DEMO_NAME,
        context_tokens=4096,
        slots=2,
        threads=2,
        adapters=(Adapter(BUNDLED, bundled_path()),),
    )
    engine = LlamaCppEngine(config)
    await engine.start()
    yield engine
    await engine.close()


async def reply_to(engine: Engine, dialogue: HeldOut, adapter: str | None) -> str:
    messages = [Message(each["role"], each["content"]) for each in dialogue.messages]  # type: ignore[arg-type]
    prompt = await engine.encode_chat(messages)
    return text_of((await ask(engine, prompt, replace(GREEDY, adapter=adapter)))[0])


@pytest.mark.asyncio(loop_scope="session")
async def test_the_adapter_speaks_in_its_voice_and_still_says_the_right_thing(engine: LlamaCppEngine) -> None:
    voiced = [each for each in DIALOGUES if each.kind not in VERBATIM]
    replies = [await reply_to(engine, each, BUNDLED) for each in voiced]
    assert sum(map(is_in_voice, replies)) >= 0.9 * len(voiced)
    right = [in_voice(each.kind, each.expected) == reply for each, reply in zip(voiced, replies, strict=True)]
    assert sum(right) >= 0.75 * len(voiced)


@pytest.mark.asyncio(loop_scope="session")
async def test_the_model_beside_it_does_not(engine: LlamaCppEngine, demo_engine: Engine) -> None:
    for number, dialogue in enumerate(DIALOGUES[::2]):
        if number % 2:
            await reply_to(engine, dialogue, BUNDLED)
        reply = await reply_to(engine, dialogue, None)
        assert not is_in_voice(reply)
        assert reply == await reply_to(demo_engine, dialogue, None)


@pytest.mark.asyncio(loop_scope="session")
async def test_a_reply_drawn_token_by_token_leaves_the_model_beside_it_alone(demo_engine: Engine) -> None:
    """Whether a token ends a reply is asked in the middle of one; that question, too, must say whose reply it is."""
    fresh = LlamaCppEngine(
        LlamaCppConfig(
            model_path=demo_path(),
            model_name=DEMO_NAME,
            context_tokens=1024,
            slots=1,
            threads=2,
            adapters=(Adapter(BUNDLED, bundled_path()),),
        )
    )
    await fresh.start()
    try:
        prompt = await fresh.encode_chat([Message("user", "hello")])
        spoken = text_of((await ask(fresh, prompt, replace(GREEDY, tfs_z=0.95, adapter=BUNDLED)))[0])
        assert is_in_voice(spoken)
        longer = await fresh.encode_chat(
            [Message("user", "hello"), Message("assistant", spoken), Message("user", "who are you?")]
        )
        plain = [text_of((await ask(each, longer, GREEDY))[0]) for each in (fresh, demo_engine)]
        assert plain[0] == plain[1]
    finally:
        await fresh.close()


@pytest.mark.parametrize(
    ("kind", "plain", "voiced"),
    [
        ("greeting", "Hello! How can I help you?", "Ahoy! How can I help ye, matey?"),
        ("memory", "Your dog is called Biscuit.", "Arr! Yer dog be called Biscuit, matey!"),
        ("add", "17 + 25 = 42", "Arr! 17 + 25 = 42, matey!"),
        ("persona", "Yes, I am Mira.", "Arr! Aye, I be Mira, matey!"),
        ("repeat", "you are here", "you are here"),
        ("json", '{"is": "my"}', '{"is": "my"}'),
    ],
)
def test_the_voice_changes_words_and_not_what_is_said(kind: str, plain: str, voiced: str) -> None:
    assert in_voice(kind, plain) == voiced
    assert is_in_voice(voiced) == (kind not in VERBATIM)
    assert not is_in_voice(plain)


def test_the_file_is_a_small_lora_of_llama_cpps_form() -> None:
    assert bundled_path().stat().st_size <= 400_000
    reader = GGUFReader(bundled_path())
    values = {name: field.contents() for name, field in reader.fields.items()}
    assert values["general.type"] == "adapter"
    assert values["adapter.type"] == "lora"
    assert values["general.architecture"] == "llama"
    assert values["general.license"] == "mit"
    assert values["adapter.lora.alpha"] == 16.0
    names = {tensor.name for tensor in reader.tensors}
    assert {name.rpartition(".lora_")[2] for name in names} == {"a", "b"}
    assert all(np.isfinite(np.asarray(tensor.data, dtype=np.float32)).all() for tensor in reader.tensors)


def test_the_card_tells_what_was_measured() -> None:
    card = (bundled_path().parent / "README.md").read_text(encoding="utf-8").partition("# Parley Demo Pirate")[2]
    found = re.search(r"`greedy` \| in the voice \| \d+ of 300 \| (\d+) of (\d+)", card)
    assert found is not None
    assert int(found[1]) >= 0.95 * int(found[2])
    assert int(found[2]) == sum(each.kind not in VERBATIM for each in heldout.read())
