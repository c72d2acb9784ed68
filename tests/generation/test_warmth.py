"""Conversations go on after the engine's end as if there had been none, and nothing is kept that should not be."""

import asyncio
import logging
import os
import signal
import sys
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from generation import state_saver, warmth
from generation.adapters import Adapter
from generation.child import ChildSettings
from generation.engine import Finished, Message
from generation.kept_states import KeptStates, common_prefix
from generation.launch import plan_child
from generation.llama_cpp import LlamaCppEngine
from generation.warmth import Keeping
from parley.demo_model import demo_path
from tests.generation.asking import ask, options, text_of
from tests.generation.conftest import config_for
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

GREEDY = options(temperature=0.0, repeat_penalty=1.0, max_tokens=12)
PERSONA = Message("system", "You are Parley, a friendly assistant. Answer briefly.")
ONE, OTHER = "1" * 32, "2" * 32
SECONDS = 60.0
PIRATE = Adapter("pirate", demo_path().with_name("pirate.gguf"))


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save at once; what is saved and when is the same."""
    monkeypatch.setattr(state_saver, "SETTLE_SECONDS", 0.02)
    monkeypatch.setattr(state_saver, "PATIENCE_SECONDS", 0.02)
    # What has its bounds for people may take longer on a machine that many share.
    monkeypatch.setattr(warmth, "RESTORE_SECONDS", SECONDS)
    monkeypatch.setattr(warmth, "CLOSE_SECONDS", SECONDS)


@dataclass
class Kept:
    """A folder of states and the conversations that are still there."""

    folder: Path
    held: set[str] = field(default_factory=lambda: {ONE, OTHER})
    budget_bytes: int = 2**30
    meanwhile: Callable[[], Awaitable[None]] | None = None
    """What happens while the service is asked which conversations are still there."""

    @property
    def files(self) -> list[Path]:
        return list(self.folder.iterdir()) if self.folder.exists() else []

    @property
    def conversations(self) -> list[str]:
        return sorted(state.conversation for state in KeptStates(self.folder, budget_bytes=0).scan())

    @asynccontextmanager
    async def engine(
        self, *, context_tokens: int = 1024, adapters: tuple[Adapter, ...] = (), server_binary: Path | None = None
    ) -> AsyncIterator[LlamaCppEngine]:
        """Run an engine with two slots that keeps its conversations here."""

        async def find_held(names: Collection[str]) -> Collection[str]:
            if self.meanwhile is not None:
                await self.meanwhile()
            return self.held & set(names)

        keeping = Keeping(folder=self.folder, budget_bytes=self.budget_bytes, find_held=find_held)
        config = replace(config_for(demo_path(), context_tokens=context_tokens), server_binary=server_binary)
        engine = LlamaCppEngine(replace(config, keeping=keeping, adapters=adapters))
        await engine.start()
        try:
            yield engine
        finally:
            await engine.close()

    async def until_kept(self, *conversations: str) -> None:
        await eventually(lambda: self.conversations == sorted(conversations), within_seconds=SECONDS)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "states")


async def talk(engine: LlamaCppEngine, turns: int, *said: str, topic: str = "rivers") -> list[int]:
    """Encode a conversation of so many turns, the last of which ends as `said`."""
    messages = [PERSONA]
    for turn in range(turns):
        messages += [
            Message("user", f"Tell me about {topic} and the number {turn}."),
            Message("assistant", "I like it."),
        ]
    roles = ("user", "assistant")
    messages += [Message(roles[at % 2], text) for at, text in enumerate(said)]  # type: ignore[arg-type]
    return await engine.encode_chat(messages)


async def say(
    engine: LlamaCppEngine, prompt: list[int], conversation: str | None = None, adapter: str | None = None
) -> tuple[str, Finished]:
    pieces, end = await ask(engine, prompt, replace(GREEDY, conversation=conversation, adapter=adapter))
    return text_of(pieces), end


async def kill(engine: LlamaCppEngine) -> None:
    """Kill the engine's process and wait for the next one."""
    pid = engine.child_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: engine.child_pid != pid, within_seconds=SECONDS)
    await engine.wait_until_ready(SECONDS)


def is_warm(end: Finished) -> bool:
    return end.cached_tokens >= 0.95 * end.prompt_tokens


@contextmanager
def damaged(path: Path) -> Iterator[None]:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    yield
    assert not path.exists()


