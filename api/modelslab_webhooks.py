"""Replies of the ModelsLab dialect that nobody waits for: accepted at once, made afterwards, sent when they are done.

Owns: the life of such a request from its acceptance to the body in the outbox. Does not own: the sending (`webhooks/`),
the reply (`modelslab_reply.py`).
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from aiohttp import web
from pydantic import BaseModel

from api import keys
from api.allowance import Call
from api.body import validate
from api.calls import charged, dialect_of
from api.errors import ApiError, from_exception, invalid_field
from api.modelslab_contract import ModelsLabError, ModelsLabProcessing, ModelsLabRequest
from api.modelslab_reply import prepare, reply
from api.transcripts import Signer
from api.webhooks.addresses import AddressRefusedError, check_url
from api.webhooks.deliverer import Backoff, Deliverer
from api.webhooks.sender import Sender, signing_key
from api.webhooks.transport import make_connector
from storage.errors import StorageError, TooManyWebhooksError
from storage.outbox import LEASE, Webhook

logger = logging.getLogger(__name__)

FETCH_PATH = "/api/v6/llm/fetch"

RENEW_SECONDS = LEASE.total_seconds() / 3

SIGNING_KEY_NAME = "addresses"

INTERRUPTED = "The service was stopped before the reply was done; ask again. The call was not counted."


async def run_webhooks(app: web.Application) -> AsyncIterator[None]:
    """Make the addresses' keys and send what is in the outbox, from start to stop (a clean-up context of aiohttp)."""
    config, clock = app[keys.CONFIG], app[keys.CLOCK]
    key = await app[keys.SIGNING_KEYS].get(SIGNING_KEY_NAME)
    app[keys.TRANSCRIPTS] = Signer(key=key, purpose="transcript")
    app[keys.FETCHES] = Signer(key=key, purpose="fetch")
    connector = make_connector(allows_private=config.allows_private_webhooks)
    async with AsyncExitStack() as stack:
        sender = Sender(connector, clock=clock, allows_private=config.allows_private_webhooks)
        stack.push_async_callback(sender.close)
        deliverer = Deliverer(
            app[keys.OUTBOX],
            sender,
            clock=clock,
            backoff=Backoff(first_seconds=config.webhook_retry_seconds),
            interrupted=lambda webhook: _tracked(ModelsLabError(message=INTERRUPTED), webhook),
        )
        app[keys.DELIVERER] = deliverer
        await stack.enter_async_context(deliverer.working())
        yield


async def accept(request: web.Request, body: dict[str, Any], *, secret: str) -> ModelsLabProcessing:
    """Take a request in and say where its reply can be fetched; raises what the request itself is refused for.

    The call is charged before, and settled when the reply is done.
    """
    tasks = request.app[keys.BACKGROUND]
    accepted: asyncio.Future[Webhook] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(_make(request, body, secret, accepted))
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    waits: list[asyncio.Future[Any]] = [accepted, task]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        # Nobody knows of it yet, so nobody will miss it.
        if not accepted.done():
            task.cancel()
        raise
    if not accepted.done():
        accepted.cancel()
        await task
    return processing(request.app, await accepted)


def processing(app: web.Application, webhook: Webhook) -> ModelsLabProcessing:
    """Say that a reply is being made, and where it will be."""
    signed = app[keys.FETCHES].sign(webhook.id, now=app[keys.CLOCK].now())
    return ModelsLabProcessing(id=webhook.id, fetch_result=f"{app[keys.CONFIG].public_url}{FETCH_PATH}/{signed}")


async def _make(request: web.Request, given: dict[str, Any], secret: str, accepted: "asyncio.Future[Webhook]") -> None:
    """Charge, accept, make the reply and put it into the outbox. What fails before the acceptance is raised."""
    app, dialect = request.app, dialect_of(request)
    with app[keys.DRAINING].request():
        try:
            async with charged(request, secret=secret) as call:
                asked = validate(ModelsLabRequest, given)
                app[keys.PIPELINE].queue.check_room(tenant_id=call.caller.tenant_id, person_id=call.caller.person_id)
                prepared = await prepare(app, asked, tenant_id=call.caller.tenant_id)
                webhook = await _accept(app, asked, call, secret)
                accepted.set_result(webhook)
                async with _held(app, webhook):
                    body: BaseModel = await reply(app, prepared, call)
        except Exception as error:
            if not accepted.done():
                raise
            logger.info("the reply for webhook %s failed: %s", webhook.id[:8], type(error).__name__)
            body = dialect.say(from_exception(error), webhook.id)
        _count(app, call)
        await _fill(app, webhook, body)


async def _accept(app: web.Application, asked: ModelsLabRequest, call: Call, secret: str) -> Webhook:
    assert asked.webhook is not None
    config = app[keys.CONFIG]
    try:
        url = check_url(asked.webhook, allows_private=config.allows_private_webhooks)
        return await app[keys.OUTBOX].accept(
            tenant_id=call.caller.tenant_id,
            url=str(url),
            signing_key=signing_key(secret),
            track_id=None if asked.track_id is None else str(asked.track_id),
            most_waiting=config.webhooks_waiting,
            most_per_minute=config.webhooks_per_minute,
        )
    except AddressRefusedError as error:
        raise invalid_field("webhook", error.problem) from None
    except TooManyWebhooksError as error:
        message = (
            f"An API token may have {config.webhooks_waiting} webhooks on their way and ask for "
            f"{config.webhooks_per_minute} a minute; {error.limit} are reached, try again in a minute."
        )
        raise ApiError(429, "Too many requests", message, headers={"Retry-After": "60"}) from None


@asynccontextmanager
async def _held(app: web.Application, webhook: Webhook) -> AsyncIterator[None]:
    """Keep the webhook's lease for the block, so that no other process takes its reply for lost."""

    async def renew() -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                await app[keys.OUTBOX].renew(webhook)
            except StorageError:
                logger.warning("a webhook's lease could not be renewed")

    task = asyncio.create_task(renew())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _fill(app: web.Application, webhook: Webhook, body: BaseModel) -> None:
    """Put the body into the outbox; should the database be locked, the lease runs out and its receiver is told."""
    try:
        await app[keys.OUTBOX].fill(webhook, _tracked(body, webhook))
    except StorageError:
        logger.warning("a webhook's reply could not be kept")
    app[keys.DELIVERER].wake()


def _tracked(body: BaseModel, webhook: Webhook) -> str:
    """Write the body as it is sent and fetched: the reply or the error, with the request's own marks."""
    marks = {"id": webhook.id, "track_id": webhook.track_id}
    return json.dumps(body.model_dump(mode="json") | marks, ensure_ascii=False)


def _count(app: web.Application, call: Call) -> None:
    """Count what the request's own line in the log could not know yet."""
    metrics = app[keys.METRICS]
    metrics.called(call.timings)
    app[keys.RECENT].note(call)
    metrics.spent(prompt_tokens=call.prompt_tokens, completion_tokens=call.completion_tokens)
