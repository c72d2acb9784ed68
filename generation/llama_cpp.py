"""The default engine: llama.cpp's server in a supervised child process.

Owns: what is asked of that server. Does not own: what every local engine does (`served_engine.py`), the options' words
(`sampling.py`), whether a JSON Schema is usable (`constraint.py`), tail-free sampling (`stepping.py`).
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from pathlib import Path
from typing import Any

from generation.adapters import check_adapters, choose
from generation.constrained import Constrainer, SchemaUnusableError, make_byte_constrainer
from generation.constraint import CANNOT_CONSTRAIN, SchemaProbe
from generation.engine import Finished, Piece, SamplingOptions
from generation.errors import EngineUnavailableError, FormatRefusedError, ModelError
from generation.gguf_file import GgufHeader
from generation.kept_states import make_folder
from generation.launch import LlamaCppConfig, plan_child
from generation.process import Launch
from generation.sampling import completion_body, tightened
from generation.served_engine import ServedEngine, stream_reply
from generation.stepping import Stepper, needs_stepping
from generation.supervisor import Timing
from generation.turns import Turns
from generation.vocabulary import Tokenize
from generation.warmth import Serving, Warmth, create_warmth

_NOT_TOGETHER = (
    "this engine cannot hold a reply to a schema while tfs_z is below 1 or no_repeat_ngram_size above 0; "
    "leave one of them out"
)


class LlamaCppEngine(ServedEngine):
    """A GGUF model in llama.cpp's server. Implements `generation.engine.Engine`."""

    def __init__(self, config: LlamaCppConfig, *, timing: Timing | None = None) -> None:
        super().__init__(config, timing=timing)
        self._config = config
        self._probe: SchemaProbe | None = None
        self._stepper: Stepper | None = None
        self._turns = Turns()
        self._warmth: Warmth | None = None
        # A server of the operator's own may constrain with something else, which knows other schemas.
        self._constrainer = make_byte_constrainer() if config.server_binary is None else None

    def _check(self, header: GgufHeader) -> None:
        """Check the adapters only: llama.cpp knows more architectures each week."""
        check_adapters(self._config.adapters, header, model_name=self._config.model_name)

    def _plan(self, header: GgufHeader, *, socket_path: Path, api_key: str) -> Launch:
        settings = plan_child(self._config, header, socket_path=socket_path, api_key=api_key)
        return Launch("llama.cpp", "generation.child", settings)

    def _prepare(self, header: GgufHeader, tokenize: Tokenize) -> None:
        self._probe = SchemaProbe(tokenize)
        self._stepper = Stepper(header, context_tokens=self._context_tokens)

    async def _before_launch(self, header: GgufHeader) -> None:
        """Find again what was kept of conversations, before anybody is answered without it."""
        keeping = self._config.keeping
        if keeping is None:
            return
        try:
            await asyncio.to_thread(make_folder, keeping.folder)
            settings = plan_child(self._config, header, socket_path=Path(), api_key="")
            self._warmth = await asyncio.to_thread(create_warmth, keeping, settings, header, self._config.adapters)
            await self._warmth.start()
        except OSError as error:
            advice = "make it a folder that can be written to, or set 0"
            raise ModelError(f"PARLEY_CACHE_DISK: cannot use {keeping.folder}: {error.strerror}; {advice}") from None

    async def close(self) -> None:
        """Save what is not saved yet, stop the engine process and remove what it left. Safe to call twice."""
        if self._warmth is not None:
            await self._warmth.close()
        await super().close()

    async def forget_gone(self) -> None:
        """Remove what is kept of conversations that are gone or were changed; it is gone when this returns."""
        if self._warmth is not None:
            await self._warmth.sweep()

    async def _reply(self, prompt: Sequence[int], options: SamplingOptions) -> AsyncGenerator[Piece | Finished, None]:
        async with (
            self._turns.take(options.adapter),
            self._serving(prompt, options) as serving,
            aclosing(await self._choose_path(prompt, options)) as events,
        ):
            async for event in events:
                if isinstance(event, Finished) and serving is not None:
                    serving.finished = event
                yield event

    def _serving(self, prompt: Sequence[int], options: SamplingOptions) -> AbstractAsyncContextManager[Serving | None]:
        if self._warmth is None:
            return nullcontext()
        chosen = choose(self._config.adapters, options.adapter)
        return self._warmth.serving(self._client, prompt, options, chosen=chosen)

    async def _choose_path(
        self, prompt: Sequence[int], options: SamplingOptions
    ) -> AsyncGenerator[Piece | Finished, None]:
        """Take the server's own loop where it can do what is asked."""
        if self._stepper is None:
            raise EngineUnavailableError("the model is not loaded")
        chosen = choose(self._config.adapters, options.adapter)
        if needs_stepping(options):
            if options.json_schema is not None:
                raise FormatRefusedError(_NOT_TOGETHER)
            return self._stepper.generate(self._client, prompt, options, chosen=chosen)
        body = completion_body(prompt, options, context_tokens=self._context_tokens) | chosen
        if self._config.server_binary is None:
            body = tightened(body)
        probed = await self._probe_schema(body)
        return stream_reply(self._client, body, alternatives=options.logprobs, probed=probed)

    async def _probe_schema(self, body: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Make sure that the schema binds; returns the last event of the probe, if one was needed."""
        if "json_schema" not in body:
            return None
        assert self._probe is not None
        if self._constrainer is not None:
            await _require_usable(self._constrainer, body["json_schema"])
        is_enforced, event = await self._probe.check(self._client, body)
        if not is_enforced:
            raise FormatRefusedError(CANNOT_CONSTRAIN)
        return event


async def _require_usable(constrainer: Constrainer, schema: Mapping[str, Any]) -> None:
    """Refuse what fails with the first token: the server would then go on without a constraint."""
    try:
        await asyncio.to_thread(constrainer.start, schema)
    except SchemaUnusableError:
        raise FormatRefusedError(CANNOT_CONSTRAIN) from None
