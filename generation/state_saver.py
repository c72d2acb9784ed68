"""Saves what slots hold of conversations, after their replies and never in the way of one.

Owns: when a slot is saved, and that what was written is that conversation's, whole, and still wanted. Does not own: the
files (`kept_states.py`), or what they are good for (`warmth.py`).
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from generation.client import EngineClient, EngineRefusedError
from generation.errors import EngineUnavailableError
from generation.kept_states import KeptStates, common_prefix, read_tokens

_LOG = logging.getLogger(__name__)

SETTLE_SECONDS = 0.3
"""A state is saved so long after its reply, when nothing runs: the engine stands still meanwhile."""
PATIENCE_SECONDS = 1.0
"""... and after so long even when something runs, before another conversation takes the slot."""
KNOWN_SECONDS = 5.0
"""So long after its reply a conversation may become known that begins with it."""
REST, LONGEST_REST_SECONDS = 20, 2.0
"""So many times what the last one took passes before the next, at most so long: a slot waits for nobody."""

UNSUPPORTED = (404, 501)
"""What a server answers that cannot save slots."""

_UNCOMPUTED_TOKENS = 2
"""Of a reply, at most: its last token is drawn and not computed, and so is the end behind it."""

FindHeld = Callable[[Collection[str]], Awaitable[Collection[str] | None]]
"""Says which of these conversations are still there, unchanged; None when that cannot be known now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsaved:
    """What a slot holds since a reply's end: `tokens` of prompt and reply."""

    conversation: str
    fingerprint: str
    prompt: Sequence[int]
    tokens: int


class StateSaver:
    """Saves the slots of one engine. Whoever changes what slots hold otherwise holds `lock` meanwhile."""

    def __init__(
        self,
        states: KeptStates,
        *,
        find_held: FindHeld,
        bytes_per_token: int,
        lock: asyncio.Lock,
        waive: Callable[[], None],
    ) -> None:
        self._states = states
        self._find_held = find_held
        self._bytes_per_token = bytes_per_token
        self._lock = lock
        # Called when the engine turns out to be unable.
        self._waive = waive
        self._client: EngineClient | None = None
        self._unsaved: dict[int, tuple[Unsaved, float]] = {}
        self._has_unsaved = asyncio.Event()
        self._saving: str | None = None
        self.is_busy = False
        """Whether a reply is being made."""

    def follow(self, client: EngineClient) -> None:
        """Go on with a new engine process, whose slots are empty."""
        self._client = client
        self.forget()

    def note(self, slot: int, unsaved: Unsaved | None) -> None:
        """Note what a slot holds now that is to be saved; None for nothing."""
        self._unsaved.pop(slot, None)
        if unsaved is not None:
            self._unsaved[slot] = unsaved, monotonic()
            self._has_unsaved.set()

    def forget(self, conversation: str | None = None) -> None:
        """Do not save a conversation, because it goes on or its slot may be another's; None for all."""
        if conversation in (None, self._saving):
            self._saving = None
        for slot, (unsaved, _) in tuple(self._unsaved.items()):
            if conversation in (None, unsaved.conversation):
                del self._unsaved[slot]

    async def run(self) -> None:
        """Save what there is to save, until cancelled."""
        while True:
            await self._has_unsaved.wait()
            self._has_unsaved.clear()
            while self._unsaved:
                await asyncio.sleep(SETTLE_SECONDS)
                async with self._lock:
                    if (slot := self._find_due()) is None:
                        continue
                    began = monotonic()
                    await self._save_or_wait(slot)
                await asyncio.sleep(min((monotonic() - began) * REST, LONGEST_REST_SECONDS))

    async def _save_or_wait(self, slot: int) -> None:
        noted = self._unsaved[slot]
        is_known = await self.save(slot)
        if not is_known and self._is_saving(noted[0]) and monotonic() - noted[1] < KNOWN_SECONDS:
            self._unsaved.setdefault(slot, noted)

    async def save_all(self, *, within_seconds: float) -> None:
        """Save everything now, as far as the time suffices."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_seconds), self._lock:
                while self._unsaved:
                    await self.save(next(iter(self._unsaved)))

    def _find_due(self) -> int | None:
        latest = monotonic() - (PATIENCE_SECONDS if self.is_busy else SETTLE_SECONDS)
        return next((slot for slot, (_, ended_at) in self._unsaved.items() if ended_at <= latest), None)

    async def save(self, slot: int) -> bool:
        """Save what a slot holds, if there is anything of it to save; False when its conversation is not there.

        The lock is held.
        """
        unsaved, noted_at = self._unsaved.pop(slot, (None, 0.0))
        if unsaved is None:
            return True
        # Until it goes on; that another one does meanwhile is no reason to drop this.
        self._saving = unsaved.conversation
        try:
            return await self._save(slot, unsaved)
        except asyncio.CancelledError:
            # A stop comes in between, and saves what is unsaved then.
            if self._is_saving(unsaved):
                self._unsaved.setdefault(slot, (unsaved, noted_at))
            raise

    async def _save(self, slot: int, unsaved: Unsaved) -> bool:
        if not await self._is_held(unsaved.conversation):
            return False
        expected_bytes = unsaved.tokens * self._bytes_per_token
        try:
            name = await asyncio.to_thread(self._states.begin, unsaved.conversation, expected_bytes=expected_bytes)
            if name is None:
                return True
            try:
                if await self._write(name, slot, unsaved) and self._is_saving(unsaved):
                    await asyncio.to_thread(self._states.finish, name, unsaved.conversation, unsaved.fingerprint)
            finally:
                self._states.abandon(name)
        except EngineRefusedError as error:
            if error.status in UNSUPPORTED:
                self._waive()
            else:
                _LOG.warning("a conversation could not be kept: the engine answered %d", error.status)
        except OSError as error:
            _LOG.warning("a conversation could not be kept: %s", error.strerror)
        except EngineUnavailableError:
            _LOG.info("a conversation could not be kept: the engine is gone")
        return True

    def _is_saving(self, unsaved: Unsaved) -> bool:
        return self._saving == unsaved.conversation

    async def _write(self, name: str, slot: int, unsaved: Unsaved) -> bool:
        """Have the engine write a file; says whether it is to be kept."""
        client = self._client
        assert client is not None
        if any(each["id"] == slot and each["is_processing"] for each in await client.get("/slots")):
            return False
        written = await client.post(f"/slots/{slot}?action=save", {"filename": name})
        path = self._states.folder / name
        # Another reply may have begun in this slot in the same moment.
        is_fit = await asyncio.to_thread(_holds, path, unsaved, size_bytes=written["n_written"])
        return is_fit and await self._is_held(unsaved.conversation)

    async def _is_held(self, conversation: str) -> bool:
        return conversation in (await self._find_held({conversation}) or ())


def _holds(path: Path, unsaved: Unsaved, *, size_bytes: int) -> bool:
    """Say whether a file is whole and holds the prompt with its reply, and nothing behind them."""
    tokens = read_tokens(path)
    is_prompt = common_prefix(tokens, unsaved.prompt) == len(unsaved.prompt)
    uncomputed = unsaved.tokens - len(tokens)
    return is_prompt and 0 <= uncomputed <= _UNCOMPUTED_TOKENS and path.stat().st_size == size_bytes
