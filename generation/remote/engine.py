"""The engine whose model is served elsewhere, by one server or by several that are alike.

Owns: a reply from its request to its end, a second try where the first came to nothing, and which of a server's
failures are whose fault. Does not own: which server (`pool.py`), the wires (`completions.py`, `chat.py`, llama.cpp's in
`generation/served_engine.py`), what was learned (`learn.py`).

A server is somebody else's program: whatever it sends, a caller reads one of this package's errors.
"""

import hashlib
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from generation.adapters import Adapter, choose
from generation.client import EngineRefusedError
from generation.constraint import CANNOT_CONSTRAIN, SchemaProbe, looks_like_schema_refusal
from generation.engine import EngineStatus, Finished, Message, ModelInfo, Piece, SamplingOptions
from generation.errors import (
    EngineUnavailableError,
    FormatRefusedError,
    PromptTooLongError,
    RequestRefusedError,
)
from generation.remote import chat
from generation.remote.bounds import bounded
from generation.remote.cluster import Cluster, make_encoder
from generation.remote.completions import completions_body, stream_completion
from generation.remote.facts import Kind
from generation.remote.learn import RemoteConfig
from generation.remote.pool import Pool
from generation.remote.prompt import RemotePrompt, find_affinity
from generation.remote.replica import Replica
from generation.remote.wire import RemoteClient
from generation.sampling import completion_body
from generation.served_engine import stream_reply
from generation.server_tokenizer import ServerTokenizer
from generation.turns import Turns

_TRIES = 2

_GARBAGE = (LookupError, TypeError, ValueError, AttributeError)
"""What reading an answer of another shape than it should have raises."""

_TOO_LONG = ("context_length_exceeded", "exceed_context_size", "context length", "context size", "maximum model length")

Events = AsyncGenerator[Piece | Finished, None]


