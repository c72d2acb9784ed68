"""Measuring the model: how many held-out dialogues it answers with exactly the expected words.

Owns the scoring and its report. How to reach a running engine is models.engine's.
"""

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from models import heldout
from models.dialogues import Message
from models.heldout import HeldOut

Ask = Callable[[list[Message]], Awaitable[str]]

AT_ONCE: Final = 4
"""Questions asked at the same time."""


@dataclass(frozen=True)
class Miss:
    """A dialogue that was answered otherwise than expected."""

    dialogue: HeldOut
    reply: str


@dataclass
class Report:
    """How the dialogues went, by kind."""

    asked: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    misses: list[Miss] = field(default_factory=list)
    replies: list[tuple[HeldOut, str]] = field(default_factory=list)

    @property
    def share(self) -> float:
        """The share of right replies, from 0 to 1."""
        return self.right.total() / max(1, self.asked.total())

    def note(self, dialogue: HeldOut, reply: str) -> None:
        """Count one reply."""
        self.asked[dialogue.kind] += 1
        self.replies.append((dialogue, reply))
        if reply.strip() == dialogue.expected:
            self.right[dialogue.kind] += 1
        else:
            self.misses.append(Miss(dialogue, reply))

    def table(self) -> str:
        """Write a line for each kind and one for all of them."""
        rows = [(kind, self.right[kind], count) for kind, count in self.asked.items()]
        rows.append(("all", self.right.total(), self.asked.total()))
        return "\n".join(f"{kind:<24}{right:>5} of {count:>3}{right / count:>8.1%}" for kind, right, count in rows)

    def summary(self) -> dict[str, object]:
        """Give the numbers, for programs."""
        kinds = {kind: [self.right[kind], count] for kind, count in self.asked.items()}
        return {"right": self.right.total(), "of": self.asked.total(), "share": round(self.share, 4), "kinds": kinds}


async def score(ask: Ask, dialogues: Sequence[HeldOut]) -> Report:
    """Ask for the last reply of every dialogue and compare it word for word."""
    report = Report()
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(dialogue: HeldOut) -> str:
        async with gate:
            return await ask(dialogue.messages)

    replies = await asyncio.gather(*(one(dialogue) for dialogue in dialogues))
    for dialogue, reply in zip(dialogues, replies, strict=True):
        report.note(dialogue, reply)
    return report


def show(report: Report, *, misses: bool) -> None:
    """Print the table, the misses if asked for, and a last line for programs."""
    if misses:
        for miss in report.misses:
            said = miss.dialogue.messages[-1]["content"]
            print(f"[{miss.dialogue.kind}] {said}\n  expected {miss.dialogue.expected}\n  replied  {miss.reply}")
    print(report.table())
    print(json.dumps(report.summary()))


def main() -> None:
    """Measure a model file in an engine of its own, or whatever a running Parley serves."""
    from models import engine  # noqa: PLC0415 - scoring alone needs no engine

    parser = argparse.ArgumentParser(description="Measure the demonstration model on the held-out dialogues.")
    parser.add_argument("--model", type=Path, default=Path(__file__).with_name("demo.gguf"))
    parser.add_argument("--url", help="address of a running Parley, instead of a model file")
    parser.add_argument("--token", default="", help="its API token")
    parser.add_argument("--sampling", choices=sorted(engine.SAMPLINGS), default="greedy")
    parser.add_argument("--misses", action="store_true", help="show what was answered otherwise than expected")
    options = parser.parse_args()
    dialogues = heldout.read()

    async def measure() -> Report:
        sampling = engine.SAMPLINGS[options.sampling]
        if options.url:
            async with engine.parley(options.url, options.token, sampling) as ask:
                return await score(ask, dialogues)
        async with engine.llama(options.model, sampling) as ask:
            return await score(ask, dialogues)

    show(asyncio.run(measure()), misses=options.misses)


if __name__ == "__main__":
    main()
