"""Tail-free sampling on llama.cpp, whose server lost it in October 2024: one token at a time.

Each step asks the server for the tokens that may come next, after its own penalties and top-k, and draws with the
reference sampler. The prompt grows by the drawn token, and the server has computed all but that one.

Owns: the loop, and everything that the server does in its own loop: stop texts, whole characters, the model's end,
counts. Does not own: the samplers (`reference_sampler.py`).

Truncation: with `top_k` from 1 to 1,024 the candidates are exactly those of the definition. With `top_k` 0, or more,
only the 1,024 likeliest are considered. Tail-free sampling cuts far before: with the demo model, of 3,200 positions at
each `tfs_z`, a truncation to 500 candidates moved the cut of 0, 13 and 84 for 0.5, 0.9 and 0.95, one to 800 of 0, 2 and
14. A step costs 1 ms beyond the model's own time with 40 candidates and 6 ms with 1,024.
"""

import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from time import perf_counter_ns
from typing import Any, Final

from generation.candidates import Candidates
from generation.client import EngineClient
from generation.end_tokens import EndTokens
from generation.engine import Finished, FinishReason, Piece, SamplingOptions
from generation.errors import EngineUnavailableError
from generation.reference_sampler import ReferenceSampler
from generation.reply_text import ReplyText
from generation.sampling import completion_body

MOST_CANDIDATES: Final = 1024

_NANOSECONDS_PER_MILLISECOND = 1_000_000


def needs_stepping(options: SamplingOptions) -> bool:
    """Say whether the server's own loop cannot do what is asked. Mirostat switches tail-free sampling off anyway."""
    return options.tfs_z < 1 and not options.mirostat


@dataclass(frozen=True, slots=True)
class _Step:
    """What may come next, and each candidate's bytes."""

    candidates: Candidates
    pieces: Mapping[int, bytes]
    cached_tokens: int
    prompt_duration_ns: int


class _Reply:
    """One reply in the making."""

    def __init__(self, prompt: Sequence[int], options: SamplingOptions, *, most_tokens: int) -> None:
        self.tokens = list(prompt)
        self.count = 0
        self.reason: FinishReason | None = None
        self.text = ReplyText(options.stop)
        self._most_tokens = most_tokens
        # The server has applied these already.
        remaining = replace(options, top_k=0, repeat_penalty=1.0, presence_penalty=0.0, frequency_penalty=0.0)
        self._sampler = ReferenceSampler(remaining, previous=(), vocabulary_size=0)

    def draw(self, step: _Step) -> int:
        """Draw the next token."""
        self.count += 1
        return self._sampler.draw(step.candidates)

    def end(self) -> str:
        """Note that the model has said its end; returns the text held back."""
        self.reason = "stop"
        return self.text.finish()

    def say(self, token: int, data: bytes) -> str:
        """Add a token; returns the text that is now certain and notes when the reply ends with it."""
        self.tokens.append(token)
        text = self.text.add(data)
        if self.text.is_stopped:
            self.reason = "stop"
        elif self.count >= self._most_tokens:
            self.reason = "length"
            text += self.text.finish()
        return text


class Stepper:
    """Draws replies token by token from one loaded model."""

    def __init__(self, end_tokens: EndTokens, *, context_tokens: int) -> None:
        self._end_tokens = end_tokens
        self._context_tokens = context_tokens

    async def generate(
        self, client: EngineClient, prompt: Sequence[int], options: SamplingOptions
    ) -> AsyncGenerator[Piece | Finished, None]:
        """Yield pieces as they are drawn and one `Finished` at the end, as the engine's ordinary path does.

        The prompt must leave room for one token. Raises `EngineUnavailableError` and `EngineRefusedError`.
        """
        reply = _Reply(prompt, options, most_tokens=min(options.max_tokens, self._context_tokens - len(prompt)))
        body = self._body(prompt, options)
        first: _Step | None = None
        began = 0
        while reply.reason is None:
            step = await _fetch_step(client, {**body, "prompt": reply.tokens})
            if first is None:
                first, began = step, perf_counter_ns()
            token = reply.draw(step)
            if await self._end_tokens.contains(token, client=client, prompt=reply.tokens):
                text = reply.end()
            else:
                text = reply.say(token, step.pieces[token])
            if text:
                yield Piece(text, reply.count)
        assert first is not None
        yield Finished(
            reason=reply.reason,
            prompt_tokens=len(prompt),
            completion_tokens=reply.count,
            cached_tokens=first.cached_tokens,
            prompt_duration_ns=first.prompt_duration_ns,
            completion_duration_ns=perf_counter_ns() - began,
        )

    def _body(self, prompt: Sequence[int], options: SamplingOptions) -> dict[str, Any]:
        count = min(options.top_k, MOST_CANDIDATES) if options.top_k > 0 else MOST_CANDIDATES
        return completion_body(prompt, options, context_tokens=self._context_tokens) | {
            "n_predict": 1,
            "samplers": ["penalties", "top_k"],
            "top_k": count,
            "n_probs": count,
            "post_sampling_probs": True,
            "stop": [],
        }


async def _fetch_step(client: EngineClient, body: Mapping[str, Any]) -> _Step:
    found: list[Mapping[str, Any]] = []
    async with aclosing(client.stream("/completion", body)) as events:
        async for event in events:
            for place in event.get("completion_probabilities", ()):
                found = place["top_probs"]
            if event.get("stop"):
                return _read_step(found, event["timings"])
    raise EngineUnavailableError("the model stopped during the reply")


def _read_step(found: Sequence[Mapping[str, Any]], timings: Mapping[str, Any]) -> _Step:
    possible = [entry for entry in found if entry["prob"] > 0]
    if not possible:
        raise EngineUnavailableError("the model named no token to go on with")
    return _Step(
        Candidates.from_pairs([entry["id"] for entry in possible], [math.log(entry["prob"]) for entry in possible]),
        {entry["id"]: bytes(entry["bytes"]) for entry in possible},
        cached_tokens=timings["cache_n"],
        prompt_duration_ns=round(timings["prompt_ms"] * _NANOSECONDS_PER_MILLISECOND),
    )
