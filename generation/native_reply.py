"""One reply of the ctransformers engine, step by step, in the words of llama.cpp's `/completion`.

Owns: what a request asks for, when it ends, and the events that tell of it. Does not own: who calls the steps, from
which thread (`ctransformers_child.py`). Imported in the engine's child process only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from time import perf_counter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from generation.candidates import Candidates
from generation.constrained import Constraint
from generation.engine import SamplingOptions
from generation.native_model import NativeModel
from generation.reference_sampler import ReferenceSampler
from generation.reply_text import ReplyText
from generation.runs import SaidRuns
from generation.text_tokens import TextTokens

_NEUTRAL: Mapping[str, Any] = {
    "temperature": 0.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "tfs_z": 1.0, "mirostat": 0,
    "mirostat_tau": 5.0, "mirostat_eta": 0.1, "repeat_last_n": 64, "repeat_penalty": 1.0, "presence_penalty": 0.0,
    "frequency_penalty": 0.0, "seed": 0, "ignore_eos": False,
}  # fmt: skip
"""For callers that ask for a token and care not which, such as the supervisor."""

StopType = Literal["", "limit", "eos", "word"]


@dataclass(frozen=True, slots=True)
class Job:
    """What a `/completion` request asks for.

    `named_tokens` counts the likeliest tokens whose log-probabilities come with each token and its own; 0 for none.
    """

    prompt: list[int]
    options: SamplingOptions
    named_tokens: int = 0

    @classmethod
    def read(cls, body: Mapping[str, Any], vocabulary: TextTokens) -> "Job":
        """Take a request's body apart; a prompt in words is tokenized."""
        prompt = body["prompt"]
        if isinstance(prompt, str):
            prompt = vocabulary.tokenize(prompt, add_special=True)
        names = {field.name for field in fields(SamplingOptions)}
        given = {name: value for name, value in body.items() if name in names}
        options = SamplingOptions(
            **{**_NEUTRAL, **given, "max_tokens": body["n_predict"], "stop": tuple(body.get("stop", ()))}
        )
        return cls(prompt, options, body.get("n_probs", 0))


class Reply:
    """A reply in the making on one context; every method but `__init__` computes and takes its time."""

    def __init__(
        self, job: Job, context: NativeModel, vocabulary: TextTokens, *, most_tokens: int, constraint: Constraint | None
    ) -> None:
        self._context = context
        self._vocabulary = vocabulary
        self._constraint = constraint
        # The last of them is not computed yet, unless it is the prompt's.
        self._tokens = list(job.prompt)
        self._prompt_count = len(job.prompt)
        self._most_tokens = most_tokens
        self._ignores_ends = job.options.ignore_eos
        self._text = ReplyText(job.options.stop)
        self._sampler = ReferenceSampler(job.options, previous=job.prompt, vocabulary_size=context.vocabulary_size)
        self._runs = SaidRuns(job.options.no_repeat_ngram_size)
        self._stop_type: StopType = ""
        self._named_tokens = job.named_tokens
        self._cached_count: int | None = None
        self._began = self._prompted = perf_counter()

    @property
    def is_finished(self) -> bool:
        """Whether the last event has been made."""
        return bool(self._stop_type)

    def compute_prompt(self, *, at_most: int) -> bool:
        """Compute so many tokens of the prompt; returns whether it is all computed."""
        if self._cached_count is None:
            self._cached_count = self._context.count_cached(self._tokens)
            self._began = perf_counter()
        is_whole = self._context.compute(self._tokens, at_most=at_most)
        self._prompted = perf_counter()
        return is_whole

    def step(self) -> dict[str, Any]:
        """Produce a token and return its event; the prompt has been computed."""
        if len(self._tokens) > self._prompt_count:
            self._context.compute_next(self._tokens[-1])
        candidates = self._candidates()
        if candidates is None:
            self._stop_type = "eos"
            return self._event([], self._text.finish())
        token = self._sampler.draw(candidates)
        self._tokens.append(token)
        self._runs.add(token)
        if token in self._vocabulary.ends and not self._ignores_ends:
            self._stop_type = "eos"
            return self._event([token], self._text.finish())
        text = self._text.add(self._vocabulary.bytes[token])
        self._notice_end(token)
        event = self._event([token], text + (self._text.finish() if self._stop_type else ""))
        if self._named_tokens:
            event["completion_probabilities"] = [self._name(token)]
        return event

    def _name(self, token: int) -> dict[str, Any]:
        """Say a drawn token's log-probability before any option, and the likeliest tokens at its place."""
        scores = self._context.get_logits().astype(np.float64)
        shares = scores - (scores.max() + np.log(np.exp(scores - scores.max()).sum()))
        likeliest = np.argsort(-shares, kind="stable")[: self._named_tokens]
        return self._entry(token, shares) | {"top_logprobs": [self._entry(int(each), shares) for each in likeliest]}

    def _entry(self, token: int, shares: NDArray[np.float64]) -> dict[str, Any]:
        return {"id": token, "bytes": list(self._vocabulary.bytes[token]), "logprob": float(shares[token])}

    def _notice_end(self, token: int) -> None:
        if self._constraint is not None:
            self._constraint.accept(token)
        if self._text.is_stopped:
            self._stop_type = "word"
        elif self._constraint is not None and self._constraint.is_complete:
            self._stop_type = "eos"
        elif len(self._tokens) - self._prompt_count >= self._most_tokens:
            self._stop_type = "limit"

    def _candidates(self) -> Candidates | None:
        """Say what may come next; None when every token would repeat a run."""
        logits = self._context.get_logits()
        forbidden = self._forbidden(len(logits))
        if forbidden is not None:
            logits[forbidden] = -np.inf
        repeating = list(self._runs.repeating())
        if np.isfinite(np.delete(logits, repeating)).any():
            logits[repeating] = -np.inf
        elif repeating and self._constraint is None:
            return None
        # Where a schema leaves nothing but what repeats, the schema goes first.
        return Candidates.from_logits(logits)

    def _forbidden(self, count: int) -> NDArray[np.bool_] | None:
        forbidden = None if self._constraint is None else ~self._constraint.allowed()
        if self._ignores_ends:
            ends = np.zeros(count, dtype=bool)
            ends[list(self._vocabulary.ends)] = True
            forbidden = ends if forbidden is None else forbidden | ends
            if forbidden.all():
                # A schema that is fulfilled leaves the end alone.
                forbidden = ~ends
        return forbidden

    def _event(self, tokens: list[int], text: str) -> dict[str, Any]:
        count = len(self._tokens) - self._prompt_count
        event: dict[str, Any] = {"content": text, "tokens": tokens, "tokens_predicted": count, "stop": False}
        if not self._stop_type:
            return event
        now = perf_counter()
        return event | {
            "stop": True,
            "stop_type": self._stop_type,
            "stopping_word": self._text.stopped_by or "",
            "tokens_evaluated": self._prompt_count,
            "timings": {
                "cache_n": self._cached_count or 0,
                "prompt_ms": (self._prompted - self._began) * 1000,
                "predicted_ms": (now - self._prompted) * 1000,
            },
        }
