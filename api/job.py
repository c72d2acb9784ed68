"""The common request and the common events: what every dialect parses to, and what it renders.

Owns: these values alone. Does not own: how a job is run (`pipeline.py`).
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from generation.engine import Finished, Message, SamplingOptions, TokenLogprob

UNTIL_STOP = -1
UNTIL_CONTEXT_IS_FULL = -2


class OnOverflow(enum.Enum):
    """What becomes of a conversation that does not fit its context."""

    CUT = enum.auto()
    """Whole leading turns are left out; only the system messages and the last turn must fit."""
    REFUSE = enum.auto()
    """All of it must fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """Functions that the model may call, each as OpenAI's `{"type": "function", "function": {…}}`.

    `must_call` are the names of which one has to be called; empty where the model decides. With `is_one_call_at_most`
    the calls after the first are left out.
    """

    offered: Sequence[Mapping[str, Any]]
    must_call: frozenset[str] = frozenset()
    is_one_call_at_most: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One request in the common form. `reply_tokens` is a count, `UNTIL_STOP` or `UNTIL_CONTEXT_IS_FULL`.

    `choices` replies are produced to the same prompt, each with a seed of its own derived from the given one.
    `sampling.max_tokens` and `sampling.ignore_eos` are set by the pipeline once the prompt is known.
    """

    messages: Sequence[Message]
    context_tokens: int
    reply_tokens: int
    sampling: SamplingOptions
    on_overflow: OnOverflow = OnOverflow.CUT
    choices: int = 1
    tools: Tools | None = None


@dataclass(frozen=True, slots=True)
class Queued:
    """The request waits for a slot: 1 is next; `wait_seconds` is an estimate, None while nothing was measured."""

    position: int
    wait_seconds: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A function that the model calls; `arguments` is the JSON of an object, as text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Piece:
    """Something new of one choice; all empty is a sign of life, for connections that must not fall silent."""

    text: str = ""
    choice: int = 0
    logprobs: Sequence[TokenLogprob] = ()
    tool_calls: Sequence[ToolCall] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """One choice is whole; the others may go on."""

    choice: int
    finished: Finished


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The settled end of all choices; `total_duration_ns` counts from the request's arrival.

    `finished` counts the prompt once and the tokens of every choice; its `reason` is the first choice's.
    """

    finished: Finished
    dropped_messages: int
    total_duration_ns: int


def total(ends: Sequence[Finished]) -> Finished:
    """Add up the choices' ends: the prompt counts once, tokens and durations of every choice."""
    first = ends[0]
    return Finished(
        reason=first.reason,
        prompt_tokens=first.prompt_tokens,
        completion_tokens=sum(end.completion_tokens for end in ends),
        cached_tokens=first.cached_tokens,
        prompt_duration_ns=sum(end.prompt_duration_ns for end in ends),
        completion_duration_ns=sum(end.completion_duration_ns for end in ends),
    )


Event = Queued | Piece | Ended | Done
"""A run of the pipeline: places in line, then pieces and one `Ended` per choice, then one `Done`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One whole reply."""

    text: str
    finished: Finished
    logprobs: Sequence[TokenLogprob] = ()
    tool_calls: Sequence[ToolCall] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """Everything that a run yielded."""

    choices: Sequence[Choice]
    done: Done
