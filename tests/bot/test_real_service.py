"""The bot with the real service and engine behind it: how soon a stop frees the slot, and how replies go on."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from api import keys
from api.expectations import Size
from bot.buttons import STOP
from bot.config import BotConfig, BotStores
from bot.runner import run_bot
from bot.texts import replies
from generation.engine import Engine
from generation.llama_cpp import LlamaCppEngine
from storage.channels import OptionValue
from storage.database import Database
from tests.bot.conftest import DISCORD_TOKEN, make_stores
from tests.bot.replying import finished, said, shows, stands, with_buttons
from tests.doubles.discord_model import Channel, Message, User
from tests.doubles.discord_server import DiscordServer
from tests.generation.asking import count_busy_slots, wait_for_busy_slots
from tests.service import SERVICE_TOKEN, Service, running_service
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

ENDLESS = {"num_predict": -2, "num_ctx": 4096, "temperature": 2.0}
GREEDY = {"temperature": 0.0, "repeat_penalty": 1.0}


@dataclass(frozen=True)
class Scene:
    """A bot in a channel where the model's options are set, with the real service behind it."""

    server: DiscordServer
    service: Service
    stores: BotStores
    channel: Channel
    ada: User

    async def set_options(self, options: Mapping[str, OptionValue]) -> None:
        await self.stores.channels.set_options(
            self.channel.id, guild_id=None, options=options, model=None, changed_by=self.ada.id
        )


@asynccontextmanager
async def _scene(
    engine: Engine, folder: Path, options: Mapping[str, OptionValue], *, slots: int = 4
) -> AsyncIterator[Scene]:
    database = await Database.open(f"sqlite:///{folder / 'bot.db'}")
    stores = make_stores(database)
    try:
        async with (
            DiscordServer(token=DISCORD_TOKEN) as server,
            running_service(engine, folder, slots=slots) as service,
        ):
            scene = Scene(server, service, stores, server.channel(server.guild()), server.user("Ada"))
            await scene.set_options(options)
            async with _bot(scene):
                yield scene
            assert server.state.breaches == []
    finally:
        await database.close()


@asynccontextmanager
async def _bot(scene: Scene) -> AsyncIterator[None]:
    """Keep the bot running for the block."""
    config = BotConfig(
        token=DISCORD_TOKEN,
        api_url=scene.service.url,
        service_token=SERVICE_TOKEN,
        public_url=scene.service.url,
        system_prompt="You are Parley, a friendly assistant.",
        discord_api_url=scene.server.api_url,
    )
    running = asyncio.create_task(run_bot(config, scene.stores))
    try:
        await scene.server.connected()
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_a_stop_frees_the_slot(demo_engine: Engine, tmp_path: Path) -> None:
    assert isinstance(demo_engine, LlamaCppEngine)
    async with _scene(demo_engine, tmp_path, ENDLESS) as scene:
        server, channel, queue = scene.server, scene.channel, scene.service.app[keys.PIPELINE].queue
        await server.user_says(channel, scene.ada, "Tell me everything", mentions_bot=True)
        await server.changes.until(lambda: with_buttons(channel.messages) != [], "a growing reply")
        (growing,) = with_buttons(channel.messages)
        assert (queue.running, await count_busy_slots(demo_engine)) == (1, 1)
        # By now it may grow in its next message.
        await server.press(scene.ada, growing, STOP, forged=True)
        await wait_for_busy_slots(demo_engine, 0, timeout_seconds=10)
        assert queue.running == 0
        await server.changes.until(lambda: "Regenerate" in channel.messages[-1].buttons, "it stands")
        kept = await stands(scene.stores.conversations, channel.messages[-1])
        shown = [message.id for message in channel.own_messages(server.bot)]
        assert [part.discord_message_id for part in kept.parts] == shown


async def test_a_stop_in_the_services_line_leaves_it(demo_engine: Engine, tmp_path: Path) -> None:
    async with _scene(demo_engine, tmp_path, {}, slots=1) as scene:
        server, channel, queue = scene.server, scene.channel, scene.service.app[keys.PIPELINE].queue
        size = Size(prompt_bytes=1, context_tokens=64, reply_tokens=1)
        with queue.place(tenant_id="other", person_id=None, size=size):
            await server.user_says(channel, scene.ada, "Hello", mentions_bot=True)
            assert await server.posted(channel) == ["1st in line"]
            assert queue.waiting == 1
            (line,) = channel.own_messages(server.bot)
            await server.press(scene.ada, line, line.custom_id("Stop"))
            await eventually(lambda: not queue.waiting)
            await shows(server, line, replies.stopped())
            assert await said(scene.stores.conversations, channel) == []


async def test_a_cut_reply_and_the_rest_of_it_are_what_would_have_come_at_once(
    demo_engine: Engine, tmp_path: Path
) -> None:
    async with _scene(demo_engine, tmp_path, {**GREEDY, "num_predict": 200}) as scene:
        server, channel, conversations = scene.server, scene.channel, scene.stores.conversations
        await server.user_says(channel, scene.ada, "What can you do?", mentions_bot=True)
        await finished(server, channel)
        question, whole = await said(conversations, channel)
        await conversations.clear(f"channel:{channel.id}")
        await scene.set_options({**GREEDY, "num_predict": 5})
        await server.user_says(channel, scene.ada, "What can you do?", mentions_bot=True)
        message = await finished(server, channel, 2)
        presses = 0
        while "Continue" in message.buttons:
            presses += 1
            edits = message.edits
            await server.press(scene.ada, message, message.custom_id("Continue"))
            await _stands_again(server, message, edits)
        assert presses >= 2
        assert await said(conversations, channel) == [question, whole]
        assert message.content == whole.strip()


async def _stands_again(server: DiscordServer, message: Message, edits: int) -> None:
    await server.changes.until(
        lambda: message.edits > edits and "Regenerate" in message.buttons, "the reply stands again"
    )
