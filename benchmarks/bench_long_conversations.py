"""Whether long conversations stay fast: past their window, and many of them over few slots.

Prints a table and ends in one line of JSON. Everything goes through `POST /ai/chat` of the real service, with a
generated model of random weights that is large enough for the prompt to be the cost (`--model PATH` takes another):

- A conversation grows to ten times its window. Its last turns are timed against turn 5 of fresh conversations, and
  against what dropping one message per turn costs, where the client sends what just fits. All three take turns, so a
  machine that changes its speed changes it for all.
- Twenty channels with one persona take turns over four slots, four of them at a time.
- Conversations go on after a planned restart of the engine and after its `kill -9`, warm and, the same turn once more,
  cold. The same with the bundled model, whose greedy replies are compared.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import tempfile
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from api.contract import CONVERSATION_HEADER, ON_BEHALF_OF_HEADER
from benchmarks.random_model import write_random_model
from benchmarks.talking import Conversation, Reply, ask
from generation.launch import LlamaCppConfig
from generation.llama_cpp import LlamaCppEngine
from generation.warmth import Keeping
from parley.demo_model import demo_path
from tests.service import SERVICE_TOKEN, Service, running_service

SLOTS, THREADS = 4, 1
WINDOW_TOKENS = 900
OPTIONS = {"num_ctx": WINDOW_TOKENS, "num_predict": 12}

TIMES_WINDOW, TURN_TOKENS = 10, 40
EARLY_TURN = 5
COMPARED_TURNS = 36
"""Three blocks' worth: the dear turn on which a block is dropped is among them as often as it comes."""
COMPARED_EVERY = 3
"""Every so many turns, a fresh conversation and the reference take theirs."""

CHANNEL_OPTIONS = {**OPTIONS, "num_ctx": 2 * WINDOW_TOKENS}
"""No conversation outgrows its window here: what that costs is measured above."""
CHANNELS = 20
CHANNEL_TURNS = 3
CHANNEL_HISTORY_TURNS = 16
"""What was said in each channel before the counting begins: about 700 tokens."""

SAVED_SECONDS = 3.0
"""After a reply, for the state to be saved: ten times as long as it waits."""
RESTARTED, RESTARTED_TURNS = 4, 26
COMPARED_REPLIES, COMPARED_HISTORY = 20, 12
COMPARED_OPTIONS = {"num_ctx": WINDOW_TOKENS, "num_predict": 24, "repeat_penalty": 1.0}
"""Conversations that go on after each restart, of about 1,200 tokens; replies that are compared, after 500."""


