"""Turns to edit, against buckets as Discord documents them: fixed windows that begin with the first request in them."""

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.pacing import (
    MAX_EDITS_PER_SECOND,
    MIN_SECONDS_BETWEEN_EDITS,
    RESERVED,
    Pacer,
    channel_edits,
    interaction_edits,
)
from tests.bot.leaping_loop import leap

CHANNEL = channel_edits(1)


def _now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Bucket:
    """One limit of Discord's, and the headers that tell of it."""

    limit: int = 5
    window_seconds: float = 5.0
    name: str = "edits"
    ends_at: float = 0.0
    used: int = 0
    fewest_left: int = field(default=1_000)

    def take(self) -> Mapping[str, str]:
        """Count a request; it must not be one too many."""
        if _now() >= self.ends_at:
            self.ends_at, self.used = _now() + self.window_seconds, 0
        self.used += 1
        left = self.limit - self.used
        assert left >= 0, "429"
        self.fewest_left = min(self.fewest_left, left)
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(left),
            "X-RateLimit-Reset-After": f"{self.ends_at - _now():.3f}",
            "X-RateLimit-Bucket": self.name,
        }


def _answer(
    pacer: Pacer, headers: Mapping[str, str], *, path: str = "/channels/1/messages/9", status: int = 200
) -> None:
    pacer.note("PATCH", f"/api/v10{path}", status=status, headers=headers)


async def _edit(pacer: Pacer, bucket: Bucket, *, latency_seconds: float = 0.1) -> float:
    """Take a turn and make an edit; returns when."""
    await pacer.turn_to_edit(CHANNEL)
    made_at = _now()
    await asyncio.sleep(latency_seconds / 2)
    headers = bucket.take()
    await asyncio.sleep(latency_seconds / 2)
    _answer(pacer, headers)
    return made_at


def test_without_any_answer_yet_edits_are_a_second_apart() -> None:
    async def scene() -> None:
        pacer, moments = Pacer(), []
        for _ in range(5):
            await pacer.turn_to_edit(CHANNEL)
            moments.append(_now())
        gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
        assert gaps == pytest.approx([MIN_SECONDS_BETWEEN_EDITS] * 4)

    leap(scene())


def test_edits_are_spread_over_the_window_and_leave_one_for_the_end() -> None:
    async def scene() -> None:
        pacer, bucket = Pacer(), Bucket()
        moments = [await _edit(pacer, bucket) for _ in range(41)]
        gaps = [later - earlier for earlier, later in itertools.pairwise(moments[1:])]
        assert bucket.fewest_left == RESERVED
        assert min(gaps) >= 1.25 - 0.001
        assert max(gaps) <= 1.7
        assert moments[-1] - moments[1] <= 39 * 1.3

    leap(scene())


@settings(max_examples=100, deadline=None)
@given(
    st.integers(2, 12),
    st.floats(0.5, 20),
    st.lists(st.tuples(st.floats(0, 3), st.floats(0.01, 0.9)), min_size=1, max_size=60),
)
def test_the_reserve_is_never_touched_whatever_the_bucket(
    limit: int, window_seconds: float, edits: list[tuple[float, float]]
) -> None:
    async def scene() -> None:
        pacer, bucket = Pacer(), Bucket(limit, window_seconds)
        for pause_seconds, latency_seconds in edits:
            await asyncio.sleep(pause_seconds)
            await _edit(pacer, bucket, latency_seconds=latency_seconds)
        assert bucket.fewest_left >= RESERVED

    leap(scene())


def test_a_used_reserve_is_waited_for() -> None:
    async def scene() -> None:
        pacer, bucket = Pacer(), Bucket()
        for _ in range(5):
            # Last edits of replies that end one after the other.
            _answer(pacer, bucket.take())
        begun_at = _now()
        made_at = await _edit(pacer, bucket)
        assert made_at - begun_at == pytest.approx(5.0, abs=0.1)

    leap(scene())


def test_what_others_use_of_the_bucket_counts() -> None:
    async def scene() -> None:
        pacer, bucket, begun_at = Pacer(), Bucket(), _now()
        await _edit(pacer, bucket)
        for _ in range(3):
            _answer(pacer, bucket.take())
        made_at = await _edit(pacer, bucket)
        assert made_at - begun_at >= 4.5
        assert bucket.used == 1

    leap(scene())


def test_edits_whose_answers_are_still_to_come_count() -> None:
    async def scene() -> None:
        pacer, bucket = Pacer(), Bucket()
        for _ in range(3):
            _answer(pacer, bucket.take())
        ends_at = bucket.ends_at
        edits = [asyncio.create_task(_edit(pacer, bucket, latency_seconds=3.0)) for _ in range(2)]
        first, second = await asyncio.gather(*edits)
        assert first < ends_at <= second

    leap(scene())


