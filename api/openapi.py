"""The OpenAPI 3.1 document, generated from the route table and `api/contract.py`.

Source of the form: the OpenAPI Specification 3.1.0.
"""

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.abilities import describe
from api.contract import Health
from api.dialect import Dialect, Dialects
from api.route import JSON, Route
from generation.abilities import Abilities

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
    529: {"Retry-After": ("integer", "seconds to wait before the next try")},
}

_STATUSES = frozenset(map(int, HTTPStatus))

_DESCRIPTION = (
    "A language model over HTTP. Ask for an API token in Discord (`/developer token create`) or on the command line "
    "(`parley token create --name NAME`) and send it as `Authorization: Bearer <API token>`, or bare."
)


def build_document(
    routes: Iterable[Route], dialects: Dialects, public_url: str, abilities: Abilities
) -> dict[str, Any]:
    """Build the whole document; `public_url` is the address people see, `abilities` the loaded engine's."""
    rows = list(routes)
    schemas = _schemas(rows, dialects)
    paths: dict[str, dict[str, Any]] = {}
    for route in rows:
        for number, path in enumerate(route.paths):
            operation = _operation(route, dialects.find(path), dialects.find_marked(path), number)
            paths.setdefault(path, {})[route.method.lower()] = operation
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
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    }


def _schemas(routes: Iterable[Route], dialects: Dialects) -> dict[str, Any]:
    models: set[tuple[type[BaseModel], Any]] = set()
    for route in routes:
        if route.body is not None:
            models.add((route.body, "validation"))
        replies = [route.reply, route.marked_reply, dialects.find(route.path).error_reply, *route.stream]
        models |= {(model, "serialization") for model in replies if model is not None}
    ordered = sorted(models, key=lambda pair: pair[0].__name__)
    _, definitions = models_json_schema(ordered, ref_template="#/components/schemas/{model}")
    schemas: dict[str, Any] = definitions["$defs"]
    return schemas


def _operation(route: Route, dialect: Dialect, marked: Dialect | None, number: int) -> dict[str, Any]:
    """Describe a route; `marked` is the dialect that shares its path, `number` tells its paths apart."""
    says = [each.error_reply for each in (dialect, marked) if each is not None]
    failures = {str(status): _failure(route, says, status) for status in route.errors}
    operation: dict[str, Any] = {
        "summary": route.summary,
        "tags": [route.tag],
        "operationId": _operation_id(route, number),
        "responses": {"200": _success(route, dialect, has_marked=marked is not None)} | failures,
    }
    if parameters := _parameters(route, marked):
        operation["parameters"] = parameters
    if 302 in route.errors:
        del operation["responses"]["200"]
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": _reference(route.body)}}}
    if route.needs_token:
        operation["security"] = [{scheme: []} for scheme in dialect.secret_schemes]
    return operation


def _parameters(route: Route, marked: Dialect | None) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"{(\w+)", route.path)
    ]
    if marked is None:
        return parameters
    text = f"asks for the reply in {marked.name}'s form"
    parameters.append({"name": marked.marker, "in": "header", "description": text, "schema": {"type": "string"}})
    fields = route.marked_query.model_fields if route.marked_query is not None else {}
    # Without a type: a request without the marker may send what it likes there.
    return parameters + [
        {"name": name, "in": "query", "description": f"in {marked.name}'s form: {field.description}", "schema": {}}
        for name, field in fields.items()
    ]


def _operation_id(route: Route, number: int) -> str:
    name = f"{route.tag.lower()}_{route.handler.__name__}"
    return f"{name}_{number + 1}" if number else name


def _success(route: Route, dialect: Dialect, *, has_marked: bool) -> dict[str, Any]:
    replies = [model for model in (route.reply, route.marked_reply if has_marked else None) if model is not None]
    schema = _any_of(replies) if replies else {}
    content: dict[str, Any] = {route.reply_type: {"schema": schema}}
    if route.stream:
        events = [*route.stream, dialect.error_reply]
        content[route.stream_type] = {"schema": _any_of(events)}
    return {"description": HTTPStatus.OK.phrase, "content": content} | _headers(route, HTTPStatus.OK)


def _failure(route: Route, says: list[type[BaseModel]], status: int) -> dict[str, Any]:
    if status == HTTPStatus.FOUND:
        return {"description": HTTPStatus.FOUND.phrase}
    content = {JSON: {"schema": _any_of([Health] if route.reply is Health else says)}}
    # 529 is Anthropic's own.
    phrase = HTTPStatus(status).phrase if status in _STATUSES else "Overloaded"
    return {"description": phrase, "content": content} | _headers(route, status)


def _headers(route: Route, status: int) -> dict[str, Any]:
    """Describe a reply's headers; none is promised, an error may come before the caller is known."""
    headers = dict(_STATUS_HEADERS.get(status, {}))
    if route.needs_token and status != HTTPStatus.UNAUTHORIZED:
        headers |= _RATE_HEADERS
    described = {name: {"description": text, "schema": {"type": kind}} for name, (kind, text) in headers.items()}
    return {"headers": described} if described else {}


def _any_of(models: Sequence[type[BaseModel]]) -> dict[str, Any]:
    return _reference(models[0]) if len(models) == 1 else {"anyOf": [_reference(model) for model in models]}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
