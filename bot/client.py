"""The Discord client: intents, command tree, cogs. One per login.

Owns: putting the parts together. Does not own: staying connected (`runner.py`), or any command.
"""

import asyncio
import logging
import sys
from typing import Any

import discord
from discord.ext import commands

from bot.amending import Amending
from bot.answering import Answering
from bot.api_client import ApiClient
from bot.asking import Questions
from bot.charts import ChartDrawer
from bot.cogs import buttons, changes, chat, developer, leaks, messages, persona, presence, privacy, settings
from bot.config import BotConfig, BotStores
from bot.confirming import Confirming
from bot.dialogue import Dialogue
from bot.distant_stops import DistantStops
from bot.faults import log_fault
from bot.forgetting import Forgetting
from bot.lanes import Lanes
from bot.leaks import Leaks
from bot.pacing import Pacer
from bot.peoples_locales import PeoplesLocales
from bot.permissions import AgeGate
from bot.person_limits import PersonCalls
from bot.profiles import Profiles
from bot.retiring import Retiring
from bot.screens import NO_MENTIONS
from bot.sharding import IdentifyTurns, share_of
from bot.sync import sync_if_changed
from bot.translating import CommandTranslator
from bot.tree import ParleyTree

logger = logging.getLogger(__name__)


def intents(*, message_content: bool = False) -> discord.Intents:
    """Return what the bot listens to; none of it is privileged but for `message_content`.

    Without that intent Discord still sends the text of DMs and of messages that mention the bot:
    https://discord.com/developers/docs/events/gateway#message-content-intent
    """
    chosen = discord.Intents.none()
    chosen.guilds = True
    chosen.guild_messages = True
    chosen.dm_messages = True
    chosen.message_content = message_content
    return chosen


