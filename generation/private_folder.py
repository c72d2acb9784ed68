"""Makes the folder that holds the engine's socket.

Owns: its privacy, the length of its path, and clearing away what killed processes left. Does not own: what lies in it.
"""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import BinaryIO

from generation.errors import ModelError

_PREFIX = "parley-"
_LOCK = "lock"

_LONGEST_SOCKET_PATH = 100
"""Bytes; the kernel's limit is 108 with its end mark, 104 on macOS. See unix(7)."""

_LONGEST_NAME = "/999999.sock"


class PrivateFolder:
    """A folder only we can enter, at a path short enough for a Unix socket, removed by `close`.

    A lock held in it tells a folder in use from one whose process was killed; those are removed on the way.
    Raises `ModelError` when there is no place for it.
    """

    def __init__(self) -> None:
        while (held := _make_and_hold()) is None:
            # Another process took it for abandoned before it was held.
            pass
        self.path, self._lock = held

    def close(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def _make_and_hold() -> tuple[Path, BinaryIO] | None:
    path = _make()
    lock = (path / _LOCK).open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_there = os.fstat(lock.fileno()).st_nlink > 0
    except BlockingIOError:
        is_there = False
    if is_there:
        return path, lock
    lock.close()
    return None


def _make() -> Path:
    for parent in dict.fromkeys((Path(tempfile.gettempdir()), Path("/tmp"))):  # noqa: S108 - mkdtemp makes it private
        _remove_abandoned(parent)
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        if len(os.fsencode(path)) + len(_LONGEST_NAME) <= _LONGEST_SOCKET_PATH:
            return path
        path.rmdir()
    raise ModelError("no temporary folder with a short path was found; set TMPDIR to one, such as /tmp")


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        try:
            if folder.stat().st_uid != os.getuid():
                continue
            with (folder / _LOCK).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            # In use, being made this moment, or not one of these.
            continue
