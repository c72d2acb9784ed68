"""One service per SQLite file: a lock that the operating system takes back when its holder dies.

Short-lived commands do not take it; SQLite's own locks order their writes.
"""

import fcntl
import os
from pathlib import Path

from storage.errors import StorageError


class InstanceLock:
    """A held lock on `<database>.lock`. The file stays; only the lock on it counts."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def take(cls, database_path: Path) -> "InstanceLock":
        """Take the lock or raise `StorageError` when another process serves this database."""
        lock_path = database_path.with_name(database_path.name + ".lock")
        descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise StorageError(
                f"another Parley (process {holder}) already serves {database_path}; stop it, or set DATABASE_URL"
            ) from None
        except OSError:
            os.close(descriptor)
            raise
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        return cls(descriptor)

    def release(self) -> None:
        """Let go. Safe to call twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
