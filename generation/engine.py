"""The shape every engine has, and the values that cross its border.

Owns: messages, sampling options, pieces of a reply, the `Engine` protocol. Does not own: defaults and ranges of
the options (`api/contract.py`), fitting a history into the context (`fitting.py`).
"""

import enum
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Message:
    """One role-tagged message of a conversation.

    `tool_calls` are the functions an assistant's message called, in OpenAI's form; `tool_call_id` says which of them a
    message of the role `tool` answers.
    """

    role: Role
    content: str
    tool_calls: Sequence[Mapping[str, Any]] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingOptions:
    """How the next tokens are drawn. No defaults here: whoever asks states every option.

    Neutral values: `mirostat` 0, `repeat_penalty` 1, `top_k` 0, `top_p` 1, `min_p` 0, `typical_p` 1, `tfs_z` 1,
    penalties 0. `temperature` 0 is greedy. `repeat_last_n` counts tokens; -1 is the whole context.
    `seed` is already chosen: 0 .. 2**32 - 2. `stop` texts end the reply and are not part of it.
    `max_tokens` is how many tokens may be produced at most (>= 1). `ignore_eos` goes on past the model's own end.
    `json_schema` constrains the reply to that JSON Schema.
    `no_repeat_ngram_size` n: no run of n tokens occurs twice in the reply; 0 is off.
    `adapter` is the name of a loaded LoRA adapter; None is the model itself.
    `logprobs` asks for each token's log-probability and for so many alternatives to it, 0 to 20; None asks for neither.
    `conversation` names the conversation that the reply belongs to, where one is kept; it changes no token, and lets an
    engine find again what it has computed for it.
    `shown_tokens` are texts of control tokens that are part of the reply's text, where other control tokens are not.
    """

    temperature: float
    top_k: int
    top_p: float
    min_p: float
    typical_p: float
    tfs_z: float
    mirostat: int
    mirostat_tau: float
    mirostat_eta: float
    repeat_last_n: int
    repeat_penalty: float
    presence_penalty: float
    frequency_penalty: float
    seed: int
    max_tokens: int
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False
    json_schema: Mapping[str, Any] | None = None
    adapter: str | None = None
    logprobs: int | None = None
    shown_tokens: tuple[str, ...] = ()
    no_repeat_ngram_size: int = 0
    conversation: str | None = None


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token's text and bytes with the natural logarithm of its probability, before any option changed it.

    `alternatives` are the likeliest tokens at its place, likeliest first. The text of a token that is a part of a
    character holds U+FFFD.
    """

    text: str
    data: bytes
    logprob: float
    alternatives: "Sequence[TokenLogprob]" = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """New text of a reply, and how many tokens the reply has cost so far.

    `logprobs` are those of the tokens that are new, where they were asked for.
    """

    text: str
    completion_tokens: int
    logprobs: Sequence[TokenLogprob] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The end of a reply. Durations are nanoseconds; `cached_tokens` of the prompt were not computed again.

    `stop_text` is the one of `SamplingOptions.stop` that ended it, None where none did. `slot` is the engine's that
    holds what was computed, None where there are none.
    """

    reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    prompt_duration_ns: int
    completion_duration_ns: int
    stop_text: str | None = None
    slot: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What is loaded. `size_bytes` is the file's; `trained_context` the tokens the model was trained on.

    `architecture` is what the file calls it, such as `llama`.
    """

    name: str
    size_bytes: int
    trained_context: int
    parameters: int
    architecture: str = ""


class EngineState(enum.StrEnum):
    """Where an engine is in its life."""

    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaStatus:
    """One of several servers behind an engine, by its place in the settings, counted from 1.

    `replies` were made whole, `failures` came to nothing there, `running` are in the making.
    """

    number: int
    is_up: bool
    running: int
    replies: int
    failures: int


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """State and, when it is not ready, the reason in words an operator can act on.

    `worry` is what is amiss with an engine that is ready all the same. `replicas` are for engines that have several.
    """

    state: EngineState
    reason: str = ""
    restarts: int = 0
    worry: str = ""
    replicas: tuple[ReplicaStatus, ...] = ()


class Engine(Protocol):
    """A loaded model that turns token ids into text.

    Every call may raise `EngineUnavailableError`. Cancelling or closing a generation frees its slot within a second.
    """

    @property
    def status(self) -> EngineStatus:
        """Say where the engine is in its life."""

    @property
    def model(self) -> ModelInfo:
        """Describe the loaded model (known once `start` has returned)."""

    async def start(self) -> None:
        """Load the model and return when it has answered once.

        Raises `ModelError` when it never will.
        """

    async def close(self) -> None:
        """Stop everything this engine started. Safe to call twice."""

    async def wait_until_ready(self, timeout_seconds: float) -> None:
        """Return at once when ready, else wait; raises `EngineUnavailableError` after the timeout."""

    async def encode_chat(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> list[int]:
        """Render the model's chat template and tokenize it; a last message of the assistant is gone on with.

        Control tokens written inside contents are encoded as the plain text they are. `tools` are the functions that
        the model may call, in OpenAI's form.
        Raises `TemplateRefusedError` when the template takes no such order of roles, `ToolsRefusedError` when it knows
        no tools.
        """

    async def encode_text(self, text: str) -> list[int]:
        """Tokenize plain text, without a template and without control tokens."""

    def generate(self, prompt: Sequence[int], options: SamplingOptions) -> AsyncGenerator[Piece | Finished, None]:
        """Yield pieces as they are produced and one `Finished` at the end.

        Raises `FormatRefusedError` before the first piece when `json_schema` cannot be honoured.
        """

    async def forget_gone(self) -> None:
        """Remove what is kept of conversations that are gone or were changed; it is gone when this returns."""
