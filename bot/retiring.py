"""Taking the buttons away from a reply that is no longer the last of its conversation.

Owns: finding that reply and one edit in the background, paced like every other. Does not own: what a press on a button
does that is still there (`cogs/buttons.py`): a failed edit is no harm.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import partial

import discord

from bot.faults import describe
from bot.live import LiveReply
from bot.pacing import Pacer, channel_edits
from bot.screens import NETWORK_ERRORS
from bot.turns import NewTurn, Turn
from storage.conversations import Conversations
from storage.posted import PostedPart, PostedReply

logger = logging.getLogger(__name__)

REACH_SECONDS = 10 * 60.0
"""How long a private reply is remembered: soon after, the token that could edit it is worth nothing."""


class Retiring:
    """Retires the replies of one bot. `close` ends what is still to be done."""

    def __init__(self, client: discord.Client, pacer: Pacer, conversations: Conversations) -> None:
        self._client = client
        self._pacer = pacer
        self._conversations = conversations
        # Oldest first, each with the time of the event loop's clock when it is out of reach.
        self._private: OrderedDict[str, tuple[LiveReply, float]] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    async def find(self, turn: Turn) -> PostedReply | None:
        """Return the reply that a turn will leave behind; a revised one leaves none. Raises `StorageError`."""
        if not isinstance(turn, NewTurn):
            return None
        return await self._conversations.last_reply(turn.venue.conversation_key)

    def remember(self, conversation_key: str, live: LiveReply) -> None:
        """Keep the way to a private reply for a while: only the interaction that made it can edit it."""
        self._forget_old()
        if _is_private(conversation_key):
            self._private.pop(conversation_key, None)
            self._private[conversation_key] = live, _now() + REACH_SECONDS

    def retire(self, posted: PostedReply | None) -> None:
        """Take the buttons away, in the background."""
        if posted is None or not posted.parts:
            return
        if not _is_private(posted.conversation_key):
            self._start(partial(self._take_from, posted.parts[-1]))
            return
        self._forget_old()
        live, _ = self._private.pop(posted.conversation_key, (None, 0.0))
        if live is not None:
            self._start(live.take_view_away)

    def _start(self, step: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.create_task(_logged(step))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take_from(self, part: PostedPart) -> None:
        await self._pacer.turn_to_edit(channel_edits(part.channel_id))
        channel = self._client.get_partial_messageable(part.channel_id)
        await channel.get_partial_message(part.discord_message_id).edit(view=None)

    def _forget_old(self) -> None:
        now = _now()
        while self._private and next(iter(self._private.values()))[1] <= now:
            self._private.popitem(last=False)

    async def close(self) -> None:
        """End what is still to be done; a button that stays says so when it is pressed."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


async def _logged(step: Callable[[], Awaitable[None]]) -> None:
    try:
        await step()
    except NETWORK_ERRORS as error:
        logger.info("the buttons of an old reply stay: %s", describe(error))


def _is_private(conversation_key: str) -> bool:
    return conversation_key.startswith("private:")


def _now() -> float:
    return asyncio.get_running_loop().time()
