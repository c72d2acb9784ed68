"""A walk over every command, by Discord's own rules."""

import pytest

from bot.client import ParleyBot
from bot.config import BotConfig, BotStores
from bot.sync import digest_of
from bot.translating import texts_of
from tests.bot.conftest import StartBot
from tests.doubles.discord_limits import check_commands
from tests.doubles.discord_model import MANAGE_MESSAGES, Json
from tests.doubles.discord_server import DiscordServer

_MENU = "Ask about this message"


@pytest.fixture
async def commands(server: DiscordServer, start_bot: StartBot) -> dict[str, Json]:
    await start_bot()
    return {command["name"]: command for command in server.state.commands}


def _leaves(node: Json, path: str) -> list[str]:
    children = [option for option in node.get("options", []) if option["type"] in (1, 2)]
    return [leaf for child in children for leaf in _leaves(child, f"{path} {child['name']}")] or [path]


async def test_discord_is_told_about_exactly_these_commands(commands: dict[str, Json]) -> None:
    assert sorted(leaf for name, command in commands.items() for leaf in _leaves(command, name)) == [
        _MENU,
        "chat",
        "developer limit clear",
        "developer limit set",
        "developer limit show",
        "developer token create",
        "developer token list",
        "developer token revoke",
        "developer token rotate",
        "developer usage",
        "forget",
        "help",
        "history",
        "persona clear",
        "persona delete",
        "persona save",
        "persona set",
        "persona show",
        "reset",
        "settings reset",
        "settings set",
        "settings show",
    ]


async def test_names_and_lengths_are_within_discords_limits(commands: dict[str, Json]) -> None:
    assert check_commands(list(commands.values())) == []


async def test_only_reset_is_hidden_by_default(commands: dict[str, Json]) -> None:
    hidden = {name: command["default_member_permissions"] for name, command in commands.items()}
    # Parts of the groups are for everyone, and Discord cannot hide a part: what needs a permission checks it here.
    assert {name: permissions for name, permissions in hidden.items() if permissions is not None} == {
        "reset": str(MANAGE_MESSAGES)
    }


async def test_commands_are_offered_in_servers_and_dms_where_they_work(commands: dict[str, Json]) -> None:
    assert {name: command["contexts"] for name, command in commands.items()} == {
        name: [0] if name == "developer" else [0, 1] for name in commands
    }
    assert [command["integration_types"] for command in commands.values()] == [[0]] * len(commands)


async def test_every_part_of_a_command_says_what_it_is(config: BotConfig, stores: BotStores) -> None:
    async with ParleyBot(config, stores) as bot:
        await bot.add_all()
        texts = [text for command in bot.tree.get_commands() for _, text, _ in texts_of(command)]
    assert len(texts) > 100
    # discord.py writes this where nothing is said.
    assert "…" not in texts


async def test_the_digest_depends_on_the_commands_and_the_application(config: BotConfig, stores: BotStores) -> None:
    async with ParleyBot(config, stores) as empty:
        nothing = await digest_of(empty.tree, 1)
        assert await digest_of(empty.tree, 1) == nothing
        assert await digest_of(empty.tree, 2) != nothing
        await empty.add_all()
        everything = await digest_of(empty.tree, 1)
        assert everything != nothing
        empty.tree.remove_command("help")
        assert await digest_of(empty.tree, 1) not in (nothing, everything)
