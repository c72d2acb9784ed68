"""What a llama-server of the operator's own computes on: it is asked, for its path does not say.

Owns: asking, and reading the answer. Does not own: what follows from it (`launch.py`).
"""

import enum
import re
import subprocess
from pathlib import Path

_ANSWER_SECONDS = 30.0
"""The first look at a GPU after the machine's start takes seconds."""

_TITLE = "Available devices:"
_DEVICE = re.compile(r"^\s+(\w+): ", re.MULTILINE)

_ON_PROCESSOR = re.compile(r"(CPU|BLAS|Accelerate)\w*")
"""Devices that llama.cpp lists although they are libraries for the processor."""


class ComputesOn(enum.Enum):
    """Where the weights lie, and so what is quick and what is slow there."""

    PROCESSOR = enum.auto()
    GPU = enum.auto()
    UNKNOWN = enum.auto()
    """The server does not tell."""


def find_devices(server: Path) -> ComputesOn:
    """Ask a llama-server by its option `--list-devices`; blocks, for a server may be slow to answer, or never do."""
    try:
        listed = subprocess.run(  # noqa: S603 - the operator's own setting
            [server, "--list-devices"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ANSWER_SECONDS,
            check=True,
        ).stdout.decode("utf-8", "replace")
    except (OSError, subprocess.SubprocessError):
        return ComputesOn.UNKNOWN
    _, title, devices = listed.partition(_TITLE)
    if not title:
        return ComputesOn.UNKNOWN
    gpus = [name for name in _DEVICE.findall(devices) if not _ON_PROCESSOR.fullmatch(name)]
    return ComputesOn.GPU if gpus else ComputesOn.PROCESSOR
