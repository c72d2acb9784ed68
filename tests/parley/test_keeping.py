"""Conversations go on warm after the whole of Parley was killed, or stopped; what was deleted meanwhile is gone."""

import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from api.contract import CONVERSATION_HEADER, ON_BEHALF_OF_HEADER
from storage.clock import SystemClock
from storage.conversations import Conversations, NewMessage
from storage.database import Database
from tests.parley.process import Parley, started
from tests.waiting import eventually

SERVICE_TOKEN = "service-token"
SETTINGS = {"PARLEY_SERVICE_TOKEN": SERVICE_TOKEN, "PARLEY_CONTEXT": "1024", "PARLEY_PARALLEL": "2"}


@asynccontextmanager
async def conversations(folder: Path) -> AsyncIterator[Conversations]:
    database = await Database.open(f"sqlite:///{folder}/data/parley.db")
    try:
        yield Conversations(database, clock=SystemClock())
    finally:
        await database.close()


def kept(folder: Path) -> list[str]:
    return sorted(path.name.partition("~")[0] for path in (folder / "data/parley.db-states").glob("*.state"))


def dialogue(topic: str, *said: str) -> list[dict[str, str]]:
    texts = [text for turn in range(15) for text in (f"Tell me of {topic} number {turn}.", "I like it.")]
    roles = ("user", "assistant")
    return [{"role": roles[at % 2], "content": text} for at, text in enumerate([*texts, *said])]


async def ask(parley: Parley, name: str, messages: Sequence[dict[str, str]]) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {SERVICE_TOKEN}", ON_BEHALF_OF_HEADER: "discord:1", CONVERSATION_HEADER: name}
    body = {"messages": messages, "num_predict": 8, "temperature": 0, "repeat_penalty": 1}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{parley.url}/ai/chat", json=body, headers=headers) as response,
    ):
        assert response.status == 200
        return dict(await response.json())


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
async def test_conversations_go_on_warm_and_the_deleted_one_is_gone(tmp_path: Path, ending: signal.Signals) -> None:
    async with started(tmp_path, **SETTINGS) as parley:
        await parley.until_ready()
        async with conversations(tmp_path) as stored:
            for key in ("channel:1", "channel:2"):
                await stored.append(key, NewMessage(role="user", content="Sam: hello"))
            names = [await stored.computed_name(key) or "" for key in ("channel:1", "channel:2")]
        for name, topic in zip(names, ("rivers", "houses"), strict=True):
            await ask(parley, name, dialogue(topic, "Hello."))
        if ending is signal.SIGKILL:
            await eventually(lambda: kept(tmp_path) == sorted(names))
        parley.signal(ending)
        await parley.stopped()
    assert kept(tmp_path) == sorted(names)
    async with conversations(tmp_path) as stored:
        await stored.clear("channel:2")
    async with started(tmp_path, **SETTINGS) as parley:
        await parley.until_ready()
        assert kept(tmp_path) == names[:1]
        usage = (await ask(parley, names[0], dialogue("rivers", "Hello.", "Hi!", "And you?")))["usage"]
        assert usage["cached_tokens"] >= 0.95 * usage["prompt_tokens"]


async def test_with_nothing_to_keep_what_was_kept_goes(tmp_path: Path) -> None:
    folder = tmp_path / "data/parley.db-states"
    folder.mkdir(parents=True)
    (folder / f"{'1' * 32}~f~d.state").write_bytes(b"words")
    async with started(tmp_path, **SETTINGS, PARLEY_CACHE_DISK="0") as parley:
        await parley.until_ready()
        assert not folder.exists()
