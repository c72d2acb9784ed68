"""`/persona`, through discord.py and the stand-in Discord, on a real database."""

from contextlib import AsyncExitStack

import pytest

from bot.cogs.persona import MAX_PERSONAS_PER_SERVER
from bot.config import BotStores
from bot.language import DISCORD_LOCALES, speak
from bot.persona_form import NAME_FIELD, TEXT_FIELD
from bot.persona_text import MAX_PERSONA_CHARACTERS, MAX_SHOWN_CHARACTERS
from bot.texts import personas, refusals
from storage.database import Database
from storage.sqlite_database import READERS
from tests.bot.conftest import SYSTEM_PROMPT, StartBot
from tests.bot.scripted_api import ScriptedApi
from tests.doubles.discord_model import MANAGE_CHANNELS, MEMBER_PERMISSIONS, Channel, Interaction, Json, User
from tests.doubles.discord_server import DiscordServer

PIRATE = "You are a pirate. You say *Arr*."


async def _write(server: DiscordServer, user: User, channel: Channel, text: str, name: str = "") -> Interaction:
    """Open the form, write a persona and send it."""
    opened = await server.slash(user, channel, "persona set")
    await opened.form()
    entries = {TEXT_FIELD: text} | ({NAME_FIELD: name} if name else {})
    return await server.submit(user, opened, entries)


async def _text(stores: BotStores, channel: Channel) -> str | None:
    chosen = await stores.channels.get(channel.id)
    return None if chosen is None else chosen.persona


