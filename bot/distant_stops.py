"""Stop, pressed where another process writes the reply: after the shards were spread anew, or while one ends.

Owns: asking the others through the database, and answering them. Does not own: ending a reply (`running.py`), or what a
press does otherwise (`cogs/buttons.py`).
"""

import asyncio
import logging
from collections.abc import Collection

from bot.errors import NotYoursError
from bot.faults import describe
from bot.running import RunningReplies
from storage.errors import StorageError
from storage.stop_requests import StopRequest, StopRequests

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often a process that writes replies looks for others' presses: one small query for all of them."""

PATIENCE_SECONDS = 2.5
"""How long a press waits for whoever writes the reply; nobody may, when its process has ended."""

_ASK_SECONDS = 0.25


class DistantStops:
    """Stops replies of other processes, and lets others stop those of this one."""

    def __init__(self, requests: StopRequests, running: RunningReplies) -> None:
        self._requests = requests
        self._running = running

    async def stop(self, message_id: int, *, presser_id: int, may_manage: bool) -> bool:
        """Ask for the reply in a message to be stopped; says whether any process was writing it.

        Raises `NotYoursError` or `StorageError`.
        """
        request = StopRequest(discord_message_id=message_id, presser_id=presser_id, may_manage=may_manage)
        await self._requests.ask(request)
        is_stopped = await self._await_answer(message_id)
        await self._requests.withdraw(message_id)
        if is_stopped is False:
            raise NotYoursError
        return is_stopped is not None

    async def _await_answer(self, message_id: int) -> bool | None:
        for _ in range(round(PATIENCE_SECONDS / _ASK_SECONDS)):
            await asyncio.sleep(_ASK_SECONDS)
            is_stopped = await self._requests.find_answer(message_id)
            if is_stopped is not None:
                return is_stopped
        return None

    async def watch(self) -> None:
        """Stop this process's replies for others, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            message_ids = self._running.message_ids()
            if not message_ids:
                continue
            try:
                await self._answer(message_ids)
            except StorageError as error:
                logger.warning("presses on Stop in other processes go unseen: %s", describe(error))

    async def _answer(self, message_ids: Collection[int]) -> None:
        for request in await self._requests.find_open(message_ids):
            running = self._running.find(request.discord_message_id)
            if running is None:
                continue
            is_allowed = request.may_manage or request.presser_id == running.asker_id
            if is_allowed:
                running.stop()
            await self._requests.answer(request.discord_message_id, is_stopped=is_allowed)
