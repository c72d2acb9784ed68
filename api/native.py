"""The native dialect: `POST /ai/chat`, `GET /ai/usage`, `POST /ai/tokenize`, and what the bot alone asks for.

Owns: parsing to the common job and rendering the common events, as `contract.md` section 4 says. Does not own:
anything another dialect would need too.
"""

import random
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from pydantic import BaseModel

from api import keys
from api.abilities import within_abilities
from api.allowance import Call
from api.auth import Caller
from api.body import read_object, validate
from api.calls import charged, identified
from api.config import ApiConfig
from api.contract import (
    CallUsage,
    ChatPiece,
    ChatReply,
    ChatRequest,
    DayUsage,
    Forgotten,
    Format,
    LlmTokenUsage,
    QueuePlace,
    ReplyMessage,
    SamplingFields,
    TokenizeReply,
    TokenizeRequest,
    Usage,
    UsageReply,
)
from api.errors import forbidden
from api.job import Done, Ended, Event, Job, Piece, Queued, Whole
from api.replying import NDJSON, Renderer, answer, line
from api.schemas import check_schema
from generation.engine import Message, SamplingOptions
from storage.ledger import TenantUsage

MAX_SEED = 2**32 - 2
"""llama.cpp's seeds are 32 bits, and the last value means random there."""

MAX_INT32 = 2**31 - 1

IGNORED_FIELDS = frozenset(
    {
        "keep_alive",
        "main_gpu",
        "num_batch",
        "num_gpu",
        "num_thread",
        "numa",
        "penalize_newline",
        "think",
        "use_mmap",
    }
    | {"f16_kv", "low_vram", "use_mlock", "vocab_only", "raw"}
)
"""Fields of Ollama's clients about loading a model; they change nothing here, and a warning says so."""


async def chat(request: web.Request) -> web.StreamResponse:
    """Answer `POST /ai/chat`."""
    async with charged(request) as call:
        asked, warnings = await _read_chat(request)
        job, more_warnings = _to_job(request, asked, conversation=call.caller.conversation)
        events = request.app[keys.PIPELINE].run(job, call, is_watched=asked.stream)
        renderer = _Renderer(request.app[keys.CONFIG], job, call, warnings + more_warnings)
        return await answer(request, events, renderer, is_streamed=asked.stream)


async def _read_chat(request: web.Request) -> tuple[ChatRequest, list[str]]:
    """Read the body; Ollama's load-time fields are taken out and named in a warning."""
    body = await read_object(request)
    ignored = _take_ignored(body)
    if isinstance(options := body.get("options"), dict):
        ignored |= _take_ignored(options)
    warnings = [f"{name} has no effect here" for name in sorted(ignored)]
    return validate(ChatRequest, body), warnings


def _take_ignored(body: dict[str, Any]) -> set[str]:
    ignored = set(IGNORED_FIELDS & body.keys())
    for name in ignored:
        del body[name]
    return ignored


def _to_job(request: web.Request, asked: ChatRequest, *, conversation: str | None = None) -> tuple[Job, list[str]]:
    """Translate to the common form; raises the 404 of an unknown model and the 400 of what cannot be honoured."""
    if isinstance(asked.format, dict):
        check_schema(asked.format)
    config = request.app[keys.CONFIG]
    adapter = config.models.find_adapter(asked.model)
    sampling = sampling_from(asked, asked.format, adapter=adapter, conversation=conversation)
    sampling = within_abilities(sampling, config.abilities, asked=asked)
    limit = config.context_tokens
    warnings = []
    if asked.num_ctx > limit and "num_ctx" in asked.model_fields_set:
        warnings.append(f"num_ctx was lowered from {asked.num_ctx} to this server's {limit}")
    job = Job(
        messages=[Message(message.role, message.content) for message in asked.messages],
        context_tokens=min(asked.num_ctx, limit),
        reply_tokens=min(asked.num_predict, MAX_INT32),
        sampling=sampling,
    )
    return job, warnings


def to_sampling(asked: ChatRequest) -> SamplingOptions:
    """Translate a request's options to the engine's, drawing a seed where none is given."""
    return sampling_from(asked, asked.format)


def sampling_from(
    asked: SamplingFields, form: Format | None, *, adapter: str | None = None, conversation: str | None = None
) -> SamplingOptions:
    """Translate the contract's options to the engine's, drawing a seed where none is given; `form` is its `format`."""
    return SamplingOptions(
        temperature=asked.temperature,
        top_k=min(asked.top_k, MAX_INT32),
        top_p=asked.top_p,
        min_p=asked.min_p,
        typical_p=asked.typical_p,
        tfs_z=asked.tfs_z,
        mirostat=asked.mirostat,
        mirostat_tau=asked.mirostat_tau,
        mirostat_eta=asked.mirostat_eta,
        repeat_last_n=min(asked.repeat_last_n, MAX_INT32),
        repeat_penalty=asked.repeat_penalty,
        presence_penalty=asked.presence_penalty,
        frequency_penalty=asked.frequency_penalty,
        seed=asked.seed if asked.seed > 0 else random.randint(1, MAX_SEED),
        max_tokens=1,
        stop=tuple(asked.stop or ()),
        json_schema={"type": "object"} if form == "json" else form,
        adapter=adapter,
        conversation=conversation,
    )


