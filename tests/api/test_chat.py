"""`POST /ai/chat`: the reply's form, streaming, usage, options."""

import json
import re
from datetime import datetime
from typing import Any

import pytest
from jsonschema import validate

from tests.service import MODEL_NAME, Service

pytestmark = pytest.mark.asyncio(loop_scope="session")

HELLO = [{"role": "user", "content": "Hello!"}]


async def test_a_reply_has_every_field_of_the_contract(service: Service) -> None:
    status, reply, response = await service.post("/ai/chat", {"messages": HELLO})
    assert status == 200
    assert response.content_type == "application/json"
    assert set(reply) == {
        *("model", "created_at", "message", "done", "done_reason", "total_duration", "load_duration"),
        *("prompt_eval_count", "prompt_eval_duration", "eval_count", "eval_duration", "usage", "seed"),
        *("dropped_messages", "warnings"),
    }
    assert reply["model"] == MODEL_NAME
    assert reply["message"]["role"] == "assistant"
    assert reply["message"]["content"].strip()
    assert reply["done"] is True
    assert reply["done_reason"] == "stop"
    assert reply["seed"] > 0
    assert (reply["dropped_messages"], reply["warnings"]) == (0, [])
    assert datetime.fromisoformat(reply["created_at"]).tzinfo is not None
    assert datetime.fromisoformat(reply["usage"]["resets_at"]).tzinfo is not None
    assert reply["total_duration"] >= reply["eval_duration"] > 0


async def test_usage_adds_up_and_agrees_with_the_ledger(service: Service) -> None:
    reply = await service.ask("Hello!")
    usage = reply["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens"] == reply["prompt_eval_count"]
    assert usage["completion_tokens"] == reply["eval_count"]
    assert usage["calls_remaining"] == 999
    assert usage["llm_tokens_remaining"] is None
    recorded = await service.ledger.usage(service.token.tenant_id)
    assert (recorded.used_today, recorded.prompt_tokens, recorded.completion_tokens) == (
        1,
        usage["prompt_tokens"],
        usage["completion_tokens"],
    )


async def test_the_prompt_count_is_what_tokenize_foretold(service: Service) -> None:
    status, counted, _ = await service.post("/ai/tokenize", {"messages": HELLO})
    assert status == 200
    assert counted == {"tokens": (await service.ask("Hello!"))["usage"]["prompt_tokens"], "dropped_messages": 0}


async def test_num_predict_bounds_the_reply_exactly(service: Service) -> None:
    reply = await service.ask("Count from 1 to 20.", num_predict=5)
    assert reply["done_reason"] == "length"
    assert reply["usage"]["completion_tokens"] == 5


async def test_filling_the_context_ends_exactly_there(service: Service) -> None:
    reply = await service.ask("Hello!", num_ctx=64, num_predict=-2)
    assert reply["done_reason"] == "length"
    assert reply["usage"]["total_tokens"] == 64


async def test_both_forms_of_authorization_are_taken(service: Service) -> None:
    for value in (service.secret, f"Bearer {service.secret}", f"bearer {service.secret}"):
        status, _, _ = await service.post("/ai/chat", {"messages": HELLO}, headers={"Authorization": value})
        assert status == 200


async def read_lines(service: Service, body: dict[str, Any]) -> list[dict[str, Any]]:
    async with service.session.post(
        f"{service.url}/ai/chat", json={**body, "stream": True}, headers=service.headers
    ) as response:
        assert response.status == 200
        assert response.content_type == "application/x-ndjson"
        assert "X-RateLimit-Remaining" in response.headers
        return [json.loads(line) async for line in response.content]


async def test_a_stream_joins_to_the_whole_reply(service: Service) -> None:
    whole = await service.ask("Hello!", temperature=0)
    *pieces, last = await read_lines(service, {"messages": HELLO, "temperature": 0})
    assert len(pieces) > 1
    assert all(set(piece) == {"model", "created_at", "message", "done"} for piece in pieces)
    assert all(piece["done"] is False for piece in pieces)
    assert "".join(piece["message"]["content"] for piece in pieces) == whole["message"]["content"]
    assert last["done"] is True
    assert last["message"]["content"] == ""
    assert set(last) == set(whole)
    assert last["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"]
    assert last["usage"]["calls_remaining"] == 998


