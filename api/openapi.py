"""The OpenAPI 3.1 document, generated from the route table and `api/contract.py`.

Source of the form: the OpenAPI Specification 3.1.0.
"""

from collections.abc import Iterable
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.abilities import describe
from api.contract import ChatPiece, ErrorReply, Health
from api.routes import JSON, Route
from generation.abilities import Abilities

NDJSON = "application/x-ndjson"

_RATE_HEADERS = {
    "X-RateLimit-Limit": ("integer", "calls a day"),
    "X-RateLimit-Remaining": ("integer", "calls left today"),
    "X-RateLimit-Reset": ("integer", "when the next day starts, Unix time in seconds"),
    "RateLimit": ("string", "calls left and seconds to the next day (draft-ietf-httpapi-ratelimit-headers-10)"),
    "RateLimit-Policy": ("string", "calls a day (draft-ietf-httpapi-ratelimit-headers-10)"),
}
"""Type and meaning of what `middleware.add_headers` sends with every reply to a known caller."""

_STATUS_HEADERS = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": ("string", "the scheme to authenticate with")},
    HTTPStatus.TOO_MANY_REQUESTS: {"Retry-After": ("integer", "seconds to the next day")},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": ("integer", "seconds to wait before the next try")},
}

_DESCRIPTION = (
    "A language model over HTTP. Ask for an API token in Discord (`/developer token create`) or on the command line "
    "(`parley token create --name NAME`) and send it as `Authorization: Bearer <API token>`, or bare."
)


def build_document(routes: Iterable[Route], public_url: str, abilities: Abilities) -> dict[str, Any]:
    """Build the whole document; `public_url` is the address people see, `abilities` the loaded engine's."""
    rows = list(routes)
    schemas = _schemas(rows)
    paths: dict[str, dict[str, Any]] = {}
    for route in rows:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Parley", "version": version("parley"), "description": _DESCRIPTION},
        "x-engine": {"name": abilities.engine, "notes": list(describe(abilities))},
        "servers": [{"url": public_url}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "bare": {"type": "apiKey", "in": "header", "name": "Authorization"},
            },
        },
    }


def _schemas(routes: Iterable[Route]) -> dict[str, Any]:
    models: set[tuple[type[BaseModel], Any]] = {(ErrorReply, "serialization"), (ChatPiece, "serialization")}
    for route in routes:
        if route.body is not None:
            models.add((route.body, "validation"))
        if route.reply is not None:
            models.add((route.reply, "serialization"))
    ordered = sorted(models, key=lambda pair: pair[0].__name__)
    _, definitions = models_json_schema(ordered, ref_template="#/components/schemas/{model}")
    schemas: dict[str, Any] = definitions["$defs"]
    return schemas


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "tags": [route.tag],
        "operationId": route.handler.__name__,
        "responses": {"200": _success(route)} | {str(status): _failure(route, status) for status in route.errors},
    }
    if 302 in route.errors:
        del operation["responses"]["200"]
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": _reference(route.body)}}}
    if route.needs_token:
        operation["security"] = [{"bearer": []}, {"bare": []}]
    return operation


def _success(route: Route) -> dict[str, Any]:
    schema = _reference(route.reply) if route.reply is not None else {}
    content: dict[str, Any] = {route.reply_type: {"schema": schema}}
    if route.path == "/ai/chat":
        content[NDJSON] = {"schema": {"anyOf": [_reference(ChatPiece), schema, _reference(ErrorReply)]}}
    return {"description": HTTPStatus.OK.phrase, "content": content} | _headers(route, HTTPStatus.OK)


def _failure(route: Route, status: int) -> dict[str, Any]:
    if status == HTTPStatus.FOUND:
        return {"description": HTTPStatus.FOUND.phrase}
    model = Health if route.reply is Health else ErrorReply
    content = {JSON: {"schema": _reference(model)}}
    return {"description": HTTPStatus(status).phrase, "content": content} | _headers(route, HTTPStatus(status))


def _headers(route: Route, status: HTTPStatus) -> dict[str, Any]:
    """Describe a reply's headers; none is promised, an error may come before the caller is known."""
    headers = dict(_STATUS_HEADERS.get(status, {}))
    if route.needs_token and status != HTTPStatus.UNAUTHORIZED:
        headers |= _RATE_HEADERS
    described = {name: {"description": text, "schema": {"type": kind}} for name, (kind, text) in headers.items()}
    return {"headers": described} if described else {}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
