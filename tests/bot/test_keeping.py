"""What the service keeps of conversations: which one it hears of, and that it is told when words are gone."""

import logging

import pytest

from bot.amending import Amending
from bot.api_client import ApiClient
from bot.config import BotStores
from bot.forgetting import Forgetting
from bot.lanes import Lanes
from storage.conversations import NewMessage
from tests.bot.conftest import StartBot
from tests.bot.replying import replied
from tests.bot.scripted_api import SERVICE_TOKEN, ScriptedApi
from tests.doubles.discord_model import Channel, User
from tests.doubles.discord_server import DiscordServer
from tests.ports import free_port


async def test_a_conversation_has_its_name_from_the_first_question_on_and_a_reset_is_passed_on(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot, stores: BotStores, channel: Channel, ada: User
) -> None:
    await start_bot()
    for _ in range(2):
        await replied(server, api, channel, ada)
    name = await stores.conversations.computed_name(f"channel:{channel.id}")
    assert [asked.conversation for asked in api.asked] == [name, name]
    assert api.cleaned_up == 0
    reset = await server.slash(server.admin(), channel, "reset")
    await reset.replied()
    assert api.cleaned_up == 1


async def test_the_service_is_told_when_words_have_changed_and_only_then(
    api: ScriptedApi, forgetting: Forgetting, stores: BotStores
) -> None:
    question = NewMessage(role="user", content="Ada: one", author_id=7, discord_message_id=1)
    await stores.conversations.append("channel:5", question, NewMessage(role="assistant", content="Yes."))
    amending = Amending(stores.conversations, forgetting, Lanes())
    told = []
    for changes in ({99: None, 98: "Ada: unknown"}, {1: "Ada: changed"}, {1: None}):
        await amending.amend(5, changes)
        told.append(api.cleaned_up)
    await amending.forget_channels([6])
    told.append(api.cleaned_up)
    await amending.forget_channels([5])
    assert [*told, api.cleaned_up] == [0, 1, 2, 2, 3]


@pytest.mark.parametrize("keys", [["channel:5"], None])
async def test_whoever_is_forgotten_is_forgotten_by_the_service_too(
    api: ScriptedApi, forgetting: Forgetting, keys: list[str] | None
) -> None:
    await forgetting.forget(7, keys=keys)
    assert api.cleaned_up == 1


async def test_a_service_that_cannot_be_reached_hinders_nobody_from_being_forgotten(
    stores: BotStores, caplog: pytest.LogCaptureFixture
) -> None:
    async with ApiClient(f"http://127.0.0.1:{free_port()}", SERVICE_TOKEN) as lost:
        with caplog.at_level(logging.WARNING, "bot.forgetting"):
            assert await Forgetting(stores.conversations, lost).forget(7, keys=None) == 0
    assert "goes later" in caplog.text
