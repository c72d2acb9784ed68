"""The bot's client of the HTTP API, over a socket."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api import keys
from api.contract import ChatMessage, SamplingFields
from bot import errors
from bot.api_client import Answer, ApiClient, Begun, Queued, Text
from generation.engine import Engine
from tests import service
from tests.bot.scripted_api import MODEL, SERVICE_TOKEN, Refusal, ScriptedApi, Stream
from tests.ports import free_port
from tests.waiting import eventually

_MESSAGES = [ChatMessage(role="user", content="Ada: hello 👋")]

Events = AsyncGenerator[Queued | Begun | Text | Answer, None]


@pytest.fixture
async def client(api: ScriptedApi) -> AsyncIterator[ApiClient]:
    async with ApiClient(api.url, SERVICE_TOKEN) as opened:
        yield opened


async def collect(events: Events, into: list[Any] | None = None) -> list[Queued | Text | Answer]:
    """Read a stream to its end; `into` holds what came before an error."""
    seen = [] if into is None else into
    async with aclosing(events):
        async for event in events:
            seen.append(event)
    return seen


async def reply(client: ApiClient, messages: Sequence[ChatMessage], **asked: Any) -> Answer:
    """Ask for the end alone."""
    *_, answer = await collect(client.stream(messages, **asked))
    assert isinstance(answer, Answer)
    return answer


async def test_a_reply_carries_its_text_and_how_it_ended(api: ScriptedApi, client: ApiClient) -> None:
    answer = await reply(client, _MESSAGES, tenant="discord:1")
    assert answer == Answer(text="You said: hello 👋", dropped_messages=0, is_cut=False)


async def test_a_stream_tells_the_place_the_text_as_it_comes_and_the_whole_answer(
    api: ScriptedApi, client: ApiClient
) -> None:
    api.script.append(
        Stream(
            pieces=["Once ", "", "upon"],
            queue=[(2, None), (1, 7)],
            done_reason="length",
            dropped_messages=3,
            warnings=["mind the gap"],
        )
    )
    *before, answer = await collect(client.stream(_MESSAGES, tenant="discord:1"))
    assert before == [Queued(2, None), Queued(1, 7), Begun(), Text("Once "), Text("upon")]
    assert answer == Answer(text="Once upon", dropped_messages=3, is_cut=True)


async def test_text_is_there_before_the_reply_is_whole(api: ScriptedApi, client: ApiClient) -> None:
    api.script.append(Stream(pieces=["a", "b", "c"], hold_after=(1, 2)))
    async with aclosing(client.stream(_MESSAGES, tenant="discord:1")) as events:
        for text in ("a", "b", "c"):
            assert await anext(events) == Text(text)
            api.release()
        assert isinstance(await anext(events), Answer)
        with pytest.raises(StopAsyncIteration):
            await anext(events)


async def test_only_messages_and_chosen_options_are_sent(api: ScriptedApi, client: ApiClient) -> None:
    await reply(client, _MESSAGES, tenant="discord:1")
    await reply(client, _MESSAGES, tenant="discord:1", options=SamplingFields(temperature=0.0))
    await collect(
        client.stream(
            _MESSAGES,
            tenant="discord:1",
            model="m",
            options=SamplingFields(temperature=0.0, seed=2, top_k=3, stop=["x"]),
        )
    )
    sent = [asked.request.model_dump(exclude_unset=True, exclude={"messages"}) for asked in api.asked]
    last = {"model": "m", "temperature": 0.0, "seed": 2, "top_k": 3, "stop": ["x"]}
    assert sent == [{"stream": True} | fields for fields in ({}, {"temperature": 0.0}, last)]


async def test_tenant_and_person_are_named(api: ScriptedApi, client: ApiClient) -> None:
    await reply(client, _MESSAGES, tenant="discord:1")
    await reply(client, _MESSAGES, tenant="discord:dm:2", person=2)
    assert [(asked.tenant, asked.person) for asked in api.asked] == [("discord:1", ""), ("discord:dm:2", "2")]
    assert {asked.authorization for asked in api.asked} == {f"Bearer {SERVICE_TOKEN}"}


@pytest.mark.parametrize(
    "asked", [{"options": SamplingFields.model_construct({"top_p"}, top_p=7.0)}, {"model": "\ud800"}, {"messages": []}]
)
async def test_what_the_contract_does_not_take_is_not_sent(
    api: ScriptedApi, client: ApiClient, asked: dict[str, Any]
) -> None:
    with pytest.raises(errors.UnexpectedError):
        await collect(client.stream(**{"messages": _MESSAGES, "tenant": "discord:1", **asked}))
    assert api.asked == []


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (Refusal(400, "Invalid request"), errors.UnexpectedError),
        (Refusal(401), errors.ServiceRefusedTokenError),
        (Refusal(403), errors.ServiceRefusedTokenError),
        (Refusal(404), errors.UnexpectedError),
        (Refusal(413), errors.PromptTooLongError),
        (Refusal(429), errors.AllowanceUsedError),
        (Refusal(500), errors.UnexpectedError),
        (Refusal(502), errors.ModelUnavailableError),
        (Refusal(503, "Busy"), errors.BusyError),
        (Refusal(503, "Model unavailable"), errors.ModelUnavailableError),
        (Refusal(504), errors.TookTooLongError),
        (b"", errors.ModelUnavailableError),
        (b"<html>", errors.UnexpectedError),
        (b"{}\n", errors.UnexpectedError),
        (b"x" * 1_000_000, errors.UnexpectedError),
    ],
)
async def test_each_error_of_the_contract_becomes_its_own_class(
    api: ScriptedApi, client: ApiClient, refusal: Refusal | bytes, kind: type[errors.RefusedError]
) -> None:
    api.script.append(refusal)
    with pytest.raises(errors.RefusedError) as raised:
        await reply(client, _MESSAGES, tenant="discord:1")
    assert type(raised.value) is kind
    assert len(api.asked) == 1, "a refusal is not hidden behind a second try"


async def test_a_prompt_that_is_too_long_names_both_counts(api: ScriptedApi, client: ApiClient) -> None:
    message = "messages: the system message and the last message take 5000 tokens, the limit is 1920; shorten them"
    problem = [{"field": "messages", "problem": message}]
    api.script.append(Refusal(400, "Invalid request", message, details=problem))
    with pytest.raises(errors.PromptTooLongError) as raised:
        await reply(client, _MESSAGES, tenant="discord:1")
    assert (raised.value.prompt_tokens, raised.value.limit) == (5000, 1920)


async def test_the_reset_is_taken_from_either_header(api: ScriptedApi, client: ApiClient) -> None:
    api.script.append(Refusal(429, headers={"X-RateLimit-Limit": "9", "X-RateLimit-Reset": "1800000000"}))
    api.script.append(Refusal(429, headers={"Retry-After": "3600"}))
    api.script.append(Refusal(429, headers={"X-RateLimit-Reset": "soon", "Retry-After": "later"}))
    found = []
    for _ in range(3):
        with pytest.raises(errors.AllowanceUsedError) as raised:
            await reply(client, _MESSAGES, tenant="discord:1")
        found.append(raised.value)
    assert (found[0].limit, found[0].resets_at) == (9, datetime.fromtimestamp(1_800_000_000, UTC))
    assert found[1].resets_at is not None
    assert abs(found[1].resets_at - datetime.now(UTC) - timedelta(hours=1)) < timedelta(minutes=1)
    assert found[2].resets_at is None


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Refusal(503, "Model unavailable"), errors.ModelUnavailableError),
        (Refusal(503, "Busy"), errors.BusyError),
        (Refusal(504, "Timeout"), errors.TookTooLongError),
        (Refusal(500), errors.UnexpectedError),
        (Refusal(400, details=[{"field": "messages", "problem": "too long"}]), errors.PromptTooLongError),
        (None, errors.ModelUnavailableError),
    ],
)
async def test_a_stream_that_breaks_off_says_why(
    api: ScriptedApi, client: ApiClient, error: Refusal | None, kind: type[errors.RefusedError]
) -> None:
    api.script.append(Stream(pieces=["half a"], queue=[(1, 1)], error=error, is_cut_off=error is None))
    seen: list[Any] = []
    with pytest.raises(errors.RefusedError) as raised:
        await collect(client.stream(_MESSAGES, tenant="discord:1"), seen)
    assert type(raised.value) is kind
    assert seen == [Queued(1, 1), Begun(), Text("half a")]


async def test_silence_is_told_apart_from_an_absent_service(api: ScriptedApi) -> None:
    api.script.append(Stream(pieces=["a", "b"], hold_after=1))
    async with ApiClient(api.url, SERVICE_TOKEN, idle_timeout_seconds=0.2) as impatient:
        with pytest.raises(errors.TookTooLongError):
            await reply(impatient, _MESSAGES, tenant="discord:1")
    async with ApiClient(f"http://127.0.0.1:{free_port()}", SERVICE_TOKEN) as lost:
        with pytest.raises(errors.ModelUnavailableError):
            await reply(lost, _MESSAGES, tenant="discord:1")
        with pytest.raises(errors.ModelUnavailableError):
            await lost.models()


async def test_a_reply_may_take_longer_than_the_longest_silence(api: ScriptedApi) -> None:
    api.script.append(Stream(pieces="abcdefghij", hold_after=range(1, 10)))
    async with ApiClient(api.url, SERVICE_TOKEN, idle_timeout_seconds=5.0) as client:
        asking = asyncio.create_task(reply(client, _MESSAGES, tenant="discord:1"))
        for _ in range(9):
            await api.held()
            # Time has to pass: nine silences are longer together than what is allowed for one.
            await asyncio.sleep(0.6)
            api.release()
        assert (await asking).text == "abcdefghij"


async def test_a_cancelled_question_hangs_up(api: ScriptedApi, client: ApiClient) -> None:
    api.hold()
    asking = asyncio.create_task(reply(client, _MESSAGES, tenant="discord:1"))
    await api.arrived(1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    async with asyncio.timeout(10):
        await api.hung_up.wait()


async def test_a_stream_that_is_closed_hangs_up(api: ScriptedApi, client: ApiClient) -> None:
    api.script.append(Stream(pieces=["a", "b"], hold_after=1))
    async with aclosing(client.stream(_MESSAGES, tenant="discord:1")) as events:
        assert await anext(events) == Text("a")
        await api.held()
    async with asyncio.timeout(10):
        await api.hung_up.wait()
    assert api.running == 0


@pytest.mark.asyncio(loop_scope="session")
async def test_hanging_up_frees_the_slot_of_the_real_service(demo_engine: Engine, tmp_path: Path) -> None:
    endless = SamplingFields(num_predict=-2, num_ctx=4096, temperature=2.0)
    async with (
        service.running_service(demo_engine, tmp_path, slots=1) as running,
        ApiClient(running.url, service.SERVICE_TOKEN) as client,
    ):
        queue = running.app[keys.PIPELINE].queue
        async with aclosing(client.stream(_MESSAGES, tenant="discord:1", person=2, options=endless)) as events:
            assert isinstance(await anext(events), Text)
            async with aclosing(client.stream(_MESSAGES, tenant="discord:1")) as waiting:
                assert await anext(waiting) == Queued(1, None)
            await eventually(lambda: queue.waiting == 0)
            assert queue.running == 1
        await eventually(lambda: queue.running == 0)
        asking = asyncio.create_task(collect(client.stream(_MESSAGES, tenant="discord:1", options=endless)))
        await eventually(lambda: queue.running == 1)
        asking.cancel()
        await eventually(lambda: queue.running == 0)
        assert (await reply(client, _MESSAGES, tenant="discord:1")).text
        assert await client.models() == [service.MODEL_NAME]


async def test_model_names_are_asked_for_once_a_minute(api: ScriptedApi, client: ApiClient) -> None:
    names = await client.models()
    assert names == [MODEL]
    names.append("not the client's own list")
    api.models = ["other"]
    assert await client.models() == [MODEL]
    assert api.models_asked == 1
    async with ApiClient(api.url, SERVICE_TOKEN, models_kept_seconds=0.0) as forgetful:
        assert await forgetful.models() == ["other"]
        api.models = []
        assert await forgetful.models() == []


async def test_model_names_that_cannot_be_had_are_asked_for_again(api: ScriptedApi, client: ApiClient) -> None:
    api.models = Refusal(503, "Model unavailable", headers={"Retry-After": "3"})
    with pytest.raises(errors.ModelUnavailableError) as raised:
        await client.models()
    assert raised.value.retry_after_seconds == 3
    api.models = ["back"]
    assert await client.models() == ["back"]


async def test_how_many_ask_at_once_is_left_to_the_service(api: ScriptedApi, client: ApiClient) -> None:
    api.hold()
    asking = [asyncio.create_task(reply(client, _MESSAGES, tenant=f"discord:{number}")) for number in range(150)]
    await api.arrived(150)
    assert api.most_running == 150
    api.release()
    assert len(await asyncio.gather(*asking)) == 150