class ParleyBot(commands.AutoShardedBot):
    """A client with Parley's commands, for all shards of the bot or some. Use as an async context manager."""

    def __init__(self, config: BotConfig, stores: BotStores) -> None:
        self.pacer = Pacer(share=share_of(config.shard_ids, config.shard_count))
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            tree_cls=ParleyTree,
            intents=intents(message_content=config.message_content),
            allowed_mentions=NO_MENTIONS,
            # Nothing here looks at old messages; what people write is not kept in memory.
            max_messages=None,
            http_trace=self.pacer.trace_config(),
            shard_count=config.shard_count,
            # The turn to identify may be far away, and it comes.
            shard_connect_timeout=None,
        )
        if config.shard_ids is not None:
            self.shard_ids = list(config.shard_ids)
        self.identify_turns = IdentifyTurns(stores.claims, seconds_apart=config.identify_seconds)
        self.config = config
        self.stores = stores
        self.lanes = Lanes()
        self.locales = PeoplesLocales()
        self.gate = AgeGate(is_mature=config.mature, allows_dms=config.mature_dms)
        self._api = ApiClient(config.api_url, config.service_token)
        self._leaks = Leaks(self, stores.tokens, self.locales)
        self._confirming = Confirming(stores.open_questions)
        self._person_calls = PersonCalls(
            stores.ledger, stores.person_limits, default_daily_calls=config.person_daily_calls
        )
        self._forgetting = Forgetting(stores.conversations, self._api)
        self._profiles = Profiles(stores.channels, config, list_models=self._api.models)
        self._retiring = Retiring(self, self.pacer, stores.conversations)
        self._dialogue = Dialogue(
            self._api,
            stores.conversations,
            self._profiles,
            self._forgetting,
            context_tokens=config.context_tokens,
            max_body_bytes=config.max_body_bytes,
        )
        self.answering = Answering(
            self._dialogue,
            lanes=self.lanes,
            pacer=self.pacer,
            person_calls=self._person_calls,
            retiring=self._retiring,
            max_messages=config.reply_messages,
        )
        self._distant_stops = DistantStops(stores.stop_requests, self.answering.running)
        self._watching: asyncio.Task[None] | None = None

    async def setup_hook(self) -> None:
        """Add the commands and tell Discord about them if they changed; discord.py calls it after the login."""
        await self._api.open()
        self._watching = asyncio.create_task(self._distant_stops.watch())
        await self.add_all()
        await self.tree.set_translator(CommandTranslator())
        assert self.application_id is not None, "the login tells it"
        await sync_if_changed(self.tree, self.application_id, self.stores.notes, self.stores.claims)

    async def add_all(self) -> None:
        """Add every command, form and listener."""
        await self._add_conversation()
        await self._add_privacy()
        await self._add_developer()
        await self.add_cog(persona.Persona(self.stores, self._profiles, self._leaks))
        await self.add_cog(presence.Presence(self, self.stores.notes, gate=self.gate))
        await self.add_cog(
            settings.Settings(self.config, self.stores, self._profiles, api=self._api, leaks=self._leaks)
        )
        if self.config.mature:
            for command in self.tree.get_commands():
                command.nsfw = True

    async def _add_developer(self) -> None:
        """Add what is about API tokens: their commands, the questions these ask, the watch for leaks."""
        await self.add_cog(self._confirming)
        await self.add_cog(leaks.LeakWatch(self._leaks))
        await self.add_cog(
            developer.Developer(
                self.config,
                self.stores,
                confirming=self._confirming,
                person_calls=self._person_calls,
                charts=ChartDrawer(),
            )
        )

    async def _add_conversation(self) -> None:
        """Add what answers people: commands, messages, buttons."""
        questions = Questions(
            self.stores.conversations, self._leaks, max_attachment_bytes=self.config.max_attachment_bytes
        )
        talk = chat.Chat(self.answering, self._dialogue, questions=questions, leaks=self._leaks, gate=self.gate)
        self.tree.add_command(talk.menu)
        await self.add_cog(talk)
        await self.add_cog(
            messages.Messages(
                self,
                self.answering,
                self._dialogue,
                questions=questions,
                leaks=self._leaks,
                locales=self.locales,
                gate=self.gate,
            )
        )
        await self.add_cog(buttons.Buttons(self.answering, self._dialogue, self._distant_stops, gate=self.gate))

    async def _add_privacy(self) -> None:
        """Add what shows, forgets and amends conversations."""
        await self.add_cog(
            privacy.Privacy(
                self.stores.conversations,
                self._forgetting,
                confirming=self._confirming,
                lanes=self.lanes,
                retiring=self._retiring,
            )
        )
        await self.add_cog(
            changes.Changes(
                self,
                self.stores.conversations,
                self.stores.channels,
                amending=Amending(self.stores.conversations, self._forgetting, self.lanes),
                running=self.answering.running,
                retiring=self._retiring,
                leaks=self._leaks,
                max_attachment_bytes=self.config.max_attachment_bytes,
            )
        )

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Let a shard wait for its turn to identify; the only one of a bot waits as discord.py has it."""
        if shard_id is None or self.shard_count == 1:
            await super().before_identify_hook(shard_id, initial=initial)
            return
        assert self.application_id is not None, "the login tells it"
        await self.identify_turns.turn(self.application_id, shard_id)

    async def on_interaction(self, interaction: discord.Interaction[Any], /) -> None:
        """Remember the person's locale for the messages they write."""
        self.locales.remember(interaction.user.id, interaction.locale)

    async def on_message(self, message: discord.Message, /) -> None:
        """Take no text commands; the cog `messages` answers messages."""

    async def on_error(self, event_method: str, /, *_args: Any, **_kwargs: Any) -> None:
        """Log a failed event handler without its arguments, which hold what people wrote."""
        error = sys.exception()
        if error is not None:
            log_fault(logger, event_method, error)

    async def close(self) -> None:
        """Disconnect. Safe to call twice."""
        await self._retiring.close()
        if self._watching is not None:
            self._watching.cancel()
        await super().close()
        await self._api.close()
        await self._person_calls.drain()
