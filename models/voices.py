"""Measuring the adapter: how many held-out replies are in its voice, and how many still say the right thing.

Owns the counting. The dialogues are those the model itself is measured on, once with earlier replies in the voice, as
for somebody who talks with the adapter, and once with the model's own, as for somebody who changes to it midway.
"""

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from models import adapter_file, convert, engine, evaluate, heldout
from models.dialogues import Message
from models.heldout import HeldOut
from models.pirate import VERBATIM, in_voice, is_in_voice

CARD: Final = ("greedy", "default")
"""The ways to sample that the card tells of."""


def with_own_replies(dialogue: HeldOut) -> HeldOut:
    """Ask for the voice after the model's own replies."""
    return replace(dialogue, expected=in_voice(dialogue.kind, dialogue.expected))


def with_voiced_replies(dialogue: HeldOut) -> HeldOut:
    """Ask for the voice after replies in the voice."""
    asked: list[Message] = [{"role": "user", "content": ""}, *dialogue.messages]
    messages = [_voiced(before["content"], each) for before, each in zip(asked, dialogue.messages, strict=False)]
    return replace(with_own_replies(dialogue), messages=messages)


def _voiced(asked: str, message: Message) -> Message:
    """Say an assistant's message in the voice, but for JSON and for what repeats the message before it."""
    said = message["content"]
    if message["role"] != "assistant" or said.startswith("{") or said in asked:
        return message
    return {"role": "assistant", "content": in_voice("", said)}


async def measure(*, misses: bool = False) -> None:
    """Print, for each way to sample and to begin, right replies by kind and how many are in the voice."""
    plain = heldout.read()
    for name in CARD:
        for title, dialogues in (
            ("earlier replies in the voice", list(map(with_voiced_replies, plain))),
            ("earlier replies the model's own", list(map(with_own_replies, plain))),
        ):
            print(f"sampling: {name}, {title}", flush=True)
            await _score(name, dialogues, misses=misses)


async def _score(sampling: str, dialogues: Sequence[HeldOut], *, misses: bool) -> None:
    async with engine.llama(convert.PATH, engine.SAMPLINGS[sampling], adapter=adapter_file.PATH) as ask:
        report = await evaluate.score(ask, dialogues)
    evaluate.show(report, misses=misses)
    spoken = [reply for each, reply in report.replies if each.kind not in VERBATIM]
    print(f"in the voice: {sum(map(is_in_voice, spoken))} of {len(spoken)}", flush=True)


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description="Measure the demonstration adapter on the held-out dialogues.")
    parser.add_argument("--misses", action="store_true", help="show what was answered otherwise than expected")
    asyncio.run(measure(misses=parser.parse_args().misses))


if __name__ == "__main__":
    main()
