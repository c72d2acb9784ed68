"""The Discord client: intents, command tree, cogs. One per login.

Owns: putting the parts together. Does not own: staying connected (`runner.py`), or any command.
"""

import logging
import sys
from typing import Any

import discord
from discord.ext import commands

from bot.answering import Answering
from bot.api_client import ApiClient
from bot.cogs import chat, developer, messages
from bot.config import BotConfig, BotStores
from bot.delivery import NO_MENTIONS
from bot.dialogue import Dialogue
from bot.faults import log_fault
from bot.lanes import Lanes
from bot.sync import sync_if_changed
from bot.tree import ParleyTree

logger = logging.getLogger(__name__)


def intents() -> discord.Intents:
    """Return what the bot listens to; none of it is privileged.

    Without the message content intent Discord still sends the text of DMs and of messages that mention the bot:
    https://discord.com/developers/docs/events/gateway#message-content-intent
    """
    chosen = discord.Intents.none()
    chosen.guilds = True
    chosen.guild_messages = True
    chosen.dm_messages = True
    return chosen


class ParleyBot(commands.Bot):
    """A client with Parley's commands. Use as an async context manager."""

    def __init__(self, config: BotConfig, stores: BotStores) -> None:
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            tree_cls=ParleyTree,
            intents=intents(),
            allowed_mentions=NO_MENTIONS,
            # Nothing here looks at old messages; what people write is not kept in memory.
            max_messages=None,
        )
        self.config = config
        self.stores = stores
        self.lanes = Lanes()
        self._api = ApiClient(config.api_url, config.service_token)
        dialogue = Dialogue(
            self._api,
            stores.conversations,
            system_prompt=config.system_prompt,
            context_tokens=config.context_tokens,
            max_body_bytes=config.max_body_bytes,
        )
        self.answering = Answering(dialogue, self.lanes)

    async def setup_hook(self) -> None:
        """Add the commands and tell Discord about them if they changed; discord.py calls it after the login."""
        await self._api.open()
        await self.add_cog(chat.Chat(self.answering, is_mature=self.config.mature))
        await self.add_cog(messages.Messages(self, self.answering, is_mature=self.config.mature))
        await self.add_cog(developer.Developer(self.config, self.stores))
        assert self.application_id is not None, "the login tells it"
        await sync_if_changed(self.tree, self.application_id, self.stores.notes)

    async def on_message(self, message: discord.Message, /) -> None:
        """Take no text commands; the cog `messages` answers messages."""

    async def on_error(self, event_method: str, /, *_args: Any, **_kwargs: Any) -> None:
        """Log a failed event handler without its arguments, which hold what people wrote."""
        error = sys.exception()
        if error is not None:
            log_fault(logger, event_method, error)

    async def close(self) -> None:
        """Disconnect. Safe to call twice."""
        await super().close()
        await self._api.close()
