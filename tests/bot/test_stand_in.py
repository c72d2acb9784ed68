"""The stand-in Discord is strict: a rude bot is noticed. Otherwise the other tests would prove nothing."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.bot.conftest import DISCORD_TOKEN
from tests.doubles.discord_limits import check_commands, who_is_pinged
from tests.doubles.discord_model import Channel, Json
from tests.doubles.discord_server import DiscordServer


class RudeBot:
    """Sends whatever it is told to."""

    def __init__(self, server: DiscordServer, session: ClientSession) -> None:
        self._server = server
        self._session = session

    async def post(self, path: str, body: Json) -> tuple[int, Json]:
        headers = {"Authorization": f"Bot {DISCORD_TOKEN}"}
        async with self._session.post(self._server.api_url + path, json=body, headers=headers) as response:
            assert response.headers["Content-Type"] == "application/json"
            return response.status, await response.json()

    async def say(self, channel: Channel, **body: Any) -> int:
        return (await self.post(f"/channels/{channel.id}/messages", body))[0]


@pytest.fixture
async def lenient() -> AsyncIterator[DiscordServer]:
    """Run a server whose breaches do not fail the test by themselves."""
    async with DiscordServer(token=DISCORD_TOKEN) as running:
        yield running


@pytest.fixture
async def rude(lenient: DiscordServer) -> AsyncIterator[RudeBot]:
    async with ClientSession() as session:
        yield RudeBot(lenient, session)


async def test_messages_that_are_too_long_or_empty_are_breaches(lenient: DiscordServer, rude: RudeBot) -> None:
    channel = lenient.channel(lenient.guild())
    assert await rude.say(channel, content="x" * 2000) == 200
    assert await rude.say(channel, content="x" * 2001) == 400
    assert await rude.say(channel, content=" \n") == 400
    assert len(lenient.state.breaches) == 2


async def test_pings_are_breaches(lenient: DiscordServer, rude: RudeBot) -> None:
    channel = lenient.channel(lenient.guild())
    await rude.say(channel, content="@everyone look", allowed_mentions={"parse": []})
    assert lenient.state.breaches == []
    await rude.say(channel, content="@everyone look")
    assert lenient.state.breaches == ["pinged: everyone"]


async def test_a_repeat_before_retry_after_is_a_breach(lenient: DiscordServer, rude: RudeBot) -> None:
    channel = lenient.channel(lenient.guild())
    lenient.rate_limit_next("POST /channels/{channel}/messages", retry_after_seconds=60)
    assert await rude.say(channel, content="first") == 429
    assert await rude.say(channel, content="at once") == 200
    assert len(lenient.state.breaches) == 1


@pytest.mark.parametrize(
    ("payload", "pinged"),
    [
        ({"content": "<@1> <@&2> @here"}, {"user:1", "user:9", "role:2", "everyone"}),
        ({"content": "<@1> <@&2> @here", "allowed_mentions": {"parse": []}}, set()),
        ({"content": "<@1> <@3>", "allowed_mentions": {"parse": [], "users": ["3"]}}, {"user:3"}),
        ({"content": "@everyone", "allowed_mentions": {"parse": ["everyone"]}}, {"everyone"}),
        ({"content": "hi", "allowed_mentions": {"parse": [], "replied_user": True}}, {"user:9"}),
        ({"content": "hi"}, {"user:9"}),
    ],
)
def test_who_is_pinged_follows_allowed_mentions(payload: Json, pinged: set[str]) -> None:
    assert who_is_pinged(payload, author_of_reference="9") == pinged


def test_commands_that_discord_would_refuse_are_found() -> None:
    fine = {"name": "fine", "description": "A command"}
    optional_first = [
        {"name": "a", "type": 3, "description": "d"},
        {"name": "b", "type": 3, "description": "d", "required": True},
    ]
    assert check_commands([fine]) == []
    assert check_commands([fine, fine])
    assert check_commands([{"name": "Upper", "description": "d"}])
    assert check_commands([{"name": "long", "description": "d" * 101}])
    assert check_commands([{**fine, "options": optional_first}])
