"""Questions with two buttons: asked of one person, answered once, and never left without an answer."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import discord
import pytest
from discord import app_commands
from discord.ext import commands

from bot.addresses import aim_gateway, aim_rest
from bot.client import intents
from bot.config import BotStores
from bot.confirming import Action, Arguments, Confirmation, Confirming
from bot.errors import NoSuchTokenError, RefusedError
from bot.texts import confirming as words
from bot.texts import refusals, tokens
from storage.open_questions import OpenQuestions
from tests.bot.conftest import DISCORD_TOKEN
from tests.doubles.discord_model import Channel, Interaction, Message, User
from tests.doubles.discord_server import DiscordServer

DEFERRED_UPDATE = 6
CALLBACK = "POST /interactions/{interaction}/{token}/callback"


class Deed:
    """What is confirmed: counts how often it was done, and waits if it is told to."""

    def __init__(self) -> None:
        self.times = 0
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.error: Exception | None = None

    async def do(self, _press: discord.Interaction[Any], _arguments: Arguments) -> str:
        self.times += 1
        await self.may_end.wait()
        if self.error is not None:
            raise self.error
        return f"done {self.times}"


class Asking(commands.Cog):
    """A command that asks, deferred or at once."""

    def __init__(self, confirming: Confirming) -> None:
        self._confirming = confirming
        self.has_asked = asyncio.Event()

    @app_commands.command(description="Ask")
    async def ask(self, interaction: discord.Interaction[Any], defer: bool = True) -> None:
        if defer:
            await interaction.response.defer(ephemeral=True, thinking=True)
        question = Confirmation(text="Really?", yes="Yes", no="No")
        await self._confirming.ask(interaction, question, "do")
        self.has_asked.set()


class SmallBot(commands.Bot):
    """A bot that can ask and nothing else."""

    def __init__(self, questions: OpenQuestions, action: Action, open_seconds: float) -> None:
        super().__init__(command_prefix="!", intents=intents(), help_command=None)
        self._confirming = Confirming(questions, open_seconds=open_seconds)
        self._confirming.register("do", action)
        self.asking = Asking(self._confirming)

    async def setup_hook(self) -> None:
        await self.add_cog(self._confirming)
        await self.add_cog(self.asking)
        await self.tree.sync()


StartSmallBot = Callable[..., Awaitable[SmallBot]]


@asynccontextmanager
async def running_bot(
    server: DiscordServer, stores: BotStores, deed: Deed, open_seconds: float
) -> AsyncIterator[SmallBot]:
    aim_rest(server.api_url)
    async with SmallBot(stores.open_questions, deed.do, open_seconds) as bot:
        await bot.login(DISCORD_TOKEN)
        await aim_gateway(bot, server.gateway_url)
        connection = asyncio.create_task(bot.connect())
        await server.connected()
        yield bot
        await bot.close()
        await connection


@pytest.fixture
def deed() -> Deed:
    return Deed()


@pytest.fixture
async def bot(server: DiscordServer, stores: BotStores, deed: Deed, channel: Channel) -> AsyncIterator[SmallBot]:
    async with running_bot(server, stores, deed, 60.0) as running:
        yield running


async def asked(server: DiscordServer, user: User, channel: Channel, *, defer: bool = True) -> Message:
    """Use the command; returns the message with the question."""
    used = await server.slash(user, channel, "ask", defer=defer)
    assert await used.replied() == ["Really?"]
    return used.replies[0]


async def becomes(server: DiscordServer, message: Message, text: str) -> None:
    """Wait until the question has given way to a text, and its buttons are gone."""
    await server.changes.until(lambda: message.content == text and not message.components, f"the question reads {text}")


@pytest.mark.parametrize("defer", [True, False])
async def test_a_yes_does_what_was_asked_and_says_so_in_the_place_of_the_question(
    server: DiscordServer, bot: SmallBot, deed: Deed, ada: User, channel: Channel, defer: bool
) -> None:
    question = await asked(server, ada, channel, defer=defer)
    assert question.is_ephemeral
    assert {label: button["style"] for label, button in question.buttons.items()} == {"Yes": 4, "No": 2}
    assert deed.times == 0
    press = await server.press(ada, question, question.custom_id("Yes"))
    await becomes(server, question, "done 1")
    assert await press.answered() == DEFERRED_UPDATE
    assert channel.messages == []


async def test_a_no_changes_nothing(
    server: DiscordServer, bot: SmallBot, deed: Deed, ada: User, channel: Channel
) -> None:
    question = await asked(server, ada, channel)
    await server.press(ada, question, question.custom_id("No"))
    await becomes(server, question, words.nothing_changed())
    assert deed.times == 0


async def test_two_presses_at_once_do_it_once(
    server: DiscordServer, bot: SmallBot, deed: Deed, ada: User, channel: Channel
) -> None:
    question = await asked(server, ada, channel)
    yes, no = question.custom_id("Yes"), question.custom_id("No")
    deed.may_end.clear()
    presses = await asyncio.gather(server.press(ada, question, yes), server.press(ada, question, yes))
    await server.changes.until(lambda: any(press.replies for press in presses), "one of them is told")
    # Their client has not heard yet that the buttons went.
    refused = await server.press(ada, question, no, forged=True)
    assert await refused.replied() == [words.question_closed()]
    deed.may_end.set()
    await becomes(server, question, "done 1")
    assert deed.times == 1
    assert [reply.content for press in presses for reply in press.replies] == [words.question_closed()]


async def test_somebody_else_cannot_answer_and_the_question_stays_open(
    server: DiscordServer, bot: SmallBot, deed: Deed, ada: User, channel: Channel
) -> None:
    question = await asked(server, ada, channel)
    mallory = server.admin("Mallory")
    for label in ("Yes", "No"):
        forged = await server.press(mallory, question, question.custom_id(label), forged=True)
        assert await forged.replied() == [words.not_your_question()]
        assert forged.replies[0].visible_to is mallory
    assert deed.times == 0
    await server.press(ada, question, question.custom_id("Yes"))
    await becomes(server, question, "done 1")


@pytest.mark.parametrize(
    "custom_id",
    ["confirm:", "confirm:yes", "confirm:::", f"confirm:{'0' * 32}:yes", f"confirm:{'0' * 32}:yes:" + "x" * 50],
)
async def test_a_made_up_button_gets_a_sentence(
    server: DiscordServer, bot: SmallBot, deed: Deed, ada: User, channel: Channel, custom_id: str
) -> None:
    question = await asked(server, ada, channel)
    press = await server.press(ada, question, custom_id, forged=True)
    assert await press.replied() == [words.question_closed()]
    assert deed.times == 0


async def test_a_made_up_answer_to_an_open_question_is_no_yes(
    server: DiscordServer, bot: SmallBot, deed: Deed, ada: User, channel: Channel
) -> None:
    question = await asked(server, ada, channel)
    press = await server.press(ada, question, question.custom_id("Yes") + "!", forged=True)
    assert await press.replied() == [words.question_closed()]
    assert deed.times == 0


async def test_buttons_of_other_parts_are_left_alone(
    server: DiscordServer, bot: SmallBot, ada: User, channel: Channel
) -> None:
    question = await asked(server, ada, channel)
    press = await server.press(ada, question, "parley:stop", forged=True)
    press.may_stay_unanswered = True
    await server.press(ada, question, question.custom_id("No"))
    await becomes(server, question, words.nothing_changed())
    assert press.answered_at is None


@pytest.mark.parametrize(
    ("error", "sentence"),
    [(NoSuchTokenError(), tokens.no_such_token()), (RuntimeError("parley_secret"), refusals.unexpected(request_id=""))],
)
async def test_a_deed_that_fails_is_a_sentence(
    server: DiscordServer,
    bot: SmallBot,
    deed: Deed,
    ada: User,
    channel: Channel,
    error: Exception,
    sentence: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    deed.error = error
    question = await asked(server, ada, channel)
    press = await server.press(ada, question, question.custom_id("Yes"))
    assert await press.replied() == [sentence]
    assert press.replies[0].is_ephemeral
    assert question.components == []
    assert "parley_secret" not in caplog.text
    assert ("was refused" in caplog.text) == isinstance(error, RefusedError)


async def test_nobody_answers_and_the_question_closes_itself(
    server: DiscordServer, stores: BotStores, deed: Deed, ada: User, channel: Channel
) -> None:
    async with running_bot(server, stores, deed, 0.3):
        question = await asked(server, ada, channel)
        yes = question.custom_id("Yes")
        await becomes(server, question, words.question_expired())
        late = await server.press(ada, question, yes, forged=True)
        assert await late.replied() == [words.question_closed()]
    assert deed.times == 0


async def test_a_question_of_another_process_is_answered_once(
    server: DiscordServer, stores: BotStores, deed: Deed, ada: User, channel: Channel
) -> None:
    async with running_bot(server, stores, deed, 60.0):
        question = await asked(server, ada, channel)
        yes = question.custom_id("Yes")
    async with running_bot(server, stores, deed, 60.0):
        await server.press(ada, question, yes)
        await becomes(server, question, "done 1")
        late: Interaction = await server.press(ada, question, yes, forged=True)
        assert await late.replied() == [words.question_closed()]
    assert deed.times == 1


async def test_a_question_whose_process_ended_is_closed_all_the_same(
    server: DiscordServer, stores: BotStores, deed: Deed, ada: User, channel: Channel
) -> None:
    async with running_bot(server, stores, deed, 0.3):
        question = await asked(server, ada, channel)
    async with running_bot(server, stores, deed, 60.0):
        await until_closed(stores, question)
        late = await server.press(ada, question, question.custom_id("Yes"))
        assert await late.replied() == [words.question_closed()]
    assert deed.times == 0


async def test_a_question_that_is_shown_while_the_bot_ends_leaves_no_task(
    server: DiscordServer, bot: SmallBot, ada: User, channel: Channel
) -> None:
    await bot._confirming.cog_unload()
    await asked(server, ada, channel)
    await bot.asking.has_asked.wait()
    assert not bot._confirming._expiring


async def until_closed(stores: BotStores, question: Message) -> None:
    question_id = question.custom_id("Yes").split(":")[1]
    while await stores.open_questions.find(question_id) is not None:  # noqa: ASYNC110 - a database announces nothing
        await asyncio.sleep(0.02)


async def test_a_press_that_discord_gives_up_on_changes_nothing_and_is_one_line_in_the_log(
    server: DiscordServer, bot: SmallBot, deed: Deed, ada: User, channel: Channel, caplog: pytest.LogCaptureFixture
) -> None:
    question = await asked(server, ada, channel)
    server.fail_next(CALLBACK, 404)
    lost = await server.press(ada, question, question.custom_id("Yes"))
    lost.may_stay_unanswered = True
    await server.changes.until(lambda: server.state.failures[CALLBACK] == [], "the answer is refused")
    assert deed.times == 0
    await server.press(ada, question, question.custom_id("Yes"))
    await becomes(server, question, "done 1")
    assert caplog.text.count("could not be answered") == 1
