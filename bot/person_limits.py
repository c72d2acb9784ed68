"""The calls per day of one person in a Discord server.

Owns: whose limit holds, and when such a call is kept or given back. Does not own: the counting, which is one statement
in `storage/ledger.py`, or the allowance of the whole server, which the service charges.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from bot.errors import EmptyReplyError, PersonLimitUsedError, PromptTooLongError, StoppedError, WithdrawnError
from storage.errors import AllowanceUsedError, StorageError
from storage.ledger import Allowance, Charge, Ledger
from storage.person_limits import PersonLimits

logger = logging.getLogger(__name__)

RETRY_SECONDS = (0.5, 1.0, 2.0, 4.0)
"""Pauses between tries to close a call that the database did not take."""

_KEPT = (PromptTooLongError, EmptyReplyError, StoppedError, WithdrawnError)
"""Ends of a call for which the model was asked, and which are not our failure: the call stays used."""


def person_tenant(guild_id: int, user_id: int) -> str:
    """Return under whom the ledger counts one person's calls in a server."""
    return f"person:{guild_id}:{user_id}"


@dataclass(slots=True)
class PersonCall:
    """A call while it is made. `is_waiting` while it stands in the service's line, where leaving costs nothing."""

    is_waiting: bool = False


class PersonCalls:
    """Counts calls for people who have a limit; `default_daily_calls` holds where a server sets none for everyone."""

    def __init__(
        self,
        ledger: Ledger,
        limits: PersonLimits,
        *,
        default_daily_calls: int | None,
        retry_seconds: Sequence[float] = RETRY_SECONDS,
    ) -> None:
        self._ledger = ledger
        self._limits = limits
        self._retry_seconds = retry_seconds
        self._closing: set[asyncio.Future[Any]] = set()
        self.default_daily_calls = default_daily_calls

    async def limit_of(self, *, guild_id: int | None, role_ids: Collection[int]) -> int | None:
        """Return a person's calls per day; None where no limit of their own holds, as outside servers.

        The highest limit of their roles holds, else the server's for everyone, else the default. Raises `StorageError`.
        """
        if guild_id is None:
            return None
        limits = {limit.role_id: limit.daily_calls for limit in await self._limits.list(guild_id)}
        of_roles = [limits[role_id] for role_id in role_ids if role_id in limits]
        return max(of_roles) if of_roles else limits.get(None, self.default_daily_calls)

    async def standing(self, *, guild_id: int, user_id: int, role_ids: Collection[int]) -> Allowance | None:
        """Say where a person stands today; None where no limit of their own holds. Raises `StorageError`."""
        limit = await self.limit_of(guild_id=guild_id, role_ids=role_ids)
        return None if limit is None else await self._ledger.used_today(person_tenant(guild_id, user_id), limit=limit)

    @asynccontextmanager
    async def charged(
        self, *, guild_id: int | None, user_id: int, role_ids: Collection[int]
    ) -> AsyncIterator[PersonCall]:
        """Charge one call of the person's day for the block.

        It is kept when the block ends well, or the model was asked and the end is the person's own doing; else, when
        the block is cancelled or the call is still waiting in line, it is given back. Raises `PersonLimitUsedError` or
        `StorageError` before the block.
        """
        limit = await self.limit_of(guild_id=guild_id, role_ids=role_ids)
        call = PersonCall()
        if guild_id is None or limit is None:
            yield call
            return
        charge = await self._charge(person_tenant(guild_id, user_id), limit)
        try:
            yield call
        except BaseException as error:
            is_kept = isinstance(error, _KEPT) and not call.is_waiting
            await self._close(self._ledger.keep if is_kept else self._ledger.give_back, charge)
            raise
        await self._close(self._ledger.keep, charge)

    async def drain(self) -> None:
        """Wait until every call that has ended is closed; for the end of the bot, before the database closes."""
        while self._closing:
            await asyncio.wait(tuple(self._closing))

    async def _charge(self, tenant_id: str, limit: int) -> Charge:
        charging = self._track(self._ledger.charge(tenant_id, limit=limit))
        try:
            return await asyncio.shield(charging)
        except AllowanceUsedError as error:
            raise PersonLimitUsedError(limit=error.limit, resets_at=error.resets_at) from None
        except asyncio.CancelledError:
            self._track(self._give_back_unused(charging))
            raise

    async def _give_back_unused(self, charging: asyncio.Future[Charge]) -> None:
        """Give a call back that was charged for somebody who did not wait for it."""
        try:
            charge = await charging
        except (AllowanceUsedError, StorageError):
            return
        await self._first_try(self._ledger.give_back, charge)

    async def _close(self, close: Callable[[Charge], Awaitable[None]], charge: Charge) -> None:
        """Close a call, to the end even if the caller is cancelled meanwhile."""
        await asyncio.shield(self._track(self._first_try(close, charge)))

    async def _first_try(self, close: Callable[[Charge], Awaitable[None]], charge: Charge) -> None:
        try:
            await close(charge)
        except StorageError:
            # Nobody waits for that: the reply stands, or the refusal is to be said.
            self._track(self._until_closed(close, charge))

    async def _until_closed(self, close: Callable[[Charge], Awaitable[None]], charge: Charge) -> None:
        """Try again for a while; after that the next start of the service gives the call back."""
        for wait_seconds in self._retry_seconds:
            await asyncio.sleep(wait_seconds)
            try:
                return await close(charge)
            except StorageError:
                logger.warning("a call of %s could not be closed yet", charge.tenant_id)
        return None

    def _track(self, move: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
        task = asyncio.ensure_future(move)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return task
