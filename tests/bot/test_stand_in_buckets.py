"""Rate limits of the stand-in Discord that run empty by themselves, tried with raw requests."""

import asyncio
import time
from collections.abc import AsyncIterator
from math import ceil

import pytest

from tests.doubles.discord_ask import Route
from tests.doubles.discord_buckets import MESSAGE_EDITS, Buckets, Refusal, Size
from tests.doubles.discord_model import Channel
from tests.doubles.discord_probe import Probe

EDIT = "PATCH /channels/{channel}/messages/{message}"
POST = "POST /channels/{channel}/messages"
EDIT_ANSWER = "PATCH /webhooks/{application}/{token}/messages/@original"


@pytest.fixture
async def probe() -> AsyncIterator[Probe]:
    async with Probe() as running:
        yield running


async def post(probe: Probe, channel: Channel) -> str:
    await probe.say(channel, content="hello")
    return f"/channels/{channel.id}/messages/{channel.messages[-1].id}"


async def test_by_default_nobody_is_limited_and_the_headers_say_so(probe: Probe) -> None:
    path = await post(probe, probe.server.channel(probe.server.guild()))
    replies = [await probe.ask("PATCH", path, {"content": str(number)}) for number in range(60)]
    assert {reply.status for reply in replies} == {200}
    assert int(replies[-1].headers["X-RateLimit-Remaining"]) > 1000
    assert probe.server.state.rate_limited == []


async def test_edits_of_one_channel_share_a_bucket_that_runs_empty(probe: Probe) -> None:
    probe.server.edit_bucket(limit=3, window_seconds=60)
    guild = probe.server.guild()
    channel, other = probe.server.channel(guild), probe.server.channel(guild)
    first, second, elsewhere = await post(probe, channel), await post(probe, channel), await post(probe, other)
    began_at = time.monotonic()
    edits = [await probe.ask("PATCH", path, {"content": "x"}) for path in (first, second, first)]
    assert [reply.headers["X-RateLimit-Remaining"] for reply in edits] == ["2", "1", "0"]
    refused = await probe.ask("PATCH", second, {"content": "x"})
    assert refused.status == 429
    assert 60 - (time.monotonic() - began_at) <= refused.body["retry_after"] + 0.001 <= 60.001
    waits = str(ceil(refused.body["retry_after"]))
    assert (refused.headers["Retry-After"], refused.headers["X-RateLimit-Scope"]) == (waits, "user")
    assert refused.headers["Via"]
    assert refused.headers["X-RateLimit-Bucket"] == edits[0].headers["X-RateLimit-Bucket"]
    assert (await probe.ask("PATCH", elsewhere, {"content": "x"})).status == 200
    assert probe.server.state.rate_limited == [EDIT]
    assert probe.server.state.breaches == []


async def test_a_bucket_is_full_again_when_its_headers_say(probe: Probe) -> None:
    probe.server.edit_bucket(limit=1, window_seconds=0.2)
    path = await post(probe, probe.server.channel(probe.server.guild()))
    reply = await probe.ask("PATCH", path, {"content": "x"})
    assert float(reply.headers["X-RateLimit-Reset"]) - time.time() <= 0.21
    for _ in range(3):
        await asyncio.sleep(float(reply.headers["X-RateLimit-Reset-After"]))
        reply = await probe.ask("PATCH", path, {"content": "x"})
        assert reply.status == 200


async def test_posts_have_a_bucket_per_channel_and_answers_one_per_interaction(probe: Probe) -> None:
    probe.server.edit_bucket(limit=2, window_seconds=60)
    channel, ada = probe.server.channel(probe.server.guild()), probe.server.user("Ada")
    await probe.listen()
    await probe.register({"name": "chat", "description": "Talk"})
    posts = [(await probe.say(channel, content="x")).status for _ in range(3)]
    used = [await probe.server.slash(ada, channel, "chat") for _ in range(2)]
    edits = []
    for interaction in used:
        await probe.answer(interaction, 4, content="x")
        edits += [(await probe.original("PATCH", interaction, content="y")).status for _ in range(3)]
    assert posts == [200, 200, 429]
    assert edits == [200, 200, 429] * 2
    assert probe.server.state.rate_limited == [POST, EDIT_ANSWER, EDIT_ANSWER]


async def test_the_global_limit_spares_interactions(probe: Probe) -> None:
    channel, ada = probe.server.channel(probe.server.guild()), probe.server.user("Ada")
    await probe.listen()
    await probe.register({"name": "chat", "description": "Talk"})
    probe.server.global_limit(1, window_seconds=60)
    assert (await probe.say(channel, content="x")).status == 200
    refused = await probe.say(channel, content="x")
    assert (refused.status, refused.body["global"]) == (429, True)
    assert (refused.headers["X-RateLimit-Global"], refused.headers["X-RateLimit-Scope"]) == ("true", "global")
    used = await probe.server.slash(ada, channel, "chat")
    assert (await probe.answer(used, 4, content="x")).status == 200
    assert (await probe.original("PATCH", used, content="y")).status == 200
    assert probe.server.state.rate_limited == [POST]


async def test_any_route_can_have_a_bucket(probe: Probe) -> None:
    channel = probe.server.channel(probe.server.guild())
    probe.server.bucket("POST /channels/{channel}/typing", limit=1, window_seconds=60)
    statuses = [(await probe.ask("POST", f"/channels/{channel.id}/typing")).status for _ in range(2)]
    assert statuses == [204, 429]


async def _unused(_ask: object) -> None:
    raise NotImplementedError


def test_a_window_begins_with_the_first_request_in_it() -> None:
    buckets = Buckets(sizes={MESSAGE_EDITS: Size(2, 5.0)})
    method, path = EDIT.split()
    route = Route(method, path, _unused)
    taken = [buckets.take(route, {"channel": "1"}, now=now) for now in (10.0, 14.0, 14.9, 15.0, 19.9, 19.95)]
    assert [isinstance(each, Refusal) for each in taken] == [False, False, True, False, False, True]
    assert not isinstance(taken[1], Refusal)
    assert taken[1]["X-RateLimit-Reset-After"] == "1.000"
