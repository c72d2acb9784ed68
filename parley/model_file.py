"""Which model file the settings mean, and the engine that loads it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from generation.adapters import Adapter, check_adapters
from generation.ctransformers_engine import CTransformersEngine
from generation.devices import ComputesOn, find_devices
from generation.engine import Engine
from generation.errors import ModelError
from generation.gguf_file import read_gguf_header
from generation.hub import fetch_model
from generation.launch import LlamaCppConfig, usable_context
from generation.llama_cpp import LlamaCppEngine
from generation.served_engine import ServedEngine
from generation.warmth import Keeping
from parley.demo_model import DEMO_NAME, demo_path
from parley.lora import read_adapters
from parley.native import find_native_server
from parley.settings import MODEL_DEMO, Settings

HUB_PREFIX = "hf:"

ENGINES: Mapping[str, type[ServedEngine]] = {"llama.cpp": LlamaCppEngine, "ctransformers": CTransformersEngine}

DOWNLOADS = Path("data/models")
"""Where downloaded models are kept, beside the database's default place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenModel:
    """A model on this machine: its file, the name that requests call it by, and the context it is loaded with.

    Its LoRA adapters are the configuration's.
    """

    path: Path
    name: str
    is_demo: bool
    config: LlamaCppConfig
    context_tokens: int

    @property
    def adapters(self) -> tuple[Adapter, ...]:
        """The LoRA adapters loaded with it; each is a model name of its own."""
        return self.config.adapters

    @property
    def description(self) -> str:
        """Say which model it is, for people."""
        described = f"{self.name} (bundled demonstration)" if self.is_demo else f"{self.name} ({self.path})"
        names = ", ".join(adapter.name for adapter in self.adapters)
        return f"{described}, LoRA: {names}" if names else described


def choose_model(settings: Settings) -> ChosenModel:
    """Find the file, downloading it when need be, and read its header and its adapters'.

    Raises `ModelError`. Blocks: call it in a thread.
    """
    path = locate(settings.model)
    is_demo = settings.model == MODEL_DEMO
    name = DEMO_NAME if is_demo else path.stem
    if settings.llama_server is not None and not os.access(settings.llama_server, os.X_OK):
        raise ModelError(f"PARLEY_LLAMA_SERVER: {settings.llama_server} is no program; set a llama-server's path")
    native_server = None
    if settings.llama_server is None and settings.engine == "llama.cpp":
        native_server = find_native_server()
    config = LlamaCppConfig(
        model_path=path,
        model_name=name,
        context_tokens=settings.context,
        slots=settings.parallel,
        threads=settings.threads or os.cpu_count() or 1,
        adapters=read_adapters(settings.lora),
        server_binary=settings.llama_server or native_server,
        computes_on=ComputesOn.PROCESSOR if settings.llama_server is None else find_devices(settings.llama_server),
    )
    header = read_gguf_header(path)
    check_adapters(config.adapters, header, model_name=name)
    return ChosenModel(
        path=path,
        name=name,
        is_demo=is_demo,
        config=config,
        context_tokens=usable_context(config, header),
    )


def locate(model: str) -> Path:
    """Turn the setting into a file on this machine, downloading it when need be; raises `ModelError`."""
    if model == MODEL_DEMO:
        return demo_path()
    if not model.startswith(HUB_PREFIX) and not Path(model).expanduser().exists():
        raise ModelError(f"PARLEY_MODEL: there is no file {model}; set demo, a path, or hf:owner/repo/file.gguf")
    return fetch_model(model, cache_folder=DOWNLOADS)


def find_downloads() -> dict[str, Path]:
    """List the downloaded models: how `PARLEY_MODEL` names each, and its file."""
    paths = sorted(DOWNLOADS.glob("*/*/**/*.gguf"))
    return {f"{HUB_PREFIX}{path.relative_to(DOWNLOADS).as_posix()}": path for path in paths}


def create_engine(settings: Settings, model: ChosenModel, *, keeping: Keeping | None = None) -> Engine:
    """Make the engine that `PARLEY_ENGINE` names; nothing is started yet. `keeping` says what it may keep."""
    return ENGINES[settings.engine](replace(model.config, keeping=keeping))
