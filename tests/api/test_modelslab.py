"""The ModelsLab dialect through the running service: conversations, forms of replies, transcripts, errors."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from generation.engine import Engine
from tests.service import SERVICE_TOKEN, Service, running_service
from tests.storage.conftest import ManualClock

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROUTE = "/api/v6/llm/chat"
PERSONA = "You are Parley, a friendly assistant. Answer briefly."
PUBLIC_URL = "http://127.0.0.1:8080"


@pytest_asyncio.fixture(loop_scope="session")
async def service(demo_engine: Engine, tmp_path: Path) -> AsyncIterator[Service]:
    async with running_service(demo_engine, tmp_path, system_prompt=PERSONA) as running:
        yield running


async def ask(service: Service, prompt: str, *, status: int = 200, **fields: Any) -> dict[str, Any]:
    """Send a prompt with the API token in the body, as clients of this dialect do."""
    body = {"key": service.secret, "prompt": prompt, **fields}
    given, reply, response = await service.post(ROUTE, body, headers={})
    assert given == status, reply
    assert isinstance(reply, dict)
    assert response.headers["X-Request-Id"]
    if status != 200:
        assert set(reply) == {"status", "message"}
        assert reply["status"] == "error"
    return reply


async def read_transcript(service: Service, address: str, *, status: int = 200) -> dict[str, Any]:
    assert address.startswith(PUBLIC_URL)
    given, transcript, response = await service.get(address.removeprefix(PUBLIC_URL), headers={})
    assert given == status, transcript
    assert isinstance(transcript, dict)
    if status == 200:
        assert response.headers["Cache-Control"] == "private, no-store"
    return transcript


async def test_a_reply_has_every_field_of_the_contract(service: Service) -> None:
    reply = await ask(service, "Hello, who are you?", seed=7, track_id="7", temp=True)
    assert set(reply) == {"status", "output", "message", "chat_id", "meta"}
    assert reply["status"] == "success"
    assert "Parley" in reply["message"]
    meta = reply["meta"]
    for name in ("created_at", "updated_at"):
        assert abs(datetime.fromisoformat(meta.pop(name)) - datetime.now(UTC)) < timedelta(minutes=5)
    assert meta == {
        "chat_id": reply["chat_id"],
        "do_sample": "yes",
        "max_new_tokens": 128,
        "model_id": "parley-demo",
        "no_repeat_ngram_size": 5,
        "num_return_sequences": 1,
        "pipeline_tag": "text-generation",
        "prompt": "Hello, who are you?",
        "seed": 7,
        "temp": "yes",
        "temperature": 0.3,
        "top_k": 50,
        "top_p": 0.95,
    }


async def test_a_conversation_is_kept_by_the_server_and_remembered(service: Service) -> None:
    first = await ask(service, "My lucky number is 58.")
    again = await ask(service, "What is my lucky number?", chat_id=first["chat_id"])
    assert again["chat_id"] == first["chat_id"]
    assert "58" in again["message"]
    assert again["meta"]["created_at"] == first["meta"]["created_at"]
    assert again["meta"]["updated_at"] > first["meta"]["updated_at"]
    other = await ask(service, "What is my lucky number?")
    assert other["chat_id"] != first["chat_id"]
    assert "58" not in other["message"]


async def test_the_persona_is_set_at_the_beginning_and_stays(service: Service) -> None:
    first = await ask(service, "What is your name?", system_prompt="You are Mira, a grumpy lighthouse keeper.")
    assert "Mira" in first["message"]
    later = await ask(service, "What is your name?", chat_id=first["chat_id"], system_prompt="You are Torvin.")
    assert "Mira" in later["message"]


async def test_reset_forgets_everything_and_takes_the_new_persona(service: Service) -> None:
    first = await ask(service, "My lucky number is 58.")
    chat_id = first["chat_id"]
    persona = "You are Mira, a grumpy lighthouse keeper."
    anew = await ask(service, "What is your name?", chat_id=chat_id, reset=True, system_prompt=persona)
    assert "Mira" in anew["message"]
    later = await ask(service, "What is my lucky number?", chat_id=chat_id)
    assert "58" not in later["message"]
    await read_transcript(service, first["output"][0], status=404)


async def test_the_operators_alternative_persona_is_there_only_when_configured(
    service: Service, demo_engine: Engine, tmp_path: Path
) -> None:
    refused = await ask(service, "What is your name?", uncensored_system_prompt=True, status=400)
    assert refused["message"].startswith("uncensored_system_prompt: ")
    (tmp_path / "other").mkdir()
    persona = "You are Mira, a grumpy lighthouse keeper."
    async with running_service(demo_engine, tmp_path / "other", uncensored_system_prompt=persona) as other:
        reply = await ask(other, "What is your name?", uncensored_system_prompt=True, system_prompt="You are Torvin.")
        assert "Mira" in reply["message"]


async def test_another_tokens_conversation_is_not_to_be_had(service: Service) -> None:
    mine = await ask(service, "My lucky number is 58.")
    issued = await service.tokens.create("other", daily_calls=10)
    for chat_id in (mine["chat_id"], "chat_nothing", "x" * 500):
        for reset in (False, True):
            reply = await ask(service, "Hi", chat_id=chat_id, key=issued.secret, status=404, reset=reset)
            assert "58" not in reply["message"]
    assert "58" in (await ask(service, "What is my lucky number?", chat_id=mine["chat_id"]))["message"]


async def test_turns_asked_at_once_are_all_in_the_conversation(service: Service) -> None:
    first = await ask(service, "Hello!")
    asked = [f"My lucky number is {number}." for number in range(10, 16)]
    replies = await asyncio.gather(*(ask(service, each, chat_id=first["chat_id"]) for each in asked))
    transcripts = [await read_transcript(service, reply["output"][0]) for reply in replies]
    longest = max((each["messages"] for each in transcripts), key=len)
    assert sorted(each["content"] for each in longest if each["role"] == "user") == sorted(["Hello!", *asked])
    assert len(longest) == 14


async def test_the_same_seed_repeats_a_reply_and_a_random_one_can_be_repeated(service: Service) -> None:
    first = await ask(service, "Tell me a story.", temperature=1.5)
    again = await ask(service, "Tell me a story.", temperature=1.5, seed=first["meta"]["seed"])
    assert again["message"] == first["message"]
    others = [await ask(service, "Tell me a story.", temperature=1.5) for _ in range(3)]
    assert len({each["meta"]["seed"] for each in others}) == 3


async def test_greedy_needs_no_seed(service: Service) -> None:
    replies = [await ask(service, "Tell me a story.", do_sample=False, temperature=2) for _ in range(3)]
    assert len({each["message"] for each in replies}) == 1
    assert {each["meta"]["do_sample"] for each in replies} == {"no"}


async def test_max_new_tokens_bounds_the_reply(service: Service) -> None:
    before = (await service.ledger.usage(service.token.tenant_id)).completion_tokens
    await ask(service, "Tell me a story.", max_new_tokens=3)
    assert (await service.ledger.usage(service.token.tenant_id)).completion_tokens - before <= 3


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"max_new_tokens": 1025}, "max_new_tokens"),
        ({"temperature": 2.1}, "temperature"),
        ({"top_k": 129}, "top_k"),
        ({"top_p": -0.1}, "top_p"),
        ({"no_repeat_ngram_size": -1}, "no_repeat_ngram_size"),
        ({"seed": "7"}, "seed"),
        ({"do_sample": 1}, "do_sample"),
        ({"generator_type": "poem"}, "generator_type"),
        ({"generator_type": "json"}, "generator_choices"),
        ({"generator_type": "json", "generator_choices": [1]}, "generator_choices"),
        ({"generator_type": "json", "generator_choices": {"type": "nonsense"}}, "generator_choices"),
        ({"generator_type": "json", "generator_choices": {"$ref": "#"}}, "generator_choices"),
        ({"generator_type": "choices", "generator_choices": []}, "generator_choices"),
        ({"generator_type": "choices", "generator_choices": [""]}, "generator_choices"),
        ({"generator_type": "choices", "generator_choices": [{}]}, "generator_choices"),
        ({"generator_type": "format", "generator_choices": "poem"}, "generator_choices"),
        ({"generator_choices": ["a"]}, "generator_choices"),
        ({"options": {"temperature": 1}}, "options"),
        ({"messages": []}, "messages"),
        ({"generator_type": "choices", "generator_choices": ["\ud800"]}, "generator_choices"),
        ({"generator_type": "json", "generator_choices": {"const": "\ud800"}}, "generator_choices"),
        ({"generator_type": "json", "generator_choices": {"properties": {"\ud800": {}}}}, "generator_choices"),
        ({"track_id": "x" * 1001, "webhook": "https://example.org/"}, "track_id"),
        ({"webhook": "http://example.org/"}, "webhook"),
        ({"webhook": "https://127.0.0.1/"}, "webhook"),
        ({"webhook": 7}, "webhook"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "half of a pair \ud800"}, "prompt"),
    ],
)
async def test_a_bad_field_is_named_and_costs_a_call(service: Service, fields: dict[str, Any], problem: str) -> None:
    body = {"key": service.secret, "prompt": "Hi", **fields}
    status, reply, _ = await service.post(ROUTE, body, headers={})
    assert (status, set(reply)) == (400, {"status", "message"})
    assert reply["message"].startswith(f"{problem}")
    assert await service.calls_used() == 1


@pytest.mark.parametrize(("field", "value"), [("temp", "yes"), ("do_sample", "no"), ("reset", "false"), ("top_p", 1.5)])
async def test_what_clients_of_the_original_send_is_understood(service: Service, field: str, value: Any) -> None:
    reply = await ask(service, "Hi", max_new_tokens=1, **{field: value})
    if field == "top_p":
        assert reply["meta"]["top_p"] == 1


async def test_empty_fields_count_as_absent(service: Service) -> None:
    reply = await ask(service, "Hi", max_new_tokens=1, chat_id="", webhook="", model_id="", track_id=None, seed=None)
    assert reply["status"] == "success"


async def test_every_refusal_has_this_dialects_body_and_the_status_of_the_contract(service: Service) -> None:
    await ask(service, "Hi", key="", status=401)
    await ask(service, "Hi", key=None, status=401)
    await ask(service, "Hi", key="parley_" + "x" * 43, status=401)
    await ask(service, "Hi", key=SERVICE_TOKEN, status=400)
    await ask(service, "Hi", model_id="gpt-9", status=404)
    await ask(service, "Hi " * 6000, status=400)
    for method, path, status in (
        ("POST", "/api/v6/llm/nothing", 404),
        ("GET", ROUTE, 405),
        ("GET", "/api/v6", 404),
        ("GET", "/api/v6/llm/transcripts", 404),
        ("GET", "/api/v6/llm/fetch/abc", 404),
    ):
        async with service.session.request(method, service.url + path) as response:
            assert response.status == status
            assert set(await response.json()) == {"status", "message"}
    for data, content_type, status in ((b"{", "application/json", 400), (b"{}", "text/plain", 415)):
        headers = {"Content-Type": content_type}
        async with service.session.post(service.url + ROUTE, data=data, headers=headers) as response:
            assert response.status == status
            assert set(await response.json()) == {"status", "message"}


async def test_the_header_is_taken_where_the_body_has_no_key(service: Service) -> None:
    status, _, response = await service.post(ROUTE, {"prompt": "Hi", "max_new_tokens": 1})
    assert status == 200
    assert response.headers["X-RateLimit-Remaining"] == "999"


async def test_a_long_conversation_is_cut_to_the_context(demo_engine: Engine, tmp_path: Path) -> None:
    async with running_service(demo_engine, tmp_path, context_tokens=256, system_prompt=PERSONA) as service:
        chat_id = (await ask(service, "Hello!", max_new_tokens=16))["chat_id"]
        for _ in range(12):
            await ask(service, "What can you do?", chat_id=chat_id, max_new_tokens=32)
        await ask(service, "My lucky number is 58.", chat_id=chat_id, max_new_tokens=32)
        assert "58" in (await ask(service, "What is my lucky number?", chat_id=chat_id, max_new_tokens=32))["message"]


async def test_a_transcript_is_the_conversation_up_to_its_reply(service: Service) -> None:
    first = await ask(service, "My lucky number is 58.", system_prompt="A secret persona")
    second = await ask(service, "Hello!", chat_id=first["chat_id"])
    expected = [
        {"role": "user", "content": "My lucky number is 58."},
        {"role": "assistant", "content": first["message"]},
    ]
    transcript = await read_transcript(service, first["output"][0])
    assert transcript["messages"] == expected
    assert transcript["chat_id"] == first["chat_id"]
    assert "secret persona" not in json.dumps(transcript)
    later = await read_transcript(service, second["output"][0])
    assert later["messages"] == [
        *expected,
        {"role": "user", "content": "Hello!"},
        {"role": "assistant", "content": second["message"]},
    ]
    assert await service.calls_used() == 2


async def test_a_transcripts_address_is_good_for_a_day_and_nothing_near_it_is(
    demo_engine: Engine, tmp_path: Path
) -> None:
    clock = ManualClock(datetime(2026, 11, 20, 12, 0, tzinfo=UTC))
    async with running_service(demo_engine, tmp_path, clock=clock) as service:
        address = (await ask(service, "Hello!", max_new_tokens=4))["output"][0]
        part = address.rpartition("/")[2]
        assert re.fullmatch(r"[A-Za-z0-9_-]{60,}", part)
        for at in range(0, len(part), 7):
            other = part[:at] + ("A" if part[at] != "A" else "B") + part[at + 1 :]
            await read_transcript(service, address.replace(part, other), status=404)
        await read_transcript(service, address.replace("/transcripts/", "/fetch/"), status=404)
        clock.advance(timedelta(hours=23))
        await read_transcript(service, address)
        clock.advance(timedelta(hours=1))
        await read_transcript(service, address, status=404)
