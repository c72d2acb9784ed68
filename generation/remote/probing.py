"""Tries which options a server honours that OpenAI's routes do not promise.

Many servers leave out in silence what they do not know. So each option is asked for twice: a server that takes a sound
value and refuses an absurd one has read it. Each try costs one token at the start.

Owns: the tries. Does not own: what is known without (`tables.py`), or how options are said to a server (`options.py`).
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

from generation.abilities import Abilities
from generation.client import EngineRefusedError
from generation.errors import EngineUnavailableError
from generation.remote.facts import Facts, Kind
from generation.remote.options import say_schema
from generation.remote.tables import KINDS, STANDARD, VLLM
from generation.remote.wire import RemoteClient

_TRIED: Final[Mapping[str, tuple[str, object, object]]] = {
    "top_k": ("top_k", 5, -7),
    "min_p": ("min_p", 0.1, 3.0),
    "repeat_penalty": ("repetition_penalty", 1.1, -1.0),
    "ignore_eos": ("ignore_eos", False, "neither"),
}
"""By our names: a server's name for it, a sound value, an absurd one."""

_SCHEMA: Final = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}
_SCHEMA_TOKENS: Final = 64
_QUESTION: Final = "Say hello."

_TOOL: Final[dict[str, Any]] = {
    "type": "function",
    "function": {
        "name": "look_up_weather",
        "description": "Looks up the present weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
_TOOL_QUESTION: Final = "Call look_up_weather for the city Oslo. Do not answer with text."
_TOOL_TOKENS: Final = 256
"""A model that thinks first needs some."""


async def probe(client: RemoteClient, facts: Facts, prompt: list[int]) -> Abilities:
    """Find out what a server can do; `prompt` are the ids of a question, for a server that takes ids.

    Raises `EngineUnavailableError`.
    """
    table = KINDS[facts.kind]
    if facts.kind is Kind.LLAMA_SERVER:
        return table
    trial = _Trial(client, facts, prompt)
    await trial.require_reply()
    found = await asyncio.gather(*(trial.reads(*each) for each in _TRIED.values()))
    options = STANDARD | {name for name, is_read in zip(_TRIED, found, strict=True) if is_read}
    if await trial.says_logprobs():
        options |= {"logprobs"}
    if await trial.holds_to_schema():
        options |= {"json_schema"}
    notes = {name: note for name, note in {**VLLM.notes, **table.notes}.items() if name in options}
    return Abilities(engine=str(facts.kind), options=options, notes=notes)


async def tries_tools(client: RemoteClient, facts: Facts) -> bool:
    """Say whether a server that takes messages calls a function when a question asks for nothing else.

    Raises `EngineUnavailableError`.
    """
    return facts.kind is Kind.CHAT and await _Trial(client, facts, []).calls_a_function()


class _Trial:
    """Short requests to one server."""

    def __init__(self, client: RemoteClient, facts: Facts, prompt: list[int]) -> None:
        self._client = client
        self._is_chat = facts.kind is Kind.CHAT
        self._base: dict[str, Any] = {"model": facts.upstream, "temperature": 0.0}
        if self._is_chat:
            self._base["messages"] = [{"role": "user", "content": _QUESTION}]
        else:
            self._base |= {"prompt": prompt, "add_special_tokens": False}

    async def require_reply(self) -> None:
        """Make sure that anything is answered at all."""
        if await self._ask({}) is None:
            raise EngineUnavailableError("it refuses a plain request")

    async def reads(self, name: str, sound: object, absurd: object) -> bool:
        """Say whether an option is read."""
        return await self._ask({name: sound}) is not None and await self._ask({name: absurd}) is None

    async def says_logprobs(self) -> bool:
        """Say whether log-probabilities come when they are asked for."""
        wish: dict[str, Any] = {"logprobs": True, "top_logprobs": 2} if self._is_chat else {"logprobs": 2}
        choice = await self._ask(wish)
        logprobs = None if choice is None else choice.get("logprobs")
        return bool(isinstance(logprobs, dict) and logprobs.get("content" if self._is_chat else "token_logprobs"))

    async def holds_to_schema(self) -> bool:
        """Say whether a reply keeps to a schema that nothing else would make it keep to."""
        choice = await self._ask(say_schema(_SCHEMA), tokens=_SCHEMA_TOKENS)
        if choice is None:
            return False
        message = choice.get("message")
        text = message.get("content") if isinstance(message, dict) else choice.get("text")
        try:
            document = json.loads(text or "")
        except ValueError:
            return False
        return isinstance(document, dict) and isinstance(document.get("n"), int)

    async def calls_a_function(self) -> bool:
        """Say whether tools are read: a model that has not seen one cannot call it."""
        messages = [{"role": "user", "content": _TOOL_QUESTION}]
        choice = await self._ask({"messages": messages, "tools": [_TOOL]}, tokens=_TOOL_TOKENS)
        message = None if choice is None else choice.get("message")
        calls = message.get("tool_calls") if isinstance(message, dict) else None
        try:
            return isinstance(calls, list) and calls[0]["function"]["name"] == _TOOL["function"]["name"]
        except (LookupError, TypeError):
            return False

    async def _ask(self, wish: Mapping[str, Any], *, tokens: int = 1) -> Mapping[str, Any] | None:
        """Give the one choice of a reply; None when the request was refused."""
        path = "/v1/chat/completions" if self._is_chat else "/v1/completions"
        try:
            body = {**self._base, "max_tokens": tokens, **wish}
            # Ollama loads a model when it is first asked something.
            document = await self._client.post(path, body, within_seconds=self._client.patience.first_piece)
        except EngineRefusedError as error:
            if error.status >= 500:
                raise EngineUnavailableError("it fails a plain request") from error
            return None
        try:
            choice: Mapping[str, Any] = document["choices"][0]
        except (LookupError, TypeError) as error:
            raise EngineUnavailableError("it answers with something else than it should") from error
        return choice if isinstance(choice, dict) else {}