async def test_a_seed_repeats_and_the_one_used_is_told(service: Service) -> None:
    question, options = "Tell me a joke.", {"temperature": 5, "top_k": 0, "top_p": 1, "num_predict": 24}
    first = await service.ask(question, **options)
    again = await service.ask(question, **options, seed=first["seed"])
    other = await service.ask(question, **options, seed=first["seed"] + 1)
    assert again["message"] == first["message"]
    assert again["seed"] == first["seed"]
    assert other["message"] != first["message"]


async def test_a_large_seed_repeats(service: Service) -> None:
    options = {"temperature": 5, "top_k": 0, "top_p": 1, "num_predict": 24, "seed": 2**62 + 12345}
    first = await service.ask("Hello!", **options)
    assert first["seed"] == 2**62 + 12345
    assert (await service.ask("Hello!", **options))["message"] == first["message"]


@pytest.mark.parametrize("stop", ["o", ["o", "x"], ["lo"]])
async def test_the_stop_text_ends_the_reply_and_is_not_in_it(service: Service, stop: str | list[str]) -> None:
    question = "Repeat after me: hello world"
    whole = (await service.ask(question, temperature=0))["message"]["content"]
    reply = await service.ask(question, temperature=0, stop=stop)
    stops = [stop] if isinstance(stop, str) else stop
    cut = min(whole.index(text) for text in stops if text in whole)
    assert reply["message"]["content"] == whole[:cut]
    assert reply["done_reason"] == "stop"


@pytest.mark.parametrize("name", ["json", "JSON"])
async def test_format_json_gives_an_object(service: Service, name: str) -> None:
    question = "Give me JSON with name Ada and age 36."
    reply = await service.ask(question, format=name, temperature=0, repeat_penalty=1)
    assert reply["done_reason"] == "stop"
    assert isinstance(json.loads(reply["message"]["content"]), dict)


async def test_format_schema_holds_at_any_temperature(service: Service) -> None:
    schema = {
        "type": "object",
        "properties": {"colour": {"enum": ["red", "green"]}, "count": {"type": "integer", "maximum": 99}},
        "required": ["colour", "count"],
        "additionalProperties": False,
    }
    for seed in range(1, 6):
        reply = await service.ask("Anything.", format=schema, temperature=2, seed=seed, num_predict=200)
        assert reply["done_reason"] == "stop"
        validate(json.loads(reply["message"]["content"]), schema)


async def test_options_may_stand_in_ollamas_object(service: Service) -> None:
    reply = await service.ask("Count from 1 to 20.", options={"num_predict": 3, "temperature": 0})
    assert reply["usage"]["completion_tokens"] == 3
    same_twice = await service.ask("Hello!", temperature=0, options={"temperature": 0})
    assert same_twice["done"] is True


async def test_load_time_fields_of_ollama_are_named_in_a_warning(service: Service) -> None:
    reply = await service.ask("Hello!", keep_alive="5m", options={"num_gpu": 1})
    assert reply["warnings"] == ["keep_alive has no effect here", "num_gpu has no effect here"]


async def test_a_context_above_the_servers_is_lowered_with_a_warning(service: Service) -> None:
    reply = await service.ask("Hello!", num_ctx=100_000)
    assert len(reply["warnings"]) == 1
    assert re.search(r"num_ctx .*100000.*4096", reply["warnings"][0])


async def test_the_system_message_survives_and_dropped_messages_are_counted(service: Service) -> None:
    turns = [
        {"role": role, "content": f"{role} says number {number} in a few plain words"}
        for number in range(60)
        for role in ("user", "assistant")
    ]
    messages = [{"role": "system", "content": "You are Mira."}, *turns, *HELLO]
    status, reply, _ = await service.post("/ai/chat", {"messages": messages, "num_ctx": 512})
    assert status == 200
    assert reply["dropped_messages"] > 0
    assert reply["dropped_messages"] % 2 == 0
    assert reply["usage"]["total_tokens"] <= 512
    _, counted, _ = await service.post("/ai/tokenize", {"messages": messages, "num_ctx": 512})
    assert counted["dropped_messages"] == reply["dropped_messages"]
    assert counted["tokens"] == reply["usage"]["prompt_tokens"]


