"""`GET /v1/models` and `GET /v1/models/{id}`: OpenAI's and Anthropic's clients ask them on the same paths.

Owns: both forms; Anthropic's is for requests with its header (`anthropic_dialect.py`). Does not own: which names there
are (`model_names.py`), or Ollama's list (`ollama_models.py`).
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from aiohttp import web
from pydantic import BaseModel

from api import keys
from api.anthropic_contract import AnthropicPage
from api.anthropic_dialect import ANTHROPIC, OVERLOADED
from api.anthropic_events import AnthropicModel, AnthropicModelList
from api.body import validate
from api.calls import dialect_of, identified
from api.contract import ModelCard, ModelList
from api.errors import invalid_field, unknown_model
from api.route import AUTHENTICATED, Route


async def models(request: web.Request) -> web.Response:
    """List what `model` may name; costs no call."""
    await identified(request)
    names = request.app[keys.CONFIG].models.all
    body: BaseModel
    if dialect_of(request) is ANTHROPIC:
        body = _page(request, names)
    else:
        body = ModelList(data=[_card(request, name) for name in names])
    return web.json_response(text=body.model_dump_json())


async def model(request: web.Request) -> web.Response:
    """Describe one name that `model` may have; costs no call."""
    await identified(request)
    name, names = request.match_info["model"], request.app[keys.CONFIG].models.all
    if name not in names:
        raise unknown_model(name, names)
    describe = _describe if dialect_of(request) is ANTHROPIC else _card
    return web.json_response(text=describe(request, name).model_dump_json())


def _card(request: web.Request, name: str) -> ModelCard:
    return ModelCard(id=name, created=request.app[keys.STARTED_AT])


def _describe(request: web.Request, name: str) -> AnthropicModel:
    context_tokens = request.app[keys.CONFIG].context_tokens
    return AnthropicModel(
        id=name,
        display_name=name,
        created_at=datetime.fromtimestamp(request.app[keys.STARTED_AT], UTC),
        max_input_tokens=context_tokens,
        max_tokens=context_tokens,
    )


def _page(request: web.Request, names: Sequence[str]) -> AnthropicModelList:
    """Cut the page out of the list that the query asks for."""
    asked = validate(AnthropicPage, {name: value for name, value in request.query.items() if name in _PAGE_FIELDS})
    first, last = 0, len(names)
    if asked.after_id is not None:
        first = _index(names, asked.after_id, field="after_id") + 1
    if asked.before_id is not None:
        last = _index(names, asked.before_id, field="before_id")
    if asked.before_id is not None and asked.after_id is None:
        first = max(first, last - asked.limit)
    page = names[first:last][: asked.limit]
    has_more = first > 0 if asked.before_id is not None else first + len(page) < last
    return AnthropicModelList(
        data=[_describe(request, name) for name in page],
        has_more=has_more,
        first_id=page[0] if page else None,
        last_id=page[-1] if page else None,
    )


def _index(names: Sequence[str], name: str, *, field: str) -> int:
    if name not in names:
        raise invalid_field(field, f"names no model; use one of {', '.join(names)}")
    return names.index(name)


_PAGE_FIELDS = frozenset(AnthropicPage.model_fields)

ROUTES = (
    Route(
        method="GET",
        path="/v1/models",
        aliases=("/api/v1/models",),
        handler=models,
        summary="Names that `model` may have, as OpenAI's and Anthropic's clients ask",
        tag="OpenAI",
        reply=ModelList,
        marked_reply=AnthropicModelList,
        marked_query=AnthropicPage,
        needs_token=True,
        errors=(*AUTHENTICATED, OVERLOADED),
    ),
    Route(
        method="GET",
        path="/v1/models/{model}",
        aliases=("/api/v1/models/{model}",),
        handler=model,
        summary="One name that `model` may have",
        tag="OpenAI",
        reply=ModelCard,
        marked_reply=AnthropicModel,
        needs_token=True,
        errors=(*AUTHENTICATED, 404, OVERLOADED),
    ),
)
