"""`/settings`, through discord.py and the stand-in Discord, on a real database."""

import asyncio
from typing import Any

import pytest

from api.contract import SamplingFields
from bot.config import BotStores
from bot.dialogue import REPLY_TOKENS
from bot.option_values import DESCRIPTIONS, MIROSTAT_CHOICES, STOP, number_bounds
from bot.profiles import MODEL
from bot.texts import refusals, settings
from tests.bot.conftest import StartBot
from tests.bot.scripted_api import Refusal, ScriptedApi
from tests.doubles.discord_model import MANAGE_CHANNELS, MEMBER_PERMISSIONS, Channel, Json
from tests.doubles.discord_server import DiscordServer


async def _options(stores: BotStores, channel: Channel) -> dict[str, Any]:
    chosen = await stores.channels.get(channel.id)
    return {} if chosen is None else chosen.options


async def _model(stores: BotStores, channel: Channel) -> str | None:
    chosen = await stores.channels.get(channel.id)
    return None if chosen is None else chosen.model


def _told(server: DiscordServer, subcommand: str) -> dict[str, Json]:
    """Return what Discord was told about the options of a subcommand."""
    group = next(command for command in server.state.commands if command["name"] == "settings")
    command = next(child for child in group["options"] if child["name"] == subcommand)
    return {option["name"]: option for option in command["options"]}


