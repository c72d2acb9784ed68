"""The services for the tests of this folder; all of them run on the session's event loop, where the engines live."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from generation.abilities import CTRANSFORMERS, LLAMA_CPP
from generation.ctransformers_engine import CTransformersEngine
from generation.engine import Engine
from generation.launch import LlamaCppConfig, LocalConfig
from generation.llama_cpp import LlamaCppEngine
from generation.served_engine import ServedEngine
from tests.api.failing import Stage, open_stage
from tests.generation.tiny_model import TinyModel, write_tiny_model
from tests.new_database import BACKENDS, Backend, run_on_backends, use
from tests.service import Service, running_service

TOOLS_TEMPLATE = (
    "{{ bos_token }}"
    "{% if tools %}{{ '<|system|>You may call:' }}{% for tool in tools %}{{ tool | tojson }}{% endfor %}{{ '<|end|>' }}"
    "{% endif %}"
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] }}"
    "{% for call in message.tool_calls or [] %}{{ '<tool_call>' + (call.function | tojson) + '</tool_call>' }}"
    "{% endfor %}{{ '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


# What keeps books, tokens, chats and webhooks, or loses its database: on both kinds, always. The rest sees no database.
ON_BOTH = {
    "test_allowance",
    "test_auth",
    "test_draining",
    "test_kept_conversations",
    "test_modelslab_webhooks",
    "test_trouble",
    "test_deliverer",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test on the database that `--database` names, and those of `ON_BOTH` on either."""
    chosen = metafunc.config.getoption("database")
    is_on_both = metafunc.module.__name__.rpartition(".")[2] in ON_BOTH and chosen == "sqlite"
    has_one_service = getattr(metafunc.module, "HAS_ONE_SERVICE", False)
    run_on_backends(
        metafunc, wanted=BACKENDS if is_on_both else (chosen,), scope="module" if has_one_service else "function"
    )


@pytest.fixture(autouse=True)
def _database(backend: Backend) -> Iterator[None]:
    with use(backend):
        yield


@pytest.fixture(scope="package", autouse=True)
def _database_of_what_is_shared(request: pytest.FixtureRequest) -> Iterator[None]:
    with use(request.config.getoption("database")):
        yield


@pytest_asyncio.fixture(loop_scope="session")
async def service(demo_engine: Engine, tmp_path: Path) -> AsyncIterator[Service]:
    """A service of its own for the test: empty database, one API token."""
    async with running_service(demo_engine, tmp_path) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=["llama.cpp", "ctransformers"])
async def tools_engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ServedEngine]:
    """A model of random weights whose template knows tools, on both engines."""
    path = write_tiny_model(tmp_path_factory.mktemp("tools") / "tiny.gguf", TinyModel(template=TOOLS_TEMPLATE))
    shape: dict[str, Any] = {
        "model_path": path,
        "model_name": "tiny",
        "context_tokens": 2048,
        "slots": 2,
        "threads": 1,
    }
    engine: ServedEngine
    if request.param == "llama.cpp":
        engine = LlamaCppEngine(LlamaCppConfig(**shape))
    else:
        engine = CTransformersEngine(LocalConfig(**shape))
    await engine.start()
    yield engine
    await engine.close()


@pytest_asyncio.fixture(loop_scope="session")
async def tools_service(tools_engine: ServedEngine, tmp_path: Path) -> AsyncIterator[Service]:
    """A service on such a model, which it calls `tiny`."""
    abilities = LLAMA_CPP if isinstance(tools_engine, LlamaCppEngine) else CTRANSFORMERS
    async with running_service(
        tools_engine, tmp_path, model_name="tiny", abilities=abilities, context_tokens=2048
    ) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session", scope="package")
async def stage(demo_engine: Engine) -> AsyncIterator[Stage]:
    """One service for all cases of all tables of errors: each has an API token of its own."""
    async with open_stage(demo_engine) as stage:
        yield stage
