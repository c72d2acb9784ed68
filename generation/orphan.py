"""Makes a child process end when its parent does, however the parent ends.

Owns: both ways to notice. Does not own: how the child is started and stopped (`process.py`).
"""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
"""prctl(2): send this process a signal when its parent dies; also after kill -9 of the parent. Linux only."""


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, where the kernel can."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def when_orphaned(end: Callable[[], None]) -> None:
    """Call `end` from a thread of its own when standard input ends: the parent is gone, on every platform."""
    threading.Thread(target=_wait_for_end, args=(end,), daemon=True).start()


def _wait_for_end(end: Callable[[], None]) -> None:
    # os.read, not sys.stdin: a thread inside of a Python stream would block the interpreter's exit.
    while os.read(sys.stdin.fileno(), 1024):
        pass
    end()
