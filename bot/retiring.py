"""Taking the buttons away from a reply that is no longer the last of its conversation.

Owns: finding that reply and one edit in the background, paced like every other. Does not own: what a press on a button
does that is still there (`cogs/buttons.py`): a failed edit is no harm.
"""

import asyncio
import logging
from collections import OrderedDict

import discord

from bot.faults import describe
from bot.live import LiveReply
from bot.pacing import Pacer, channel_edits
from bot.screens import NETWORK_ERRORS
from bot.turns import NewTurn, Turn
from storage.conversations import Conversations
from storage.posted import PostedReply

logger = logging.getLogger(__name__)

_REMEMBERED_REPLIES = 1_000


class Retiring:
    """Retires the replies of one bot. `close` ends what is still to be done."""

    def __init__(self, client: discord.Client, pacer: Pacer, conversations: Conversations) -> None:
        self._client = client
        self._pacer = pacer
        self._conversations = conversations
        self._private: OrderedDict[str, LiveReply] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    async def find(self, turn: Turn) -> PostedReply | None:
        """Return the reply that a turn will leave behind; a revised one leaves none. Raises `StorageError`."""
        if not isinstance(turn, NewTurn):
            return None
        return await self._conversations.last_reply(turn.venue.conversation_key)

    def remember(self, conversation_key: str, live: LiveReply) -> None:
        """Keep the way to a private reply: only the interaction that made it can edit it."""
        if not conversation_key.startswith("private:"):
            return
        self._private.pop(conversation_key, None)
        self._private[conversation_key] = live
        if len(self._private) > _REMEMBERED_REPLIES:
            self._private.popitem(last=False)

    def retire(self, posted: PostedReply | None) -> None:
        """Take the buttons away, in the background."""
        if posted is None or not posted.parts:
            return
        task = asyncio.create_task(self._retire(posted))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _retire(self, posted: PostedReply) -> None:
        last = posted.parts[-1]
        live = self._private.pop(posted.conversation_key, None)
        try:
            if live is not None:
                await live.take_view_away()
            elif not posted.conversation_key.startswith("private:"):
                await self._pacer.turn_to_edit(channel_edits(last.channel_id))
                channel = self._client.get_partial_messageable(last.channel_id)
                await channel.get_partial_message(last.discord_message_id).edit(view=None)
        except NETWORK_ERRORS as error:
            logger.info("the buttons of an old reply stay: %s", describe(error))

    async def close(self) -> None:
        """End what is still to be done; a button that stays says so when it is pressed."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
