"""An adult model: where its bot may be used, and that nothing changes without one."""

from typing import Any

import pytest

from bot.buttons import REGENERATE
from bot.config import BotStores
from bot.texts import conversations, privacy, refusals
from storage.conversations import NewMessage
from tests.bot.conftest import StartBot
from tests.bot.scripted_api import ScriptedApi
from tests.doubles.discord_model import Channel, Interaction, Json, User
from tests.doubles.discord_server import DiscordServer

_MENU = conversations.ASK_ABOUT

_COMMANDS: list[tuple[str, dict[str, Any]]] = [
    ("chat", {"message": "hello"}),
    ("chat", {"message": "hello", "private": True}),
    ("reset", {}),
    ("history", {}),
    ("help", {}),
    ("persona show", {}),
    ("persona set", {}),
    ("settings show", {}),
    ("settings set", {"temperature": 1.0}),
    ("developer usage", {}),
    ("developer limit show", {}),
    ("developer token create", {"name": "app"}),
]


async def _commands(server: DiscordServer, start_bot: StartBot, **settings: Any) -> list[Json]:
    bot = await start_bot(**settings)
    commands = [command | {"id": ""} for command in server.state.commands]
    await bot.stop()
    return commands


async def _change(server: DiscordServer, channel: Channel, *, is_nsfw: bool) -> None:
    """Let somebody change the channel's age restriction while the bot listens."""
    channel.is_nsfw = is_nsfw
    await server.gateway.dispatch("CHANNEL_UPDATE", channel.json())


async def _is_refused(interaction: Interaction) -> bool:
    replies = await interaction.replied()
    return replies == [refusals.not_age_restricted()] and interaction.replies[0].is_ephemeral


async def test_every_command_is_marked_and_nothing_else_about_it_changes(
    server: DiscordServer, start_bot: StartBot
) -> None:
    plain = await _commands(server, start_bot)
    marked = await _commands(server, start_bot, mature=True)
    assert {command["name"] for command in marked} >= {"chat", "help", "history", "forget", "developer", _MENU}
    assert [command["nsfw"] for command in plain] == [False] * len(plain)
    assert marked == [command | {"nsfw": True} for command in plain]


@pytest.mark.parametrize(("command", "options"), _COMMANDS)
async def test_commands_are_refused_where_a_client_should_not_have_offered_them(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot, command: str, options: dict[str, Any]
) -> None:
    server.state.shows_mature_commands = True
    guild, admin = server.guild(), server.admin()
    channel, forum = server.channel(guild), server.forum(guild)
    places = [channel, server.thread(channel), await server.forum_post(forum, admin, "Post", "text")]
    if not command.startswith("developer"):
        places.append(server.dm(admin))
    await start_bot(mature=True)
    for place in places:
        assert await _is_refused(await server.slash(admin, place, command, **options))
    assert api.asked == []


