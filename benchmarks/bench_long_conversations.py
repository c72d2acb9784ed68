"""Whether long conversations stay fast: past their window, and many of them over few slots.

Prints a table and ends in one line of JSON. Everything goes through `POST /ai/chat` of the real service, with a
generated model of random weights that is large enough for the prompt to be the cost (`--model PATH` takes another):

- A conversation grows to ten times its window. Its last turns are timed against turn 5 of fresh conversations, and
  against what dropping one message per turn costs, where the client sends what just fits. All three take turns, so a
  machine that changes its speed changes it for all.
- Twenty channels with one persona take turns over four slots, four of them at a time.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.random_model import write_random_model
from benchmarks.talking import Conversation, Reply, ask
from generation.launch import LlamaCppConfig
from generation.llama_cpp import LlamaCppEngine
from tests.service import Service, running_service

SLOTS, THREADS = 4, 1
WINDOW_TOKENS = 900
OPTIONS = {"num_ctx": WINDOW_TOKENS, "num_predict": 12}

TIMES_WINDOW = 10
EARLY_TURN = 5
COMPARED_TURNS = 36
"""Three blocks' worth: the dear turn on which a block is dropped is among them as often as it comes."""
COMPARED_EVERY = 3
"""Every so many turns, a fresh conversation and the reference take theirs."""

CHANNELS = 20
CHANNEL_TURNS = 6
CHANNEL_HISTORY_TURNS = 14
"""What was said in each channel before the counting begins: about 600 tokens."""


async def take_turn(service: Service, conversation: Conversation) -> Reply:
    """Ask the next question with everything said before, as the bot does; the service cuts it in blocks."""
    question = conversation.next_question()
    reply = await ask(service, conversation.asking(question), options=OPTIONS)
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
    long = Conversation(1)
    said_tokens = 0
    while said_tokens < TIMES_WINDOW * WINDOW_TOKENS:
        _, counted, _ = await service.post("/ai/tokenize", {"text": long.next_question()["content"]})
        said_tokens += counted["tokens"] + OPTIONS["num_predict"]
        await take_turn(service, long)
    dropping = DroppingClient(Conversation(2, messages=list(long.messages)))
    late, early, dropped = [], [], []
    for number in range(COMPARED_TURNS):
        late.append(await take_turn(service, long))
        if number % COMPARED_EVERY == 0:
            fresh = Conversation(100 + number)
            early.append([await take_turn(service, fresh) for _ in range(EARLY_TURN)][-1])
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
    channels = [Conversation(1000 + number) for number in range(CHANNELS)]
    for _ in range(CHANNEL_HISTORY_TURNS):
        await _round(service, channels)
    replies = [reply for _ in range(CHANNEL_TURNS) for reply in await _round(service, channels)]
    return _summary("channels", replies)


async def _round(service: Service, channels: list[Conversation]) -> list[Reply]:
    running = asyncio.Semaphore(SLOTS)

    async def turn(channel: Conversation) -> Reply:
        async with running:
            return await take_turn(service, channel)

    return await asyncio.gather(*map(turn, channels))


def _first_ms(replies: list[Reply]) -> float:
    return statistics.median(reply.first_ms for reply in replies)


def _summary(name: str, replies: list[Reply]) -> dict[str, float]:
    cached = sum(reply.cached_tokens for reply in replies) / sum(reply.prompt_tokens for reply in replies)
    return {f"{name}_first_ms": round(_first_ms(replies)), f"{name}_cached": round(cached, 3)}


async def measure(model: Path, folder: Path) -> dict[str, float]:
    """Measure everything on one engine."""
    config = LlamaCppConfig(
        model_path=model, model_name="model", context_tokens=WINDOW_TOKENS, slots=SLOTS, threads=THREADS
    )
    engine = LlamaCppEngine(config)
    await engine.start()
    try:
        async with running_service(engine, folder, daily_calls=100_000) as service:
            return {**await measure_length(service), **await measure_channels(service)}
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
    }.items():
        table.add_row(words, f"{figures[f'{key}_first_ms']:,.0f}", f"{figures[f'{key}_cached']:.3f}")
    Console().print(table)
    print(json.dumps({"benchmark": "long_conversations", "model": model.name, **figures}))


if __name__ == "__main__":
    main()
