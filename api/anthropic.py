"""The Anthropic dialect: `POST /v1/messages`, `POST /v1/messages/count_tokens`.

Owns: parsing to the common job, as `contract.md` section 7a says, and its routes. Does not own: the wire
(`anthropic_contract.py`, `anthropic_events.py`), translating messages and tools (`anthropic_turns.py`), errors and
headers (`anthropic_dialect.py`), rendering (`anthropic_replies.py`).
"""

import random
from typing import Any

from aiohttp import web

from api import keys
from api.abilities import within_abilities
from api.anthropic_contract import AnthropicPrompt, AnthropicRequest
from api.anthropic_dialect import ANTHROPIC, OVERLOADED
from api.anthropic_events import EVENTS, AnthropicCount, AnthropicReply
from api.anthropic_replies import AnthropicRenderer
from api.anthropic_turns import to_messages, to_tools
from api.body import read_object, validate
from api.calls import charged, identified
from api.config import ApiConfig
from api.job import Job, OnOverflow, Tools
from api.replying import SSE, answer
from api.route import GENERATING, Route
from api.schemas import check_schema
from api.tool_calls import call_schema
from generation.engine import SamplingOptions
from generation.errors import PromptTooLongError
from generation.sampling import SEEDS

__all__ = ["ANTHROPIC", "ROUTES"]

MAX_INT32 = 2**31 - 1


async def messages(request: web.Request) -> web.StreamResponse:
    """Answer `POST /v1/messages`."""
    async with charged(request) as call:
        asked = validate(AnthropicRequest, await read_object(request))
        config = request.app[keys.CONFIG]
        job = _to_job(asked, config)
        renderer = AnthropicRenderer(
            call, model=config.models.name_of(job.sampling.adapter), wanted_tokens=asked.max_tokens
        )
        events = request.app[keys.PIPELINE].run(job, call, is_watched=asked.stream)
        return await answer(request, events, renderer, is_streamed=asked.stream)


async def count_tokens(request: web.Request) -> web.Response:
    """Answer `POST /v1/messages/count_tokens`; costs no call."""
    await identified(request)
    asked = validate(AnthropicPrompt, await read_object(request))
    body = {name: getattr(asked, name) for name in AnthropicPrompt.model_fields}
    job = _to_job(AnthropicRequest.model_construct(**body, max_tokens=1), request.app[keys.CONFIG])
    try:
        count = len((await request.app[keys.PIPELINE].fit(job)).prompt)
    except PromptTooLongError as error:
        count = error.prompt_tokens
    return web.json_response(text=AnthropicCount(input_tokens=count).model_dump_json())


def _to_job(asked: AnthropicRequest, config: ApiConfig) -> Job:
    tools = to_tools(asked)
    sampling = _sampling(asked, adapter=config.models.find_adapter(asked.model), schema=_schema(asked, tools))
    sampling = within_abilities(sampling, config.abilities, asked=asked)
    return Job(
        messages=to_messages(asked),
        context_tokens=config.context_tokens,
        reply_tokens=min(asked.max_tokens, MAX_INT32),
        sampling=sampling,
        on_overflow=OnOverflow.REFUSE,
        tools=tools,
    )


def _schema(asked: AnthropicRequest, tools: Tools | None) -> dict[str, Any] | None:
    """Give the JSON Schema that the reply is held to, if any; raises the 400 that names the field it came from."""
    form = asked.output_config.format
    if form is not None:
        check_schema(form.schema_)
        return form.schema_
    demanded = None if tools is None else call_schema(tools)
    if demanded is not None:
        check_schema(demanded, field="tools")
    return demanded


def _sampling(asked: AnthropicRequest, *, adapter: str | None, schema: dict[str, Any] | None) -> SamplingOptions:
    """Say every option; those that Anthropic does not have are off."""
    return SamplingOptions(
        temperature=asked.temperature,
        top_k=min(asked.top_k, MAX_INT32),
        top_p=asked.top_p,
        min_p=0.0,
        typical_p=1.0,
        tfs_z=1.0,
        mirostat=0,
        mirostat_tau=5.0,
        mirostat_eta=0.1,
        repeat_last_n=-1,
        repeat_penalty=1.0,
        presence_penalty=0.0,
        frequency_penalty=0.0,
        seed=random.randrange(SEEDS),
        max_tokens=1,
        stop=tuple(asked.stop_sequences or ()),
        json_schema=schema,
        adapter=adapter,
    )


ROUTES = (
    Route(
        method="POST",
        path="/v1/messages",
        handler=messages,
        summary="Continue a conversation, as Anthropic's clients ask",
        tag="Anthropic",
        body=AnthropicRequest,
        reply=AnthropicReply,
        stream=EVENTS,
        stream_type=SSE,
        needs_token=True,
        errors=(*GENERATING, 402, OVERLOADED),
    ),
    Route(
        method="POST",
        path="/v1/messages/count_tokens",
        handler=count_tokens,
        summary="Count the tokens of a prompt before asking; costs no call",
        tag="Anthropic",
        body=AnthropicPrompt,
        reply=AnthropicCount,
        needs_token=True,
        errors=(400, 401, 403, 404, 408, 413, 415, 500, 503, OVERLOADED),
    ),
)