class _Renderer(Renderer):
    """Renders one reply, whole or as newline-delimited JSON."""

    content_type = NDJSON

    def __init__(self, config: ApiConfig, job: Job, call: Call, warnings: list[str]) -> None:
        self._job = job
        self._call = call
        self._warnings = warnings
        self._model = config.models.name_of(job.sampling.adapter)

    def whole(self, reply: Whole) -> ChatReply:
        return self._last(reply.done, reply.choices[0].text)

    def event(self, event: Event) -> bytes:
        match event:
            case Done():
                return line(self._last(event, ""))
            case Queued(position, wait_seconds):
                return line(self._piece("", QueuePlace(position=position, wait_seconds=wait_seconds)))
            case Piece(text):
                return line(self._piece(text))
            case Ended():
                return b""

    def error(self, body: BaseModel) -> bytes:
        return line(body)

    def _piece(self, text: str, queue: QueuePlace | None = None) -> ChatPiece:
        message = ReplyMessage(content=text)
        return ChatPiece(model=self._model, created_at=datetime.now(UTC), message=message, queue=queue)

    def _last(self, done: Done, text: str) -> ChatReply:
        finished = done.finished
        return ChatReply(
            model=self._model,
            created_at=datetime.now(UTC),
            message=ReplyMessage(content=text),
            done_reason=finished.reason,
            total_duration=done.total_duration_ns,
            load_duration=0,
            prompt_eval_count=finished.prompt_tokens,
            prompt_eval_duration=finished.prompt_duration_ns,
            eval_count=finished.completion_tokens,
            eval_duration=finished.completion_duration_ns,
            usage=self._usage(done),
            seed=self._job.sampling.seed,
            dropped_messages=done.dropped_messages,
            warnings=self._warnings,
        )

    def _usage(self, done: Done) -> Usage:
        finished, call = done.finished, self._call
        return Usage(
            prompt_tokens=finished.prompt_tokens,
            completion_tokens=finished.completion_tokens,
            total_tokens=finished.prompt_tokens + finished.completion_tokens,
            cached_tokens=finished.cached_tokens,
            calls_remaining=call.rate.remaining,
            llm_tokens_remaining=call.llm_balance,
            resets_at=call.rate.resets_at,
        )


async def forget_gone(request: web.Request) -> web.Response:
    """Answer `POST /ai/conversations/forgotten`, for the bot: costs no call, and what has to go is gone afterwards."""
    caller = await identified(request)
    if not caller.is_service:
        raise forbidden("Only the service token may ask for this.")
    await request.app[keys.ENGINE].forget_gone()
    return web.json_response(text=Forgotten().model_dump_json())


async def usage(request: web.Request) -> web.Response:
    """Answer `GET /ai/usage`; costs no call."""
    reply = await report_usage(request, await identified(request))
    return web.json_response(text=reply.model_dump_json())


async def report_usage(request: web.Request, caller: Caller) -> UsageReply:
    """Report what a caller, who was identified, has used."""
    recorded = await request.app[keys.LEDGER].usage(caller.tenant_id)
    return usage_reply(caller, recorded, resets_at=request[keys.RATE].resets_at)


def usage_reply(caller: Caller, recorded: TenantUsage, *, resets_at: datetime) -> UsageReply:
    """Say what the ledger recorded of a caller."""
    used, limit = recorded.used_today, caller.daily_calls
    return UsageReply(
        id=caller.tenant_id,
        name=caller.name,
        calls=CallUsage(used=used, limit=limit, remaining=max(0, limit - used)),
        llm_tokens=LlmTokenUsage(
            prompt=recorded.prompt_tokens, completion=recorded.completion_tokens, balance=caller.llm_balance
        ),
        resets_at=resets_at,
        mature=caller.mature,
        days=[
            DayUsage(
                date=day.date,
                calls=day.calls,
                prompt_tokens=day.prompt_tokens,
                completion_tokens=day.completion_tokens,
            )
            for day in recorded.days
        ],
    )


async def tokenize(request: web.Request) -> web.Response:
    """Answer `POST /ai/tokenize`; costs no call."""
    await identified(request)
    asked = validate(TokenizeRequest, await read_object(request))
    pipeline = request.app[keys.PIPELINE]
    if asked.messages is None:
        reply = TokenizeReply(tokens=await pipeline.count_text(asked.text or ""), dropped_messages=0)
    else:
        body = asked.model_dump(include={"messages", "num_ctx", "num_predict"})
        job, _ = _to_job(request, ChatRequest.model_validate(body))
        fitted = await pipeline.fit(job)
        reply = TokenizeReply(tokens=len(fitted.prompt), dropped_messages=fitted.dropped_messages)
    return web.json_response(text=reply.model_dump_json())
