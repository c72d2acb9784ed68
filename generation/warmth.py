"""Keeps conversations warm beyond the engine's memory: restores what was computed for them when it is needed again.

Owns: when a state is restored, and that it helped; that nothing is kept of a conversation that is gone. Does not own:
saving (`state_saver.py`), the files (`kept_states.py`), which conversations there are (`Keeping.find_held`), and the
choice of a slot, which is llama.cpp's: it takes the one whose tokens begin like the prompt, and after a restore that is
the restored one.

Only replies that belong to a conversation are kept (`SamplingOptions.conversation`): somebody can have those deleted.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from generation.adapters import Adapter
from generation.child import SLOT_SIMILARITY, ChildSettings
from generation.client import EngineClient, EngineRefusedError
from generation.engine import Finished, SamplingOptions
from generation.errors import EngineUnavailableError
from generation.fingerprint import fingerprint
from generation.gguf_file import GgufHeader
from generation.kept_states import KeptState, KeptStates, common_prefix, read_tokens
from generation.recency import Recency
from generation.state_saver import UNSUPPORTED, FindHeld, StateSaver, Unsaved

_LOG = logging.getLogger(__name__)

_MIB = 1 << 20

RESTORE_SECONDS = 2.0
"""A restore takes milliseconds; if the slot was taken in the same moment, it is not waited for."""
CLOSE_SECONDS = 1.5
"""The whole stop has its bounds (`parley/http_service.py`)."""
SWEEP_SECONDS = 60.0
_LOCK_SECONDS = 2.0

_REUSED = 0.9
"""Of what a restored state has in common with the prompt, so much must have come from the cache."""
_MOST_DISAPPOINTMENTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """What may be kept where: so many bytes in a folder, of the conversations that `find_held` knows."""

    folder: Path
    budget_bytes: int
    find_held: FindHeld


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """The engine's: its slots, the tokens its cache holds beside them, and the bytes of a token's state."""

    slots: int
    cache_tokens: int
    bytes_per_token: int


@dataclass(slots=True, kw_only=True)
class Serving:
    """One reply. `finished` is to be set at its end; `restored` is the state it began with, if any."""

    prompt: Sequence[int]
    conversation: str | None
    adapter: str | None
    restored: KeptState | None = None
    restored_tokens: int = 0
    claimed_slot: int | None = None
    finished: Finished | None = None


class Warmth:
    """What is kept of one engine's conversations. `fingerprints` are those of its adapters, and of the model (None)."""

    def __init__(self, keeping: Keeping, *, fingerprints: Mapping[str | None, str], memory: Memory) -> None:
        self._find_held = keeping.find_held
        self._fingerprints = fingerprints
        self._memory = memory
        self._states = KeptStates(keeping.folder, budget_bytes=keeping.budget_bytes)
        # Whoever saves, restores or sweeps holds it: what is swept cannot come back.
        self._lock = asyncio.Lock()
        self._saver = StateSaver(
            self._states,
            find_held=keeping.find_held,
            bytes_per_token=memory.bytes_per_token,
            lock=self._lock,
            waive=lambda: self._switch_off("the engine cannot save slots"),
        )
        self._client: EngineClient | None = None
        self._recency = Recency(slots=memory.slots, cache_tokens=memory.cache_tokens)
        self._used_at: dict[int, float] = {}
        self._claimed: set[int] = set()
        self._running = 0
        self._adapter: str | None = None
        self._disappointments = 0
        self._is_off = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Remove what nobody can use any more, and begin to keep. Raises `OSError` when the folder cannot be used."""
        await asyncio.to_thread(self._states.prepare, set(self._fingerprints.values()))
        await self.sweep()
        self._tasks = [asyncio.create_task(self._saver.run()), asyncio.create_task(self._keep_sweeping())]

    async def close(self) -> None:
        """Save what is still unsaved, as far as that is quick. The engine must still run. Safe to call twice."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._saver.save_all(within_seconds=CLOSE_SECONDS)

    @asynccontextmanager
    async def serving(
        self, client: EngineClient, prompt: Sequence[int], options: SamplingOptions, *, chosen: Mapping[str, Any]
    ) -> AsyncIterator[Serving]:
        """Hold this for a reply, and set `finished` at its end. A state that helps is restored first.

        `chosen` is what a request adds for its adapter. Raises `EngineUnavailableError`.
        """
        self._follow(client, options.adapter)
        serving = Serving(prompt=prompt, conversation=options.conversation, adapter=options.adapter)
        self._running += 1
        self._saver.is_busy = True
        try:
            if options.conversation is not None:
                self._saver.forget(options.conversation)
                await self._restore(client, serving, chosen)
            yield serving
        finally:
            self._running -= 1
            self._saver.is_busy = self._running > 0
            if client is self._client:
                self._leave(serving)

    async def sweep(self) -> None:
        """Remove what is kept of conversations that are gone or were changed; it is gone when this returns."""
        async with self._holding_lock():
            states = await asyncio.to_thread(self._states.scan)
            names = {state.conversation for state in states}
            held = await self._find_held(names) if names else ()
            for state in states:
                if held is not None and state.conversation not in held:
                    self._states.remove(state)

    @asynccontextmanager
    async def _holding_lock(self) -> AsyncIterator[None]:
        """Hold the lock, unless a save waits for a slot that another conversation has just taken."""
        is_ours = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOCK_SECONDS):
                is_ours = await self._lock.acquire()
        try:
            yield
        finally:
            if is_ours:
                self._lock.release()

    async def _keep_sweeping(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            await self.sweep()

    def _follow(self, client: EngineClient, adapter: str | None) -> None:
        """Notice a new engine process, whose slots are empty, and another adapter, under which slots begin anew."""
        if client is not self._client:
            self._client = client
            self._recency = Recency(slots=self._memory.slots, cache_tokens=self._memory.cache_tokens)
            self._used_at.clear()
            self._claimed.clear()
            self._saver.follow(client)
        if adapter != self._adapter:
            self._adapter = adapter
            self._saver.forget()

    async def _restore(self, client: EngineClient, serving: Serving, chosen: Mapping[str, Any]) -> None:
        """Put the conversation's state into a slot when it is not in memory any more, and worth it."""
        assert serving.conversation is not None
        if self._is_off or (serving.conversation, serving.adapter) in self._recency:
            return
        found = await asyncio.to_thread(self._find_helpful, serving.conversation, serving.adapter, serving.prompt)
        if found is None:
            return
        state, tokens = found
        try:
            async with asyncio.timeout(RESTORE_SECONDS), self._lock:
                slot = await self._choose_slot(client)
                if slot is None:
                    return
                self._claimed.add(slot)
                serving.claimed_slot = slot
                await _restore_slot(client, slot, state, prompt=serving.prompt, chosen=chosen)
                self._recency.overwrite(slot)
            serving.restored, serving.restored_tokens = state, tokens
        except TimeoutError:
            _LOG.info("a kept conversation was not restored in time")
        except EngineRefusedError as error:
            self._give_up_on(state, error)
        except EngineUnavailableError:
            # Should it be the state that ended the engine, it will not do so again.
            self._states.remove(state)
            raise

    def _find_helpful(
        self, conversation: str, adapter: str | None, prompt: Sequence[int]
    ) -> tuple[KeptState, int] | None:
        """Find the state of a conversation, and how much of the prompt it spares; blocks."""
        state = self._states.find(conversation, self._fingerprints[adapter])
        if state is None:
            return None
        # The last token is computed in any case: the reply is drawn from it.
        tokens = min(common_prefix(read_tokens(state.path), prompt), len(prompt) - 1)
        # With less, the server would take another slot than the one it is restored to.
        if tokens <= SLOT_SIMILARITY * len(prompt) or not self._states.check(state):
            return None
        return state, tokens

    async def _choose_slot(self, client: EngineClient) -> int | None:
        """Choose the idle slot that was used the longest ago; what it holds is saved first."""
        slots = await client.get("/slots")
        idle = [slot["id"] for slot in slots if not slot["is_processing"] and slot["id"] not in self._claimed]
        if not idle:
            return None
        chosen: int = min(idle, key=lambda slot: self._used_at.get(slot, 0.0))
        await self._saver.save(chosen)
        return chosen

    def _give_up_on(self, state: KeptState, error: EngineRefusedError) -> None:
        if error.status in UNSUPPORTED:
            self._switch_off("the engine cannot restore slots")
            return
        _LOG.warning("the engine refused a kept conversation, status %d", error.status)
        self._states.remove(state)

    def _switch_off(self, reason: str) -> None:
        if not self._is_off:
            self._is_off = True
            _LOG.warning("conversations are not kept warm on disk: %s", reason)

    def _leave(self, serving: Serving) -> None:
        """Note a reply's end: what is in memory now, whether the restored state helped, what is to be saved."""
        if serving.claimed_slot is not None:
            self._claimed.discard(serving.claimed_slot)
        finished = serving.finished
        if finished is None:
            # It was broken off, and which slot it has changed was never said.
            self._saver.forget()
            return
        tokens = finished.prompt_tokens + finished.completion_tokens
        name = object() if serving.conversation is None else (serving.conversation, serving.adapter)
        self._recency.note(name, tokens=tokens, slot=finished.slot)
        if serving.restored is not None:
            self._judge(serving.restored, serving.restored_tokens, finished.cached_tokens)
        if finished.slot is None:
            return
        self._used_at[finished.slot] = monotonic()
        unsaved = None
        if serving.conversation is not None and not self._is_off:
            unsaved = Unsaved(
                conversation=serving.conversation,
                fingerprint=self._fingerprints[serving.adapter],
                prompt=serving.prompt,
                tokens=tokens,
            )
        self._saver.note(finished.slot, unsaved)

    def _judge(self, state: KeptState, expected_tokens: int, cached_tokens: int) -> None:
        """Notice a restore that the engine made nothing of: https://github.com/ggml-org/llama.cpp/issues/26676."""
        if cached_tokens >= _REUSED * expected_tokens:
            self._disappointments = 0
            return
        _LOG.warning("a restored conversation was computed again: %d of %d tokens", cached_tokens, expected_tokens)
        self._states.remove(state)
        self._disappointments += 1
        if self._disappointments >= _MOST_DISAPPOINTMENTS:
            self._switch_off("what is restored is not used by the engine")


def create_warmth(keeping: Keeping, settings: ChildSettings, header: GgufHeader, adapters: Sequence[Adapter]) -> Warmth:
    """Make what keeps one engine's conversations, from how its child is launched; blocks. Raises `OSError`."""
    fingerprints: dict[str | None, str] = {each.name: fingerprint(settings, header, each) for each in adapters}
    fingerprints[None] = fingerprint(settings, header, None)
    return Warmth(
        keeping,
        fingerprints=fingerprints,
        memory=Memory(
            slots=settings.slots,
            cache_tokens=settings.cache_mib * _MIB // max(1, header.kv_bytes_per_token),
            bytes_per_token=header.kv_bytes_per_token,
        ),
    )


async def _restore_slot(
    client: EngineClient, slot: int, state: KeptState, *, prompt: Sequence[int], chosen: Mapping[str, Any]
) -> None:
    if chosen:
        # A slot is emptied when its adapter changes; this one is to have the reply's before anything is in it.
        await client.post("/completion", {"prompt": prompt[:1], "n_predict": 0, "id_slot": slot, **chosen})
    await client.post(f"/slots/{slot}?action=restore", {"filename": state.path.name})
