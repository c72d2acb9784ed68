"""Engines shared by the tests of this folder. All tests that use one run in the session's event loop."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from generation.launch import LlamaCppConfig
from generation.llama_cpp import LlamaCppEngine
from tests.generation.tiny_model import TinyModel, write_tiny_model


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def tiny_model(models_folder: Path) -> Path:
    return write_tiny_model(models_folder / "tiny.gguf")


def config_for(model: Path, *, context_tokens: int = 2048, slots: int = 2) -> LlamaCppConfig:
    return LlamaCppConfig(
        model_path=model, model_name=model.stem, context_tokens=context_tokens, slots=slots, threads=2
    )


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engine(tiny_model: Path) -> AsyncIterator[LlamaCppEngine]:
    """An engine that answers at once; tests leave it as they find it."""
    engine = LlamaCppEngine(config_for(tiny_model))
    await engine.start()
    yield engine
    await engine.close()


@pytest.fixture(scope="session")
def slow_model(models_folder: Path) -> Path:
    """A model that takes seconds over a prompt of its whole context, 16,384 tokens."""
    return write_tiny_model(models_folder / "slow.gguf", TinyModel(layers=24, context=16_384))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def slow_engine(slow_model: Path) -> AsyncIterator[LlamaCppEngine]:
    """An engine with one slot and the slow model; tests leave it as they find it."""
    engine = LlamaCppEngine(config_for(slow_model, context_tokens=16_384, slots=1))
    await engine.start()
    yield engine
    await engine.close()
