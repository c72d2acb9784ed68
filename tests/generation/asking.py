"""How tests ask an engine: plain options, a whole reply, and a look at its slots."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from generation.engine import Engine, Finished, Piece, SamplingOptions
from generation.llama_cpp import LlamaCppEngine

PLAIN = SamplingOptions(
    temperature=0.8,
    top_k=40,
    top_p=0.9,
    min_p=0.0,
    typical_p=1.0,
    tfs_z=1.0,
    mirostat=0,
    mirostat_tau=5.0,
    mirostat_eta=0.1,
    repeat_last_n=64,
    repeat_penalty=1.1,
    presence_penalty=0.0,
    frequency_penalty=0.0,
    seed=7,
    max_tokens=24,
    ignore_eos=True,
)


def options(**changes: Any) -> SamplingOptions:
    """The plain options with some changed; they go on past the model's own end, so that lengths are known."""
    return replace(PLAIN, **changes)


async def ask(engine: Engine, prompt: Sequence[int], sampling: SamplingOptions = PLAIN) -> tuple[list[Piece], Finished]:
    """Fold a stream into its pieces and its end, checking that it ends once and last."""
    events = [event async for event in engine.generate(prompt, sampling)]
    pieces = [event for event in events if isinstance(event, Piece)]
    last = events[-1]
    assert isinstance(last, Finished)
    assert len(pieces) == len(events) - 1
    return pieces, last


def text_of(pieces: Sequence[Piece]) -> str:
    """Join the pieces."""
    return "".join(piece.text for piece in pieces)


async def count_busy_slots(engine: LlamaCppEngine) -> int:
    """Ask the server itself how many of its slots are at work."""
    assert engine._supervisor is not None
    slots = await engine._supervisor.client.get("/slots")
    return sum(slot["is_processing"] for slot in slots)


async def wait_for_busy_slots(engine: LlamaCppEngine, count: int, *, timeout_seconds: float) -> None:
    """Return when that many slots are at work; raises `TimeoutError`."""
    async with asyncio.timeout(timeout_seconds):
        while await count_busy_slots(engine) != count:  # noqa: ASYNC110 - another process decides
            await asyncio.sleep(0.01)
