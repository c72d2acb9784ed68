"""What all parts of the stand-in Discord server share: numbers with a meaning, ids, the time, and waiting for changes.

Sources: https://discord.com/developers/docs/topics/permissions, https://discord.com/developers/docs/resources/channel,
https://discord.com/developers/docs/resources/message and https://discord.com/developers/docs/reference.
"""

import asyncio
import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

DISCORD_EPOCH_MS = 1_420_070_400_000

ALL_PERMISSIONS = (1 << 53) - 1
ADMINISTRATOR = 1 << 3
MANAGE_CHANNELS = 1 << 4
MANAGE_GUILD = 1 << 5
VIEW_AUDIT_LOG = 1 << 7
VIEW_CHANNEL = 1 << 10
SEND_MESSAGES = 1 << 11
MANAGE_MESSAGES = 1 << 13
EMBED_LINKS = 1 << 14
ATTACH_FILES = 1 << 15
READ_MESSAGE_HISTORY = 1 << 16
SEND_MESSAGES_IN_THREADS = 1 << 38
MEMBER_PERMISSIONS = (
    VIEW_CHANNEL | SEND_MESSAGES | EMBED_LINKS | ATTACH_FILES | READ_MESSAGE_HISTORY | SEND_MESSAGES_IN_THREADS
)

TEXT, DM, PUBLIC_THREAD, FORUM = 0, 1, 11, 15

DEFAULT_MESSAGE, JOIN_MESSAGE, REPLY_MESSAGE, SLASH_MESSAGE, MENU_MESSAGE = 0, 7, 19, 20, 23
SUPPRESS_EMBEDS, HAS_THREAD, EPHEMERAL, LOADING = 1 << 2, 1 << 5, 1 << 6, 1 << 7
SUPPRESS_NOTIFICATIONS, COMPONENTS_V2 = 1 << 12, 1 << 15

COMMAND, COMPONENT, AUTOCOMPLETE, MODAL_SUBMIT = 2, 3, 4, 5
INTERACTION_ANSWER_SECONDS = 3.0
INTERACTION_TOKEN_SECONDS = 900.0

_counter = itertools.count(1)


def new_snowflake() -> int:
    """Return a new id that carries the present moment, as Discord's do."""
    return ((int(time.time() * 1000) - DISCORD_EPOCH_MS) << 22) | (next(_counter) & 0x3FFFFF)


def timestamp() -> str:
    """Return the present moment as Discord writes it."""
    return datetime.now(UTC).isoformat()


class LivedTime:
    """Seconds that this process was at work; while it stands still none pass, for the bot in it stands still too."""

    _STEP_SECONDS = 0.05
    _LONGEST_STEP_SECONDS = 0.1

    def __init__(self) -> None:
        self._seconds = 0.0
        self._looked_at: float | None = None
        self._counting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Count until `stop`."""
        self._counting = asyncio.create_task(self._count())

    def stop(self) -> None:
        """Count no more."""
        if self._counting is not None:
            self._counting.cancel()

    def now(self) -> float:
        """Return the seconds so far."""
        now = asyncio.get_running_loop().time()
        if self._looked_at is not None:
            self._seconds += min(now - self._looked_at, self._LONGEST_STEP_SECONDS)
        self._looked_at = now
        return self._seconds

    async def _count(self) -> None:
        while True:
            self.now()
            await asyncio.sleep(self._STEP_SECONDS)


class Changes:
    """Lets tests wait for something to become true instead of sleeping."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def announce(self) -> None:
        """Wake everybody who waits, to look again."""
        self._next.set()
        self._next = asyncio.Event()

    async def until(self, claim: Callable[[], bool], what: str, *, timeout_seconds: float = 60.0) -> None:
        """Wait until the claim holds; fails with `what` after the time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                while not claim():
                    await self._next.wait()
        except TimeoutError:
            raise AssertionError(f"did not happen within {timeout_seconds:.0f} s: {what}") from None
