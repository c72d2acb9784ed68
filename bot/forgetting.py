"""Forgetting a person: their words and the replies to them, out of the conversations and out of the database's files.

Owns: that a reply which this process writes meanwhile does not bring the words back (for those of other processes the
database sees to that: `Conversations.marks`); that the service removes what it keeps of words that are gone, whoever
deleted them. Does not own: which messages go with a person's words (`storage/forgetting.py`), or who may ask for it
(`cogs/privacy.py`).
"""

import logging
from collections import Counter
from collections.abc import Collection

from bot.api_client import ApiClient
from bot.errors import RefusedError
from storage.conversations import Conversations

logger = logging.getLogger(__name__)


class Forgetting:
    """Forgets people. Whoever keeps a turn compares `epoch` with what it was when the question was asked."""

    def __init__(self, conversations: Conversations, api: ApiClient) -> None:
        self._conversations = conversations
        self._api = api
        self._epochs: Counter[int] = Counter()

    def epoch(self, author_id: int) -> int:
        """Return a number that changes whenever a person is forgotten everywhere.

        Compared right before a turn is kept, with nothing awaited in between: a turn whose asker's number has changed
        is not to be kept. Forgetting single conversations leaves it alone, because those wait for their turn.
        """
        return self._epochs[author_id]

    async def forget(self, author_id: int, *, keys: Collection[str] | None) -> int:
        """Forget what a person wrote in some conversations, or everywhere (None); returns how many messages went.

        The caller holds the turn of each conversation that is named. Raises `StorageError`.
        """
        if keys is None:
            forgotten = await self._forget_everywhere(author_id)
        else:
            forgotten = 0
            for key in keys:
                forgotten += (await self._conversations.forget_author(author_id, key=key)).messages
        if not await self._conversations.erase_traces():
            logger.warning("forgotten words stay in the database's log until no other process reads it")
        await self.clean_up()
        return forgotten

    async def clean_up(self) -> None:
        """Have the service remove what it has computed from words that were deleted or changed; it is gone then.

        A service that cannot be reached does so by itself, within a minute or when it starts.
        """
        try:
            await self._api.forget_gone()
        except RefusedError as error:
            logger.warning("what the service keeps of deleted words goes later: %s", type(error).__name__)

    async def _forget_everywhere(self, author_id: int) -> int:
        # Twice: what was asked before it began, and what was asked while it ran with the old words still in view.
        self._epochs[author_id] += 1
        forgotten = await self._conversations.forget_author(author_id, key=None)
        self._epochs[author_id] += 1
        return forgotten.messages