def _fields(form: Json) -> dict[str, Json]:
    return {label["component"]["custom_id"]: label["component"] for label in form["components"]}


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for the database as long as a machine that many share takes."""
    monkeypatch.setattr("bot.cogs.persona.READ_SECONDS", 60.0)


async def test_a_persona_from_the_form_holds_and_the_channel_is_told_without_its_text(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    admin, channel = server.admin(), server.channel(server.guild())
    await start_bot()
    sent = await _write(server, admin, channel, f"  {PIRATE}\r\n")
    assert await sent.replied(2) == [personas.persona_set(), personas.announced_set(user_id=admin.id)]
    assert [reply.is_ephemeral for reply in sent.replies] == [True, False]
    assert await _text(stores, channel) == PIRATE
    assert PIRATE not in "".join(message.content for message in channel.messages)
    await (await server.slash(admin, channel, "chat", message="hello")).replied()
    assert api.asked[-1].request.messages[0].content == PIRATE


async def test_the_form_opens_with_the_present_persona(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    admin, channel = server.admin(), server.channel(server.guild())
    await start_bot()
    first = _fields(await (await server.slash(admin, channel, "persona set")).form())
    assert first[TEXT_FIELD]["value"] == SYSTEM_PROMPT
    assert (first[TEXT_FIELD]["min_length"], first[TEXT_FIELD]["max_length"]) == (1, MAX_PERSONA_CHARACTERS)
    assert not first[NAME_FIELD]["required"]
    await stores.channels.set_persona(channel.id, guild_id=None, text=PIRATE, changed_by=1)
    again = _fields(await (await server.slash(admin, channel, "persona set")).form())
    assert again[TEXT_FIELD]["value"] == PIRATE


async def test_a_default_too_long_for_a_form_is_left_out_of_it(server: DiscordServer, start_bot: StartBot) -> None:
    admin, channel = server.admin(), server.channel(server.guild())
    await start_bot(system_prompt="x" * (MAX_PERSONA_CHARACTERS + 1))
    form = _fields(await (await server.slash(admin, channel, "persona set")).form())
    assert "value" not in form[TEXT_FIELD]


async def test_the_form_opens_empty_in_time_while_the_database_is_busy(
    server: DiscordServer,
    database: Database,
    stores: BotStores,
    start_bot: StartBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bot.cogs.persona.READ_SECONDS", 1.5)
    admin, channel = server.admin(), server.channel(server.guild())
    await start_bot()
    async with AsyncExitStack() as busy:
        for _ in range(READERS):
            await busy.enter_async_context(database.reading())
        opened = await server.slash(admin, channel, "persona set")
        form = await opened.form()
    assert "value" not in _fields(form)[TEXT_FIELD]
    sent = await server.submit(admin, opened, {TEXT_FIELD: PIRATE})
    await sent.replied(2)
    assert await _text(stores, channel) == PIRATE


async def test_everybody_may_see_the_persona_and_where_it_comes_from(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    thread = server.thread(channel)
    await start_bot()
    shown = await server.slash(ada, thread, "persona show")
    assert await shown.replied() == [f"{personas.default_persona()}\n```\n{SYSTEM_PROMPT}\n```"]
    assert shown.replies[0].is_ephemeral
    await stores.channels.set_persona(channel.id, guild_id=None, text=PIRATE, changed_by=1)
    there = await server.slash(ada, channel, "persona show")
    assert await there.replied() == [f"{personas.own_persona()}\n```\n{PIRATE}\n```"]
    from_parent = await server.slash(ada, thread, "persona show")
    assert await from_parent.replied() == [f"{personas.parent_persona()}\n```\n{PIRATE}\n```"]
    await stores.channels.set_persona(thread.id, guild_id=None, text="You are a parrot.", name="parrot", changed_by=1)
    own = await server.slash(ada, thread, "persona show")
    assert await own.replied() == [f"{personas.own_named_persona(name='parrot')}\n```\nYou are a parrot.\n```"]


@pytest.mark.parametrize("text", ["x" * (MAX_SHOWN_CHARACTERS + 1), "```\n@everyone **loud**"])
async def test_a_persona_that_does_not_fit_a_code_block_is_shown_as_a_file(
    server: DiscordServer, stores: BotStores, start_bot: StartBot, text: str
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await stores.channels.set_persona(channel.id, guild_id=None, text=text, changed_by=1)
    await start_bot()
    shown = await server.slash(ada, channel, "persona show")
    assert await shown.replied() == [personas.own_persona()]
    (message,) = shown.replies
    assert message.is_ephemeral
    assert [(file.filename, file.data.decode()) for file in message.files] == [("persona.txt", text)]
    assert message.files[0].description == personas.file_description()


async def test_an_empty_default_is_said_in_a_sentence(server: DiscordServer, start_bot: StartBot) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot(system_prompt="")
    shown = await server.slash(ada, channel, "persona show")
    assert await shown.replied() == [personas.no_default_persona()]


async def test_clear_goes_back_to_the_default_and_tells_the_channel(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    admin, channel = server.admin(), server.channel(server.guild())
    await stores.channels.set_persona(channel.id, guild_id=None, text=PIRATE, changed_by=1)
    await start_bot()
    cleared = await server.slash(admin, channel, "persona clear")
    assert await cleared.replied(2) == [personas.persona_cleared(), personas.announced_clear(user_id=admin.id)]
    assert [reply.is_ephemeral for reply in cleared.replies] == [True, False]
    assert await _text(stores, channel) is None
    again = await server.slash(admin, channel, "persona clear")
    assert await again.replied() == [personas.nothing_to_clear()]
    assert len(channel.own_messages(server.bot)) == 1


async def test_a_saved_persona_is_suggested_and_applied_to_another_channel(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    guild, admin = server.guild(), server.admin()
    here, there = server.channel(guild), server.channel(guild)
    await start_bot()
    sent = await _write(server, admin, here, PIRATE, name=" Pirate*Captain ")
    replies = await sent.replied(2)
    assert replies[0] == personas.persona_set_and_saved(name="PirateCaptain")
    assert await server.autocomplete(admin, there, "persona set", "name", "pir") == ["PirateCaptain"]
    assert await server.autocomplete(admin, there, "persona set", "name", "queen") == []
    applied = await server.slash(admin, there, "persona set", name="piratecaptain")
    assert await applied.replied(2) == [personas.persona_set(), personas.announced_set(user_id=admin.id)]
    chosen = await stores.channels.get(there.id)
    assert chosen is not None
    assert (chosen.persona, chosen.persona_name) == (PIRATE, "PirateCaptain")


async def test_saved_personas_are_those_of_the_server(server: DiscordServer, start_bot: StartBot) -> None:
    admin, here, elsewhere = server.admin(), server.channel(server.guild()), server.channel(server.guild())
    await start_bot()
    await (await _write(server, admin, here, PIRATE, name="pirate")).replied(2)
    assert await server.autocomplete(admin, elsewhere, "persona set", "name", "") == []
    applied = await server.slash(admin, elsewhere, "persona set", name="pirate")
    assert await applied.replied() == [personas.no_such_persona()]


async def test_the_persona_of_a_channel_can_be_saved_later_and_deleted_again(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    guild, admin = server.guild(), server.admin()
    channel = server.channel(guild)
    await start_bot()
    nothing = await server.slash(admin, channel, "persona save", name="pirate")
    assert await nothing.replied() == [personas.nothing_to_save()]
    await stores.channels.set_persona(channel.id, guild_id=guild.id, text=PIRATE, changed_by=1)
    saved = await server.slash(admin, channel, "persona save", name="pirate")
    assert await saved.replied() == [personas.persona_saved(name="pirate")]
    assert saved.replies[0].is_ephemeral
    (kept,) = await stores.personas.list(guild.id)
    assert (kept.name, kept.text, kept.created_by) == ("pirate", PIRATE, admin.id)
    deleted = await server.slash(admin, channel, "persona delete", name="PIRATE")
    assert await deleted.replied() == [personas.persona_deleted(name="pirate")]
    assert await stores.personas.list(guild.id) == []
    assert await _text(stores, channel) == PIRATE
    gone = await server.slash(admin, channel, "persona delete", name="pirate")
    assert await gone.replied() == [personas.no_such_persona()]


async def test_a_server_full_of_saved_personas_costs_nobody_the_text_they_wrote(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    guild, admin = server.guild(), server.admin()
    channel = server.channel(guild)
    for number in range(MAX_PERSONAS_PER_SERVER):
        await stores.personas.save(guild.id, f"p{number}", "x", created_by=1, limit=MAX_PERSONAS_PER_SERVER)
    await start_bot()
    sent = await _write(server, admin, channel, PIRATE, name="one more")
    full = personas.too_many_personas(limit=MAX_PERSONAS_PER_SERVER)
    assert (await sent.replied(2))[0] == personas.persona_set_but_not_saved(reason=full)
    assert await _text(stores, channel) == PIRATE
    refused = await server.slash(admin, channel, "persona save", name="one more")
    assert await refused.replied() == [full]
    replaced = await server.slash(admin, channel, "persona save", name="p7")
    assert await replaced.replied() == [personas.persona_saved(name="p7")]
    assert len(await server.autocomplete(admin, channel, "persona delete", "name", "")) == 25


async def test_an_unusable_name_costs_nobody_the_text_they_wrote(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    admin, channel = server.admin(), server.channel(server.guild())
    await start_bot()
    sent = await _write(server, admin, channel, PIRATE, name="\u202e***")
    unusable = personas.persona_set_but_not_saved(reason=personas.bad_persona_name())
    assert (await sent.replied(2))[0] == unusable
    assert await _text(stores, channel) == PIRATE
    refused = await server.slash(admin, channel, "persona save", name="`")
    assert await refused.replied() == [personas.bad_persona_name()]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x" * 100_000, personas.persona_too_long(characters=100_000, limit=MAX_PERSONA_CHARACTERS)),
        ("", personas.unreadable_persona()),
        (" \x00\u200b\u202e\n", personas.unreadable_persona()),
    ],
    ids=["100,000 characters", "nothing", "nothing that shows"],
)
async def test_a_forged_form_is_answered_with_a_sentence_and_changes_nothing(
    server: DiscordServer, stores: BotStores, start_bot: StartBot, text: str, sentence: str
) -> None:
    admin, channel = server.admin(), server.channel(server.guild())
    await stores.channels.set_persona(channel.id, guild_id=None, text=PIRATE, changed_by=1)
    await start_bot()
    opened = await server.slash(admin, channel, "persona set")
    await opened.form()
    sent = await server.submit(admin, opened, {TEXT_FIELD: text}, forged=True)
    assert await sent.replied() == [sentence]
    assert sent.replies[0].is_ephemeral
    assert await _text(stores, channel) == PIRATE
    assert channel.own_messages(server.bot) == []


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("persona set", {}),
        ("persona set", {"name": "pirate"}),
        ("persona clear", {}),
        ("persona save", {"name": "mine"}),
        ("persona delete", {"name": "pirate"}),
    ],
)
async def test_changes_need_manage_channels_though_discord_let_them_through(
    server: DiscordServer, stores: BotStores, start_bot: StartBot, command: str, options: dict[str, str]
) -> None:
    guild, ada = server.guild(), server.user("Ada")
    channel = server.channel(guild)
    await stores.channels.set_persona(channel.id, guild_id=guild.id, text="You are a parrot.", changed_by=1)
    await stores.personas.save(guild.id, "pirate", PIRATE, created_by=1, limit=50)
    await start_bot()
    refused = await server.slash(ada, channel, command, **options)
    assert await refused.replied() == [refusals.not_permitted(permission="Manage Channels")]
    assert refused.replies[0].is_ephemeral
    assert await _text(stores, channel) == "You are a parrot."
    assert [each.name for each in await stores.personas.list(guild.id)] == ["pirate"]
    assert await server.autocomplete(ada, channel, "persona set", "name", "") == []


async def test_manage_channels_is_enough_and_is_checked_again_when_the_form_comes_back(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    channel = server.channel(server.guild())
    manager = server.user("Max", permissions=MEMBER_PERMISSIONS | MANAGE_CHANNELS)
    await start_bot()
    await (await _write(server, manager, channel, PIRATE)).replied(2)
    opened = await server.slash(manager, channel, "persona set")
    await opened.form()
    manager.permissions = MEMBER_PERMISSIONS
    sent = await server.submit(manager, opened, {TEXT_FIELD: "You are a parrot."})
    assert await sent.replied() == [refusals.not_permitted(permission="Manage Channels")]
    assert await _text(stores, channel) == PIRATE


async def test_a_form_for_a_deleted_channel_changes_nothing(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    admin, channel = server.admin(), server.channel(server.guild())
    await start_bot()
    opened = await server.slash(admin, channel, "persona set")
    await opened.form()
    await server.delete_channel(channel)
    sent = await server.submit(admin, opened, {TEXT_FIELD: PIRATE})
    await sent.deferred()
    follow_up = "POST /webhooks/{application}/{token}"
    await server.changes.until(lambda: server.state.count(follow_up, status=404) == 1, "an answer nobody can see")
    assert await _text(stores, channel) is None


async def test_a_channel_the_bot_may_not_look_up_is_taken_for_there(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    admin, channel = server.admin(), server.channel(server.guild())
    await start_bot()
    server.fail_next("GET /channels/{channel}", 403)
    await (await _write(server, admin, channel, PIRATE)).replied(2)
    assert server.state.count("GET /channels/{channel}", status=403) == 1
    assert await _text(stores, channel) == PIRATE


async def test_a_persona_in_a_dm_is_ones_own_and_told_to_nobody_else(
    server: DiscordServer, stores: BotStores, start_bot: StartBot
) -> None:
    ada = server.user("Ada")
    dm = server.dm(ada)
    await start_bot()
    opened = await server.slash(ada, dm, "persona set")
    assert list(_fields(await opened.form())) == [TEXT_FIELD]
    sent = await server.submit(ada, opened, {TEXT_FIELD: PIRATE})
    assert await sent.replied() == [personas.persona_set()]
    assert await _text(stores, dm) == PIRATE
    for command in ("persona set", "persona save", "persona delete"):
        refused = await server.slash(ada, dm, command, name="pirate")
        assert await refused.replied() == [personas.saved_in_servers()]
    cleared = await server.slash(ada, dm, "persona clear")
    assert await cleared.replied() == [personas.persona_cleared()]
    assert await _text(stores, dm) is None
    assert len(sent.replies) == len(cleared.replies) == 1


@pytest.mark.parametrize("locale", ["en-US", *DISCORD_LOCALES])
def test_the_words_of_the_form_fit_it_in_every_language(locale: str) -> None:
    speak(locale)
    assert max(map(len, (personas.form_title(), personas.form_text_label(), personas.form_name_label()))) <= 45
    assert max(map(len, (personas.form_text_description(), personas.form_name_description()))) <= 100
