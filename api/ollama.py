"""The Ollama dialect's replies: `POST /api/chat`, `POST /api/generate`, and the rows of all its routes.

Owns: parsing to the common job, as `contract.md` section 7 says. Does not own: the wire (`ollama_contract.py`), errors
(`ollama_dialect.py`), rendering (`ollama_replies.py`), what is said of models (`ollama_models.py`).
"""

import json
from collections.abc import Sequence
from dataclasses import replace

from aiohttp import web

from api import keys, ollama_models
from api.abilities import within_abilities
from api.allowance import Call
from api.body import read_object, validate
from api.calls import charged
from api.config import ApiConfig
from api.job import Job, OnOverflow, Tools
from api.native import MAX_INT32, sampling_from
from api.ollama_contract import (
    OllamaChatReply,
    OllamaChatRequest,
    OllamaGenerateReply,
    OllamaGenerateRequest,
    OllamaMessage,
    OllamaRequest,
)
from api.ollama_dialect import OLLAMA, OLLAMA_GENERATE
from api.ollama_models import find_adapter
from api.ollama_replies import ChatRenderer, GenerateRenderer, OllamaRenderer
from api.replying import NDJSON, answer
from api.route import GENERATING, Route
from api.schemas import check_schema
from generation.engine import Message

__all__ = ["OLLAMA", "OLLAMA_GENERATE", "ROUTES"]


async def chat(request: web.Request) -> web.StreamResponse:
    """Answer `POST /api/chat`."""
    async with charged(request) as call:
        asked = validate(OllamaChatRequest, await read_object(request, needs_content_type=False))
        renderer = ChatRenderer(asked.model, has_logprobs=asked.logprobs)
        tools = Tools(offered=[tool.model_dump(exclude_none=True) for tool in asked.tools]) if asked.tools else None
        return await _answer(request, call, asked, renderer, messages=_messages(asked.messages or ()), tools=tools)


async def generate(request: web.Request) -> web.StreamResponse:
    """Answer `POST /api/generate`."""
    async with charged(request) as call:
        asked = validate(OllamaGenerateRequest, await read_object(request, needs_content_type=False))
        renderer = GenerateRenderer(asked.model, has_logprobs=asked.logprobs)
        system = [Message("system", asked.system)] if asked.system else []
        messages = [*system, Message("user", asked.prompt)] if asked.prompt else []
        return await _answer(request, call, asked, renderer, messages=messages)


async def _answer(
    request: web.Request,
    call: Call,
    asked: OllamaRequest,
    renderer: OllamaRenderer,
    *,
    messages: Sequence[Message],
    tools: Tools | None = None,
) -> web.StreamResponse:
    """Answer with a reply, or where nothing is to be answered, when the model is loaded."""
    config = request.app[keys.CONFIG]
    job = _to_job(asked, config, messages=messages, tools=tools)
    if messages:
        events = request.app[keys.PIPELINE].run(job, call, is_watched=asked.stream)
        return await answer(request, events, renderer, is_streamed=asked.stream)
    if not asked.is_farewell:
        await request.app[keys.ENGINE].wait_until_ready(config.engine_wait_seconds)
    body = renderer.without_reply("unload" if asked.is_farewell else "load")
    return web.json_response(text=body.model_dump_json())


def _to_job(asked: OllamaRequest, config: ApiConfig, *, messages: Sequence[Message], tools: Tools | None) -> Job:
    if isinstance(asked.format, dict):
        check_schema(asked.format)
    options = asked.options
    sampling = replace(
        sampling_from(options, asked.format),
        adapter=find_adapter(asked.model, config.models),
        logprobs=asked.top_logprobs if asked.logprobs else None,
    )
    sampling = within_abilities(sampling, config.abilities, asked=options)
    return Job(
        messages=messages,
        context_tokens=min(options.num_ctx, config.context_tokens),
        reply_tokens=min(options.num_predict, MAX_INT32),
        sampling=sampling,
        on_overflow=OnOverflow.CUT if asked.truncate else OnOverflow.REFUSE,
        tools=tools,
    )


def _messages(asked: Sequence[OllamaMessage]) -> list[Message]:
    """Translate the messages; calls get ids where they have none, and their answers those of the calls in order."""
    messages: list[Message] = []
    open_calls: list[str] = []
    for message in asked:
        calls = [
            {
                "id": call.id or f"call_{len(messages)}_{at}",
                "type": "function",
                "function": {
                    "name": call.function.name,
                    "arguments": json.dumps(call.function.arguments, ensure_ascii=False),
                },
            }
            for at, call in enumerate(message.tool_calls or ())
        ]
        open_calls += [str(call["id"]) for call in calls]
        answered = message.tool_call_id
        if message.role == "tool" and open_calls:
            oldest = open_calls.pop(0)
            answered = answered or oldest
        messages.append(Message(message.role, message.content, tool_calls=calls, tool_call_id=answered))
    return messages


ROUTES = (
    Route(
        method="POST",
        path="/api/chat",
        handler=chat,
        summary="Continue a conversation, as Ollama's clients ask",
        tag="Ollama",
        body=OllamaChatRequest,
        reply=OllamaChatReply,
        stream=(OllamaChatReply,),
        stream_type=NDJSON,
        needs_token=True,
        errors=GENERATING,
    ),
    Route(
        method="POST",
        path="/api/generate",
        handler=generate,
        summary="Answer a prompt, as Ollama's clients ask",
        tag="Ollama",
        body=OllamaGenerateRequest,
        reply=OllamaGenerateReply,
        stream=(OllamaGenerateReply,),
        stream_type=NDJSON,
        needs_token=True,
        errors=GENERATING,
    ),
    *ollama_models.ROUTES,
)
