"""What `generation.child` does by itself; that it serves, stops and restarts is tried through the engine."""

import subprocess
import sys
from pathlib import Path

from generation.child import CANNOT_LOAD, ChildSettings

_LINES = 20_000

_TALKATIVE = f"""
import ctypes
import os
import sys
import xllamacpp
from generation import child

def refuse(params):
    # As llama.cpp logs: into a queue that a thread of its own writes out.
    library = ctypes.CDLL(xllamacpp.xllamacpp.__file__)
    log, add = library["_Z15common_log_mainv"], library["_Z14common_log_addP10common_log14ggml_log_levelPKcz"]
    log.restype = ctypes.c_void_p
    log = ctypes.c_void_p(log())
    for line in range({_LINES}):
        add(log, 4, b"line %d\\n", line)
    raise RuntimeError

xllamacpp.Server = refuse
# Python takes a few milliseconds to end, mostly time enough for that thread; nothing promises them.
sys.exit = os._exit
child.main()
"""


def test_a_start_that_failed_ends_when_all_it_logged_is_written(tmp_path: Path) -> None:
    settings = ChildSettings(
        model_path="none.gguf",
        socket_path=str(tmp_path / "engine.sock"),
        api_key="key",
        context_tokens=512,
        slots=1,
        threads=1,
        batch_tokens=0,
        cache_mib=0,
        server_binary=None,
    )
    with subprocess.Popen([sys.executable, "-c", _TALKATIVE], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stderr is not None
        # Its standard input stays open: the end of it would mean that the parent is gone.
        child.stdin.write(settings.to_line())
        child.stdin.flush()
        said = child.stderr.read().decode().splitlines()
    assert said[-1:] == [f"line {_LINES - 1}"]
    assert child.returncode == CANNOT_LOAD
