"""The llama-server that `make native` builds for this very processor: where it lies, and whether it can be used here.

Does not own: building it (`native_build.py`), or running it (`generation/`).
"""

import json
import logging
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

logger = logging.getLogger(__name__)

FOLDER = Path("data/native")
"""Beside the database's default place."""

SOURCE_VERSION = "0.3.36"
"""The release of llama-cpp-python whose source of llama.cpp is built, and the oldest build that is used."""

_ANSWER_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Build:
    """What a server was built from and for."""

    source: str
    processor: str

    @classmethod
    def of_today(cls) -> Self:
        """Describe what would be built here now."""
        return cls(SOURCE_VERSION, describe_processor())

    def write(self, folder: Path) -> None:
        """Keep it beside the server."""
        (folder / "build.json").write_text(json.dumps(asdict(self)), "utf-8")

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Read it again; None where there is nothing that can be read."""
        try:
            found: Mapping[str, Any] = json.loads((folder / "build.json").read_text("utf-8"))
            return cls(str(found["source"]), str(found["processor"]))
        except (OSError, ValueError, LookupError, TypeError):
            return None


def server_path(folder: Path = FOLDER) -> Path:
    """Say where the server lies, or would."""
    return folder / "llama-server"


def find_native_server(folder: Path = FOLDER) -> Path | None:
    """Return the server that was built here, when it is there and of use; says in the log why one is not.

    Blocks while the server says its version: call it in a thread.
    """
    path = server_path(folder)
    if not path.exists():
        return None
    problem = _find_problem(folder)
    if problem is None:
        return path
    logger.warning("%s %s: the packaged engine runs instead; run make native again, or delete it", path, problem)
    return None


def _find_problem(folder: Path) -> str | None:
    build = Build.read(folder)
    if build is None:
        return "does not say what it was built from"
    if _numbers(build.source) < _numbers(SOURCE_VERSION):
        return f"is older than needed ({build.source}, and {SOURCE_VERSION} is)"
    if build.processor != describe_processor():
        return "was built for another processor"
    return None if answers(server_path(folder)) else "does not run"


def answers(server: Path) -> bool:
    """Say whether a server can be run at all: it is asked for its version."""
    command = [str(server.absolute()), "--version"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_ANSWER_SECONDS, check=False)  # noqa: S603 - ours
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == os.EX_OK


def describe_processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Name the kind of processor and everything it can do, as far as the system says so.

    A server that was built for more than that ends with an illegal instruction, perhaps in the middle of a reply.
    """
    try:
        lines = cpuinfo.read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    abilities = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return " ".join([platform.machine(), *sorted(abilities.partition(":")[2].split())])


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())
