"""What llama.cpp's server cannot do in its own loop, done one token at a time.

That is tail-free sampling, which it lost in October 2024, and forbidding the runs of tokens that a reply has said (its
DRY sampler forbids those of the prompt too).

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
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from dataclasses import dataclass, replace
from time import perf_counter_ns
from typing import Any, Final

from generation.candidates import Candidates
from generation.client import EngineClient
from generation.end_tokens import EndTokens
from generation.engine import Finished, FinishReason, Piece, SamplingOptions
from generation.errors import EngineUnavailableError
from generation.gguf_file import GgufHeader
from generation.reference_sampler import ReferenceSampler
from generation.reply_text import ReplyText
from generation.runs import SaidRuns
from generation.sampling import completion_body

MOST_CANDIDATES: Final = 1024

_BOOSTS: Final = (0.0, 16.0, 32.0, 48.0, 64.0)
"""Added to a logit. Even the last leaves the others' probabilities within single precision, at e**-64 and above."""

_PLAIN_TOKENS = 2048
"""Enough that a few are in no penalty's window."""

_NANOSECONDS_PER_MILLISECOND = 1_000_000


def needs_stepping(options: SamplingOptions) -> bool:
    """Say whether the server's own loop cannot do what is asked. Mirostat switches tail-free sampling off anyway."""
    return (options.tfs_z < 1 or options.no_repeat_ngram_size > 0) and not options.mirostat


@dataclass(frozen=True, slots=True)
class _Step:
    """What may come next, and each candidate's bytes."""

    candidates: Candidates
    pieces: Mapping[int, bytes]


class _Reply:
    """One reply in the making."""

    def __init__(self, prompt: Sequence[int], options: SamplingOptions, *, most_tokens: int) -> None:
        self.tokens = list(prompt)
        self.count = 0
        self.reason: FinishReason | None = None
        self.text = ReplyText(options.stop)
        self._most_tokens = most_tokens
        # The server has applied these already; top-k again, for the token beyond it that a boost needs.
        remaining = replace(options, repeat_penalty=1.0, presence_penalty=0.0, frequency_penalty=0.0)
        self._sampler = ReferenceSampler(remaining, previous=(), vocabulary_size=0)
        self.runs = SaidRuns(options.no_repeat_ngram_size)

    def draw(self, step: _Step) -> int:
        """Draw the next token."""
        self.count += 1
        token = self._sampler.draw(step.candidates)
        self.runs.add(token)
        return token

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

    def __init__(self, header: GgufHeader, *, context_tokens: int) -> None:
        self._end_tokens = EndTokens(header)
        self._plain = _find_plain(header)
        self._context_tokens = context_tokens

    async def generate(
        self, client: EngineClient, prompt: Sequence[int], options: SamplingOptions, *, chosen: Mapping[str, Any]
    ) -> AsyncGenerator[Piece | Finished, None]:
        """Yield pieces as they are drawn and one `Finished` at the end, as the engine's ordinary path does.

        `chosen` is what every request adds for its LoRA adapter (`adapters.choose`).
        The prompt must leave room for one token. Raises `EngineUnavailableError` and `EngineRefusedError`.
        """
        reply = _Reply(prompt, options, most_tokens=min(options.max_tokens, self._context_tokens - len(prompt)))
        body = {**self._body(prompt, options), **chosen}
        computed = await _compute_prompt(client, body)
        timings = computed["timings"]
        began = perf_counter_ns()
        while reply.reason is None:
            asked = {**body, "prompt": reply.tokens, "logit_bias": _forbid(reply.runs.repeating())}
            step = await _fetch_step(client, asked, plain=self._choose_plain(reply.tokens))
            token = reply.draw(step) if len(step.candidates) else None
            if token is None or await self._end_tokens.contains(
                token, client=client, prompt=reply.tokens, chosen=chosen
            ):
                text = reply.end()
            else:
                text = reply.say(token, step.pieces[token])
            if text:
                yield Piece(text, reply.count)
        yield Finished(
            reason=reply.reason,
            prompt_tokens=len(prompt),
            completion_tokens=reply.count,
            cached_tokens=timings["cache_n"],
            prompt_duration_ns=round(timings["prompt_ms"] * _NANOSECONDS_PER_MILLISECOND),
            completion_duration_ns=perf_counter_ns() - began,
            stop_text=reply.text.stopped_by,
            # The steps go on where the prompt is.
            slot=computed.get("id_slot"),
        )

    def _choose_plain(self, tokens: Sequence[int]) -> int:
        said = set(tokens)
        return next((token for token in self._plain if token not in said), self._plain[0] if self._plain else 0)

    def _body(self, prompt: Sequence[int], options: SamplingOptions) -> dict[str, Any]:
        count = min(options.top_k, MOST_CANDIDATES) if options.top_k > 0 else MOST_CANDIDATES
        return completion_body(prompt, options, context_tokens=self._context_tokens) | {
            "n_predict": 1,
            "samplers": ["penalties", "top_k"],
            "top_k": count + 1,
            "n_probs": count + 1,
            "post_sampling_probs": True,
            "stop": [],
        }


async def _compute_prompt(client: EngineClient, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Have the prompt computed and return what the server says of it; hanging up stops it."""
    async with aclosing(client.stream("/completion", {**body, "n_predict": 0, "n_probs": 0})) as events:
        async for event in events:
            if event.get("stop"):
                return event
    raise EngineUnavailableError("the model stopped during the reply")


def _forbid(tokens: AbstractSet[int]) -> list[list[int | bool]]:
    """Say so in the server's words: false is minus infinity."""
    return [[token, False] for token in sorted(tokens)]


async def _fetch_step(client: EngineClient, body: Mapping[str, Any], *, plain: int) -> _Step:
    """Fetch what may come next; `plain` is a token of whole characters that penalties do not touch.

    The server names no candidates when the token that it draws itself ends inside of a character. Then `plain` is made
    likelier until the server draws that one, and its probability is put right again here.
    """
    for boost in _BOOSTS:
        boosted = [[plain, boost]] if boost else []
        biased = {**body, "stream": False, "logit_bias": [*body.get("logit_bias", ()), *boosted]}
        # Not streamed: one step is soon over, so it does not matter that the server would not notice a hang-up.
        places = (await client.post("/completion", biased)).get("completion_probabilities")
        if places:
            return _read_step(places[0]["top_probs"], plain=plain, boost=boost)
    if [plain, False] in body.get("logit_bias", ()):
        # Every whole token has been said, and may not be said again: there is nothing left to say.
        return _read_step((), plain=plain, boost=0.0)
    raise EngineUnavailableError("the model named no token to go on with")


def _read_step(found: Sequence[Mapping[str, Any]], *, plain: int, boost: float) -> _Step:
    # Where every token is forbidden, the server's probabilities are no numbers, null in JSON.
    possible = [entry for entry in found if entry["prob"]]
    ids = [entry["id"] for entry in possible]
    scores = [math.log(entry["prob"]) - (boost if entry["id"] == plain else 0) for entry in possible]
    return _Step(Candidates.from_pairs(ids, scores), {entry["id"]: bytes(entry["bytes"]) for entry in possible})


def _find_plain(header: GgufHeader) -> list[int]:
    """Find ordinary tokens of a few letters each."""
    return [token for token, text in enumerate(header.tokens) if text.isalpha() and text.isascii()][:_PLAIN_TOKENS]
