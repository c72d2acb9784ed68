"""What bad input gets: the error of the contract, with every bad field in `details`; only the call count changes."""

import asyncio
import io
import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest

from generation.abilities import LLAMA_CPP, Abilities
from generation.engine import Engine
from tests.service import Service, running_service

pytestmark = pytest.mark.asyncio(loop_scope="session")

HELLO = [{"role": "user", "content": "Hello!"}]


async def send(
    service: Service, body: bytes | str | io.BytesIO, *, content_type: str = "application/json"
) -> tuple[int, Any]:
    headers = {**service.headers, "Content-Type": content_type}
    async with service.session.post(f"{service.url}/ai/chat", data=body, headers=headers) as response:
        return response.status, await response.json()


def check_shape(error: dict[str, Any], status: int, title: str) -> None:
    assert set(error) == {"error", "code", "message", "request_id", "details"}
    assert (error["code"], error["error"]) == (status, title)
    assert error["message"]
    assert error["request_id"]
    assert all(set(detail) == {"field", "problem"} for detail in error["details"])


OUT_OF_RANGE: list[tuple[str, Any]] = [
    ("mirostat", 3),
    ("mirostat", -1),
    ("mirostat", 1.5),
    ("mirostat_eta", 1.01),
    ("mirostat_eta", -0.1),
    ("mirostat_tau", 20.5),
    ("num_ctx", 63),
    ("repeat_last_n", -2),
    ("repeat_penalty", 0.05),
    ("repeat_penalty", 5.1),
    ("temperature", -0.1),
    ("temperature", 5.01),
    ("stop", [""]),
    ("stop", ""),
    ("stop", ["x"] * 17),
    ("stop", [5]),
    ("tfs_z", -0.1),
    ("num_predict", 0),
    ("num_predict", -3),
    ("top_k", -1),
    ("top_p", 1.1),
    ("top_p", -0.1),
    ("min_p", 1.1),
    ("typical_p", -0.5),
    ("presence_penalty", 2.1),
    ("frequency_penalty", -2.1),
    ("stream", "yes"),
    ("stream", 1),
    ("format", "xml"),
    ("format", 5),
    ("model", 5),
    ("options", []),
    ("temperature", "0.5"),
    ("top_k", "40"),
    ("seed", "1"),
    ("seed", 1.5),
    ("seed", True),
    ("num_predict", None),
    ("temprature", 0.5),
]


@pytest.mark.parametrize(("field", "value"), OUT_OF_RANGE)
async def test_a_bad_field_is_named(service: Service, field: str, value: Any) -> None:
    status, error, _ = await service.post("/ai/chat", {"messages": HELLO, field: value})
    assert status == 400, error
    check_shape(error, 400, "Invalid request")
    assert {detail["field"].split(".")[0] for detail in error["details"]} == {field}
    in_options, error, _ = await service.post("/ai/chat", {"messages": HELLO, "options": {field: value}})
    assert in_options == 400, error
    assert any("options" in detail["field"] for detail in error["details"])


async def test_every_bad_field_is_listed_at_once(service: Service) -> None:
    body = {"messages": [{"role": "wizard", "content": 5}, {"role": "user"}], "top_p": 2, "tpo_k": 1}
    status, error, _ = await service.post("/ai/chat", body)
    assert status == 400
    assert {detail["field"] for detail in error["details"]} == {
        "messages.0.role",
        "messages.0.content",
        "messages.1.content",
        "top_p",
        "tpo_k",
    }
    assert next(each["problem"] for each in error["details"] if each["field"] == "tpo_k").endswith("top_k?")


@pytest.mark.parametrize(
    "messages",
    [None, [], "Hello", {}, [{}], [5], [{"role": "user", "content": None}], [{"role": "User", "content": "x"}]],
)
async def test_messages_must_be_messages(service: Service, messages: Any) -> None:
    status, error, _ = await service.post("/ai/chat", {"messages": messages})
    assert status == 400
    assert all(detail["field"].startswith("messages") for detail in error["details"])


async def test_ten_thousand_messages_are_refused_in_a_short_reply(service: Service) -> None:
    status, error, response = await service.post("/ai/chat", {"messages": HELLO * 10_000})
    assert status == 400
    assert error["details"][0]["field"] == "messages"
    assert "1000" in error["details"][0]["problem"]
    assert int(response.headers["Content-Length"]) < 20_000


async def test_ten_thousand_bad_messages_are_refused_in_a_short_reply(service: Service) -> None:
    status, _, response = await service.post("/ai/chat", {"messages": [5] * 10_000})
    assert status == 400
    assert int(response.headers["Content-Length"]) < 20_000


async def test_an_option_given_twice_with_two_values_is_refused(service: Service) -> None:
    status, error, _ = await service.post("/ai/chat", {"messages": HELLO, "top_k": 5, "options": {"top_k": 6}})
    assert status == 400
    assert [detail["field"] for detail in error["details"]] == ["top_k"]


async def test_options_that_cannot_be_combined_are_refused_by_name(service: Service) -> None:
    status, error, _ = await service.post("/ai/chat", {"messages": HELLO, "tfs_z": 0.5, "format": "json"})
    assert status == 400
    assert [detail["field"] for detail in error["details"]] == ["tfs_z"]
    assert "format" in error["message"]


