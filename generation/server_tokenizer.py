"""The loaded model's template and vocabulary, through llama.cpp's server, wherever that runs.

Owns: the two routes and their refusals. Does not own: the connection, or what is kept out of a prompt (`encoder.py`).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from generation.client import EngineRefusedError
from generation.engine import Message
from generation.errors import EngineUnavailableError, TemplateRefusedError

Post = Callable[[str, Mapping[str, Any]], Awaitable[Any]]
"""`(path, body) -> document`; may raise `EngineRefusedError` and `EngineUnavailableError`."""

TEMPLATE_VALUES: Mapping[str, Any] = {"enable_thinking": False}
"""Models that can think aloud first would spend the reply's tokens on it."""


class ServerTokenizer:
    """Implements `generation.encoder.Tokenizer`."""

    def __init__(self, post: Post) -> None:
        self._post = post

    async def render(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> str:
        """Apply the chat template; raises `TemplateRefusedError`."""
        body = {"messages": [say(message) for message in messages], "chat_template_kwargs": dict(TEMPLATE_VALUES)}
        if tools:
            body["tools"] = list(tools)
        try:
            prompt: str = (await self._post("/apply-template", body))["prompt"]
        except EngineRefusedError as error:
            raise TemplateRefusedError("the chat template refuses this order of roles") from error
        return prompt

    async def tokenize(
        self, content: str | Sequence[str | int], *, add_special: bool = False, parse_special: bool = False
    ) -> list[int]:
        """Tokenize a text, or texts apart from each other with ready token ids between them."""
        body = {"content": content, "add_special": add_special, "parse_special": parse_special}
        try:
            tokens: list[int] = (await self._post("/tokenize", body))["tokens"]
        except EngineRefusedError as error:
            raise EngineUnavailableError("the model refused the request") from error
        return tokens


def say(message: Message) -> dict[str, Any]:
    """Say a message in OpenAI's form; what it does not have is left out, for templates ask whether it is there."""
    plain: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        plain["tool_calls"] = list(message.tool_calls)
    if message.tool_call_id is not None:
        plain["tool_call_id"] = message.tool_call_id
    return plain