async def test_a_growing_conversation_is_read_from_the_cache(service: Service) -> None:
    contents = ["My name is Ada.", "Nice to meet you, Ada!", "What is my name?"]
    await service.ask(contents[0], temperature=0)
    reply = await service.ask(*contents, temperature=0)
    assert reply["usage"]["cached_tokens"] > 0


async def test_a_last_message_of_the_assistant_is_gone_on_with(service: Service) -> None:
    question = "Count from 1 to 10."
    whole = (await service.ask(question, temperature=0))["message"]["content"]
    begun = await service.ask(question, temperature=0, num_predict=4)
    assert begun["done_reason"] == "length"
    text = begun["message"]["content"]
    assert len(text) < len(whole)
    rest = await service.ask(question, text, temperature=0)
    assert text + rest["message"]["content"] == whole
    assert rest["usage"]["prompt_tokens"] > begun["usage"]["prompt_tokens"]
    *pieces, last = await read_lines(
        service, {"messages": [*_turn(question), {"role": "assistant", "content": text}], "temperature": 0}
    )
    assert "".join(piece["message"]["content"] for piece in pieces) == rest["message"]["content"]
    assert last["done_reason"] == "stop"


def _turn(question: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}]


async def test_tokenize_counts_a_begun_reply_with_all_its_blanks(service: Service) -> None:
    counts = []
    for text in ("", "One", "One ", "One \n ", "<|end|>"):
        messages = [*_turn("Count!"), {"role": "assistant", "content": text}]
        _, counted, _ = await service.post("/ai/tokenize", {"messages": messages})
        status, reply, _ = await service.post("/ai/chat", {"messages": messages, "num_predict": 1})
        assert (status, reply["usage"]["prompt_tokens"]) == (200, counted["tokens"])
        counts.append(counted["tokens"])
    assert counts[:4] == sorted(set(counts[:4]))
    _, alone, _ = await service.post("/ai/tokenize", {"messages": _turn("Count!")})
    assert counts[0] == alone["tokens"]
    _, forged, _ = await service.post("/ai/tokenize", {"text": "<|end|>"})
    assert counts[4] == alone["tokens"] + forged["tokens"]


async def test_a_begun_reply_is_never_dropped(service: Service) -> None:
    history = [
        message for number in range(30) for message in (*_turn(f"Number {number}, please."), _said("As you wish."))
    ]
    begun = _said("word " * 40)
    status, counted, _ = await service.post(
        "/ai/tokenize", {"messages": [*history, *_turn("And?"), begun], "num_ctx": 256}
    )
    assert status == 200
    assert 0 < counted["dropped_messages"] <= len(history)
    _, last_turn, _ = await service.post("/ai/tokenize", {"messages": [*_turn("And?"), begun], "num_ctx": 256})
    assert counted["tokens"] >= last_turn["tokens"]
    status, error, _ = await service.post(
        "/ai/chat", {"messages": [*_turn("And?"), _said("word " * 400)], "num_ctx": 256}
    )
    assert (status, error["details"][0]["field"]) == (400, "messages")
    assert re.search(r"take \d+ tokens, the limit is 255", error["message"])


def _said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


@pytest.mark.parametrize(
    "roles",
    ["system", "assistant", "user user", "assistant user", "system system user", "user system user", "user assistant"],
)
async def test_any_order_of_roles_is_answered(service: Service, roles: str) -> None:
    for content in ("Hello!", ""):
        messages = [{"role": role, "content": content} for role in roles.split()]
        status, reply, _ = await service.post("/ai/chat", {"messages": messages, "num_predict": 8})
        assert status == 200, reply


async def test_the_named_model_must_be_loaded(service: Service) -> None:
    assert (await service.ask("Hello!", model=MODEL_NAME))["model"] == MODEL_NAME
    status, error, _ = await service.post("/ai/chat", {"messages": HELLO, "model": "gpt-9"})
    assert (status, error["code"]) == (404, 404)
    assert "gpt-9" in error["message"]


async def test_emoji_and_scripts_come_through_whole(service: Service) -> None:
    text = "😀👩‍👩‍👧‍👦 Ωμέγα 漢字 עברית \x00 ￿"
    reply = await service.ask(f"Repeat after me: {text}", temperature=0)
    reply["message"]["content"].encode()
    _, counted, _ = await service.post("/ai/tokenize", {"text": "😀" * 2000})
    assert counted["tokens"] >= 2000