def test_answers_that_overtake_each_other_do_not_make_a_bucket_look_full() -> None:
    async def scene() -> None:
        pacer, bucket = Pacer(), Bucket()
        for headers in reversed([bucket.take() for _ in range(4)]):
            _answer(pacer, headers)
        await pacer.turn_to_edit(CHANNEL)
        assert _now() >= bucket.ends_at

    leap(scene())


def test_a_bucket_that_runs_empty_while_everybody_waits_is_waited_for() -> None:
    async def scene() -> None:
        pacer, bucket = Pacer(), Bucket()
        crowd = [asyncio.create_task(pacer.turn_to_edit(channel_edits(number))) for number in range(100, 150)]
        await asyncio.sleep(0)
        waiting = asyncio.create_task(pacer.turn_to_edit(CHANNEL))
        await asyncio.sleep(1.0)
        for _ in range(4):
            _answer(pacer, bucket.take())
        await asyncio.gather(*crowd, waiting)
        assert _now() >= bucket.ends_at

    leap(scene())


def test_routes_that_share_a_bucket_share_its_limit() -> None:
    async def scene() -> None:
        pacer, bucket = Pacer(), Bucket()
        await _edit(pacer, bucket)
        for _ in range(3):
            pacer.note("POST", "/api/v10/channels/1/messages", status=200, headers=bucket.take())
        await _edit(pacer, bucket)
        assert bucket.used == 1

    leap(scene())


def test_routes_with_buckets_of_their_own_do_not_hold_edits_up() -> None:
    async def scene() -> None:
        pacer, edits, posts = Pacer(), Bucket(), Bucket(name="posts")
        await _edit(pacer, edits)
        for _ in range(5):
            pacer.note("POST", "/api/v10/channels/1/messages", status=200, headers=posts.take())
        begun_at = _now()
        assert await _edit(pacer, edits) - begun_at <= 1.5

    leap(scene())


def test_channels_and_interactions_have_turns_of_their_own() -> None:
    async def scene() -> None:
        pacer, bucket = Pacer(), Bucket()
        for _ in range(5):
            _answer(pacer, bucket.take())
        begun_at = _now()
        await pacer.turn_to_edit(channel_edits(2))
        await pacer.turn_to_edit(interaction_edits("a-token"))
        assert _now() - begun_at <= 0.1

    leap(scene())


def test_an_interactions_edits_are_paced_by_its_own_bucket() -> None:
    async def scene() -> None:
        pacer, bucket = Pacer(), Bucket()
        for message in ("@original", "12", "13", "14"):
            _answer(pacer, bucket.take(), path=f"/webhooks/5/a-token/messages/{message}")
        begun_at = _now()
        await pacer.turn_to_edit(interaction_edits("a-token"))
        assert _now() - begun_at == pytest.approx(5.0, abs=0.1)

    leap(scene())


def test_turns_of_one_key_come_in_the_order_they_were_asked_for() -> None:
    async def scene() -> None:
        pacer, order = Pacer(), []

        async def take(number: int) -> None:
            await pacer.turn_to_edit(CHANNEL)
            order.append(number)

        await asyncio.gather(*(take(number) for number in range(20)))
        assert order == list(range(20))

    leap(scene())


def test_all_together_stay_at_half_of_what_discord_allows() -> None:
    async def scene() -> None:
        pacer, moments = Pacer(), []

        async def edit_on(channel_id: int) -> None:
            for _ in range(5):
                await pacer.turn_to_edit(channel_edits(channel_id))
                moments.append(_now())

        await asyncio.gather(*(edit_on(channel_id) for channel_id in range(200)))
        moments.sort()
        for first, last in zip(moments, moments[MAX_EDITS_PER_SECOND:], strict=False):
            assert last - first >= 1 - 0.001
        assert moments[-1] - moments[0] <= 1000 / MAX_EDITS_PER_SECOND + 1

    leap(scene())


def test_processes_of_one_bot_stay_together_at_half_of_what_discord_allows_it() -> None:
    async def scene() -> None:
        moments: list[float] = []

        async def edit_on(pacer: Pacer, channel_id: int) -> None:
            for _ in range(5):
                await pacer.turn_to_edit(channel_edits(channel_id))
                moments.append(_now())

        processes = [Pacer(share=share) for share in (0.25, 0.25, 0.5)]
        await asyncio.gather(*(edit_on(processes[number % 3], number) for number in range(150)))
        moments.sort()
        # Each of them may begin with one at once.
        for first, last in zip(moments, moments[MAX_EDITS_PER_SECOND + len(processes) :], strict=False):
            assert last - first >= 1 - 0.001

    leap(scene())