async def test_commands_work_in_age_restricted_channels_their_threads_and_forum_posts(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    guild, ada = server.guild(), server.user("Ada")
    channel, forum = server.channel(guild, is_nsfw=True), server.forum(guild, is_nsfw=True)
    places = [channel, server.thread(channel), await server.forum_post(forum, ada, "Post", "text")]
    await start_bot(mature=True)
    for place in places:
        asked = await server.slash(ada, place, "chat", message="hello")
        assert await asked.replied() == ["You said: hello"]


async def test_mentions_follow_the_same_rule_in_threads_and_forum_posts(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    guild, ada = server.guild(), server.user("Ada")
    restricted = await server.forum_post(server.forum(guild, is_nsfw=True), ada, "Post", "text")
    ordinary = await server.forum_post(server.forum(guild), ada, "Post", "text")
    thread = server.thread(server.channel(guild))
    await start_bot(mature=True)
    for place in (restricted, ordinary, thread):
        await server.user_says(place, ada, "hello", mentions_bot=True)
    assert await server.posted(restricted) == ["You said: hello"]
    assert await server.posted(ordinary) == [refusals.not_age_restricted()]
    assert await server.posted(thread) == [refusals.not_age_restricted()]


@pytest.mark.parametrize("allows_dms", [True, False])
async def test_dms_are_answered_only_when_a_setting_allows_it(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot, allows_dms: bool
) -> None:
    ada = server.user("Ada")
    ada.has_mature_commands_in_dms = True
    dm, channel = server.dm(ada), server.channel(server.guild())
    await start_bot(mature=True, mature_dms=allows_dms)
    answer = "You said: hello" if allows_dms else refusals.not_age_restricted()
    assert await (await server.slash(ada, dm, "chat", message="hello")).replied() == [answer]
    await server.user_says(dm, ada, "hello")
    assert await server.posted(dm, 2 if allows_dms else 1) == [answer] * (2 if allows_dms else 1)
    await server.user_says(channel, ada, "hello", mentions_bot=True)
    assert await server.posted(channel) == [refusals.not_age_restricted()]


async def test_asking_about_a_message_is_refused_at_the_menu_and_at_the_form(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    server.state.shows_mature_commands = True
    ada, channel = server.user("Ada"), server.channel(server.guild())
    said = await server.user_says(channel, ada, "something")
    await start_bot(mature=True)
    assert await _is_refused(await server.message_menu(ada, channel, _MENU, said))
    await _change(server, channel, is_nsfw=True)
    opened = await server.message_menu(ada, channel, _MENU, said)
    form = await opened.form()
    await _change(server, channel, is_nsfw=False)
    assert await _is_refused(await server.submit(ada, opened, dict.fromkeys(_fields(form), "what?")))
    assert api.asked == []


def _fields(form: Json) -> list[str]:
    """Return the custom ids of a form's fields."""
    return [label["component"]["custom_id"] for label in form["components"]]


async def test_a_button_is_refused_once_the_channel_is_no_longer_restricted(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    ada, channel = server.user("Ada"), server.channel(server.guild(), is_nsfw=True)
    await start_bot(mature=True)
    await server.user_says(channel, ada, "hello", mentions_bot=True)
    await server.posted(channel)
    reply = channel.own_messages(server.bot)[0]
    await server.changes.until(lambda: reply.component(REGENERATE) is not None, "the reply is finished")
    await _change(server, channel, is_nsfw=False)
    assert await _is_refused(await server.press(ada, reply, REGENERATE))
    assert len(api.asked) == 1


async def test_nothing_is_suggested_where_the_command_would_be_refused(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    server.state.shows_mature_commands = True
    guild, admin = server.guild(), server.admin()
    ordinary, restricted = server.channel(guild), server.channel(guild, is_nsfw=True)
    await start_bot(mature=True)
    assert await server.autocomplete(admin, ordinary, "settings set", "model", "") == []
    assert await server.autocomplete(admin, restricted, "settings set", "model", "") == api.models


@pytest.mark.parametrize("is_dm", [True, False])
async def test_words_can_be_deleted_from_anywhere(
    server: DiscordServer, stores: BotStores, start_bot: StartBot, is_dm: bool
) -> None:
    server.state.shows_mature_commands = True
    ada: User = server.user("Ada")
    place = server.dm(ada) if is_dm else server.channel(server.guild())
    await stores.conversations.append("channel:1", NewMessage(role="user", content="Ada: mine", author_id=ada.id))
    await start_bot(mature=True)
    asked = await server.slash(ada, place, "forget", where="everywhere")
    assert await asked.replied() == [privacy.forget_everywhere_question()]
    await server.press(ada, asked.replies[0], asked.replies[0].custom_id(privacy.forget_yes()))
    await server.changes.until(
        lambda: asked.replies[0].content == privacy.forgotten(messages=1), "the words are deleted"
    )


@pytest.mark.parametrize("is_nsfw", [True, False])
async def test_without_an_adult_model_every_channel_is_the_same(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot, is_nsfw: bool
) -> None:
    ada, channel = server.user("Ada"), server.channel(server.guild(), is_nsfw=is_nsfw)
    await start_bot()
    assert await (await server.slash(ada, channel, "chat", message="hello")).replied() == ["You said: hello"]
    await server.user_says(channel, ada, "hello", mentions_bot=True)
    assert await server.posted(channel, 2) == ["You said: hello"] * 2
