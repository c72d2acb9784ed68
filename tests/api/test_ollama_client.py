"""The Ollama dialect through the unmodified `ollama` package: replies, streams, formats, models, typed errors."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from ollama import AsyncClient, ResponseError

from api.contract import SamplingFields
from tests.service import MODEL_NAME, Service

pytestmark = pytest.mark.asyncio(loop_scope="session")

HELLO: Any = [{"role": "user", "content": "Hello!"}]
COUNT: Any = [{"role": "user", "content": "Count from 1 to 10."}]
GREEDY = {"temperature": 0}
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "age": {"type": "integer", "minimum": 0, "maximum": 99},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest_asyncio.fixture(loop_scope="session")
async def client(service: Service) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(host=service.url, headers=service.headers) as client:
        yield client


async def refused(asking: Any) -> ResponseError:
    with pytest.raises(ResponseError) as caught:
        await asking
    return caught.value


async def test_a_chat_has_a_message_a_reason_and_counts_that_the_ledger_agrees_with(
    client: AsyncClient, service: Service
) -> None:
    before = datetime.now(UTC)
    reply = await client.chat(model=MODEL_NAME, messages=HELLO, options=GREEDY)
    assert (reply.model, reply.done, reply.done_reason) == (MODEL_NAME, True, "stop")
    assert reply.created_at is not None
    assert before <= datetime.fromisoformat(reply.created_at) <= datetime.now(UTC)
    assert reply.message.role == "assistant"
    assert reply.message.content
    assert reply.message.tool_calls is None
    assert reply.total_duration is not None
    assert reply.prompt_eval_duration is not None
    assert reply.eval_duration is not None
    assert reply.total_duration >= reply.eval_duration
    recorded = await service.ledger.usage(service.token.tenant_id)
    assert (recorded.used_today, recorded.prompt_tokens, recorded.completion_tokens) == (
        1,
        reply.prompt_eval_count,
        reply.eval_count,
    )


async def test_a_chat_is_the_native_reply_with_the_same_options(client: AsyncClient, service: Service) -> None:
    options = {"temperature": 1.5, "seed": 7, "num_predict": 9, "repeat_penalty": 1.3, "stop": ["xyz"], "min_p": 0.01}
    reply = await client.chat(model=MODEL_NAME, messages=COUNT, options=options)
    native = await service.ask("Count from 1 to 10.", **options)
    assert (reply.message.content, reply.eval_count) == (native["message"]["content"], native["eval_count"])
    assert reply.done_reason == native["done_reason"]


async def test_a_stream_joins_to_the_whole_reply_and_only_its_last_line_counts(client: AsyncClient) -> None:
    whole = await client.chat(model=MODEL_NAME, messages=COUNT, options=GREEDY)
    parts = [part async for part in await client.chat(model=MODEL_NAME, messages=COUNT, options=GREEDY, stream=True)]
    *pieces, last = parts
    assert "".join(part.message.content or "" for part in parts) == whole.message.content
    assert len(pieces) > 1
    assert all(part.done is False and part.eval_count is None and part.done_reason is None for part in pieces)
    assert (last.done, last.done_reason, last.message.content) == (True, "stop", "")
    assert (last.eval_count, last.prompt_eval_count) == (whole.eval_count, whole.prompt_eval_count)


async def test_replies_are_streamed_unless_told_otherwise(service: Service) -> None:
    for path, asked in (("/api/chat", {"messages": HELLO}), ("/api/generate", {"prompt": "Hello!"})):
        body = {"model": MODEL_NAME, **asked}
        async with service.session.post(service.url + path, json=body, headers=service.headers) as response:
            assert response.content_type == "application/x-ndjson"
            lines = [json.loads(line) for line in (await response.text()).splitlines()]
        assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]


async def test_curl_needs_no_content_type(service: Service) -> None:
    body = json.dumps({"model": MODEL_NAME, "prompt": "Hello!", "stream": False})
    headers = {**service.headers, "Content-Type": "application/x-www-form-urlencoded"}
    async with service.session.post(f"{service.url}/api/generate", data=body, headers=headers) as response:
        assert response.status == 200
        assert (await response.json())["response"]


async def test_generate_is_a_chat_of_one_message(client: AsyncClient) -> None:
    asked = await client.generate(model=MODEL_NAME, prompt="Hello!", system="You are a pirate.", options=GREEDY)
    messages = [{"role": "system", "content": "You are a pirate."}, *HELLO]
    said = await client.chat(model=MODEL_NAME, messages=messages, options=GREEDY)
    assert asked.response == said.message.content
    assert asked.prompt_eval_count == said.prompt_eval_count
    parts = [
        part
        async for part in await client.generate(
            model=MODEL_NAME, prompt="Hello!", system="You are a pirate.", options=GREEDY, stream=True
        )
    ]
    assert "".join(part.response or "" for part in parts) == asked.response
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]


async def test_a_schema_binds_the_reply(client: AsyncClient) -> None:
    reply = await client.chat(model=MODEL_NAME, messages=HELLO, format=PERSON)
    found = json.loads(reply.message.content or "")
    assert set(found) == {"name", "age"}
    generated = await client.generate(model=MODEL_NAME, prompt="Hello!", format=PERSON)
    assert set(json.loads(generated.response or "")) == {"name", "age"}


async def test_json_may_be_any_object_and_an_empty_format_is_none(client: AsyncClient) -> None:
    plain = await client.chat(model=MODEL_NAME, messages=HELLO, format="", options=GREEDY)
    assert not (plain.message.content or "").startswith("{")
    held = await client.generate(model=MODEL_NAME, prompt="Hello!", format="json", options=GREEDY | {"num_predict": 12})
    assert (held.response or "").lstrip().startswith("{")


async def test_a_last_message_of_the_assistant_is_gone_on_with(client: AsyncClient) -> None:
    whole = (await client.chat(model=MODEL_NAME, messages=COUNT, options=GREEDY)).message.content or ""
    begun = [*COUNT, {"role": "assistant", "content": whole[:6]}]
    rest = await client.chat(model=MODEL_NAME, messages=begun, options=GREEDY)
    assert whole[:6] + (rest.message.content or "") == whole


async def test_logprobs_join_to_the_reply(client: AsyncClient) -> None:
    reply = await client.chat(model=MODEL_NAME, messages=COUNT, options=GREEDY, logprobs=True, top_logprobs=2)
    assert reply.logprobs
    assert "".join(token.token for token in reply.logprobs) == reply.message.content
    assert all(token.logprob <= 0 and len(token.top_logprobs or ()) == 2 for token in reply.logprobs)
    streamed = await client.generate(model=MODEL_NAME, prompt="Hello!", options=GREEDY, logprobs=True, stream=True)
    said = [part async for part in streamed]
    assert "".join(token.token for part in said for token in part.logprobs or ()) == "".join(
        part.response or "" for part in said
    )


async def test_what_is_about_loading_has_no_effect(client: AsyncClient) -> None:
    plain = await client.chat(model=MODEL_NAME, messages=HELLO, options=GREEDY)
    options = GREEDY | {"num_gpu": 1, "num_thread": 2, "use_mmap": True, "num_batch": 512, "num_keep": 4, "seed": None}
    loaded = await client.chat(model=MODEL_NAME, messages=HELLO, options=options, keep_alive="10m", think=False)
    assert loaded.message.content == plain.message.content


async def test_a_name_may_say_latest_and_comes_back_as_it_was_written(client: AsyncClient) -> None:
    reply = await client.chat(model=f"{MODEL_NAME}:latest", messages=HELLO, options={"num_predict": 1})
    assert reply.model == f"{MODEL_NAME}:latest"


@pytest.mark.parametrize(("keep_alive", "reason"), [(None, "load"), ("5m", "load"), (0, "unload"), ("0s", "unload")])
async def test_nothing_to_answer_asks_for_the_model_alone(client: AsyncClient, keep_alive: Any, reason: str) -> None:
    chat = await client.chat(model=MODEL_NAME, messages=[], keep_alive=keep_alive)
    assert (chat.done, chat.done_reason, chat.message.content) == (True, reason, "")
    generated = await client.generate(model=MODEL_NAME, keep_alive=keep_alive)
    assert (generated.done, generated.done_reason, generated.response) == (True, reason, "")


async def test_list_ps_and_show_agree_on_the_model(client: AsyncClient) -> None:
    (listed,) = (await client.list()).models
    (running,) = (await client.ps()).models
    shown = await client.show(MODEL_NAME)
    assert listed.model == running.model == f"{MODEL_NAME}:latest"
    assert listed.digest == running.digest
    assert listed.digest is not None
    assert len(listed.digest) == 64
    assert listed.size == running.size
    assert (listed.size or 0) > 100_000
    assert (running.context_length, running.size_vram) == (4096, 0)
    assert running.expires_at is not None
    assert running.expires_at > datetime.now(UTC)
    assert shown.details == listed.details == running.details
    assert shown.details is not None
    assert shown.details.format == "gguf"
    assert shown.modelinfo is not None
    architecture = shown.modelinfo["general.architecture"]
    assert shown.modelinfo[f"{architecture}.context_length"] >= 64
    assert shown.capabilities is not None
    assert "completion" in shown.capabilities
    defaults = dict(line.split() for line in (shown.parameters or "").splitlines())
    assert float(defaults["temperature"]) == SamplingFields().temperature


async def test_looking_costs_no_call(client: AsyncClient, service: Service) -> None:
    await client.list()
    await client.ps()
    await client.show(MODEL_NAME)
    assert await service.calls_used() == 0


async def test_the_version_needs_no_token(service: Service) -> None:
    status, body, _ = await service.get("/api/version", headers={})
    assert status == 200
    assert tuple(map(int, body["version"].split("."))) >= (0, 6, 4)


async def test_an_unknown_model_is_a_404_in_ollamas_words(client: AsyncClient) -> None:
    asking = client.chat(model="llama9", messages=HELLO), client.generate(model="llama9", prompt="x")
    for each in (*asking, client.show("llama9")):
        error = await refused(each)
        assert (error.status_code, error.error) == (404, 'model "llama9" not found, try pulling it first')


async def test_no_and_unknown_tokens_are_a_401(service: Service) -> None:
    async with AsyncClient(host=service.url) as stranger:
        error = await refused(stranger.list())
        assert error.status_code == 401
        assert "Authorization" in error.error
    async with AsyncClient(host=service.url, headers={"Authorization": "Bearer parley_wrong"}) as stranger:
        error = await refused(stranger.chat(model=MODEL_NAME, messages=HELLO))
        assert (error.status_code, "unknown" in error.error) == (401, True)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"options": {"temperature": 9}}, "options.temperature"),
        ({"options": {"num_predict": 0}}, "options.num_predict"),
        ({"options": {"heat": 1}}, "options.heat"),
        ({"options": {"mirostat": 2, "tfs_z": 0.5, "logprobs": 3}}, "options.logprobs"),
        ({"think": True}, "think"),
        ({"think": "high"}, "think"),
        ({"keep_alive": [5]}, "keep_alive: give seconds"),
        ({"format": "yaml"}, "format"),
        ({"format": {"type": "nonsense"}}, "format"),
        ({"top_logprobs": 21, "logprobs": True}, "top_logprobs"),
        ({"messages": [{"role": "user", "content": "x", "images": ["aGVsbG8="]}]}, "messages.0.images"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
        ({"messages": "Hello!"}, "messages"),
    ],
)
async def test_a_bad_field_is_a_400_that_names_it(service: Service, asked: dict[str, Any], field: str) -> None:
    status, body, _ = await service.post("/api/chat", {"model": MODEL_NAME, "messages": HELLO, **asked})
    assert (status, list(body)) == (400, ["error"])
    assert body["error"].startswith(f"{field}")


@pytest.mark.parametrize(
    "asked",
    [
        {"suffix": "!"},
        {"template": "{{ .Prompt }}"},
        {"context": [1, 2]},
        {"raw": True},
        {"images": ["aGVsbG8="]},
        {"width": 64},
    ],
)
async def test_what_generate_cannot_honour_is_refused_by_name(client: AsyncClient, asked: dict[str, Any]) -> None:
    error = await refused(client.generate(model=MODEL_NAME, prompt="Hello!", **asked))
    (field,) = asked
    assert (error.status_code, error.error) == (400, f"{field}: is not supported here; leave it out")


async def test_a_prompt_that_does_not_fit_is_refused_where_nothing_may_be_left_out(client: AsyncClient) -> None:
    long = [{"role": "user", "content": "word " * 60}, {"role": "assistant", "content": "ok"}] * 3 + HELLO
    options = {"num_ctx": 128, "num_predict": 8}
    assert (await client.chat(model=MODEL_NAME, messages=long, options=options)).done
    error = await refused(client.generate(model=MODEL_NAME, prompt="word " * 5000))
    assert (error.status_code, error.error.partition(":")[0]) == (400, "prompt")


async def test_truncate_false_refuses_what_does_not_fit(service: Service) -> None:
    long = [{"role": "user", "content": "word " * 60}, {"role": "assistant", "content": "ok"}] * 3 + HELLO
    body = {"model": MODEL_NAME, "messages": long, "options": {"num_ctx": 128}, "truncate": False, "stream": False}
    status, reply, _ = await service.post("/api/chat", body)
    assert status == 400
    assert reply["error"].startswith("messages: ")
    assert "nothing is left out" in reply["error"]


@pytest.mark.parametrize("path", ["/api/pull", "/api/embed", "/api/delete", "/api/chat/more"])
async def test_routes_that_are_not_here_are_ollamas_404(service: Service, path: str) -> None:
    status, body, _ = await service.post(path, {"model": MODEL_NAME})
    assert (status, list(body)) == (404, ["error"])


async def test_a_wrong_method_is_a_405(service: Service) -> None:
    status, body, response = await service.get("/api/chat")
    assert (status, list(body), response.headers["Allow"]) == (405, ["error"], "POST")
