"""Where the files of a run of the tests lie: in memory, where the system has room for them.

Owns: the choice. Thousands of tests begin with a database of their own, and on a disk half of their time goes to making
and removing files. Does not own: what is tried. That a disk keeps what it was told to is SQLite's and
PostgreSQL's part; the tests of what survives kill processes, which files in memory outlive as well.
"""

import os
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM_BYTES = 4 * 2**30
"""Several times what a run leaves and PostgreSQL writes; containers often have 64 MiB."""


def choose() -> None:
    """Put this process's temporary files, and those of what it starts, into memory; `TMPDIR` says otherwise."""
    if "TMPDIR" in os.environ or not _is_fit(MEMORY):
        return
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


def _is_fit(folder: Path) -> bool:
    if not os.access(folder, os.W_OK):
        return False
    found = os.statvfs(folder)
    # Tests write programs and run them.
    runs_programs = not found.f_flag & os.ST_NOEXEC
    return runs_programs and found.f_bavail * found.f_frsize >= ROOM_BYTES
