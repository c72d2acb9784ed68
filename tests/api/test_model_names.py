"""LoRA adapters over HTTP: listed, chosen by `model`, named in the reply, and an unknown name is refused."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from generation.adapters import Adapter
from generation.launch import LlamaCppConfig
from generation.llama_cpp import LlamaCppEngine
from models.pirate import is_in_voice
from parley.demo_model import DEMO_NAME, demo_path
from parley.lora import BUNDLED, bundled_path
from tests.service import Service, running_service

HELLO = {"messages": [{"role": "user", "content": "Hello!"}], "temperature": 0}


@pytest_asyncio.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    """A service whose engine has the bundled model and its adapter."""
    engine = LlamaCppEngine(
        LlamaCppConfig(
            model_path=demo_path(),
            model_name=DEMO_NAME,
            context_tokens=1024,
            slots=2,
            threads=2,
            adapters=(Adapter(BUNDLED, bundled_path()),),
        )
    )
    await engine.start()
    try:
        async with running_service(engine, tmp_path, adapter_names=(BUNDLED,)) as running:
            yield running
    finally:
        await engine.close()


async def test_every_name_is_listed_the_loaded_model_first(service: Service) -> None:
    status, reply, _ = await service.get("/v1/models")
    assert status == 200
    assert [card["id"] for card in reply["data"]] == [DEMO_NAME, BUNDLED]


async def test_a_requests_model_chooses_and_the_reply_names_it(service: Service) -> None:
    for name, speaks in ((BUNDLED, True), (DEMO_NAME, False), (BUNDLED, True), (None, False)):
        status, reply, _ = await service.post("/ai/chat", HELLO if name is None else {**HELLO, "model": name})
        assert status == 200
        assert reply["model"] == (name or DEMO_NAME)
        assert is_in_voice(reply["message"]["content"]) == speaks


async def test_a_name_that_is_not_loaded_is_a_404_that_names_those_there_are(service: Service) -> None:
    status, reply, _ = await service.post("/ai/chat", {**HELLO, "model": "parrot"})
    assert (status, reply["error"]) == (404, "Not found")
    assert DEMO_NAME in reply["message"]
    assert BUNDLED in reply["message"]
