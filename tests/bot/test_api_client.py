"""The bot's client of the HTTP API, over a socket."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from api.contract import ChatMessage, SamplingFields
from bot import errors
from bot.api_client import ApiClient
from tests.bot.scripted_api import SERVICE_TOKEN, Refusal, ScriptedApi

_MESSAGES = [ChatMessage(role="user", content="Ada: hello 👋")]


@pytest.fixture
async def client(api: ScriptedApi) -> AsyncIterator[ApiClient]:
    async with ApiClient(api.url, SERVICE_TOKEN) as opened:
        yield opened


async def test_a_reply_carries_text_and_what_is_left(api: ScriptedApi, client: ApiClient) -> None:
    answer = await client.reply(_MESSAGES, tenant="discord:1")
    assert answer.text == "You said: hello 👋"
    assert (answer.calls_remaining, answer.dropped_messages, answer.is_cut) == (99, 0, False)
    assert answer.resets_at > datetime.now(UTC)


async def test_only_messages_and_chosen_options_are_sent(api: ScriptedApi, client: ApiClient) -> None:
    await client.reply(_MESSAGES, tenant="discord:1")
    await client.reply(_MESSAGES, tenant="discord:1", options=SamplingFields(temperature=0.0))
    assert [asked.request.model_fields_set for asked in api.asked] == [{"messages"}, {"messages", "temperature"}]


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
        (b"", errors.UnexpectedError),
    ],
)
async def test_each_error_of_the_contract_becomes_its_own_class(
    api: ScriptedApi, client: ApiClient, refusal: Refusal | bytes, kind: type[errors.RefusedError]
) -> None:
    api.script.append(refusal)
    with pytest.raises(errors.RefusedError) as raised:
        await client.reply(_MESSAGES, tenant="discord:1")
    assert type(raised.value) is kind
    assert len(api.asked) == 1, "a refusal is not hidden behind a second try"


async def test_a_prompt_that_is_too_long_names_both_counts(api: ScriptedApi, client: ApiClient) -> None:
    message = "messages: the system message and the last message take 5000 tokens, the limit is 1920; shorten them"
    problem = [{"field": "messages", "problem": message}]
    api.script.append(Refusal(400, "Invalid request", message, details=problem))
    with pytest.raises(errors.PromptTooLongError) as raised:
        await client.reply(_MESSAGES, tenant="discord:1")
    assert (raised.value.prompt_tokens, raised.value.limit) == (5000, 1920)


async def test_the_reset_is_taken_from_either_header(api: ScriptedApi, client: ApiClient) -> None:
    api.script.append(Refusal(429, headers={"X-RateLimit-Limit": "9", "X-RateLimit-Reset": "1800000000"}))
    api.script.append(Refusal(429, headers={"Retry-After": "3600"}))
    api.script.append(Refusal(429, headers={"X-RateLimit-Reset": "soon", "Retry-After": "later"}))
    found = []
    for _ in range(3):
        with pytest.raises(errors.AllowanceUsedError) as raised:
            await client.reply(_MESSAGES, tenant="discord:1")
        found.append(raised.value)
    assert (found[0].limit, found[0].resets_at) == (9, datetime.fromtimestamp(1_800_000_000, UTC))
    assert found[1].resets_at is not None
    assert abs(found[1].resets_at - datetime.now(UTC) - timedelta(hours=1)) < timedelta(minutes=1)
    assert found[2].resets_at is None


async def test_a_deadline_is_told_apart_from_an_absent_service(api: ScriptedApi, unused_tcp_port: int) -> None:
    api.hold()
    async with ApiClient(api.url, SERVICE_TOKEN, timeout_seconds=0.2) as impatient:
        with pytest.raises(errors.TookTooLongError):
            await impatient.reply(_MESSAGES, tenant="discord:1")
    async with ApiClient(f"http://127.0.0.1:{unused_tcp_port}", SERVICE_TOKEN) as lost:
        with pytest.raises(errors.ModelUnavailableError):
            await lost.reply(_MESSAGES, tenant="discord:1")


async def test_a_cancelled_question_hangs_up(api: ScriptedApi, client: ApiClient) -> None:
    api.hold()
    asking = asyncio.create_task(client.reply(_MESSAGES, tenant="discord:1"))
    await api.arrived(1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    async with asyncio.timeout(10):
        await api.hung_up.wait()


async def test_how_many_ask_at_once_is_left_to_the_service(api: ScriptedApi, client: ApiClient) -> None:
    api.hold()
    asking = [asyncio.create_task(client.reply(_MESSAGES, tenant=f"discord:{number}")) for number in range(150)]
    await api.arrived(150)
    assert api.most_running == 150
    api.release()
    assert len(await asyncio.gather(*asking)) == 150
