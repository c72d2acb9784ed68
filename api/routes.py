"""Every route of the service in one table: what is served and what the OpenAPI document says of it.

A new dialect adds its rows here and its own module; nothing else changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from aiohttp.typedefs import Handler
from pydantic import BaseModel

from api import native, operations
from api.contract import (
    ChatReply,
    ChatRequest,
    Health,
    ModelList,
    TokenizeReply,
    TokenizeRequest,
    UsageReply,
)

TEXT = "text/plain"
HTML = "text/html"
JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method and path. `errors` are the statuses beside 200 that the route answers."""

    method: str
    path: str
    handler: Handler
    summary: str
    tag: str
    body: type[BaseModel] | None = None
    reply: type[BaseModel] | None = None
    reply_type: str = JSON
    needs_token: bool = False
    errors: Sequence[int] = field(default=())


_AUTHENTICATED = (400, 401, 403, 500, 503)
"""What reading the headers and looking a caller up can answer; only a route that charges a call answers 429."""

_GENERATING = (400, 401, 403, 404, 413, 415, 429, 500, 503, 504)

ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/ai/chat",
        handler=native.chat,
        summary="Continue a conversation",
        tag="Native",
        body=ChatRequest,
        reply=ChatReply,
        needs_token=True,
        errors=_GENERATING,
    ),
    Route(
        method="GET",
        path="/ai/usage",
        handler=native.usage,
        summary="Calls and LLM tokens used by this API token; costs no call",
        tag="Native",
        reply=UsageReply,
        needs_token=True,
        errors=_AUTHENTICATED,
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
        errors=(400, 401, 403, 413, 415, 500, 503),
    ),
    Route(
        method="GET",
        path="/v1/models",
        handler=operations.models,
        summary="Names that `model` may have",
        tag="Native",
        reply=ModelList,
        needs_token=True,
        errors=_AUTHENTICATED,
    ),
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
    Route(
        method="GET",
        path="/",
        handler=operations.front,
        summary="Leads to /docs",
        tag="Operations",
        reply_type=HTML,
        errors=(302,),
    ),
)
