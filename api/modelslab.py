"""The ModelsLab dialect: `POST /api/v6/llm/chat`, with the addresses its replies name.

Owns: its errors, its routes and how each is answered, as `contract.md` section 8 says. Does not own: the wire
(`modelslab_contract.py`), a turn (`modelslab_reply.py`), replies that are sent later (`modelslab_webhooks.py`).
"""

from types import MappingProxyType

from aiohttp import web

from api import keys
from api.body import read_object, validate
from api.calls import charged
from api.dialect import Dialect, read_authorization
from api.errors import ApiError, Kind, unauthorized
from api.modelslab_contract import (
    ModelsLabAnswer,
    ModelsLabError,
    ModelsLabFetched,
    ModelsLabRequest,
    Transcript,
    TranscriptMessage,
)
from api.modelslab_reply import TRANSCRIPTS_PATH, prepare, reply
from api.modelslab_webhooks import FETCH_PATH, accept, processing
from api.route import GENERATING, Route
from api.transcripts import AddressUnknownError
from storage.errors import ChatNotFoundError

__all__ = ["MODELSLAB", "ROUTES"]

_NOT_SHARED = {
    "Cache-Control": "private, no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}
"""Whoever has the address may read; nobody is to be handed it by a cache, a link or a search engine."""


class ModelsLabDialect(Dialect):
    """Everything below `/api/v6`."""

    name = "ModelsLab"
    prefixes = ("/api/v6",)
    error_reply = ModelsLabError
    field_names = MappingProxyType({
        "format": "generator_choices", "num_predict": "max_new_tokens", "messages": "prompt", "model": "model_id",
        "PARLEY_LORA": "model_id",
    })  # fmt: skip

    def error_body(self, error: ApiError, request_id: str) -> ModelsLabError:
        """Say a refusal; the request's id stands in its header."""
        del request_id
        # Here the context is always the whole one.
        return ModelsLabError(message=error.full_message.removesuffix(" or raise num_ctx"))


MODELSLAB = ModelsLabDialect()


async def chat(request: web.Request) -> web.Response:
    """Answer `POST /api/v6/llm/chat`."""
    body = await read_object(request)
    secret = _read_secret(request, body.get("key"))
    if body.get("webhook"):
        accepted = await accept(request, body, secret=secret)
        return web.json_response(text=accepted.model_dump_json())
    async with charged(request, secret=secret) as call:
        asked = validate(ModelsLabRequest, body)
        prepared = await prepare(request.app, asked, tenant_id=call.caller.tenant_id)
        answer = await reply(request.app, prepared, call)
        return web.json_response(text=answer.model_dump_json())


def _read_secret(request: web.Request, key: object) -> str:
    secret = key if isinstance(key, str) and key else read_authorization(request)
    if not secret:
        raise unauthorized("Send your API token in the field key.")
    return secret.strip()


async def transcript(request: web.Request) -> web.Response:
    """Answer `GET /api/v6/llm/transcripts/{signed}`; costs no call and needs no API token."""
    app = request.app
    try:
        name = app[keys.TRANSCRIPTS].read(request.match_info["signed"], now=app[keys.CLOCK].now())
        chat_id, _, turn_id = name.partition(" ")
        found = await app[keys.CHATS].read_until(chat_id, int(turn_id))
    except (AddressUnknownError, ChatNotFoundError):
        raise _nothing_here() from None
    messages = []
    for turn in found.turns:
        messages.append(TranscriptMessage(role="user", content=turn.question))
        messages.append(TranscriptMessage(role="assistant", content=turn.reply))
    body = Transcript(chat_id=found.id, created_at=found.created_at, messages=messages)
    return web.json_response(text=body.model_dump_json(), headers=_NOT_SHARED)


async def fetch(request: web.Request) -> web.Response:
    """Answer `GET` and `POST /api/v6/llm/fetch/{signed}` with what the webhook gets; costs no call."""
    app = request.app
    try:
        webhook_id = app[keys.FETCHES].read(request.match_info["signed"], now=app[keys.CLOCK].now())
    except AddressUnknownError:
        raise _nothing_here() from None
    webhook = await app[keys.OUTBOX].read(webhook_id)
    if webhook is None:
        raise _nothing_here()
    text = processing(app, webhook).model_dump_json() if webhook.body is None else webhook.body
    return web.json_response(text=text, headers=_NOT_SHARED)


def _nothing_here() -> ApiError:
    message = "There is nothing at this address; addresses are good for a day."
    return ApiError(404, "Not found", message, kind=Kind.UNKNOWN_ROUTE)


_READING = (404, 500, 503)

ROUTES = (
    Route(
        method="POST",
        path="/api/v6/llm/chat",
        handler=chat,
        summary="Continue a conversation that the server keeps, as ModelsLab's clients ask; the API token is `key`",
        tag="ModelsLab",
        body=ModelsLabRequest,
        reply=ModelsLabAnswer,
        errors=GENERATING,
    ),
    Route(
        method="GET",
        path=TRANSCRIPTS_PATH + "/{signed}",
        handler=transcript,
        summary="A conversation, at the signed address that a reply names; costs no call",
        tag="ModelsLab",
        reply=Transcript,
        errors=_READING,
    ),
    Route(
        method="GET",
        path=FETCH_PATH + "/{signed}",
        handler=fetch,
        summary="What a webhook is sent, at the signed address of `fetch_result`; costs no call",
        tag="ModelsLab",
        reply=ModelsLabFetched,
        errors=_READING,
    ),
    Route(
        method="POST",
        path=FETCH_PATH + "/{signed}",
        handler=fetch,
        summary="The same, as ModelsLab's clients ask",
        tag="ModelsLab",
        reply=ModelsLabFetched,
        errors=_READING,
    ),
)
