"""What `PARLEY_LORA` says: names and files of LoRA adapters.

Does not own: whether a file fits the model (`generation/adapters.py`).
"""

import re
from importlib.resources import files
from pathlib import Path
from typing import Final

from generation.adapters import Adapter

BUNDLED: Final = "pirate"
"""The adapter that comes with the bundled model: its name alone means its file."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")


def read_adapters(value: str | None) -> tuple[Adapter, ...]:
    """Read `name=path[,name=path]`; raises `ValueError` with the end of a sentence about the setting."""
    entries = [entry.strip() for entry in (value or "").split(",")]
    adapters = tuple(_read(entry) for entry in entries if entry)
    names = [adapter.name for adapter in adapters]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"has the name {name} twice; give each adapter a name of its own")
    return adapters


def bundled_path() -> Path:
    """Find the bundled adapter."""
    return Path(str(files("models").joinpath("pirate.gguf")))


def _read(entry: str) -> Adapter:
    name, equals, path = (part.strip() for part in entry.partition("="))
    if name == BUNDLED and not equals:
        return Adapter(BUNDLED, bundled_path())
    if not equals or not path:
        raise ValueError(f"write name=path[,name=path], or {BUNDLED} alone for the bundled adapter")
    if not _NAME.fullmatch(name):
        raise ValueError("a name has 1 to 64 letters, digits, dots, colons, dashes or underscores")
    return Adapter(name, Path(path).expanduser())
