"""Which model file the settings mean, and the engine that loads it."""

import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from rich.console import Console

from generation.engine import Engine
from generation.llama_cpp import LlamaCppConfig, LlamaCppEngine
from parley.settings import MODEL_DEMO, Settings

DEMO_NAME = "parley-demo"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenModel:
    """A model file on this machine, and the name that requests call it by."""

    path: Path
    name: str
    is_demo: bool

    @property
    def description(self) -> str:
        """Say which model it is, for people."""
        return f"{self.name} (bundled demonstration)" if self.is_demo else f"{self.name} ({self.path})"


def demo_path() -> Path:
    """Find the bundled model."""
    return Path(str(files("models").joinpath("demo.gguf")))
