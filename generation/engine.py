"""The shape every engine has, and the values that cross its border.

Owns: messages, sampling options, pieces of a reply, the `Engine` protocol. Does not own: defaults and ranges of
the options (`api/contract.py`), fitting a history into the context (`fitting.py`).
"""

import enum
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Message:
    """One role-tagged message of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingOptions:
    """How the next tokens are drawn. No defaults here: whoever asks states every option.

    Neutral values: `mirostat` 0, `repeat_penalty` 1, `top_k` 0, `top_p` 1, `min_p` 0, `typical_p` 1, `tfs_z` 1,
    penalties 0. `temperature` 0 is greedy. `repeat_last_n` counts tokens; -1 is the whole context.
    `seed` is already chosen: 0 .. 2**32 - 2. `stop` texts end the reply and are not part of it.
    `max_tokens` is how many tokens may be produced at most (>= 1). `ignore_eos` goes on past the model's own end.
    `json_schema` constrains the reply to that JSON Schema.
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


@dataclass(frozen=True, slots=True)
class Piece:
    """New text of a reply, and how many tokens the reply has cost so far."""

    text: str
    completion_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The end of a reply. Durations are nanoseconds; `cached_tokens` of the prompt were not computed again."""

    reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    prompt_duration_ns: int
    completion_duration_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What is loaded. `size_bytes` is the file's; `trained_context` the tokens the model was trained on."""

    name: str
    size_bytes: int
    trained_context: int
    parameters: int


class EngineState(enum.StrEnum):
    """Where an engine is in its life."""

    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """State and, when it is not ready, the reason in words an operator can act on."""

    state: EngineState
    reason: str = ""
    restarts: int = 0


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

    async def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """Render the model's chat template and tokenize it; a last message of the assistant is gone on with.

        Control tokens written inside contents are encoded as the plain text they are.
        Raises `TemplateRefusedError` when the template takes no such order of roles.
        """

    async def encode_text(self, text: str) -> list[int]:
        """Tokenize plain text, without a template and without control tokens."""

    def generate(self, prompt: Sequence[int], options: SamplingOptions) -> AsyncGenerator[Piece | Finished, None]:
        """Yield pieces as they are produced and one `Finished` at the end.

        Raises `FormatRefusedError` before the first piece when `json_schema` cannot be honoured.
        """