def test_edits_make_room_for_everything_else_the_bot_asks_for() -> None:
    async def scene() -> None:
        pacer = Pacer()
        moments: list[float] = []

        async def ask_for_other_things() -> None:
            for number in range(200):
                pacer.note_request("POST", f"/api/v10/channels/{number}/messages")
                pacer.note_request("PATCH", f"/api/v10/channels/{number}/messages/1")
                await asyncio.sleep(0.1)

        async def edit_on(channel_id: int) -> None:
            while len(moments) < 500:
                await pacer.turn_to_edit(channel_edits(channel_id))
                pacer.note_request("PATCH", f"/api/v10/channels/{channel_id}/messages/1")
                moments.append(_now())

        begun_at = _now()
        asking = asyncio.create_task(ask_for_other_things())
        await asyncio.gather(*(edit_on(channel_id) for channel_id in range(1_000, 1_060)))
        assert asking.done()
        while_busy = [moment for moment in moments if moment - begun_at <= 20]
        assert len(while_busy) == pytest.approx(20 * (MAX_EDITS_PER_SECOND - 20), rel=0.2)

    leap(scene())


def test_answers_to_interactions_do_not_count_towards_the_global_limit() -> None:
    async def scene() -> None:
        pacer, begun_at = Pacer(), _now()
        for number in range(100):
            pacer.note_request("POST", f"/api/v10/interactions/{number}/token/callback")
            pacer.note_request("PATCH", f"/api/v10/webhooks/5/token-{number}/messages/@original")
        await pacer.turn_to_edit(CHANNEL)
        assert _now() == begun_at

    leap(scene())


def test_after_a_429_a_channel_cools_off_as_long_as_discord_says() -> None:
    async def scene() -> None:
        pacer = Pacer()
        _answer(pacer, {"Retry-After": "7", "X-RateLimit-Scope": "user"}, status=429)
        begun_at = _now()
        await pacer.turn_to_edit(channel_edits(2))
        assert _now() - begun_at <= 0.1
        await pacer.turn_to_edit(CHANNEL)
        assert _now() - begun_at == pytest.approx(7.0, abs=0.1)

    leap(scene())


def test_after_a_global_429_everybody_cools_off() -> None:
    async def scene() -> None:
        pacer = Pacer()
        headers = {"Retry-After": "3", "X-RateLimit-Global": "true", "X-RateLimit-Scope": "global"}
        pacer.note("GET", "/api/v10/users/@me", status=429, headers=headers)
        begun_at = _now()
        await pacer.turn_to_edit(CHANNEL)
        assert _now() - begun_at == pytest.approx(3.0, abs=0.1)

    leap(scene())


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-RateLimit-Remaining": "0"},
        {"X-RateLimit-Remaining": "none", "X-RateLimit-Reset-After": "soon", "X-RateLimit-Limit": "?"},
        {"X-RateLimit-Remaining": "nan", "X-RateLimit-Reset-After": "inf"},
    ],
)
def test_headers_that_say_nothing_change_nothing(headers: Mapping[str, str]) -> None:
    async def scene() -> None:
        pacer = Pacer()
        _answer(pacer, headers)
        _answer(pacer, headers, status=429)
        begun_at = _now()
        await pacer.turn_to_edit(CHANNEL)
        assert _now() == begun_at

    leap(scene())


def test_a_bucket_of_one_is_used_once_a_window() -> None:
    async def scene() -> None:
        pacer, bucket = Pacer(), Bucket(limit=1, window_seconds=2.0)
        moments = [await _edit(pacer, bucket) for _ in range(5)]
        assert all(later - earlier >= 2.0 for earlier, later in itertools.pairwise(moments))

    leap(scene())


def test_a_cancelled_wait_takes_no_turn_and_lets_the_next_one_in() -> None:
    async def scene() -> None:
        pacer = Pacer()
        await pacer.turn_to_edit(CHANNEL)
        begun_at = _now()
        given_up = asyncio.create_task(pacer.turn_to_edit(CHANNEL))
        waiting = asyncio.create_task(pacer.turn_to_edit(CHANNEL))
        await asyncio.sleep(0.5)
        given_up.cancel()
        await waiting
        assert _now() - begun_at == pytest.approx(MIN_SECONDS_BETWEEN_EDITS)

    leap(scene())


def test_what_is_remembered_is_bounded() -> None:
    async def scene() -> None:
        pacer = Pacer()
        for channel_id in range(1_500):
            await pacer.turn_to_edit(channel_edits(channel_id))
            _answer(pacer, Bucket().take(), path=f"/channels/{channel_id}/messages/1")
        assert len(pacer) <= 1_000

    leap(scene())


async def test_the_headers_are_read_from_the_answers_to_a_clients_requests() -> None:
    headers = {"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "1", "X-RateLimit-Reset-After": "0.4"}

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(headers={**headers, "X-RateLimit-Bucket": "edits"})

    app = web.Application()
    app.router.add_patch("/api/v10/channels/1/messages/2", answer)
    pacer = Pacer()
    async with TestServer(app) as server, aiohttp.ClientSession(trace_configs=[pacer.trace_config()]) as session:
        async with session.patch(server.make_url("/api/v10/channels/1/messages/2")) as response:
            assert response.status == 200
        begun_at = _now()
        await pacer.turn_to_edit(CHANNEL)
        assert _now() - begun_at >= 0.35
