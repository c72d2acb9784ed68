"""An engine that answers at once, so that everything but the engine can be measured."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from generation.engine import EngineState, EngineStatus, Finished, Message, ModelInfo, Piece, SamplingOptions

_PROMPT = list(range(1, 25))
_REPLY = ("Hello", " there", ".")


class InstantEngine:
    """Implements `generation.engine.Engine`: every conversation is one prompt, every reply the same."""

    status = EngineStatus(EngineState.READY)
    model = ModelInfo(name="instant", size_bytes=0, trained_context=4096, parameters=0)

    async def start(self) -> None:
        """There is nothing to load."""

    async def forget_gone(self) -> None:
        """Nothing is kept."""

    async def close(self) -> None:
        """There is nothing to stop."""

    async def wait_until_ready(self, timeout_seconds: float) -> None:
        """Return: it always is."""

    async def encode_chat(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> list[int]:
        """Give the one prompt."""
        del messages, tools
        return list(_PROMPT)

    async def encode_text(self, text: str) -> list[int]:
        """Give the one prompt."""
        del text
        return list(_PROMPT)

    async def generate(self, prompt: Sequence[int], options: SamplingOptions) -> AsyncGenerator[Piece | Finished, None]:
        """Say the one reply."""
        del options
        for count, text in enumerate(_REPLY, 1):
            yield Piece(text, count)
        yield Finished(
            reason="stop",
            prompt_tokens=len(prompt),
            completion_tokens=len(_REPLY),
            cached_tokens=0,
            prompt_duration_ns=1,
            completion_duration_ns=1,
        )
