"""The day's calls of whoever asks: charged before the work, kept, settled or given back after it.

Owns: when a call costs what (`contract.md` section 4). The counting itself is one SQL statement in
`storage/ledger.py`.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from itertools import chain, repeat

from api.auth import Caller
from api.errors import allowance_used, balance_spent, from_exception
from api.rate import RateState
from api.timings import Timings
from storage.clock import Clock
from storage.errors import AllowanceUsedError, StorageError
from storage.ledger import Allowance as DayAllowance
from storage.ledger import Charge, Ledger

logger = logging.getLogger(__name__)

RETRY_SECONDS = (0.5, 1.0, 2.0, 4.0)
"""Pauses between tries to close a call whose ledger move failed; then the last one again and again."""

DRAIN_SECONDS = 2.0
"""How long a stop waits for moves whose callers have left."""


def _rate_state(day: DayAllowance, *, given_back: int = 0) -> RateState:
    return RateState(day.limit, min(day.limit, day.remaining + given_back), day.resets_at)


class Call:
    """One charged call. `produced` is kept up to date so that a hang-up is settled with what was made until then.

    `is_waiting` says that it waits for a slot: whoever hangs up there has cost nobody anything, and pays nothing.
    """

    def __init__(self, caller: Caller, charge: Charge) -> None:
        self.caller = caller
        self.rate = _rate_state(charge)
        self.charge = charge
        self.llm_balance = caller.llm_balance
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.timings = Timings()
        self.is_waiting = False
        self.is_closed = False
        self.is_settled = False
        self.moving = asyncio.Lock()
        """Held during a ledger move: a caller that hangs up during one asks for another."""

    def produced(self, *, prompt_tokens: int, completion_tokens: int) -> None:
        """Note what the reply has cost so far, in LLM tokens."""
        self.prompt_tokens = prompt_tokens
        self.completion_tokens = completion_tokens


class Allowance:
    """Charges calls and closes each exactly once, also when its caller hangs up."""

    def __init__(self, ledger: Ledger, *, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._closing: set[asyncio.Task[None]] = set()
        self.open: set[Call] = set()
        self.is_stopping = False

    async def look(self, caller: Caller) -> RateState:
        """Read the day's state without charging."""
        return _rate_state(await self._ledger.used_today(caller.tenant_id, limit=caller.daily_calls))

    @asynccontextmanager
    async def charged(self, caller: Caller) -> AsyncIterator[Call]:
        """Charge one call for the block; raises the 429 of a spent day, or the 403 of a spent balance.

        The block settles the call itself when it has a reply. If it ends otherwise, the call is given back when the
        failure is ours, kept when it is the caller's, and settled with what was produced when the caller left; who left
        while waiting for a slot gets it back.
        """
        try:
            charge = await self._charge(caller)
        except AllowanceUsedError as error:
            raise allowance_used(RateState(error.limit, 0, error.resets_at), self._clock.now()) from None
        call = Call(caller, charge)
        self.open.add(call)
        try:
            if caller.llm_balance is not None and caller.llm_balance <= 0:
                raise balance_spent(call.rate)
            yield call
        except BaseException as error:
            await self._finish(self._leave(call, self._close_failed(call, error)))
            raise
        else:
            if call.is_closed:
                self.open.discard(call)
            else:
                await self._finish(self._leave(call, self._keep(call)))

    async def _leave(self, call: Call, closing: Coroutine[None, None, None]) -> None:
        """Make a call's last move. It is open until then, also when its caller hangs up meanwhile."""
        try:
            await closing
        finally:
            self.open.discard(call)

    async def _charge(self, caller: Caller) -> Charge:
        """Charge; a caller that hangs up meanwhile has used the call all the same."""
        charging = asyncio.ensure_future(self._ledger.charge(caller.tenant_id, limit=caller.daily_calls))
        try:
            return await asyncio.shield(charging)
        except asyncio.CancelledError:
            self._track(asyncio.ensure_future(self._keep_uncalled(charging)))
            raise

    async def _keep_uncalled(self, charging: asyncio.Future[Charge]) -> None:
        with contextlib.suppress(AllowanceUsedError, StorageError):
            await self._ledger.keep(await charging)

    async def settle(self, call: Call) -> None:
        """Book the LLM tokens of a whole reply; the call stays charged."""
        await self._finish(self._settle(call))

    async def _settle(self, call: Call) -> None:
        async with call.moving:
            if call.is_closed:
                return
            call.llm_balance = await self._ledger.settle(
                call.charge,
                prompt_tokens=call.prompt_tokens,
                completion_tokens=call.completion_tokens,
                has_balance=call.caller.llm_balance is not None,
            )
            call.is_closed = call.is_settled = True

    async def _keep(self, call: Call) -> None:
        async with call.moving:
            if not call.is_closed:
                await self._ledger.keep(call.charge)
                call.is_closed = True

    async def _give_back(self, call: Call) -> None:
        async with call.moving:
            if not call.is_closed:
                call.rate = _rate_state(call.charge, given_back=1)
                await self._ledger.give_back(call.charge)
                call.is_closed = True

    async def _take_back(self, call: Call) -> None:
        """Give back also what was settled: the reply was made, and then lost before its caller had it."""
        # Gives back what is not settled, or waits for a settlement on its way.
        await self._give_back(call)
        async with call.moving:
            if not call.is_settled:
                return
            call.rate = _rate_state(call.charge, given_back=1)
            await self._ledger.take_back(
                call.charge, prompt_tokens=call.prompt_tokens, completion_tokens=call.completion_tokens
            )
            call.is_settled = False

    async def _until_closed(self, close: Callable[[Call], Awaitable[None]], call: Call) -> None:
        """Close a call however long the database is locked or full; a stop before that leaves it to the next start."""
        for wait_seconds in chain(RETRY_SECONDS, repeat(RETRY_SECONDS[-1])):
            try:
                await close(call)
            except StorageError:
                logger.warning("a call of %s could not be closed yet", call.caller.tenant_id)
                await asyncio.sleep(wait_seconds)
            else:
                return

    async def _close_failed(self, call: Call, error: BaseException) -> None:
        close = self._keep
        if _is_hang_up(error) and not (self.is_stopping or call.is_waiting):
            close = self._settle
        elif _is_hang_up(error):
            close = self._give_back
        elif from_exception(error).is_ours:
            close = self._take_back
        try:
            await close(call)
        except StorageError:
            self._track(asyncio.ensure_future(self._until_closed(close, call)))

    async def _finish(self, closing: Coroutine[None, None, None]) -> None:
        """Run a ledger move to its end even if the caller hangs up meanwhile."""
        task = asyncio.ensure_future(closing)
        self._track(task)
        await asyncio.shield(task)

    def _track(self, task: asyncio.Task[None]) -> None:
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def drain(self) -> None:
        """Wait for the moves whose callers have left, but not for ever for a database that cannot be written."""
        if self._closing:
            await asyncio.wait(self._closing, timeout=DRAIN_SECONDS)
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)


def _is_hang_up(error: BaseException) -> bool:
    """Say whether the caller left: aiohttp cancels the handler, or a write finds the connection gone."""
    return isinstance(error, asyncio.CancelledError | ConnectionError | GeneratorExit)
