"""The stand-in Discord is strict: a rude bot is noticed. Otherwise the other tests would prove nothing."""

from collections.abc import AsyncIterator

import pytest

from tests.doubles.discord_limits import check_commands, who_is_pinged
from tests.doubles.discord_model import Json
from tests.doubles.discord_probe import Probe


@pytest.fixture
async def probe() -> AsyncIterator[Probe]:
    async with Probe() as running:
        yield running


async def test_messages_that_are_too_long_or_empty_are_breaches(probe: Probe) -> None:
    channel = probe.server.channel(probe.server.guild())
    assert (await probe.say(channel, content="x" * 2000)).status == 200
    assert (await probe.say(channel, content="x" * 2001)).code == 50035
    assert (await probe.say(channel, content=" \n")).code == 50006
    assert len(probe.server.state.breaches) == 2


async def test_pings_are_breaches(probe: Probe) -> None:
    channel = probe.server.channel(probe.server.guild())
    await probe.say(channel, content="@everyone look", allowed_mentions={"parse": []})
    assert probe.server.state.breaches == []
    await probe.say(channel, content="@everyone look")
    assert probe.server.state.breaches == ["pinged: everyone"]


@pytest.mark.parametrize(
    "allowed",
    [{"parse": ["users"], "users": ["1"]}, {"parse": [], "roles": [str(number) for number in range(101)]}],
)
async def test_allowed_mentions_that_contradict_themselves_are_breaches(probe: Probe, allowed: Json) -> None:
    channel = probe.server.channel(probe.server.guild())
    assert (await probe.say(channel, content="hello", allowed_mentions=allowed)).code == 50035
    assert len(probe.server.state.breaches) == 1


async def test_a_repeat_before_retry_after_is_a_breach(probe: Probe) -> None:
    channel = probe.server.channel(probe.server.guild())
    probe.server.rate_limit_next("POST /channels/{channel}/messages", retry_after_seconds=60)
    assert (await probe.say(channel, content="first")).status == 429
    assert (await probe.say(channel, content="at once")).status == 200
    assert len(probe.server.state.breaches) == 1
    assert probe.server.state.rate_limited == ["POST /channels/{channel}/messages"]


async def test_a_wrong_token_opens_nothing(probe: Probe) -> None:
    channel = probe.server.channel(probe.server.guild())
    for token in (None, "another"):
        refused = await probe.ask("POST", f"/channels/{channel.id}/messages", {"content": "hi"}, token=token)
        assert refused.status == 401
    assert channel.messages == []


async def test_a_text_that_was_posted_under_the_same_nonce_is_not_posted_again(probe: Probe) -> None:
    channel = probe.server.channel(probe.server.guild())
    for _ in range(2):
        assert (await probe.say(channel, content="once", nonce="7", enforce_nonce=True)).status == 200
    assert [message.content for message in channel.messages] == ["once"]
    assert (await probe.say(channel, content="x", nonce="7" * 26)).code == 50035


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


_FINE: Json = {"name": "fine", "description": "A command"}
_MENU: Json = {"name": "Ask about this message", "type": 3}
_OPTION: Json = {"name": "a", "type": 3, "description": "d"}


@pytest.mark.parametrize(
    "commands",
    [
        [_FINE],
        [{**_FINE, "name": "l'été"}, {**_FINE, "name": "頼む"}, {**_FINE, "name": "ถาม"}],
        [_MENU, {**_MENU, "type": 2, "description": ""}],
        [{**_FINE, "name_localizations": {"de": "gut", "pt-BR": "ótimo"}, "description_localizations": None}],
        [{**_FINE, "options": [{**_OPTION, "required": True}, {**_OPTION, "name": "b"}]}],
        [{**_FINE, "name": f"c{number}"} for number in range(100)] + [_MENU],
    ],
)
def test_commands_that_discord_takes_are_taken(commands: list[Json]) -> None:
    assert check_commands(commands) == []


@pytest.mark.parametrize(
    "commands",
    [
        [_FINE, _FINE],
        [{**_FINE, "name": "Upper"}],
        [{**_FINE, "name": "two words"}],
        [{**_FINE, "description": "d" * 101}],
        [{**_FINE, "description": ""}],
        [{**_FINE, "name": f"c{number}"} for number in range(101)],
        [{**_MENU, "name": f"Menu {number}"} for number in range(16)],
        [{**_MENU, "name": "M" * 33}],
        [{**_MENU, "description": "A menu says nothing"}],
        [{**_FINE, "name_localizations": {"de": "Gut"}}],
        [{**_FINE, "name_localizations": {"de-AT": "gut"}}],
        [{**_FINE, "description_localizations": {"ja": "長" * 101}}],
        [{**_FINE, "name_localizations": {"fr": "autre"}}, {"name": "autre", "description": "d"}],
        [{**_FINE, "options": [_OPTION, {**_OPTION, "name": "b", "required": True}]}],
        [{**_FINE, "options": [_OPTION, _OPTION]}],
        [{**_FINE, "options": [_OPTION, {**_OPTION, "name": "sub", "type": 1}]}],
        [{**_FINE, "options": [{**_OPTION, "choices": [{"name": "n" * 101, "value": "v"}]}]}],
        [{**_FINE, "options": [{**_OPTION, "max_length": 6001}]}],
    ],
)
def test_commands_that_discord_would_refuse_are_found(commands: list[Json]) -> None:
    assert check_commands(commands)


def test_of_all_languages_the_longest_counts_towards_8000_characters() -> None:
    options = [{**_OPTION, "name": f"o{number:02}", "description": "d" * 97} for number in range(25)]
    groups = [
        {**_OPTION, "name": f"g{number}", "type": 1, "description": "d", "options": options} for number in (1, 2, 3)
    ]
    command = {**_FINE, "options": groups}
    assert check_commands([command]) == []
    longer = [{**option, "description_localizations": {"de": "d" * 100, "fr": "d" * 99}} for option in options]
    assert check_commands([{**command, "options": [{**group, "options": longer} for group in groups]}]) == []
    too_long = [{**option, "name_localizations": {"de": f"{option['name']}{'n' * 6}"}} for option in longer]
    assert check_commands([{**command, "options": [{**group, "options": too_long} for group in groups]}]) == [
        "fine: more than 8000 characters in all"
    ]
