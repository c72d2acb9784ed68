"""What people see while they wait, and what ends a wait: the first sign of life, the place in line, deletions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.config import BotStores
from bot.texts import privacy, refusals
from tests.bot.conftest import StartBot
from tests.bot.replying import comes_to_say, finished, has_buttons, said, shows
from tests.bot.scripted_api import ScriptedApi, Stream
from tests.doubles.discord_model import File, Message
from tests.doubles.discord_server import DiscordServer
from tests.new_database import locked

# The first sign of life ---------------------------------------------------------------------------------------------


async def test_a_locked_database_does_not_keep_the_first_sign_of_life(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot, tmp_path: Path
) -> None:
    guild, ada = server.guild(), server.user("Ada")
    by_command, by_message = server.channel(guild), server.channel(guild)
    await start_bot(person_daily_calls=5)
    async with locked(tmp_path / "parley.db"):
        interaction = await server.slash(ada, by_command, "chat", message="Hello?")
        await server.user_says(by_message, ada, "Hello?", mentions_bot=True)
        assert await interaction.deferred() < 3
        await server.changes.until(lambda: by_message.typing_calls > 0, "typing", timeout_seconds=30)
    assert await interaction.replied() == ["You said: Hello?"]
    await finished(server, by_message)
    await comes_to_say(stores.conversations, by_message, ["Ada: Hello?", "You said: Hello?"])


async def test_a_locked_database_does_not_keep_a_press_waiting(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot, tmp_path: Path
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot(person_daily_calls=5)
    await server.user_says(channel, ada, "Hello", mentions_bot=True)
    message = await finished(server, channel)
    api.script.append("Again")
    async with locked(tmp_path / "parley.db"):
        pressed = await server.press(ada, message, message.custom_id("Regenerate"))
        assert await pressed.deferred() < 3
    await shows(server, message, "Again")


async def test_a_locked_database_keeps_neither_the_question_of_forget_nor_its_answer_waiting(
    server: DiscordServer, start_bot: StartBot, tmp_path: Path
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    async with locked(tmp_path / "parley.db"):
        asked = await server.slash(ada, channel, "forget", where="here")
        assert await asked.deferred() < 3
    await asked.replied()
    (question,) = asked.replies
    async with locked(tmp_path / "parley.db"):
        pressed = await server.press(ada, question, question.custom_id(privacy.forget_yes()))
        assert await pressed.deferred() < 3
    await shows(server, question, privacy.nothing_to_forget())


async def test_a_slow_attachment_does_not_keep_the_first_sign_of_life(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    arrives = asyncio.Event()
    async with _slow_file(arrives, b"swordfish") as url:
        message = Message(
            channel,
            ada,
            f"{server.bot.mention} read this",
            mentions=[server.bot],
            files=[File("notes.txt", b"swordfish", "text/plain", url=url)],
        )
        channel.messages.append(message)
        await server._announcer.created(message)
        await server.changes.until(lambda: channel.typing_calls > 0, "typing", timeout_seconds=30)
        assert api.asked == []
        arrives.set()
        await finished(server, channel)
    assert "swordfish" in api.questions[0]


# The place in line --------------------------------------------------------------------------------------------------


async def test_the_place_in_the_channels_line_is_shown_kept_up_to_date_and_replaced_by_the_reply(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, people = server.channel(server.guild()), [server.user(name) for name in ("Ada", "Bob", "Cy", "Di")]
    await start_bot()
    api.answer = lambda asked: Stream(pieces=[f"For {asked.question.partition(':')[0]}"], hold_after=1)
    uses = [await server.slash(person, channel, "chat", message="Me") for person in people]
    assert [(await use.replied())[0] for use in uses] == ["For Ada", "1st in line", "2nd in line", "3rd in line"]
    await has_buttons(server, uses[3].replies[0], "Stop")
    for done, use in enumerate(uses):
        # From the first turn on it is known how long one takes.
        for place, waiting in enumerate(uses[done + 1 :], 1):
            ordinal = {1: "1st", 2: "2nd", 3: "3rd"}[place]
            await _begins(
                server, waiting.replies[0], f"{ordinal} in line" if done == 0 else f"{ordinal} in line, about "
            )
        await api.held()
        api.release()
        await shows(server, use.replies[0], f"For {people[done].display_name}")


@pytest.mark.usefixtures("unhurried")
async def test_a_short_wait_in_line_is_not_shown(server: DiscordServer, api: ScriptedApi, start_bot: StartBot) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    api.answer = lambda _: Stream(pieces=["Here"], hold_after=1)
    for _ in range(2):
        await server.user_says(channel, ada, "Me", mentions_bot=True)
    for turn in (1, 2):
        await api.held()
        api.release()
        await finished(server, channel, turn)
    assert [message.versions for message in channel.own_messages(server.bot)] == [["Here"]] * 2


async def test_a_place_in_line_is_not_shown_once_the_turn_has_come(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.live.LINE_SECONDS", 6.0)
    guild, ada = server.guild(), server.user("Ada")
    channel, other = server.channel(guild), server.channel(guild, "other")
    await start_bot()
    api.answer = lambda _: Stream(pieces=["Here"], hold_after=0)
    for _ in range(2):
        await server.user_says(channel, ada, "Me", mentions_bot=True)
    await api.held()
    api.release()
    await finished(server, channel)
    await api.held()
    # A line that began later than that of the second question: when it is shown, the other would have been.
    api.script.append(Stream(pieces=["There"], queue=[(2, None)], hold_after=0))
    await server.user_says(other, ada, "Me", mentions_bot=True)
    assert await server.posted(other) == ["2nd in line"]
    assert len(channel.own_messages(server.bot)) == 1
    api.release()
    await finished(server, channel, 2)


async def test_the_place_in_the_services_line_is_shown_and_replaced_by_the_reply(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada", locale="de")
    await start_bot()
    api.script.append(Stream(pieces=["Here"], queue=[(4, None), (3, 20)], hold_after=0))
    interaction = await server.slash(ada, channel, "chat", message="Me")
    (line,) = await interaction.replied()
    assert ("3." in line, "20" in line) == (True, True)
    assert list(interaction.replies[0].buttons) != []
    api.release()
    await shows(server, interaction.replies[0], "Here")
    assert len(interaction.replies) == 1


# Deletions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deleted", ["question", "reply"])
async def test_what_is_deleted_while_a_reply_grows_ends_it_without_a_word(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot, deleted: str
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    api.script.append(Stream(pieces=["So far", " and on"], hold_after=1))
    question = await server.user_says(channel, ada, "Never mind", mentions_bot=True)
    await server.posted(channel)
    (reply,) = channel.own_messages(server.bot)
    await server.user_deletes(question if deleted == "question" else reply)
    async with asyncio.timeout(30):
        await api.hung_up.wait()
    await server.changes.until(lambda: channel.own_messages(server.bot) == [], "nothing of it stands")
    await server.user_says(channel, ada, "Next", mentions_bot=True)
    await finished(server, channel)
    assert [message.content for message in channel.own_messages(server.bot)] == ["You said: Next"]
    expected = ["Ada: Next", "You said: Next"]
    await comes_to_say(stores.conversations, channel, expected)


@pytest.mark.usefixtures("unhurried")
async def test_a_question_that_is_deleted_in_line_is_never_asked(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    api.hold()
    await server.user_says(channel, ada, "First", mentions_bot=True)
    await api.arrived(1)
    second = await server.user_says(channel, ada, "Second", mentions_bot=True)
    await server.user_deletes(second)
    await server.user_says(channel, ada, "Third", mentions_bot=True)
    api.release()
    await finished(server, channel, 2)
    assert api.questions == ["Ada: First", "Ada: Third"]
    await comes_to_say(
        stores.conversations, channel, ["Ada: First", "You said: First", "Ada: Third", "You said: Third"]
    )


@pytest.mark.parametrize("is_shown", [False, True])
async def test_a_channel_that_is_deleted_in_the_middle_ends_its_reply_and_leaves_nothing(
    server: DiscordServer,
    api: ScriptedApi,
    stores: BotStores,
    start_bot: StartBot,
    caplog: pytest.LogCaptureFixture,
    is_shown: bool,
) -> None:
    guild, ada = server.guild(), server.user("Ada")
    channel, other = server.channel(guild), server.channel(guild, "other")
    await start_bot()
    await server.user_says(channel, ada, "Hello", mentions_bot=True)
    await finished(server, channel)
    api.script.append(Stream(pieces=["So far", " and on"], hold_after=1 if is_shown else 0))
    await server.user_says(channel, ada, "Too late", mentions_bot=True)
    await api.held()
    if is_shown:
        await server.posted(channel, 2)
    await server.delete_channel(channel)
    async with asyncio.timeout(30):
        await api.hung_up.wait()
    await server.user_says(other, ada, "Still there?", mentions_bot=True)
    await finished(server, other)
    await comes_to_say(stores.conversations, channel, [])
    assert [record.levelname for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []
    assert "Too late" not in caplog.text


async def test_a_channel_that_is_gone_unnoticed_ends_its_reply_and_harms_no_conversation(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot, caplog: pytest.LogCaptureFixture
) -> None:
    guild, ada = server.guild(), server.user("Ada")
    channel, other = server.channel(guild), server.channel(guild, "other")
    await start_bot()
    api.script.append(Stream(pieces=["So far", " and", " so", " on"], hold_after=(1, 2, 3)))
    await server.user_says(channel, ada, "Too late", mentions_bot=True)
    await server.posted(channel)
    channel.is_deleted = True
    api.release()
    await server.changes.until(
        lambda: server.state.count("PATCH /channels/{channel}/messages/{message}", status=404) == 1, "a refused edit"
    )
    api.release()
    async with asyncio.timeout(30):
        await api.hung_up.wait()
    await server.user_says(other, ada, "Still there?", mentions_bot=True)
    await finished(server, other)
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []
    assert await said(stores.conversations, channel) == []


# The end of the bot -------------------------------------------------------------------------------------------------


async def test_at_the_end_everybody_who_waits_is_told_and_nothing_half_is_kept(
    server: DiscordServer,
    api: ScriptedApi,
    stores: BotStores,
    start_bot: StartBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bot.lanes.SECONDS_TO_SAY_SO", 60.0)
    guild, ada = server.guild(), server.user("Ada")
    channel, other = server.channel(guild), server.channel(guild, "other")
    bot = await start_bot(drain_seconds=0.2)
    api.script += [
        Stream(pieces=["Half", " of it"], hold_after=1),
        Stream(pieces=["Never"], queue=[(2, 9)], hold_after=0),
    ]
    growing = await server.slash(ada, channel, "chat", message="Go on")
    assert await growing.replied() == ["Half"]
    in_line = await server.slash(ada, channel, "chat", message="Me too")
    in_service = await server.slash(ada, other, "chat", message="And me")
    assert await in_line.replied() == ["1st in line"]
    assert await in_service.replied() == ["2nd in line, about 9 s"]
    async with asyncio.timeout(30):
        await bot.stop()
    assert [reply.content for reply in growing.replies] == ["Half", refusals.shutting_down()]
    assert [reply.content for reply in (*in_line.replies, *in_service.replies)] == [refusals.shutting_down()] * 2
    assert all(not reply.buttons for use in (growing, in_line, in_service) for reply in use.replies)
    assert await said(stores.conversations, channel) == []
    assert await said(stores.conversations, other) == []


async def test_at_the_end_a_reply_that_is_made_anew_stands_again(
    server: DiscordServer,
    api: ScriptedApi,
    stores: BotStores,
    start_bot: StartBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bot.lanes.SECONDS_TO_SAY_SO", 60.0)
    channel, ada = server.channel(server.guild()), server.user("Ada")
    bot = await start_bot(drain_seconds=0.2)
    await server.user_says(channel, ada, "Hello", mentions_bot=True)
    message = await finished(server, channel)
    api.script.append(Stream(pieces=["Half", " of it"], hold_after=1))
    pressed = await server.press(ada, message, message.custom_id("Regenerate"))
    await shows(server, message, "Half")
    await bot.stop()
    assert await pressed.replied() == [refusals.shutting_down()]
    assert (message.content, list(message.buttons)) == ("You said: Hello", ["Regenerate"])
    assert await said(stores.conversations, channel) == ["Ada: Hello", "You said: Hello"]


@pytest.mark.usefixtures("unhurried")
async def test_at_the_end_nothing_waits_for_a_discord_that_refuses(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    bot = await start_bot(drain_seconds=0.2)
    server.rate_limit_next("POST /channels/{channel}/messages", retry_after_seconds=60)
    await server.user_says(channel, ada, "Hello", mentions_bot=True)
    await server.changes.until(lambda: server.state.rate_limited != [], "the reply is refused")
    before = asyncio.all_tasks()
    async with asyncio.timeout(30):
        await bot.stop()
    assert {task for task in asyncio.all_tasks() - before if "on_message" in task.get_name()} == set()
    assert not [task for task in asyncio.all_tasks() if "on_message" in task.get_name()]


async def _begins(server: DiscordServer, message: Message, text: str) -> None:
    await server.changes.until(lambda: message.content.startswith(text), f"{message.content!r} begins with {text!r}")


@asynccontextmanager
async def _slow_file(arrives: asyncio.Event, data: bytes) -> AsyncIterator[str]:
    """Serve a file that arrives when it may; yields its address."""

    async def serve(_request: web.Request) -> web.Response:
        await arrives.wait()
        return web.Response(body=data)

    app = web.Application()
    app.router.add_get("/notes.txt", serve)
    async with TestServer(app) as cdn:
        yield str(cdn.make_url("/notes.txt"))
