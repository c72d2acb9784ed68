"""A walk over every command, by Discord's own rules."""

import pytest

from bot.client import ParleyBot
from bot.config import BotConfig, BotStores
from bot.sync import digest_of
from tests.bot.conftest import StartBot
from tests.doubles.discord_limits import check_commands
from tests.doubles.discord_model import MANAGE_MESSAGES, Json
from tests.doubles.discord_server import DiscordServer


@pytest.fixture
async def commands(server: DiscordServer, start_bot: StartBot) -> dict[str, Json]:
    await start_bot()
    return {command["name"]: command for command in server.state.commands}


def _leaves(node: Json, path: str) -> list[str]:
    children = [option for option in node.get("options", []) if option["type"] in (1, 2)]
    return [leaf for child in children for leaf in _leaves(child, f"{path} {child['name']}")] or [path]


async def test_discord_is_told_about_exactly_these_commands(commands: dict[str, Json]) -> None:
    assert [leaf for name, command in sorted(commands.items()) for leaf in _leaves(command, name)] == [
        "chat",
        "developer token create",
        "developer token list",
        "developer token revoke",
        "developer token rotate",
        "developer usage",
        "reset",
    ]


async def test_names_and_lengths_are_within_discords_limits(commands: dict[str, Json]) -> None:
    assert check_commands(list(commands.values())) == []


async def test_only_reset_is_hidden_by_default(commands: dict[str, Json]) -> None:
    hidden = {name: command["default_member_permissions"] for name, command in commands.items()}
    # /developer usage is for everyone, and Discord cannot hide a part of a group: the token commands check here.
    assert hidden == {"chat": None, "developer": None, "reset": str(MANAGE_MESSAGES)}


async def test_commands_are_offered_where_they_work(commands: dict[str, Json]) -> None:
    assert {name: command["contexts"] for name, command in commands.items()} == {
        "chat": [0, 1],
        "developer": [0],
        "reset": [0, 1],
    }


async def test_the_digest_depends_on_the_commands_and_the_application(config: BotConfig, stores: BotStores) -> None:
    async with ParleyBot(config, stores) as empty:
        assert digest_of(empty.tree, 1) == digest_of(empty.tree, 1)
        assert digest_of(empty.tree, 1) != digest_of(empty.tree, 2)
