"""One reply over `/v1/chat/completions`: for servers that take messages only.

Owns: the body, the events, how a conversation is counted that nobody here can tokenize, and what is done about control
tokens in it. Does not own: the options' words (`options.py`).

https://platform.openai.com/docs/api-reference/chat
"""

import json
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from generation.abilities import Abilities
from generation.engine import Finished, Message, Piece, SamplingOptions, TokenLogprob
from generation.errors import ContinuingRefusedError, ToolsRefusedError
from generation.remote.called_functions import CalledFunctions
from generation.remote.options import say_options
from generation.remote.prompt import RemotePrompt, Tools
from generation.remote.tally import Tally, bound_logprob
from generation.remote.wire import RemoteClient
from generation.server_tokenizer import say

BYTES_PER_TOKEN = 3
"""Fewer than most texts have (English about 4.4 in vocabularies of 32,000 and up, Chinese 3 to 4), so that a prompt is
rather taken for longer than it is."""

TOKENS_AROUND_MESSAGE = 8

_CONTROL = re.compile(
    r"<\|[^<>\n]{1,40}\|>|<｜[^<>\n]{1,40}｜>|</?s>|<(?:start|end)_of_turn>|<(?:bos|eos|pad|unk)>|\[/?(?:INST|SYSTEM_PROMPT"
    r"|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|gMASK)\]|<</?SYS>>|</?(?:tool_call|tool_response|think)>"
)
_BREAK = "\u200b"
"""A space without width: people see no difference, and no tokenizer sees the token."""


def encode_messages(messages: Sequence[Message], tools: Tools, affinity: bytes, *, takes_tools: bool) -> RemotePrompt:
    """Take a conversation as it is to be sent, with an estimate of its tokens.

    Raises `ToolsRefusedError` where the server did not call one when it was tried, and `ContinuingRefusedError`:
    whether it would go on with a reply cannot be told.
    """
    is_about_tools = bool(tools) or any(message.role == "tool" or message.tool_calls for message in messages)
    if is_about_tools and not takes_tools:
        raise ToolsRefusedError("this engine takes no tools; leave out tools and their messages")
    if messages and messages[-1].role == "assistant":
        raise ContinuingRefusedError
    safe = [replace(message, content=break_control_texts(message.content)) for message in messages]
    around = [list(tools), *(list(message.tool_calls) for message in messages)]
    count = sum(count_tokens(message.content) + TOKENS_AROUND_MESSAGE for message in safe)
    count += sum(count_tokens(json.dumps(each, ensure_ascii=False)) for each in around if each)
    return RemotePrompt([0] * count, affinity=affinity, messages=safe, tools=tools)


def count_tokens(text: str) -> int:
    """Estimate the tokens of a text, rather too many than too few."""
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def break_control_texts(text: str) -> str:
    """Break what reads like a control token of a known family, for the server would take it for one."""
    return _CONTROL.sub(lambda found: f"{found[0][0]}{_BREAK}{found[0][1:]}", text)


def chat_body(prompt: RemotePrompt, options: SamplingOptions, *, abilities: Abilities, model: str) -> dict[str, Any]:
    """Say what the server shall do."""
    body = say_options(options, abilities) | {
        "model": model,
        "messages": [say(message) for message in prompt.messages],
    }
    if prompt.tools:
        body["tools"] = list(prompt.tools)
    if options.logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": options.logprobs}
    return body


async def stream_chat(
    client: RemoteClient, body: Mapping[str, Any], *, prompt_tokens: int, stop: Sequence[str]
) -> AsyncGenerator[Piece | Finished, None]:
    """Send the request and yield what comes of it; raises `EngineUnavailableError`, `EngineRefusedError`.

    What a model thinks before it answers is counted, and not shown. Calls of functions, which the server has read out
    of the text, are written back into it, for the dialects to read.
    """
    tally = Tally(prompt_tokens=prompt_tokens, most_tokens=body["max_tokens"], stop=stop)
    calls = CalledFunctions()
    async with aclosing(client.stream("/v1/chat/completions", body)) as events:
        async for event in events:
            tally.note_usage(event.get("usage"))
            for choice in (event.get("choices") or ())[:1]:
                delta = choice.get("delta") or {}
                text = delta.get("content") or ""
                is_calling = calls.add(delta.get("tool_calls"))
                if text or is_calling or delta.get("reasoning_content") or delta.get("reasoning"):
                    yield tally.say(text, _read_logprobs(choice.get("logprobs"), body.get("top_logprobs") or 0))
                tally.note_end(choice)
    if text := calls.write():
        yield tally.say(text)
    yield tally.finish(is_json="response_format" in body)


def _read_logprobs(said: Mapping[str, Any] | None, count: int) -> tuple[TokenLogprob, ...]:
    entries = (said or {}).get("content") or ()
    return tuple(
        _entry(each, [_entry(other) for other in (each.get("top_logprobs") or ())[:count]]) for each in entries
    )


def _entry(said: Mapping[str, Any], alternatives: Sequence[TokenLogprob] = ()) -> TokenLogprob:
    data = bytes(said.get("bytes") or said["token"].encode())
    return TokenLogprob(said["token"], data, bound_logprob(said["logprob"]), tuple(alternatives))
