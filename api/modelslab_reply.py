"""One turn of the ModelsLab dialect: from the request to a reply that is kept in its conversation.

Owns: parsing to the common job, the conversation, the body of the reply. Does not own: who waits for it, the caller
(`modelslab.py`) or a webhook (`modelslab_webhooks.py`).
"""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from aiohttp import web

from api import keys
from api.abilities import within_abilities
from api.allowance import Call
from api.config import ApiConfig
from api.errors import ApiError, invalid_field
from api.job import Job
from api.modelslab_contract import ModelsLabMeta, ModelsLabReply, ModelsLabRequest, YesNo
from api.modelslab_forms import Form, choose_form
from api.replying import fold
from generation.engine import Message, SamplingOptions
from generation.finishing import CannotFinishError
from generation.sampling import SEEDS
from storage.chats import Chat, Turn
from storage.errors import ChatNotFoundError

TRANSCRIPTS_PATH = "/api/v6/llm/transcripts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A request that can be run: everything about it has been checked, and its conversation found or begun."""

    asked: ModelsLabRequest
    job: Job
    form: Form
    chat: Chat


async def prepare(app: web.Application, asked: ModelsLabRequest, *, tenant_id: str) -> Prepared:
    """Check a request and find its conversation; raises the 400 that names a field, or the 404."""
    config = app[keys.CONFIG]
    form = choose_form(asked.generator_type, asked.generator_choices)
    sampling = _sampling(asked, form, adapter=config.models.find_adapter(asked.model_id))
    sampling = within_abilities(sampling, config.abilities, asked=asked)
    chat = await _find_chat(app, asked, tenant_id=tenant_id)
    sampling = replace(sampling, conversation=chat.computed_name)
    job = Job(
        messages=list(_messages(chat, asked.prompt)),
        context_tokens=config.context_tokens,
        reply_tokens=asked.max_new_tokens,
        sampling=sampling,
    )
    return Prepared(asked=asked, job=job, form=form, chat=chat)


async def _find_chat(app: web.Application, asked: ModelsLabRequest, *, tenant_id: str) -> Chat:
    chats, system_prompt = app[keys.CHATS], _system_prompt(asked, app[keys.CONFIG])
    if asked.chat_id is None:
        return chats.begin(system_prompt=system_prompt)
    try:
        if asked.reset:
            chat = await chats.begin_anew(asked.chat_id, tenant_id=tenant_id, system_prompt=system_prompt)
            await app[keys.ENGINE].forget_gone()
            return chat
        return await chats.read(asked.chat_id, tenant_id=tenant_id)
    except ChatNotFoundError:
        message = "There is no such chat of this API token; leave chat_id out to begin one."
        raise ApiError(404, "Not found", message) from None


def _system_prompt(asked: ModelsLabRequest, config: ApiConfig) -> str:
    if asked.uncensored_system_prompt:
        if config.uncensored_system_prompt is None:
            raise invalid_field("uncensored_system_prompt", "this server has none; leave it out, or use system_prompt")
        return config.uncensored_system_prompt
    return config.system_prompt if asked.system_prompt is None else asked.system_prompt


def _messages(chat: Chat, prompt: str) -> Iterator[Message]:
    if chat.system_prompt:
        yield Message("system", chat.system_prompt)
    for turn in chat.turns:
        yield Message("user", turn.question)
        yield Message("assistant", turn.reply)
    yield Message("user", prompt)


def _sampling(asked: ModelsLabRequest, form: Form, *, adapter: str | None) -> SamplingOptions:
    """Say every option; what a reply has to look like goes before what it must not repeat."""
    return SamplingOptions(
        temperature=asked.temperature if asked.do_sample else 0.0,
        top_k=asked.top_k,
        top_p=asked.top_p,
        min_p=0.0,
        typical_p=1.0,
        tfs_z=1.0,
        mirostat=0,
        mirostat_tau=5.0,
        mirostat_eta=0.1,
        repeat_last_n=0,
        repeat_penalty=1.0,
        presence_penalty=0.0,
        frequency_penalty=0.0,
        seed=random.randrange(SEEDS) if asked.seed is None else asked.seed % SEEDS,
        max_tokens=1,
        json_schema=form.schema,
        adapter=adapter,
        no_repeat_ngram_size=asked.no_repeat_ngram_size if form.schema is None else 0,
    )


async def reply(app: web.Application, prepared: Prepared, call: Call) -> ModelsLabReply:
    """Run the job, keep the turn, and say so; raises what the pipeline raises."""
    whole = await fold(app[keys.PIPELINE].run(prepared.job, call, is_watched=False))
    message = await _read(app, prepared.form, whole.choices[0].text)
    tenant_id = call.caller.tenant_id
    turn = await app[keys.CHATS].add_turn(prepared.chat, prepared.asked.prompt, message, tenant_id=tenant_id)
    return _render(app, prepared, message, turn)


async def _read(app: web.Application, form: Form, text: str) -> str:
    """Make the message of what the model said; JSON that was cut off is completed."""
    if form.schema is None:
        return text
    try:
        return form.read(await asyncio.to_thread(app[keys.FINISHER].finish, form.schema, text))
    except CannotFinishError:
        problem = "no reply of this length satisfies the schema; raise max_new_tokens, or use a simpler schema"
        raise invalid_field("generator_choices", problem) from None


def _render(app: web.Application, prepared: Prepared, message: str, turn: Turn | None) -> ModelsLabReply:
    asked, chat, config = prepared.asked, prepared.chat, app[keys.CONFIG]
    return ModelsLabReply(
        # None where the conversation was begun anew meanwhile: then nothing of it is kept.
        output=[] if turn is None else [_transcript_address(app, chat.id, turn.id)],
        message=message,
        chat_id=chat.id,
        meta=ModelsLabMeta(
            chat_id=chat.id,
            created_at=chat.created_at,
            do_sample=_yes_no(asked.do_sample),
            max_new_tokens=asked.max_new_tokens,
            model_id=config.models.name_of(prepared.job.sampling.adapter),
            no_repeat_ngram_size=asked.no_repeat_ngram_size,
            prompt=asked.prompt,
            seed=prepared.job.sampling.seed,
            temp=_yes_no(asked.temp),
            temperature=asked.temperature,
            top_k=asked.top_k,
            top_p=asked.top_p,
            updated_at=chat.touched_at if turn is None else turn.created_at,
        ),
    )


def _transcript_address(app: web.Application, chat_id: str, turn_id: int) -> str:
    signed = app[keys.TRANSCRIPTS].sign(f"{chat_id} {turn_id}", now=app[keys.CLOCK].now())
    return f"{app[keys.CONFIG].public_url}{TRANSCRIPTS_PATH}/{signed}"


def _yes_no(value: object) -> YesNo:
    return "yes" if value else "no"