def _let_everything_through(server: DiscordServer) -> None:
    """Take the bounds away on Discord's side, as a forged interaction does."""
    for subcommand in ("set", "reset"):
        for option in _told(server, subcommand).values():
            for bound in ("min_value", "max_value", "min_length", "max_length", "choices"):
                option.pop(bound, None)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for the database as long as a machine that many share takes."""
    monkeypatch.setattr("bot.cogs.settings.SUGGESTION_SECONDS", 60.0)


async def test_discord_is_told_the_type_and_the_range_of_every_option(
    server: DiscordServer, start_bot: StartBot
) -> None:
    await start_bot(context_tokens=8192)
    told = _told(server, "set")
    assert list(told) == list(DESCRIPTIONS)
    for name, bounds in number_bounds(context_tokens=8192).items():
        option = told[name]
        assert option["type"] == (4 if SamplingFields.model_fields[name].annotation is int else 10)
        if name == "mirostat":
            assert [choice["value"] for choice in option["choices"]] == list(MIROSTAT_CHOICES.values())
        else:
            assert (option.get("min_value"), option.get("max_value")) == (bounds.minimum, bounds.maximum)
    assert told["num_ctx"]["max_value"] == 8192
    assert [told[name]["type"] for name in (STOP, MODEL)] == [3, 3]
    assert [name for name in told if told[name].get("autocomplete")] == [MODEL]
    assert not any(option["required"] for option in told.values())
    assert [choice["value"] for choice in _told(server, "reset")["option"]["choices"]] == list(DESCRIPTIONS)


async def test_what_is_set_holds_from_the_next_answer_on_and_the_channel_is_told(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    admin, channel = server.admin(), server.channel(server.guild())
    await start_bot()
    changed = await server.slash(admin, channel, "settings set", temperature=0.25, top_k=7, stop="User:|Bot:")
    names = "`temperature`, `top_k`, `stop`"
    assert await changed.replied(2) == [
        settings.settings_changed(names=names),
        settings.announced_change(user_id=admin.id, names=names),
    ]
    assert [reply.is_ephemeral for reply in changed.replies] == [True, False]
    assert await _options(stores, channel) == {"temperature": 0.25, "top_k": 7, "stop": ["User:", "Bot:"]}
    await (await server.slash(admin, channel, "chat", message="hello")).replied()
    asked = api.asked[-1].request
    assert (asked.temperature, asked.top_k, asked.stop) == (0.25, 7, ["User:", "Bot:"])
    assert (asked.num_predict, asked.model) == (REPLY_TOKENS, None)


async def test_only_what_is_given_is_changed(server: DiscordServer, stores: BotStores, start_bot: StartBot) -> None:
    admin, channel = server.admin(), server.channel(server.guild())
    await start_bot()
    for options in ({"temperature": 0.5, "seed": 3}, {"seed": 4}, {"mirostat": 2, "tfs_z": 1}):
        await (await server.slash(admin, channel, "settings set", **options)).replied(2)
    assert await _options(stores, channel) == {"temperature": 0.5, "seed": 4, "mirostat": 2, "tfs_z": 1.0}


async def test_two_changes_at_once_both_hold(server: DiscordServer, stores: BotStores, start_bot: StartBot) -> None:
    admin, other, channel = server.admin(), server.admin("Hedy"), server.channel(server.guild())
    await start_bot()
    changes = await asyncio.gather(
        *(
            server.slash(user, channel, "settings set", **{name: 1})
            for user in (admin, other)
            for name in DESCRIPTIONS
            if name not in (STOP, MODEL, "num_ctx")
        )
    )
    for change in changes:
        await change.replied(2)
    assert (await _options(stores, channel)).keys() == DESCRIPTIONS.keys() - {STOP, MODEL, "num_ctx"}


async def test_nothing_given_is_answered_with_what_to_do(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    admin, channel = server.admin(), server.channel(server.guild())
    await start_bot()
    empty = await server.slash(admin, channel, "settings set")
    assert await empty.replied() == [settings.nothing_given()]
    assert empty.replies[0].is_ephemeral
    assert await stores.channels.get(channel.id) is None


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"temperature": 5.5}, settings.bad_option(name="temperature", minimum="0", maximum="5")),
        ({"top_k": -1, "seed": 1}, settings.bad_option(name="top_k", minimum="0", maximum=None)),
        ({"mirostat": 3}, settings.bad_option(name="mirostat", minimum="0", maximum="2")),
        ({"num_predict": 100_000}, settings.bad_option(name="num_predict", minimum="1", maximum="4096")),
        ({"num_ctx": 1_000_000}, settings.bad_option(name="num_ctx", minimum="64", maximum="4096")),
        ({"stop": "|" * 5_000}, settings.bad_stop(limit=16, characters=400)),
    ],
)
async def test_a_forged_value_is_answered_with_the_range_and_changes_nothing(
    server: DiscordServer, stores: BotStores, start_bot: StartBot, options: dict[str, Any], sentence: str
) -> None:
    admin, channel = server.admin(), server.channel(server.guild())
    await start_bot()
    _let_everything_through(server)
    refused = await server.slash(admin, channel, "settings set", **options)
    assert await refused.replied() == [sentence]
    assert refused.replies[0].is_ephemeral
    assert await stores.channels.get(channel.id) is None


async def test_a_model_is_suggested_and_chosen(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    admin, channel = server.admin(), server.channel(server.guild())
    api.models = ["small", "Large", "x" * 101]
    await start_bot()
    assert await server.autocomplete(admin, channel, "settings set", "model", "") == ["small", "Large"]
    assert await server.autocomplete(admin, channel, "settings set", "model", "lar") == ["Large"]
    await (await server.slash(admin, channel, "settings set", model="Large")).replied(2)
    assert await _model(stores, channel) == "Large"
    await (await server.slash(admin, channel, "settings set", seed=1)).replied(2)
    await (await server.slash(admin, channel, "chat", message="hello")).replied()
    assert (api.asked[-1].request.model, api.asked[-1].request.seed) == ("Large", 1)


async def test_an_unknown_model_is_answered_with_those_there_are(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    admin, channel = server.admin(), server.channel(server.guild())
    api.models = [f"model`{number}" for number in range(20)]
    await start_bot()
    refused = await server.slash(admin, channel, "settings set", model="nonsense", temperature=1)
    assert await refused.replied() == [settings.unknown_model(names=[f"modelˋ{number}" for number in range(8)])]
    assert await stores.channels.get(channel.id) is None


async def test_a_service_that_cannot_be_asked_suggests_nothing_and_takes_no_model(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    admin, channel = server.admin(), server.channel(server.guild())
    api.models = Refusal(503, "Model unavailable")
    await start_bot()
    assert await server.autocomplete(admin, channel, "settings set", "model", "") == []
    refused = await server.slash(admin, channel, "settings set", model="small")
    assert await refused.replied() == [refusals.model_unavailable(retry_after_seconds=None)]
    assert await stores.channels.get(channel.id) is None


async def test_one_option_is_reset_and_the_others_stay(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    admin, channel = server.admin(), server.channel(server.guild())
    api.models = ["small"]
    await start_bot()
    await (await server.slash(admin, channel, "settings set", temperature=0.5, seed=3, model="small")).replied(2)
    reset = await server.slash(admin, channel, "settings reset", option="seed")
    assert await reset.replied(2) == [
        settings.setting_reset(name="seed"),
        settings.announced_change(user_id=admin.id, names="`seed`"),
    ]
    assert (await _options(stores, channel), await _model(stores, channel)) == ({"temperature": 0.5}, "small")
    await (await server.slash(admin, channel, "settings reset", option="model")).replied(2)
    assert (await _options(stores, channel), await _model(stores, channel)) == ({"temperature": 0.5}, None)
    for option in ("seed", "model"):
        again = await server.slash(admin, channel, "settings reset", option=option)
        assert await again.replied() == [settings.not_set(name=option)]


async def test_all_is_reset_without_an_option_and_the_persona_stays(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    guild, admin = server.guild(), server.admin()
    channel = server.channel(guild)
    await stores.channels.set_persona(channel.id, guild_id=guild.id, text="You are a pirate.", changed_by=1)
    await start_bot()
    await (await server.slash(admin, channel, "settings set", temperature=0.5, seed=3)).replied(2)
    reset = await server.slash(admin, channel, "settings reset")
    assert await reset.replied(2) == [settings.settings_reset(), settings.announced_reset(user_id=admin.id)]
    chosen = await stores.channels.get(channel.id)
    assert chosen is not None
    assert (chosen.persona, chosen.options) == ("You are a pirate.", {})
    again = await server.slash(admin, channel, "settings reset")
    assert await again.replied() == [settings.nothing_set()]


async def test_a_forged_option_to_reset_is_refused(server: DiscordServer, start_bot: StartBot) -> None:
    admin, channel = server.admin(), server.channel(server.guild())
    await start_bot()
    _let_everything_through(server)
    refused = await server.slash(admin, channel, "settings reset", option="num_keep")
    assert await refused.replied() == [settings.unknown_option()]


async def test_everybody_may_see_every_value_and_where_it_was_set(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    guild, ada = server.guild(), server.user("Ada")
    channel = server.channel(guild)
    thread = server.thread(channel)
    api.models = ["small"]
    for place, options, model in (
        (channel, {"top_k": 7, "seed": 5}, "small"),
        (thread, {"stop": ["```\n", "x"]}, None),
    ):
        await stores.channels.set_options(place.id, guild_id=guild.id, options=options, model=model, changed_by=1)
    await start_bot(context_tokens=2048)
    shown = await server.slash(ada, thread, "settings show")
    (report,) = await shown.replied()
    assert shown.replies[0].is_ephemeral
    here, parent, defaults = report.split("\n```\n")[1::2]
    assert report.startswith(f"{settings.heading()}\n{settings.set_here()}\n")
    assert f"\n{settings.set_in_parent()}\n" in report
    assert here.split() == ["stop", "ˋˋˋ\\n", "|", "x"]
    assert dict(line.split() for line in parent.splitlines()) == {"top_k": "7", "seed": "5", "model": "small"}
    values = dict(line.split() for line in defaults.removesuffix("\n```").splitlines())
    assert values.keys() == DESCRIPTIONS.keys() - {"stop", "top_k", "seed", "model"}
    assert (values["temperature"], values["num_predict"], values["num_ctx"]) == ("0.8", str(REPLY_TOKENS), "2048")


async def test_a_channel_where_nothing_is_set_shows_the_defaults(server: DiscordServer, start_bot: StartBot) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    (report,) = await (await server.slash(ada, channel, "settings show")).replied()
    assert settings.set_here() not in report
    assert settings.defaults() in report
    assert settings.default_model() in report


async def test_the_longest_report_fits_a_message(server: DiscordServer, stores: BotStores, start_bot: StartBot) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await stores.channels.set_options(
        channel.id, guild_id=None, options={"stop": ["s" * 400], "seed": -(2**53)}, model="m" * 200, changed_by=1
    )
    await start_bot()
    (report,) = await (await server.slash(ada, channel, "settings show")).replied()
    assert len(report) < 1500


@pytest.mark.parametrize(("command", "options"), [("settings set", {"seed": 1}), ("settings reset", {})])
async def test_changes_need_manage_channels_though_discord_let_them_through(
    server: DiscordServer, stores: BotStores, start_bot: StartBot, command: str, options: dict[str, int]
) -> None:
    guild, ada = server.guild(), server.user("Ada")
    channel = server.channel(guild)
    await stores.channels.set_options(channel.id, guild_id=guild.id, options={"seed": 9}, model=None, changed_by=1)
    await start_bot()
    refused = await server.slash(ada, channel, command, **options)
    assert await refused.replied() == [refusals.not_permitted(permission="Manage Channels")]
    assert refused.replies[0].is_ephemeral
    assert await _options(stores, channel) == {"seed": 9}
    assert await server.autocomplete(ada, channel, "settings set", "model", "") == []


async def test_a_live_token_among_the_stop_texts_is_revoked_and_not_kept(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    guild = server.guild()
    admin, channel = server.admin(), server.channel(guild)
    issued = await stores.tokens.create("app", guild_id=guild.id, created_by=admin.id, daily_calls=10)
    await start_bot()
    refused = await server.slash(admin, channel, "settings set", stop=f"User:|{issued.secret}", seed=1)
    assert await refused.replied() == [refusals.token_leaked()]
    assert refused.replies[0].is_ephemeral
    assert await stores.tokens.find_live([issued.secret]) == []
    assert await _options(stores, channel) == {}
    assert channel.own_messages(server.bot) == []


async def test_manage_channels_is_enough(server: DiscordServer, stores: BotStores, start_bot: StartBot) -> None:
    channel = server.channel(server.guild())
    manager = server.user("Max", permissions=MEMBER_PERMISSIONS | MANAGE_CHANNELS)
    await start_bot()
    await (await server.slash(manager, channel, "settings set", seed=1)).replied(2)
    assert await _options(stores, channel) == {"seed": 1}


async def test_everybody_may_change_their_own_dm_and_nobody_else_is_told(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    ada = server.user("Ada")
    dm = server.dm(ada)
    await start_bot()
    changed = await server.slash(ada, dm, "settings set", seed=1)
    assert await changed.replied() == [settings.settings_changed(names="`seed`")]
    reset = await server.slash(ada, dm, "settings reset")
    assert await reset.replied() == [settings.settings_reset()]
    assert await stores.channels.get(dm.id) is None
    assert len(changed.replies) == len(reset.replies) == 1
