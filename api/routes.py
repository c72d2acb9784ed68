"""Every route of the service in one table, and every dialect: what is served and what the OpenAPI document says of it.

A new dialect adds itself and its rows here, and its own module; nothing else changes.
"""

from api import anthropic, model_list, modelslab, native, ollama, openai, operations
from api.contract import (
    ChatPiece,
    ChatReply,
    ChatRequest,
    Forgotten,
    Health,
    TokenizeReply,
    TokenizeRequest,
    UsageReply,
)
from api.dialect import Dialects
from api.replying import NDJSON
from api.route import AUTHENTICATED, GENERATING, HTML, TEXT, Route
from api.web import routes as web_routes
from api.web.dialect import PAGES

DIALECTS = Dialects(
    (openai.OPENAI, ollama.OLLAMA, ollama.OLLAMA_GENERATE, anthropic.ANTHROPIC, modelslab.MODELSLAB, PAGES)
)


ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/ai/chat",
        handler=native.chat,
        summary="Continue a conversation",
        tag="Native",
        body=ChatRequest,
        reply=ChatReply,
        stream=(ChatPiece, ChatReply),
        stream_type=NDJSON,
        needs_token=True,
        errors=GENERATING,
    ),
    Route(
        method="GET",
        path="/ai/usage",
        handler=native.usage,
        summary="Calls and LLM tokens used by this API token; costs no call",
        tag="Native",
        reply=UsageReply,
        needs_token=True,
        errors=AUTHENTICATED,
    ),
    Route(
        method="POST",
        path="/ai/tokenize",
        handler=native.tokenize,
        summary="Count tokens before asking; costs no call",
        tag="Native",
        body=TokenizeRequest,
        reply=TokenizeReply,
        needs_token=True,
        errors=(400, 401, 403, 408, 413, 415, 500, 503),
    ),
    Route(
        method="POST",
        path="/ai/conversations/forgotten",
        handler=native.forget_gone,
        summary="Remove what is kept of conversations that are gone; for the service token, costs no call",
        tag="Native",
        reply=Forgotten,
        needs_token=True,
        errors=AUTHENTICATED,
    ),
    *openai.ROUTES,
    *model_list.ROUTES,
    *ollama.ROUTES,
    *anthropic.ROUTES,
    *modelslab.ROUTES,
    Route(
        method="GET",
        path="/healthz",
        handler=operations.healthz,
        summary="200 while the process lives",
        tag="Operations",
        reply=Health,
    ),
    Route(
        method="GET",
        path="/readyz",
        handler=operations.readyz,
        summary="200 when the model answers, else 503 with the reason",
        tag="Operations",
        reply=Health,
        errors=(503,),
    ),
    Route(
        method="GET",
        path="/metrics",
        handler=operations.metrics,
        summary="Prometheus metrics",
        tag="Operations",
        reply_type=TEXT,
    ),
    Route(
        method="GET",
        path="/openapi.json",
        handler=operations.openapi,
        summary="This document",
        tag="Operations",
    ),
    Route(
        method="GET",
        path="/docs",
        handler=operations.docs,
        summary="This document as a page",
        tag="Operations",
        reply_type=HTML,
    ),
    Route(
        method="GET",
        path="/docs.css",
        handler=operations.style,
        summary="The page's style sheet",
        tag="Operations",
        reply_type="text/css",
    ),
    *web_routes.ROUTES,
)
