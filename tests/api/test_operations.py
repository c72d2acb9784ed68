"""Health, metrics, the OpenAPI document and its page."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from api import readiness
from api.routes import ROUTES
from api.web.routes import SERVED
from tests.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_health_and_readiness(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "LAG_SECONDS", 60.0)
    for path in ("/healthz", "/readyz"):
        status, body, _ = await service.get(path, headers={})
        assert (status, body["status"]) == (200, "ok")


async def test_every_route_of_the_app_is_in_the_document(service: Service) -> None:
    status, document, _ = await service.get("/openapi.json", headers={})
    assert status == 200
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    served = {
        (route.method, route.resource.canonical)
        for route in service.app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    of_the_pages = {(route.method, path) for route in SERVED for path in route.paths}
    assert described | of_the_pages == {(method, path.replace("{name:.+}", "{name}")) for method, path in served}
    assert not described & of_the_pages


async def test_the_document_describes_real_replies(service: Service) -> None:
    _, document, _ = await service.get("/openapi.json", headers={})
    replies = {
        "ChatReply": await service.ask("Hello!"),
        "UsageReply": (await service.get("/ai/usage"))[1],
        "TokenizeReply": (await service.post("/ai/tokenize", {"text": "x"}))[1],
        "ModelList": (await service.get("/v1/models"))[1],
        "ErrorReply": (await service.post("/ai/chat", {}))[1],
    }
    for name, reply in replies.items():
        schema = {**document["components"]["schemas"][name], "components": document["components"]}
        Draft202012Validator(schema).validate(reply)


async def test_every_reference_of_the_document_resolves(service: Service) -> None:
    _, document, _ = await service.get("/openapi.json", headers={})
    text = json.dumps(document)
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(document["components"]["schemas"])
    assert document["openapi"].startswith("3.1")


def keys_within(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from keys_within(part)


async def test_the_document_has_json_schemas_words_for_ranges(service: Service) -> None:
    _, document, _ = await service.get("/openapi.json", headers={})
    assert not {"ge", "le", "gt", "lt", "min_length", "max_length"} & set(keys_within(document))
    fields = document["components"]["schemas"]["ChatRequest"]["properties"]
    ranges = {name: (field.get("minimum"), field.get("maximum")) for name, field in fields.items()}
    assert ranges["mirostat"] == (0, 2)
    assert ranges["num_ctx"] == (64, None)
    assert ranges["repeat_last_n"] == (-1, None)
    assert ranges["seed"] == (-(2**63), 2**63 - 1)
    assert ranges["num_predict"] == (-2, None)
    assert ranges["top_k"] == (0, None)
    assert ranges["temperature"] == (0, 5)


@pytest.mark.parametrize(
    ("stop", "is_valid"),
    [("END", True), (["END"] * 16, True), (None, True), ("", False), ([""], False), (["x"] * 17, False), (5, False)],
)
async def test_the_document_and_the_service_agree_on_stop(service: Service, *, stop: Any, is_valid: bool) -> None:
    _, document, _ = await service.get("/openapi.json", headers={})
    described = document["components"]["schemas"]["ChatRequest"]["properties"]["stop"]
    assert Draft202012Validator(described).is_valid(stop) is is_valid
    body = {"messages": [{"role": "user", "content": "Hello!"}], "stop": stop, "num_predict": 1}
    assert ((await service.post("/ai/chat", body))[0] == 200) is is_valid


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        ("/ai/chat", "num_predict", 0),
        ("/v1/chat/completions", "messages", []),
        ("/api/v6/llm/chat", "top_p", -0.5),
    ],
)
async def test_the_document_says_what_is_refused(service: Service, *, path: str, field: str, value: Any) -> None:
    _, document, _ = await service.get("/openapi.json", headers={})
    described = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    body = {"messages": [{"role": "user", "content": "Hello!"}], "model": "parley-demo", "prompt": "Hello!"}
    known = document["components"]["schemas"][described["$ref"].rsplit("/", 1)[1]]["properties"]
    good = {name: given for name, given in body.items() if name in known}
    validator = Draft202012Validator({**described, "components": document["components"]})
    assert validator.is_valid(good)
    assert not validator.is_valid({**good, field: value})
    assert (await service.post(path, {**good, field: value}))[0] == 400


async def test_the_document_lists_what_a_route_may_answer(service: Service) -> None:
    _, document, _ = await service.get("/openapi.json", headers={})
    assert {
        path: {int(status) for status in operation["responses"]}
        for path, methods in document["paths"].items()
        for operation in methods.values()
        if "security" in operation and (path.startswith("/ai/") or path == "/v1/models")
    } == {
        "/ai/chat": {200, 400, 401, 403, 404, 408, 413, 415, 429, 500, 503, 504},
        "/ai/conversations/forgotten": {200, 400, 401, 403, 500, 503},
        "/ai/usage": {200, 400, 401, 403, 500, 503},
        "/ai/tokenize": {200, 400, 401, 403, 408, 413, 415, 500, 503},
        "/v1/models": {200, 400, 401, 403, 500, 503, 529},
    }
    lines = document["paths"]["/ai/chat"]["post"]["responses"]["200"]["content"]["application/x-ndjson"]["schema"]
    assert {line["$ref"].rsplit("/", 1)[-1] for line in lines["anyOf"]} == {"ChatPiece", "ChatReply", "ErrorReply"}
    schemas = document["components"]["schemas"]
    assert "queue" not in schemas["ChatPiece"]["required"]
    assert set(schemas["QueuePlace"]["required"]) == {"position", "wait_seconds"}


async def test_real_errors_carry_the_headers_of_the_document(service: Service) -> None:
    _, document, _ = await service.get("/openapi.json", headers={})
    described = document["paths"]["/ai/chat"]["post"]["responses"]
    bad, _, refused = await service.post("/ai/chat", {})
    assert bad == 400
    assert set(described["400"]["headers"]) <= set(refused.headers)
    async with service.session.post(f"{service.url}/ai/chat") as unknown:
        assert unknown.status == 401
        assert set(described["401"]["headers"]) <= set(unknown.headers)
    assert set(described["429"]["headers"]) == {*described["403"]["headers"], "Retry-After"}
    for methods in document["paths"].values():
        for operation in methods.values():
            assert "Retry-After" in operation["responses"].get("503", {"headers": "Retry-After"})["headers"]


async def test_the_page_shows_every_route_and_fetches_nothing_from_elsewhere(service: Service) -> None:
    status, page, response = await service.get("/docs", headers={})
    assert status == 200
    assert all(route.path in page for route in ROUTES)
    assert "temperature" in page
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert not any(forbidden in page for forbidden in ('src="http', "<script", " style=", "<style"))
    assert (await service.get("/docs.css", headers={}))[0] == 200


async def test_models_lists_what_model_may_name(service: Service) -> None:
    _, listed, _ = await service.get("/v1/models")
    name = listed["data"][0]["id"]
    assert (await service.ask("Hello!", model=name))["model"] == name