class RemoteEngine:
    """Implements `generation.engine.Engine`, over what `learn` found out."""

    def __init__(self, config: RemoteConfig, cluster: Cluster) -> None:
        self._config = config
        self._cluster = cluster
        self._facts = cluster.facts
        self._pool = Pool(slots=config.slots)
        self._context_tokens = usable_context(config, cluster)
        self._encoder = make_encoder(self._facts, cluster.vocabulary, self._post)
        # llama-server's adapters have numbers, in the order of their names; vLLM's are models.
        is_numbered = self._facts.kind is Kind.LLAMA_SERVER
        self._adapters = tuple(Adapter(name, Path()) for name in self._facts.names[1:]) if is_numbered else ()
        self._turns: defaultdict[RemoteClient, Turns] = defaultdict(Turns)
        self._probe = SchemaProbe(ServerTokenizer(self._post).tokenize)

    @property
    def status(self) -> EngineStatus:
        """Say whether any server takes requests, and which do not."""
        return self._pool.status

    @property
    def model(self) -> ModelInfo:
        """Describe the model as far as a server told of it."""
        return self._facts.model

    @property
    def context_tokens(self) -> int:
        """Tokens of prompt and reply that one request may use."""
        return self._context_tokens

    async def start(self) -> None:
        """Begin to watch the servers; one that has left since it was asked is noticed by that."""
        config = self._config
        self._pool.start(
            [
                Replica(
                    address,
                    RemoteClient(address, config.api_key, patience=config.patience),
                    self._facts,
                    watching=config.watching,
                    on_change=self._pool.notice,
                )
                for address in config.addresses
            ]
        )

    async def close(self) -> None:
        """Let go of every server. Safe to call twice."""
        await self._pool.close()

    async def wait_until_ready(self, timeout_seconds: float) -> None:
        """Return at once when a server takes requests, else wait; raises `EngineUnavailableError` after the timeout."""
        await self._pool.wait_until_ready(timeout_seconds)

    async def encode_chat(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> list[int]:
        """Render and tokenize a conversation on a server, or estimate its tokens where that takes messages only.

        Raises `TemplateRefusedError`, `ToolsRefusedError`.
        """
        affinity = find_affinity(messages)
        if self._encoder is None:
            return chat.encode_messages(messages, tools, affinity, takes_tools=self._cluster.takes_tools)
        try:
            return RemotePrompt(await self._encoder.encode_chat(messages, tools), affinity=affinity)
        except _GARBAGE as error:
            raise EngineUnavailableError("it answers with something else than it should") from error

    async def encode_text(self, text: str) -> list[int]:
        """Tokenize plain text, or estimate its tokens."""
        if self._encoder is None:
            return [0] * chat.count_tokens(text)
        try:
            return await self._encoder.encode_text(text)
        except _GARBAGE as error:
            raise EngineUnavailableError("it answers with something else than it should") from error

    async def generate(self, prompt: Sequence[int], options: SamplingOptions) -> Events:
        """Yield pieces as they are produced and one `Finished` at the end.

        A reply that has not begun when its server fails is asked for once more, of another. Raises
        `FormatRefusedError`, `PromptTooLongError`, `RequestRefusedError`, and `EngineUnavailableError`, also midway.
        """
        if len(prompt) >= self._context_tokens:
            raise PromptTooLongError(prompt_tokens=len(prompt), limit_tokens=self._context_tokens - 1)
        failed: list[Replica] = []
        while True:
            replica = self._pool.choose(_key(prompt, options), without=failed)
            has_begun = False
            try:
                with replica.serving():
                    async with aclosing(self._reply(replica.client, prompt, options)) as events:
                        async for event in events:
                            has_begun = True
                            yield event
                            if isinstance(event, Finished):
                                return
                    raise EngineUnavailableError("the reply broke off")
            except EngineRefusedError as error:
                self._raise_refusal(error, prompt, options)
                failure = EngineUnavailableError("the engine server failed the request")
            except EngineUnavailableError as error:
                failure = EngineUnavailableError(error.reason, retry_after_seconds=3)
            failed.append(replica)
            if has_begun or len(failed) == _TRIES:
                raise failure

    async def forget_gone(self) -> None:
        """Do nothing: what servers elsewhere keep is theirs, in memory alone."""

    async def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        return await self._pool.call(lambda client: client.post(path, body))

    async def _reply(self, client: RemoteClient, prompt: Sequence[int], options: SamplingOptions) -> Events:
        try:
            asked = self._ask(client, prompt, options)
            async with aclosing(bounded(asked, most_tokens=options.max_tokens)) as events:
                async for event in events:
                    yield event
        except _GARBAGE as error:
            raise EngineUnavailableError("it answers with something else than it should") from error

    def _ask(self, client: RemoteClient, prompt: Sequence[int], options: SamplingOptions) -> Events:
        model, abilities = options.adapter or self._facts.upstream, self._cluster.abilities
        match self._facts.kind:
            case Kind.LLAMA_SERVER:
                return self._ask_llama_server(client, prompt, options)
            case Kind.VLLM:
                body = completions_body(prompt, options, abilities=abilities, model=model)
                return stream_completion(client, body, prompt_tokens=len(prompt), stop=options.stop)
            case Kind.CHAT:
                assert isinstance(prompt, RemotePrompt)
                body = chat.chat_body(prompt, options, abilities=abilities, model=model)
                return chat.stream_chat(client, body, prompt_tokens=len(prompt), stop=options.stop)

    async def _ask_llama_server(self, client: RemoteClient, prompt: Sequence[int], options: SamplingOptions) -> Events:
        async with self._turns[client].take(options.adapter):
            body = completion_body(prompt, options, context_tokens=self._context_tokens)
            body |= choose(self._adapters, options.adapter)
            probed = None
            if options.json_schema is not None:
                is_enforced, probed = await self._probe.check(client, body)
                if not is_enforced:
                    raise FormatRefusedError(CANNOT_CONSTRAIN)
            reply = stream_reply(client, body, alternatives=options.logprobs, probed=probed)
            async with aclosing(reply) as events:
                async for event in events:
                    yield event

    def _raise_refusal(self, error: EngineRefusedError, prompt: Sequence[int], options: SamplingOptions) -> None:
        """Raise what is the request's own fault; return for what another server may do better."""
        if error.status not in {400, 413, 422}:
            return
        said = f"{error.kind} {error.detail}".lower()
        if any(words in said for words in _TOO_LONG):
            if self._encoder is not None:
                # What fits was counted exactly: the server has less room than it said.
                return
            limit = self._context_tokens - 1
            raise PromptTooLongError(prompt_tokens=max(len(prompt), limit + 1), limit_tokens=limit) from None
        if options.json_schema is not None and looks_like_schema_refusal(error):
            raise FormatRefusedError(CANNOT_CONSTRAIN) from None
        raise RequestRefusedError from None


def usable_context(config: RemoteConfig, cluster: Cluster) -> int:
    """Tokens that one request may use: as configured, or what the servers have, whichever is less."""
    return min(config.context_tokens, cluster.facts.context_tokens or config.context_tokens)


def _key(prompt: Sequence[int], options: SamplingOptions) -> bytes:
    """Name the conversation for the choice of its server."""
    if options.conversation is not None:
        return hashlib.blake2b(options.conversation.encode(), digest_size=16).digest()
    return prompt.affinity if isinstance(prompt, RemotePrompt) else b"none"
