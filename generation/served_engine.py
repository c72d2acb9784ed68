"""What the local engines have in common: a model in a supervised child that speaks llama.cpp's HTTP routes.

Owns: loading, encoding, and generating as far as both engines do it alike. Does not own: the process (`supervisor.py`),
the wire (`client.py`), control tokens (`encoder.py`), how a child is launched and what it is asked (`llama_cpp.py`,
`ctransformers_engine.py`).
"""

import asyncio
import io
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from generation.client import EngineClient, EngineRefusedError
from generation.constraint import CANNOT_CONSTRAIN, looks_like_schema_refusal, require_json
from generation.encoder import PromptEncoder
from generation.engine import (
    EngineState,
    EngineStatus,
    Finished,
    Message,
    ModelInfo,
    Piece,
    SamplingOptions,
    TokenLogprob,
)
from generation.errors import EngineUnavailableError, FormatRefusedError, PromptTooLongError
from generation.gguf_file import GgufHeader, TokenKind, read_gguf_header
from generation.launch import LocalConfig, check_memory, fetch_available_bytes, usable_context
from generation.process import Launch
from generation.server_tokenizer import ServerTokenizer
from generation.supervisor import Supervisor, Timing
from generation.vocabulary import Tokenize, find_control_texts

_NANOSECONDS_PER_MILLISECOND = 1_000_000

LEAST_LOGPROB = -9999.0
"""OpenAI's number for a token that could hardly come; JSON has no infinity."""