async def test_after_the_engine_was_killed_conversations_go_on_warm_and_say_what_a_cold_one_says(kept: Kept) -> None:
    async with kept.engine() as engine:
        for conversation, topic in ((ONE, "rivers"), (OTHER, "red houses")):
            await say(engine, await talk(engine, 20, "My name is Sam.", topic=topic), conversation)
        await kept.until_kept(ONE, OTHER)
        await kill(engine)
        nexts = {
            conversation: await talk(engine, 20, "My name is Sam.", "Nice to meet you, Sam.", "And now?", topic=topic)
            for conversation, topic in ((ONE, "rivers"), (OTHER, "red houses"))
        }
        warm = await asyncio.gather(*(say(engine, prompt, name) for name, prompt in nexts.items()))
        assert [is_warm(end) for _, end in warm] == [True, True]
        await kill(engine)
        cold = [await say(engine, prompt) for prompt in nexts.values()]
        assert not any(is_warm(end) for _, end in cold)
        assert [text for text, _ in warm] == [text for text, _ in cold]


async def test_a_planned_stop_keeps_what_was_just_said(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_saver, "SETTLE_SECONDS", 1000.0)
    async with kept.engine() as engine:
        await say(engine, await talk(engine, 20, "Hello."), ONE)
        assert kept.files == []
    assert kept.conversations == [ONE]
    async with kept.engine() as engine:
        _, end = await say(engine, await talk(engine, 20, "Hello.", "Hi!", "How are you?"), ONE)
        assert is_warm(end)


async def test_a_planned_stop_in_the_middle_of_a_save_keeps_it_too(kept: Kept) -> None:
    is_saving = asyncio.Event()

    async def never_know() -> None:
        is_saving.set()
        await asyncio.Event().wait()

    async with kept.engine() as engine:
        kept.meanwhile = never_know
        await say(engine, await talk(engine, 20, "Hello."), ONE)
        await is_saving.wait()
        kept.meanwhile = None
    assert kept.conversations == [ONE]


async def test_a_conversation_is_kept_though_another_begins_while_it_is_saved(kept: Kept) -> None:
    async with kept.engine() as engine:
        one, other = await talk(engine, 20, "Hello."), await talk(engine, 20, "Hello.", topic="red houses")

        async def begin_the_other_after_the_first_is_written() -> None:
            kept.meanwhile = begin_the_other

        async def begin_the_other() -> None:
            kept.meanwhile = None
            await say(engine, other, OTHER)

        kept.meanwhile = begin_the_other_after_the_first_is_written
        await say(engine, one, ONE)
        await kept.until_kept(ONE, OTHER)


async def test_replies_drawn_token_by_token_are_kept_and_go_on_warm(kept: Kept) -> None:
    stepping = replace(GREEDY, conversation=ONE, no_repeat_ngram_size=5)
    async with kept.engine() as engine:
        await ask(engine, await talk(engine, 20, "Hello."), stepping)
    async with kept.engine() as engine:
        _, end = await ask(engine, await talk(engine, 20, "Hello.", "Hi!", "How are you?"), stepping)
        assert is_warm(end)


async def test_what_the_memory_still_holds_is_not_read_from_the_disk(kept: Kept) -> None:
    async with kept.engine() as engine:
        await say(engine, await talk(engine, 20, "Hello."), ONE)
        await kept.until_kept(ONE)
        (path,) = kept.files
        os.utime(path, (1, 1))
        _, end = await say(engine, await talk(engine, 20, "Hello.", "Hi!", "How are you?"), ONE)
        assert is_warm(end)
        assert not path.exists() or path.stat().st_mtime == 1


async def test_a_conversation_that_lost_its_place_in_memory_comes_back_from_the_disk(kept: Kept) -> None:
    # With adapters the engine has no memory beside its two slots.
    async with kept.engine(adapters=(PIRATE,)) as engine:
        await say(engine, await talk(engine, 20, "Hello."), ONE)
        await kept.until_kept(ONE)
        for topic in ("dogs", "cats", "trees"):
            await say(engine, await talk(engine, 20, "Hello.", topic=topic))
        _, end = await say(engine, await talk(engine, 20, "Hello.", "Hi!", "How are you?"), ONE)
        assert is_warm(end)


async def test_each_adapter_gets_back_what_it_computed_itself_and_nothing_else(kept: Kept) -> None:
    async with kept.engine(adapters=(PIRATE,)) as engine:
        following = await talk(engine, 20, "Hello.", "Ahoy!", "Who are you?")
        await say(engine, await talk(engine, 20, "Hello."), ONE, "pirate")
        await kept.until_kept(ONE)
        await kill(engine)
        assert not is_warm((await say(engine, following, ONE))[1])
        await say(engine, await talk(engine, 20, "Hello."), OTHER, "pirate")
        await kept.until_kept(ONE, OTHER)
        await kill(engine)
        warm, end = await say(engine, following, OTHER, "pirate")
        assert is_warm(end)
        await kill(engine)
        assert (await say(engine, following, None, "pirate"))[0] == warm


async def test_with_other_settings_everything_is_removed_at_the_start(kept: Kept) -> None:
    async with kept.engine() as engine:
        await say(engine, await talk(engine, 10, "Hello."), ONE)
    assert kept.conversations == [ONE]
    async with kept.engine(context_tokens=512) as engine:
        assert kept.files == []
        assert not is_warm((await say(engine, await talk(engine, 10, "Hello.", "Hi!", "And you?"), ONE))[1])