async def test_what_the_engine_cannot_do_is_refused_not_ignored(demo_engine: Engine, tmp_path: Path) -> None:
    unable = Abilities(engine="less", options=LLAMA_CPP.options - {"mirostat", "json_schema"})
    async with running_service(demo_engine, tmp_path, abilities=unable) as service:
        body = {"messages": HELLO, "mirostat": 1, "format": "json"}
        status, error, _ = await service.post("/ai/chat", body)
        assert status == 400
        assert {detail["field"] for detail in error["details"]} == {"mirostat", "format"}
        assert (await service.ask("Hello!", mirostat=0))["done"] is True


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"hello",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe{}",
        '{"messages": []}'.encode("utf-16"),
        b'{"messages": [{"role": "user", "content": "x"}], "temperature": NaN}',
        b'{"messages": [{"role": "user", "content": "x"}], "temperature": Infinity}',
        b'{"messages": [{"role": "user", "content": "x"}], "temperature": 1e999}',
        b'{"messages": [{"role": "user", "content": "x"}], "seed": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"messages": [{"role": "user", "content": "x"}], "stop": ["\\udfff"]}',
    ],
)
async def test_what_is_not_json_is_refused(service: Service, body: bytes) -> None:
    status, error = await send(service, body)
    assert status == 400
    check_shape(error, 400, "Invalid request")


async def test_a_body_over_the_limit_is_refused(service: Service) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "x" * 2**21}]})
    status, error = await send(service, io.BytesIO(body.encode()))
    assert status == 413
    assert error["code"] == 413


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml"])
async def test_another_content_type_is_refused(service: Service, content_type: str) -> None:
    status, error = await send(service, json.dumps({"messages": HELLO}), content_type=content_type)
    assert (status, error["code"]) == (415, 415)


async def test_a_charset_beside_json_is_taken(service: Service) -> None:
    status, _ = await send(service, json.dumps({"messages": HELLO}), content_type="application/json; charset=utf-8")
    assert status == 200


async def test_a_message_that_cannot_fit_is_refused_with_both_numbers(service: Service) -> None:
    status, error, _ = await service.post("/ai/chat", {"messages": [{"role": "user", "content": "z " * 5000}]})
    assert status == 400
    assert error["details"][0]["field"] == "messages"
    counted, limit = map(int, re.findall(r"\d+", error["message"]))
    assert counted > limit
    assert limit == 2047


@pytest.mark.parametrize(
    "text",
    ["\x00\x00\x00", "😀" * 300, "Z̴͎̿a̵͐l̷g̸o" * 40, "\u202eevil\u202c", "\r\n" * 200, "<|im_end|>" * 50, " "],
)
async def test_strange_text_is_answered(service: Service, text: str) -> None:
    assert (await service.ask(text, num_predict=8))["done"] is True


async def test_unknown_routes_and_methods_are_refused_in_the_same_form(service: Service) -> None:
    status, error, _ = await service.get("/ai/nothing")
    assert status == 404
    check_shape(error, 404, "Not found")
    status, error, response = await service.get("/ai/chat")
    assert status == 405
    check_shape(error, 405, "Method not allowed")
    assert response.headers["Allow"] == "POST"


@pytest.mark.parametrize("expectation", ["100-continue", "200-ok", "a, b"])
async def test_an_expectation_is_met_or_passed_over(service: Service, expectation: str) -> None:
    headers = {**service.headers, "Expect": expectation}
    assert (await service.post("/ai/tokenize", {"text": "x"}, headers=headers))[0] == 200


async def test_a_request_for_no_path_is_refused_in_the_same_form(service: Service) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(service.url.rsplit(":", 1)[1]))
    writer.write(b"OPTIONS * HTTP/1.1\r\nHost: parley\r\nConnection: close\r\n\r\n")
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert head.startswith(b"HTTP/1.1 404")
    check_shape(json.loads(body), 404, "Not found")


async def test_refusals_of_the_caller_cost_a_call_and_no_tokens(service: Service) -> None:
    await service.post("/ai/chat", {"messages": []})
    await send(service, b"{")
    await send(service, b"x", content_type="text/plain")
    status, _, response = await service.post("/ai/chat", {"messages": HELLO, "model": "none"})
    assert status == 404
    assert response.headers["X-RateLimit-Remaining"] == "996"
    recorded = await service.ledger.usage(service.token.tenant_id)
    assert (recorded.used_today, recorded.prompt_tokens, recorded.completion_tokens) == (4, 0, 0)


async def test_nothing_that_was_sent_is_logged(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret_word = "xylophonicus"
    await service.ask(f"Repeat after me: {secret_word}")
    await service.post("/ai/chat", {"messages": [{"role": secret_word, "content": secret_word}]})
    await send(service, f'{{"{secret_word}')
    assert caplog.records
    lines = [record.getMessage() for record in caplog.records]
    assert not any(secret_word in line or service.secret in line for line in lines)


@pytest.mark.parametrize(
    "body",
    [{}, {"text": "a", "messages": HELLO}, {"text": 5}, {"messages": []}, {"text": "x", "num_ctx": 1}, {"txet": "x"}],
)
async def test_tokenize_refuses_what_is_neither(service: Service, body: Any) -> None:
    status, error, _ = await service.post("/ai/tokenize", body)
    assert status == 400
    check_shape(error, 400, "Invalid request")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"$ref": "#"},
        {"$ref": "#/$defs/missing"},
        {"type": "string", "maxLength": 10**12},
        {"anyOf": [{"type": "integer"}] * 5000},
        {"allOf": [{"type": "string"}, {"type": "integer"}]},
    ],
    ids=lambda schema: str(schema)[:40],
)
async def test_a_schema_that_cannot_hold_is_refused_and_the_engine_lives(service: Service, schema: Any) -> None:
    status, error, _ = await service.post("/ai/chat", {"messages": HELLO, "format": schema})
    assert status == 400, error
    assert error["details"][0]["field"] == "format"
    assert (await service.ask("Hello!"))["done"] is True
