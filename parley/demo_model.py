"""Where the bundled demonstration model lies and what requests call it."""

from importlib.resources import files
from pathlib import Path

DEMO_NAME = "parley-demo"


def demo_path() -> Path:
    """Find the bundled model."""
    return Path(str(files("models").joinpath("demo.gguf")))
