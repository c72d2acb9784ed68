"""Where the engine keeps what it computed for conversations, and how it learns which of them are still there.

Owns: the folder's place beside the database. Does not own: what lies in it (`generation/kept_states.py`), or which
names hold (`storage/computed.py`).
"""

import asyncio
from collections.abc import Collection
from pathlib import Path

from pydantic import ByteSize

from generation.kept_states import KeptStates, remove_all
from generation.warmth import Keeping
from parley.failure import FailureError
from parley.settings import Settings
from parley.stores import Stores
from storage.errors import StorageError
from storage.postgresql_url import is_postgresql
from storage.sqlite import parse_path

_SUFFIX = "-states"
"""Behind the database's name, as SQLite's own `-wal`."""


async def prepare_keeping(settings: Settings, stores: Stores) -> Keeping | None:
    """Say what the engine may keep. Where that is nothing, what was kept before is removed; raises `FailureError`."""
    folder = folder_of(settings)
    if not settings.cache_disk or settings.engine != "llama.cpp":
        try:
            await asyncio.to_thread(remove_all, folder)
        except OSError as error:
            raise FailureError(f"PARLEY_CACHE_DISK: cannot empty {folder} ({error.strerror}); remove it") from None
        return None

    async def find_held(names: Collection[str]) -> Collection[str] | None:
        try:
            return await stores.computed_names.find_held(names)
        except StorageError:
            return None

    return Keeping(folder=folder, budget_bytes=int(settings.cache_disk), find_held=find_held)


def describe_keeping(settings: Settings) -> str:
    """Say in a line what is kept, and how much of the room it takes."""
    if settings.engine != "llama.cpp":
        return f"conversations are computed anew after a restart; the engine {settings.engine} cannot keep them"
    if not settings.cache_disk:
        return "conversations are computed anew after a restart; set PARLEY_CACHE_DISK to keep them"
    states = KeptStates(folder_of(settings), budget_bytes=int(settings.cache_disk)).scan()
    used = ByteSize(sum(state.size_bytes for state in states)).human_readable(separator=" ")
    room = settings.cache_disk.human_readable(separator=" ")
    return f"{len(states)} conversations would go on at once after a restart; they take {used} of {room}"


def folder_of(settings: Settings) -> Path:
    """Return the folder beside the database's file; with PostgreSQL, of this service: several may run on a machine."""
    if is_postgresql(settings.database_url):
        return Path("data") / f"service-{settings.port}{_SUFFIX}"
    database = parse_path(settings.database_url)
    return database.with_name(database.name + _SUFFIX)
