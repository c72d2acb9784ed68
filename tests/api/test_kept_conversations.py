"""What the engine keeps of conversations through the service: whose, and until when."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from api.contract import CONVERSATION_HEADER, ON_BEHALF_OF_HEADER
from generation import state_saver
from generation.llama_cpp import LlamaCppEngine
from generation.warmth import Keeping
from parley.demo_model import demo_path
from storage.clock import SystemClock
from storage.computed import new_name
from storage.conversations import NewMessage
from tests.generation.conftest import config_for
from tests.new_database import Backend, use
from tests.service import SERVICE_TOKEN, Service, running_service
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

MESSAGES = {"messages": [{"role": "user", "content": "Hello! Who are you?"}], "num_predict": 8}
SECONDS = 20.0

HAS_ONE_SERVICE = True
"""For all of its tests on one kind of database."""


@dataclass
class Kept:
    """A service whose engine keeps conversations in `folder`."""

    service: Service
    folder: Path
    seen: set[str] = field(default_factory=set)
    earlier: set[str] = field(default_factory=set)
    """Conversations of earlier tests, which may have gone on after they were kept and be kept once more."""

    @property
    def names(self) -> list[str]:
        found = (path.name.partition("~")[0] for path in self.folder.glob("*.state"))
        return sorted(name for name in found if name not in self.earlier)

    async def until_kept(self, *names: str) -> None:
        self.seen.update(names)
        await eventually(lambda: self.names == sorted(names), within_seconds=SECONDS)

    async def begin(self, key: str) -> str:
        """Begin a conversation as the bot does, and ask something in it; returns the name for what is computed."""
        question = NewMessage(role="user", content="Hello!", author_id=7, discord_message_id=hash(key) % 10_000)
        await self.service.conversations.append(key, question, NewMessage(role="assistant", content="Hi!"))
        name = await self.service.conversations.computed_name(key)
        assert name is not None
        status, _, _ = await self.service.post("/ai/chat", MESSAGES, headers=on_behalf(name))
        assert status == 200
        return name

    async def chat(self, **fields: Any) -> str:
        """Take a turn in a ModelsLab chat; returns its id."""
        body = {"key": self.service.secret, "prompt": "Hello!", "max_new_tokens": 8, **fields}
        status, reply, _ = await self.service.post("/api/v6/llm/chat", body)
        assert status == 200
        return str(reply["chat_id"])

    async def clean_up(self) -> None:
        status, _, _ = await self.service.post("/ai/conversations/forgotten", {}, headers=on_behalf(None))
        assert status == 200


def on_behalf(name: str | None) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {SERVICE_TOKEN}", ON_BEHALF_OF_HEADER: "discord:5"}
    return headers if name is None else headers | {CONVERSATION_HEADER: name}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def kept(tmp_path_factory: pytest.TempPathFactory, backend: Backend) -> AsyncIterator[Kept]:
    with use(backend):
        async with keeping_service(tmp_path_factory.mktemp("kept")) as running:
            yield running


@asynccontextmanager
async def keeping_service(folder: Path) -> AsyncIterator[Kept]:
    running: list[Service] = []

    async def find_held(names: Collection[str]) -> Collection[str] | None:
        return await running[0].computed_names.find_held(names) if running else None

    keeping = Keeping(folder=folder / "states", budget_bytes=2**30, find_held=find_held)
    engine = LlamaCppEngine(replace(config_for(demo_path(), context_tokens=512), keeping=keeping))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state_saver, "SETTLE_SECONDS", 0.02)
        patch.setattr(state_saver, "PATIENCE_SECONDS", 0.02)
        await engine.start()
        try:
            async with running_service(engine, folder, context_tokens=512) as service:
                running.append(service)
                yield Kept(service, folder / "states")
                running.clear()
        finally:
            await engine.close()


@pytest.fixture(autouse=True)
def afresh(kept: Kept) -> None:
    kept.earlier |= kept.seen
    for path in kept.folder.glob("*.state"):
        path.unlink(missing_ok=True)


async def test_a_conversation_of_the_bots_is_kept_until_it_is_cleared(kept: Kept) -> None:
    name = await kept.begin("channel:1")
    await kept.until_kept(name)
    await kept.clean_up()
    assert kept.names == [name]
    await kept.service.conversations.clear("channel:1")
    await kept.clean_up()
    assert kept.names == []


async def test_a_first_turn_is_kept_once_its_words_are(kept: Kept) -> None:
    name = new_name()
    assert (await kept.service.post("/ai/chat", MESSAGES, headers=on_behalf(name)))[0] == 200
    question, reply = NewMessage(role="user", content="Hello!"), NewMessage(role="assistant", content="Hi!")
    await kept.service.conversations.append_turn("channel:9", question, reply, is_cut=False, first_name=name)
    await kept.until_kept(name)


async def test_a_changed_word_takes_it_along_and_the_conversation_goes_on_under_another_name(kept: Kept) -> None:
    name = await kept.begin("channel:2")
    await kept.until_kept(name)
    await kept.service.conversations.edit_by_discord_id(hash("channel:2") % 10_000, "Sam: Goodbye!")
    await kept.clean_up()
    assert kept.names == []
    assert await kept.service.conversations.computed_name("channel:2") not in (None, name)


async def test_a_name_that_no_conversation_has_keeps_nothing(kept: Kept) -> None:
    name = await kept.begin("channel:3")
    await kept.service.post("/ai/chat", MESSAGES, headers=on_behalf("0" * 32))
    await kept.service.post("/ai/chat", MESSAGES, headers=on_behalf(name))
    await kept.until_kept(name)


async def test_callers_without_a_conversation_leave_nothing_on_the_disk(kept: Kept) -> None:
    await kept.service.post("/ai/chat", MESSAGES)
    await kept.service.post("/v1/chat/completions", {"messages": MESSAGES["messages"], "max_tokens": 8})
    name = await kept.begin("channel:4")
    await kept.until_kept(name)


async def test_a_modelslab_chat_is_kept_until_it_is_begun_anew(kept: Kept) -> None:
    chat_id = await kept.chat()
    await kept.until_kept(f"{chat_id}.0")
    await kept.chat(chat_id=chat_id, prompt="And you?")
    assert kept.names in ([f"{chat_id}.0"], [])
    await kept.until_kept(f"{chat_id}.0")
    await kept.chat(chat_id=chat_id, reset=True)
    assert f"{chat_id}.0" not in kept.names
    await kept.until_kept(f"{chat_id}.1")


async def test_a_chat_that_has_expired_takes_it_along(kept: Kept) -> None:
    chat_id = await kept.chat()
    await kept.until_kept(f"{chat_id}.0")
    await kept.service.chats.delete_untouched(SystemClock().now() + timedelta(days=1))
    await kept.clean_up()
    assert kept.names == []


async def test_only_the_service_token_may_name_a_conversation_or_have_things_removed(kept: Kept) -> None:
    named = kept.service.headers | {CONVERSATION_HEADER: "0" * 32}
    assert (await kept.service.post("/ai/chat", MESSAGES, headers=named))[0] == 403
    assert (await kept.service.post("/ai/conversations/forgotten", {}))[0] == 403
    assert (await kept.service.post("/ai/conversations/forgotten", {}, headers={}))[0] == 401


@pytest.mark.parametrize("name", ["", "0" * 31, "0" * 33, "../" + "0" * 29, "A" * 32])
async def test_a_name_of_another_form_is_refused(kept: Kept, name: str) -> None:
    status, error, _ = await kept.service.post("/ai/chat", MESSAGES, headers=on_behalf(name))
    assert (status, error["details"][0]["field"]) == (400, CONVERSATION_HEADER)
