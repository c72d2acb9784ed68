"""Batches of training tokens, made in a process of their own while the network learns.

Owns how a conversation fills a block and which tokens count how much. A batch depends on its step's number alone, so
a training that goes on from a checkpoint sees the batches it would have seen.
"""

import multiprocessing
import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.dialogues import exchanges, set_scene
from models.draw import Draw
from models.tokenizer import Tokenizer

OTHERS_WEIGHT: Final = 0.05
"""How much a token not written by the assistant counts in the loss: enough to learn what users write like."""

_AHEAD: Final = 8
"""Batches kept ready."""


@dataclass(frozen=True)
class Phase:
    """A stretch of training on blocks of one size."""

    steps: int
    block: int
    rows: int


@dataclass(frozen=True)
class Batch:
    """Tokens by row, one more than the block, and the weight of each as a thing to predict."""

    tokens: NDArray[np.int64]
    weights: NDArray[np.float32]


Fill = Callable[[Tokenizer, str, int], tuple[list[int], list[float]]]
"""`(tokenizer, seed, length) -> tokens of a conversation and the weight of each`, in a block of that length."""


def fill_block(tokenizer: Tokenizer, seed: str, length: int) -> tuple[list[int], list[float]]:
    """Let one conversation go on until it fills the block."""
    scene = set_scene(Draw(seed))
    stream = exchanges(scene)
    first = next(stream)
    ids = tokenizer.opening(scene.system)
    weights = [OTHERS_WEIGHT] * len(ids)
    exchange = first
    while len(ids) < length:
        asked = tokenizer.message("user", exchange.user)
        said = tokenizer.message("assistant", exchange.reply)
        ids += asked + said
        weights += [OTHERS_WEIGHT] * (len(asked) + 1) + [1.0] * (len(said) - 1)
        exchange = next(stream)
    return ids[:length], weights[:length]


def make_batch(tokenizer: Tokenizer, seed: str, step: int, phase: Phase, fill: Fill = fill_block) -> Batch:
    """Make the batch of one step."""
    rows = [fill(tokenizer, f"{seed} {step} {row}", phase.block + 1) for row in range(phase.rows)]
    tokens = np.array([ids for ids, _ in rows], dtype=np.int64)
    return Batch(tokens, np.array([weights for _, weights in rows], dtype=np.float32))


def phase_of(phases: tuple[Phase, ...], step: int) -> Phase:
    """Find the phase a step belongs to."""
    for phase in phases:
        if step < phase.steps:
            return phase
        step -= phase.steps
    raise IndexError("the step lies after the last phase")


def batches(
    vocabulary: Path, seed: str, phases: tuple[Phase, ...], start: int, fill: Fill = fill_block
) -> Iterator[Batch]:
    """Give the batches from a step to the end of the last phase; `fill` stands at the top of a module."""
    context = multiprocessing.get_context("spawn")
    ready: multiprocessing.Queue[Batch] = context.Queue(_AHEAD)
    last = sum(phase.steps for phase in phases)
    maker = context.Process(target=_make, args=(ready, vocabulary, seed, phases, start, fill), daemon=True)
    maker.start()
    try:
        for _ in range(start, last):
            yield ready.get(timeout=120)
    finally:
        maker.terminate()
        maker.join()


def _make(
    ready: "multiprocessing.Queue[Batch]",
    vocabulary: Path,
    seed: str,
    phases: tuple[Phase, ...],
    start: int,
    fill: Fill,
) -> None:
    tokenizer = Tokenizer(vocabulary)
    for step in range(start, sum(phase.steps for phase in phases)):
        _hand_over(ready, make_batch(tokenizer, seed, step, phase_of(phases, step), fill))


def _hand_over(ready: "multiprocessing.Queue[Batch]", batch: Batch) -> None:
    """Wait for room, but not longer than the process that reads lives."""
    reader = multiprocessing.parent_process()
    while True:
        try:
            ready.put(batch, timeout=5)
        except queue.Full:
            if reader is None or not reader.is_alive():
                raise SystemExit from None
        else:
            return
