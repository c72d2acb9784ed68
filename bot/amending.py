"""Bringing edits and deletions in Discord into the conversations.

Owns: that they hold at once, or as soon as a locked database can be written, and again behind a reply that is being
written, which is kept when it is done and would bring the old words back. What is deleted of a reply holds behind it
only.

Does not own: what belongs to a message (`storage/posted.py`), or what people did (`cogs/changes.py`).
"""

import asyncio
import logging
from collections.abc import Collection, Mapping

from bot.dialogue import channel_key
from bot.errors import LaneFullError, ShuttingDownError
from bot.forgetting import Forgetting
from bot.lanes import Lanes
from storage.conversations import Conversations
from storage.errors import DatabaseBusyError

logger = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
"""Between two tries to stand in a line that is full, for every place in it is held for some seconds; and to write."""

Changes = Mapping[int, str | None]
"""What Discord's messages say now, by their ids; None for those that are gone."""


class Amending:
    """Amends the conversations of one bot."""

    def __init__(
        self,
        conversations: Conversations,
        forgetting: Forgetting,
        lanes: Lanes,
        *,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._conversations = conversations
        self._forgetting = forgetting
        self._lanes = lanes
        self._retry_seconds = retry_seconds
        self._waiting: dict[str, dict[int, str | None]] = {}

    async def amend(self, channel_id: int, changes: Changes) -> None:
        """Take changes in a channel over; returns when nothing can bring the old words back.

        However many changes come while a reply is being written, they take one place in line. Raises `StorageError`.
        """
        if not len(self._lanes):
            await self._apply(changes)
            return
        key = channel_key(channel_id)
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.update(changes)
            await self._apply(await self._without_replies(changes))
            return
        waiting = self._waiting[key] = dict(changes)
        try:
            await self._apply(await self._without_replies(changes))
            await self._apply_in_turn(key, waiting)
        finally:
            self._stop_collecting(key, waiting)

    async def forget_channels(self, channel_ids: Collection[int]) -> int:
        """Forget the conversations of channels that are gone; returns how many messages they had.

        Raises `StorageError`.
        """
        messages = await self._conversations.clear_channels(channel_ids)
        if messages:
            await self._forgetting.clean_up()
        return messages

    async def _without_replies(self, changes: Changes) -> Changes:
        """Leave out the messages that replies stand in.

        A reply that is being made anew has its new text before it is known where that stands: a message deleted
        meanwhile, by the bot itself as a rule, would take the wrong part of the text along.
        """
        return {
            message_id: content
            for message_id, content in changes.items()
            if content is not None or await self._conversations.find_posted(message_id) is None
        }

    async def _apply_in_turn(self, key: str, waiting: Changes) -> None:
        while True:
            try:
                with self._lanes.place(key) as place:
                    async with place.turn():
                        self._stop_collecting(key, waiting)
                        await self._apply(waiting)
                return
            except LaneFullError:
                await asyncio.sleep(self._retry_seconds)
            except ShuttingDownError:
                self._stop_collecting(key, waiting)
                await self._apply(waiting)
                return

    def _stop_collecting(self, key: str, waiting: Changes) -> None:
        """Let the next change in a channel take a place of its own."""
        if self._waiting.get(key) is waiting:
            del self._waiting[key]

    async def _apply(self, changes: Changes) -> None:
        """Bring changes in, however long another process keeps the database locked: Discord tells of them once."""
        while True:
            try:
                return await self._try_to_apply(changes)
            except DatabaseBusyError:
                logger.warning("%d changes in Discord wait for the database", len(changes))
                await asyncio.sleep(self._retry_seconds)

    async def _try_to_apply(self, changes: Changes) -> None:
        deleted = [message_id for message_id, content in changes.items() if content is None]
        touched = await self._conversations.delete_by_discord_ids(deleted) if deleted else []
        for message_id, content in changes.items():
            if content is not None and (key := await self._conversations.edit_by_discord_id(message_id, content)):
                touched.append(key)
        if touched:
            await self._forgetting.clean_up()