async def take_turn(
    service: Service,
    conversation: Conversation,
    *,
    options: Mapping[str, Any] = OPTIONS,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Ask the next question with everything said before, as the bot does; the service cuts it in blocks."""
    question = conversation.next_question()
    reply = await ask(service, conversation.asking(question), options=options, headers=headers)
    conversation.keep(question, reply.text)
    return reply


class DroppingClient:
    """Goes on with a conversation and leaves out one more message for each that is new, as many bots do."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._first = 0

    async def take_turn(self, service: Service) -> Reply:
        """Ask the next question with as many of the last messages as fit."""
        question = self._conversation.next_question()
        while not await self._fits(service, question):
            self._first += 1
        reply = await ask(service, self._conversation.asking(question, first=self._first), options=OPTIONS)
        self._conversation.keep(question, reply.text)
        return reply

    async def _fits(self, service: Service, question: Mapping[str, str]) -> bool:
        body = {"messages": self._conversation.asking(question, first=self._first), **OPTIONS}
        _, counted, _ = await service.post("/ai/tokenize", body)
        return bool(counted["dropped_messages"] == 0)


async def measure_length(service: Service) -> dict[str, float]:
    """Grow a conversation to ten windows and compare its last turns."""
    long = with_history(1, turns=TIMES_WINDOW * WINDOW_TOKENS // TURN_TOKENS)
    await take_turn(service, long)
    dropping = DroppingClient(Conversation(2, messages=list(long.messages)))
    late, early, dropped = [], [], []
    for number in range(COMPARED_TURNS):
        late.append(await take_turn(service, long))
        if number % COMPARED_EVERY == 0:
            fresh = with_history(100 + number, turns=EARLY_TURN - 2)
            early.append([await take_turn(service, fresh) for _ in range(2)][-1])
            dropped.append(await dropping.take_turn(service))
    # The first one of the reference has nothing before it that it could have in common with.
    return {
        "turns": len(long.messages) // 2,
        **_summary("early", early),
        **_summary("late", late),
        **_summary("dropping", dropped[1:]),
        "late_to_early": round(_first_ms(late) / _first_ms(early), 2),
        "dropping_to_late": round(_first_ms(dropped[1:]) / _first_ms(late), 1),
    }


async def measure_channels(service: Service) -> dict[str, float]:
    """Let channels take turns, as many at a time as there are slots."""
    channels = [with_history(1000 + number, turns=CHANNEL_HISTORY_TURNS) for number in range(CHANNELS)]
    await _round(service, channels)
    replies = [reply for _ in range(CHANNEL_TURNS) for reply in await _round(service, channels)]
    return _summary("channels", replies)


async def _round(service: Service, channels: list[Conversation]) -> list[Reply]:
    running = asyncio.Semaphore(SLOTS)

    async def turn(channel: Conversation) -> Reply:
        async with running:
            return await take_turn(service, channel, options=CHANNEL_OPTIONS)

    return await asyncio.gather(*map(turn, channels))


def with_history(number: int, *, turns: int) -> Conversation:
    """Make a conversation in which so many turns were taken before."""
    conversation = Conversation(number)
    for _ in range(turns):
        conversation.keep(conversation.next_question(), conversation.next_question()["content"][:40])
    return conversation


async def measure_restarts(config: LlamaCppConfig, folder: Path) -> dict[str, float]:
    """Restart the engine in order, then kill it, and go on with the conversations each time."""
    names = {f"{number:032x}": with_history(2000 + number, turns=RESTARTED_TURNS) for number in range(RESTARTED)}
    config = replace(config, keeping=_keep_all(folder / "states"))
    async with _serving(config, folder) as (service, _):
        for name, conversation in names.items():
            await take_turn(service, conversation, options=CHANNEL_OPTIONS, headers=on_behalf(name))
            await asyncio.sleep(SAVED_SECONDS)
    async with _serving(config, folder) as (service, engine):
        planned = []
        for name, conversation in names.items():
            planned.append(await take_turn(service, conversation, options=CHANNEL_OPTIONS, headers=on_behalf(name)))
            await asyncio.sleep(SAVED_SECONDS)
        killed, cold = await _compare_after_kills(service, engine, names, options=CHANNEL_OPTIONS)
    return {**_summary("planned", planned), **_summary("killed", killed), **_summary("cold", cold)}


async def measure_identity(folder: Path) -> dict[str, float]:
    """Compare replies of the bundled model after a kill with cold ones; random weights toss a coin between tokens."""
    names = {
        f"{number:032x}": with_history(3000 + number, turns=COMPARED_HISTORY) for number in range(COMPARED_REPLIES)
    }
    config = LlamaCppConfig(
        model_path=demo_path(), model_name="demo", context_tokens=WINDOW_TOKENS, slots=SLOTS, threads=THREADS
    )
    async with _serving(replace(config, keeping=_keep_all(folder / "demo-states")), folder) as (service, engine):
        for name, conversation in names.items():
            await take_turn(service, conversation, options=COMPARED_OPTIONS, headers=on_behalf(name))
            await asyncio.sleep(SAVED_SECONDS / 2)
        warm, cold = await _compare_after_kills(service, engine, names, options=COMPARED_OPTIONS)
    same = sum(one.text == other.text for one, other in zip(warm, cold, strict=True))
    return {**_summary("compared", warm), "same_replies": same / COMPARED_REPLIES}


async def _compare_after_kills(
    service: Service, engine: LlamaCppEngine, names: Mapping[str, Conversation], *, options: Mapping[str, Any]
) -> tuple[list[Reply], list[Reply]]:
    """Kill the engine and ask each conversation's next question; kill it again and ask the same of nobody's."""
    asked = {name: conversation.asking(conversation.next_question()) for name, conversation in names.items()}
    await _kill(engine)
    warm = [await ask(service, each, options=options, headers=on_behalf(name)) for name, each in asked.items()]
    await _kill(engine)
    return warm, [await ask(service, each, options=options) for each in asked.values()]


def _keep_all(folder: Path) -> Keeping:
    async def find_held(names: Collection[str]) -> Collection[str]:
        return names

    return Keeping(folder=folder, budget_bytes=2**30, find_held=find_held)


def on_behalf(name: str) -> dict[str, str]:
    """Speak as the bot does, in a conversation of this name."""
    authorization = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
    return authorization | {ON_BEHALF_OF_HEADER: "discord:1", CONVERSATION_HEADER: name}


async def _kill(engine: LlamaCppEngine) -> None:
    pid = engine.child_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while engine.child_pid == pid:  # noqa: ASYNC110 - processes end without a word
        await asyncio.sleep(0.01)
    await engine.wait_until_ready(60)


def _first_ms(replies: list[Reply]) -> float:
    return statistics.median(reply.first_ms for reply in replies)


def _summary(name: str, replies: list[Reply]) -> dict[str, float]:
    cached = sum(reply.cached_tokens for reply in replies) / sum(reply.prompt_tokens for reply in replies)
    return {f"{name}_first_ms": round(_first_ms(replies)), f"{name}_cached": round(cached, 3)}


async def measure(model: Path, folder: Path) -> dict[str, float]:
    """Measure everything."""
    config = LlamaCppConfig(
        model_path=model, model_name="model", context_tokens=2 * WINDOW_TOKENS, slots=SLOTS, threads=THREADS
    )
    async with _serving(config, folder) as (service, _):
        figures = {**await measure_length(service), **await measure_channels(service)}
    return {**figures, **await measure_restarts(config, folder), **await measure_identity(folder)}


@asynccontextmanager
async def _serving(config: LlamaCppConfig, folder: Path) -> AsyncIterator[tuple[Service, LlamaCppEngine]]:
    engine = LlamaCppEngine(config)
    await engine.start()
    try:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            async with running_service(engine, Path(name), daily_calls=100_000) as service:
                yield service, engine
    finally:
        await engine.close()


def main() -> None:
    """Run, print the table, end in JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path)
    with tempfile.TemporaryDirectory() as name:
        model = parser.parse_args().model or write_random_model(Path(name) / "random.gguf")
        figures = asyncio.run(measure(model, Path(name)))
    table = Table("", "first token, ms", "of the prompt from the cache", title=f"{model.name}, window {WINDOW_TOKENS}")
    for key, words in {
        "early": f"turn {EARLY_TURN} of a fresh conversation",
        "late": f"a conversation of {TIMES_WINDOW} windows",
        "dropping": "the same, dropping one message per turn",
        "channels": f"{CHANNELS} channels over {SLOTS} slots",
        "planned": "the first turn after a restart",
        "killed": "the first turn after a kill -9",
        "cold": "the same turn, cold",
    }.items():
        table.add_row(words, f"{figures[f'{key}_first_ms']:,.0f}", f"{figures[f'{key}_cached']:.3f}")
    Console().print(table)
    print(f"{figures['same_replies']:.0%} of the bundled model's replies after a kill -9 are those of a cold engine")
    print(json.dumps({"benchmark": "long_conversations", "model": model.name, **figures}))


if __name__ == "__main__":
    main()
