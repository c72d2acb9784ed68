"""The real engine with a script, for what a model does too rarely: fail midway, take its time, call a function."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from generation.engine import Engine, Finished, Message, ModelInfo, Piece, SamplingOptions
from generation.errors import EngineUnavailableError


class ScriptedEngine:
    """The real engine, of which a test can hold up, break or write the replies.

    While `may_go_on` is clear, a reply pauses after `pieces_before_pause` pieces; where that is 0, before the prompt is
    read, or behind it with `reads_before_pause`. `says` are the pieces of every reply,
    and let the model pass for one that takes tools; `heard` is what the last conversation came to.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self.pieces_before_pause = 0
        self.reads_before_pause = False
        self.pieces_before_failure: int | None = None
        self.error: Exception = EngineUnavailableError("lost", retry_after_seconds=1)
        self.asked = 0
        self.heard: Sequence[Message] = ()
        self.says: Sequence[str] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    @property
    def model(self) -> ModelInfo:
        return self._engine.model

    async def encode_chat(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> list[int]:
        self.heard = list(messages)
        if self.says is not None:
            return await self._engine.encode_text("What was said does not matter.")
        return await self._engine.encode_chat(messages, tools)

    async def generate(self, prompt: Sequence[int], options: SamplingOptions) -> AsyncGenerator[Piece | Finished, None]:
        self.asked += 1
        given = 0
        if not self.reads_before_pause:
            await self._pause(given)
        async with aclosing(self._reply(prompt, options)) as events:
            async for event in events:
                await self._pause(given)
                if given == self.pieces_before_failure:
                    raise self.error
                yield event
                given += 1

    async def _pause(self, given: int) -> None:
        if given >= self.pieces_before_pause:
            await self.may_go_on.wait()

    async def _reply(self, prompt: Sequence[int], options: SamplingOptions) -> AsyncGenerator[Piece | Finished, None]:
        if self.says is None:
            async with aclosing(self._engine.generate(prompt, options)) as events:
                async for event in events:
                    yield event
            return
        for count, text in enumerate(self.says, 1):
            yield Piece(text, count)
        yield _finished(len(prompt), len(self.says))


def _finished(prompt_tokens: int, completion_tokens: int) -> Finished:
    return Finished(
        reason="stop",
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        cached_tokens=0,
        prompt_duration_ns=1,
        completion_duration_ns=1,
    )
