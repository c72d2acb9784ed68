"""The OpenAI dialect: `POST /v1/chat/completions`.

Owns: parsing to the common job, as `contract.md` section 6 says, and its route. Does not own: the wire
(`openai_contract.py`), errors and headers (`openai_dialect.py`), rendering (`openai_replies.py`), the list of models
(`model_list.py`).
"""

import random
from typing import Any

from aiohttp import web

from api import keys
from api.abilities import within_abilities
from api.body import read_object, validate
from api.calls import charged
from api.config import ApiConfig
from api.job import Job, OnOverflow, Tools
from api.openai_contract import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionRequest,
    FormatJsonObject,
    FormatJsonSchema,
    NamedToolChoice,
    OpenAIMessage,
)
from api.openai_dialect import OPENAI
from api.openai_replies import OpenAIRenderer
from api.replying import SSE, answer
from api.route import GENERATING, Route
from api.schemas import check_schema
from api.tool_calls import call_schema, name_of
from generation.engine import Message, SamplingOptions
from generation.sampling import SEEDS

__all__ = ["OPENAI", "ROUTES"]

MAX_INT32 = 2**31 - 1


async def chat_completions(request: web.Request) -> web.StreamResponse:
    """Answer `POST /v1/chat/completions`."""
    async with charged(request) as call:
        asked = validate(ChatCompletionRequest, await read_object(request))
        config = request.app[keys.CONFIG]
        job = _to_job(asked, config)
        renderer = OpenAIRenderer(
            job,
            model=config.models.name_of(job.sampling.adapter),
            created=int(request.app[keys.CLOCK].now().timestamp()),
            includes_usage=asked.stream_options.include_usage,
        )
        events = request.app[keys.PIPELINE].run(job, call, is_watched=asked.stream)
        return await answer(request, events, renderer, is_streamed=asked.stream)


def _to_job(asked: ChatCompletionRequest, config: ApiConfig) -> Job:
    tools = _tools(asked)
    sampling = _sampling(asked, adapter=config.models.find_adapter(asked.model), schema=_schema(asked, tools))
    sampling = within_abilities(sampling, config.abilities, asked=asked)
    return Job(
        messages=[_message(message) for message in asked.messages],
        context_tokens=config.context_tokens,
        reply_tokens=min(asked.reply_tokens, MAX_INT32),
        sampling=sampling,
        on_overflow=OnOverflow.REFUSE,
        choices=asked.n,
        tools=tools,
    )


def _message(message: OpenAIMessage) -> Message:
    return Message(
        "system" if message.role == "developer" else message.role,
        message.content or "",
        tool_calls=[call.model_dump() for call in message.tool_calls or ()],
        tool_call_id=message.tool_call_id,
    )


def _tools(asked: ChatCompletionRequest) -> Tools | None:
    if not asked.tools or asked.tool_choice == "none":
        return None
    offered = [tool.model_dump(exclude_none=True) for tool in asked.tools]
    match asked.tool_choice:
        case NamedToolChoice(function=function):
            must_call = frozenset({function.name})
        case "required":
            must_call = frozenset(map(name_of, offered))
        case _:
            must_call = frozenset()
    return Tools(offered=offered, must_call=must_call, is_one_call_at_most=not asked.parallel_tool_calls)


def _schema(asked: ChatCompletionRequest, tools: Tools | None) -> dict[str, Any] | None:
    """Give the JSON Schema that the reply is held to, if any; raises the 400 that names the field it came from."""
    match asked.response_format:
        case FormatJsonObject():
            return {"type": "object"}
        case FormatJsonSchema(json_schema=named):
            schema = named.schema_ or {"type": "object"}
            check_schema(schema, field="response_format")
            return schema
    demanded = None if tools is None else call_schema(tools)
    if demanded is not None:
        check_schema(demanded, field="tools")
    return demanded


def _sampling(asked: ChatCompletionRequest, *, adapter: str | None, schema: dict[str, Any] | None) -> SamplingOptions:
    """Say every option; those that OpenAI does not have are off."""
    return SamplingOptions(
        temperature=asked.temperature,
        top_k=0,
        top_p=asked.top_p,
        min_p=0.0,
        typical_p=1.0,
        tfs_z=1.0,
        mirostat=0,
        mirostat_tau=5.0,
        mirostat_eta=0.1,
        repeat_last_n=-1,
        repeat_penalty=1.0,
        presence_penalty=asked.presence_penalty,
        frequency_penalty=asked.frequency_penalty,
        seed=random.randrange(SEEDS) if asked.seed is None else asked.seed % SEEDS,
        max_tokens=1,
        stop=tuple(asked.stop or ()),
        ignore_eos=asked.ignore_eos,
        json_schema=schema,
        adapter=adapter,
        logprobs=asked.top_logprobs if asked.logprobs else None,
    )


ROUTES = (
    Route(
        method="POST",
        path="/v1/chat/completions",
        aliases=("/api/v1/chat/completions", "/chat/completions"),
        handler=chat_completions,
        summary="Continue a conversation, as OpenAI's clients ask",
        tag="OpenAI",
        body=ChatCompletionRequest,
        reply=ChatCompletion,
        stream=(ChatCompletionChunk,),
        stream_type=SSE,
        needs_token=True,
        errors=GENERATING,
    ),
)
