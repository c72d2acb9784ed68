"""The template and vocabulary of a model that vLLM serves.

vLLM renders a conversation only on its way to token ids. So it is rendered by asking for those and for their text,
which is taken for a template's output only after a trial has shown that its tokens are the same again (`look.py`).

Owns: the two routes. Does not own: what is to be kept out of a prompt (`generation/encoder.py`).

https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html#tokenizer-api
"""

from collections.abc import Mapping, Sequence
from typing import Any

from generation.client import EngineRefusedError
from generation.engine import Message
from generation.errors import EngineUnavailableError, TemplateRefusedError
from generation.server_tokenizer import TEMPLATE_VALUES, Post, say


class VllmTokenizer:
    """Implements `generation.encoder.Tokenizer`. vLLM takes one text at a time and reads control tokens in each."""

    def __init__(self, post: Post, *, model: str) -> None:
        self._post = post
        self._model = model

    async def encode_messages(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()
    ) -> tuple[list[int], int]:
        """Give a conversation's token ids as the server itself would read it, and the context it says it has.

        Raises `TemplateRefusedError`.
        """
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [say(message) for message in messages],
            "chat_template_kwargs": dict(TEMPLATE_VALUES),
        }
        if tools:
            body["tools"] = list(tools)
        try:
            document = await self._post("/tokenize", body)
        except EngineRefusedError as error:
            raise TemplateRefusedError("the chat template refuses this order of roles") from error
        return document["tokens"], document.get("max_model_len", 0)

    async def render(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> str:
        """Apply the chat template; raises `TemplateRefusedError`."""
        ids, _ = await self.encode_messages(messages, tools)
        return await self.detokenize(ids)

    async def detokenize(self, ids: Sequence[int]) -> str:
        """Give the text of token ids, control tokens in it."""
        try:
            text: str = (await self._post("/detokenize", {"model": self._model, "tokens": list(ids)}))["prompt"]
        except EngineRefusedError as error:
            raise EngineUnavailableError("the model refused the request") from error
        return text

    async def tokenize(
        self,
        content: str | Sequence[str | int],
        *,
        add_special: bool = False,  # noqa: ARG002 - what the template begins with stands in its output
        parse_special: bool = False,  # noqa: ARG002 - it always does
    ) -> list[int]:
        """Tokenize a text, or texts apart from each other with ready token ids between them."""
        tokens: list[int] = []
        for part in [content] if isinstance(content, str) else content:
            tokens += [part] if isinstance(part, int) else await self._tokenize(part)
        return tokens

    async def _tokenize(self, text: str) -> list[int]:
        body = {"model": self._model, "prompt": text, "add_special_tokens": False}
        try:
            tokens: list[int] = (await self._post("/tokenize", body))["tokens"]
        except EngineRefusedError as error:
            raise EngineUnavailableError("the model refused the request") from error
        return tokens