class ServedEngine(ABC):
    """A GGUF model in a child process. Implements `generation.engine.Engine`."""

    def __init__(self, config: LocalConfig, *, timing: Timing | None = None) -> None:
        self._served_config = config
        self._timing = timing
        self._model: ModelInfo | None = None
        self._context_tokens = config.context_tokens
        self._supervisor: Supervisor | None = None
        self._encoder: PromptEncoder | None = None
        self._is_closed = False

    @abstractmethod
    def _check(self, header: GgufHeader) -> None:
        """Raise `ModelError` when this engine cannot use such a model at all."""

    async def _before_launch(self, header: GgufHeader) -> None:  # noqa: B027 - most engines need nothing
        """Do what must be done before the child is first launched. May raise `ModelError`."""

    @abstractmethod
    def _plan(self, header: GgufHeader, *, socket_path: Path, api_key: str) -> Launch:
        """Say how the child is launched."""

    @abstractmethod
    def _prepare(self, header: GgufHeader, tokenize: Tokenize) -> None:
        """Make what replies need, now that the model is loaded."""

    @abstractmethod
    def _reply(self, prompt: Sequence[int], options: SamplingOptions) -> AsyncGenerator[Piece | Finished, None]:
        """Produce a reply to a prompt that fits. May raise `EngineRefusedError` beside what `generate` raises."""

    @property
    def status(self) -> EngineStatus:
        """Say where the engine is in its life."""
        if self._supervisor is not None:
            return self._supervisor.status
        state = EngineState.STOPPED if self._is_closed else EngineState.STARTING
        return EngineStatus(state, "the model is not loaded")

    @property
    def model(self) -> ModelInfo:
        """Describe the loaded model; only after `start`."""
        if self._model is None:
            raise EngineUnavailableError("the model is not loaded")
        return self._model

    @property
    def context_tokens(self) -> int:
        """Tokens of prompt and reply that one request may use: as configured, or fewer if trained on fewer."""
        return self._context_tokens

    @property
    def child_pid(self) -> int | None:
        """Process id of the engine process, while there is one."""
        return self._supervisor.pid if self._supervisor else None

    async def start(self) -> None:
        """Check the model file, load it and return when the model has answered once.

        Raises `ModelError` with one line for the operator.
        """
        config = self._served_config
        header = await asyncio.to_thread(read_gguf_header, config.model_path)
        self._check(header)
        check_memory(config, header, available_bytes=fetch_available_bytes())
        self._context_tokens = usable_context(config, header)
        await self._before_launch(header)
        self._supervisor = Supervisor(
            lambda socket_path, api_key: self._plan(header, socket_path=socket_path, api_key=api_key),
            model_path=config.model_path,
            timing=self._timing,
        )
        await self._supervisor.start()
        tokenizer = ServerTokenizer(self._post)
        control_texts = await find_control_texts(header, tokenizer.tokenize)
        self._encoder = PromptEncoder(tokenizer, control_texts, separators=_separators(header))
        self._prepare(header, tokenizer.tokenize)
        self._model = ModelInfo(
            name=config.model_name,
            size_bytes=header.size_bytes,
            trained_context=header.trained_context,
            parameters=header.parameters,
            architecture=header.architecture,
        )

    async def close(self) -> None:
        """Stop the engine process and remove what it left. Safe to call twice."""
        self._is_closed = True
        if self._supervisor is not None:
            await self._supervisor.close()

    async def wait_until_ready(self, timeout_seconds: float) -> None:
        """Return at once when ready, else wait; raises `EngineUnavailableError` after the timeout."""
        await self._require_supervisor().wait_until_ready(timeout_seconds)

    async def encode_chat(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> list[int]:
        """Render the model's chat template and tokenize it; control tokens written in contents stay text.

        Raises `TemplateRefusedError`, `ToolsRefusedError`.
        """
        return await self._require_encoder().encode_chat(messages, tools)

    async def encode_text(self, text: str) -> list[int]:
        """Tokenize plain text, without a template and without control tokens."""
        return await self._require_encoder().encode_text(text)

    async def generate(self, prompt: Sequence[int], options: SamplingOptions) -> AsyncGenerator[Piece | Finished, None]:
        """Yield pieces as they are produced and one `Finished` at the end.

        Raises `FormatRefusedError` before the first piece when `json_schema` cannot be enforced (or at the end, when
        the engine gave up enforcing it midway), `PromptTooLongError` when the prompt leaves no room for a reply,
        `EngineUnavailableError` when the engine is lost, also midway.
        """
        if len(prompt) >= self._context_tokens:
            raise PromptTooLongError(prompt_tokens=len(prompt), limit_tokens=self._context_tokens - 1)
        try:
            async with aclosing(self._reply(prompt, options)) as events:
                async for event in events:
                    yield event
                    if isinstance(event, Finished):
                        return
        except EngineRefusedError as error:
            if options.json_schema is not None and looks_like_schema_refusal(error):
                raise FormatRefusedError(CANNOT_CONSTRAIN) from None
            raise EngineUnavailableError("the model refused the request") from error
        raise EngineUnavailableError("the model stopped during the reply")

    async def forget_gone(self) -> None:  # noqa: B027 - right for an engine that keeps nothing
        """Remove what is kept of conversations that are gone or were changed."""

    async def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        # The client is another after each restart.
        return await self._client.post(path, body)

    @property
    def _client(self) -> EngineClient:
        return self._require_supervisor().client

    def _require_supervisor(self) -> Supervisor:
        if self._supervisor is None:
            raise EngineUnavailableError("the model is not loaded")
        return self._supervisor

    def _require_encoder(self) -> PromptEncoder:
        if self._encoder is None:
            raise EngineUnavailableError("the model is not loaded")
        return self._encoder


async def stream_reply(
    client: EngineClient,
    body: Mapping[str, Any],
    *,
    alternatives: int | None = None,
    probed: Mapping[str, Any] | None = None,
) -> AsyncGenerator[Piece | Finished, None]:
    """Send a `/completion` request and yield what comes of it; `probed` is the last event of a probe before it.

    `alternatives` are `SamplingOptions.logprobs`.
    """
    said = io.StringIO()
    async with aclosing(client.stream_together("/completion", body)) as arrivals:
        async for events in arrivals:
            saying = [event for event in events if event.get("content") or event.get("completion_probabilities")]
            # What has arrived together goes on together, but a reply is seen to begin and to grow.
            parts = [saying] if said.tell() else [saying[:1], saying[1:]]
            for part in filter(None, parts):
                piece = _join(part, alternatives or 0)
                said.write(piece.text)
                yield piece
            end = next((event for event in events if event.get("stop")), None)
            if end is not None:
                if "json_schema" in body and end["stop_type"] == "eos":
                    require_json(said.getvalue())
                yield _finished(end, probed)
                return


def _join(events: Sequence[Mapping[str, Any]], alternatives: int) -> Piece:
    logprobs = tuple(entry for event in events for entry in read_logprobs(event, alternatives))
    return Piece("".join(event["content"] for event in events), events[-1]["tokens_predicted"], logprobs)


def read_logprobs(event: Mapping[str, Any], count: int) -> tuple[TokenLogprob, ...]:
    """Read an event's log-probabilities. llama.cpp says one entry per character, with that of its last token."""
    return tuple(
        _read_logprob(entry, [_read_logprob(each, ()) for each in entry.get("top_logprobs", ())[:count]])
        for entry in event.get("completion_probabilities", ())
    )


def _read_logprob(entry: Mapping[str, Any], alternatives: Sequence[TokenLogprob]) -> TokenLogprob:
    data = bytes(entry["bytes"])
    return TokenLogprob(data.decode(errors="replace"), data, max(entry["logprob"], LEAST_LOGPROB), tuple(alternatives))


def _separators(header: GgufHeader) -> list[tuple[int, str]] | None:
    """Control tokens to hold fragments apart, where the tokenizer puts a space before each."""
    if not (header.adds_space_prefix and header.tokenizer == "llama"):
        return None
    return [
        (token, text.decode(errors="replace"))
        for token, (text, kind) in enumerate(zip(header.tokens, header.token_kinds, strict=False))
        if kind == TokenKind.CONTROL
    ]


def _finished(event: Mapping[str, Any], probed: Mapping[str, Any] | None) -> Finished:
    """Read the last event. After a probe the prompt was already computed, by the probe, and is counted there."""
    timings = event["timings"]
    prompt_ms, cached_tokens = timings["prompt_ms"], timings["cache_n"]
    if probed is not None:
        prompt_ms += probed["timings"]["prompt_ms"]
        cached_tokens = probed["timings"]["cache_n"]
    return Finished(
        reason="length" if event["stop_type"] == "limit" else "stop",
        prompt_tokens=event["tokens_evaluated"],
        completion_tokens=event["tokens_predicted"],
        cached_tokens=cached_tokens,
        prompt_duration_ns=round(prompt_ms * _NANOSECONDS_PER_MILLISECOND),
        completion_duration_ns=round(timings["predicted_ms"] * _NANOSECONDS_PER_MILLISECOND),
        stop_text=event["stopping_word"] if event["stop_type"] == "word" else None,
        slot=event.get("id_slot"),
    )