async def test_a_torn_state_is_removed_and_harms_nobody(kept: Kept) -> None:
    async with kept.engine() as engine:
        await say(engine, await talk(engine, 20, "Hello."), ONE)
        await kept.until_kept(ONE)
        await kill(engine)
        pid = engine.child_pid
        with damaged(kept.files[0]):
            _, end = await say(engine, await talk(engine, 20, "Hello.", "Hi!", "How are you?"), ONE)
        assert not is_warm(end)
        assert engine.child_pid == pid


async def test_a_state_that_the_engine_makes_nothing_of_is_removed_and_said(
    kept: Kept, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generation.warmth._restore_slot", _restore_nothing)
    async with kept.engine() as engine:
        await say(engine, await talk(engine, 20, "Hello."), ONE)
        await kept.until_kept(ONE)
        await kill(engine)
        kept.held.clear()
        with caplog.at_level(logging.WARNING, "generation.warmth"):
            await say(engine, await talk(engine, 20, "Hello.", "Hi!", "How are you?"), ONE)
        assert "computed again" in caplog.text
        assert kept.files == []


async def _restore_nothing(*_: object, **__: object) -> None:
    """Do as a server that answers well and restores nothing."""


async def test_the_budget_holds(kept: Kept) -> None:
    async with kept.engine() as engine:
        await say(engine, await talk(engine, 20, "Hello."), ONE)
        await kept.until_kept(ONE)
    kept.budget_bytes = kept.files[0].stat().st_size * 3 // 2
    async with kept.engine() as engine:
        await say(engine, await talk(engine, 20, "Hello.", topic="dogs"), OTHER)
        await kept.until_kept(OTHER)
        assert sum(path.stat().st_size for path in kept.files) <= kept.budget_bytes


async def test_nothing_is_kept_of_replies_that_belong_to_no_conversation_or_to_one_that_is_gone(kept: Kept) -> None:
    async with kept.engine() as engine:
        await say(engine, await talk(engine, 5, "Hello."))
        await say(engine, await talk(engine, 5, "Hello.", topic="dogs"), "3" * 32)
    assert kept.files == []


async def test_forgotten_words_are_gone_from_the_disk_when_that_is_said(kept: Kept) -> None:
    async with kept.engine() as engine:
        prompts = await talk(engine, 5, "I saw purple elephants."), await talk(engine, 5, "Hello.", topic="dogs")
        # As the file has them, from where the two conversations differ.
        secret = array("i", prompts[0][common_prefix(*prompts) :]).tobytes()
        for conversation, prompt in zip((ONE, OTHER), prompts, strict=True):
            await say(engine, prompt, conversation)
        await kept.until_kept(ONE, OTHER)
        assert [secret in path.read_bytes() for path in sorted(kept.files)] == [True, False]
        kept.held.discard(ONE)
        await engine.forget_gone()
        assert [secret in path.read_bytes() for path in kept.files] == [False]
        # Nor do they come back with a reply that was being made meanwhile, or with the stop.
        await say(engine, prompts[0], ONE)
    assert [secret in path.read_bytes() for path in kept.files] == [False]


async def test_an_operators_own_server_keeps_conversations_too(kept: Kept, tmp_path: Path) -> None:
    program, stand_in = tmp_path / "llama-server", Path(__file__).with_name("llama_server_stand_in.py")
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {stand_in} "$@"\n')
    program.chmod(0o700)
    async with kept.engine(server_binary=program) as engine:
        await say(engine, await talk(engine, 20, "Hello."), ONE)
    async with kept.engine(server_binary=program) as engine:
        assert is_warm((await say(engine, await talk(engine, 20, "Hello.", "Hi!", "How are you?"), ONE))[1])


async def test_an_engine_that_cannot_save_slots_answers_all_the_same_and_that_is_said_once(
    kept: Kept, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan_without_saving(*config: Any, **changes: Any) -> ChildSettings:
        return replace(plan_child(*config, **changes), states_folder=None)

    monkeypatch.setattr("generation.llama_cpp.plan_child", plan_without_saving)
    with caplog.at_level(logging.WARNING, "generation.warmth"):
        async with kept.engine() as engine:
            for conversation in (ONE, OTHER):
                await say(engine, await talk(engine, 5, "Hello."), conversation)
                await eventually(lambda: "cannot save slots" in caplog.text, within_seconds=SECONDS)
    assert caplog.text.count("not kept warm on disk") == 1
    assert kept.files == []


async def test_without_a_folder_to_write_to_the_start_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "states").write_text("a file")
    with pytest.raises(Exception, match=r"PARLEY_CACHE_DISK: cannot use .*states"):
        async with Kept(tmp_path / "states" / "inside").engine():
            pass
