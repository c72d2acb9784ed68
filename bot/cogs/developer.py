"""`/developer`: API tokens of a Discord server, limits per person, and what was used.

Discord can hide a command group as a whole but not a part of it, and `/developer usage` and `/developer limit show` are
for everyone; so the group is visible to all, and what needs Manage Server checks that itself. All answers are for the
asker alone, and all are deferred: the database may be busy for longer than the 3 s that Discord waits.
"""

import logging
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.charts import ChartDrawer, ChartError
from bot.cogs.developer_limits import LimitCommands
from bot.cogs.developer_tokens import TokenCommands
from bot.config import BotConfig, BotStores
from bot.confirming import Confirming
from bot.permissions import may_manage_server, require_server
from bot.person_limits import PersonCalls
from bot.screens import NO_MENTIONS
from bot.splitting import split
from bot.texts import charts as chart_words
from bot.texts import usage as words
from bot.tree import answer_alone
from bot.usage import UsageReport, usage_report
from storage.tokens import ApiToken

logger = logging.getLogger(__name__)


@app_commands.allowed_installs(guilds=True, users=False)
@app_commands.allowed_contexts(guilds=True, dms=False, private_channels=False)
class Developer(commands.GroupCog, name="developer", description="API tokens, limits and use of this server"):
    """Report use; the groups `token` and `limit` hang on it."""

    def __init__(
        self,
        config: BotConfig,
        stores: BotStores,
        *,
        confirming: Confirming,
        person_calls: PersonCalls,
        charts: ChartDrawer,
    ) -> None:
        self._config = config
        self._stores = stores
        self._charts = charts
        assert self.app_command is not None, "a group cog has one"
        self.app_command.add_command(TokenCommands(config, stores.tokens, confirming))
        self.app_command.add_command(LimitCommands(stores.person_limits, person_calls))

    @app_commands.command(description="Show what was used today and in the last 30 days")
    async def usage(self, interaction: discord.Interaction[Any]) -> None:
        """Report use: of the whole server to those who manage it, of their own API tokens to others."""
        guild_id = require_server(interaction)
        await interaction.response.defer(ephemeral=True, thinking=True)
        sees_all = may_manage_server(interaction)
        report = await usage_report(
            self._stores.ledger,
            await self._tokens(guild_id, created_by=None if sees_all else interaction.user.id),
            guild_id=guild_id if sees_all else None,
            guild_daily_calls=self._config.daily_calls,
        )
        if report is None:
            await answer_alone(interaction, words.no_own_tokens())
            return
        first, *rest = split(report.text)
        picture = await self._picture(report)
        if picture is None:
            await answer_alone(interaction, first)
        else:
            await interaction.followup.send(first, file=picture, ephemeral=True, allowed_mentions=NO_MENTIONS)
        for part in rest:
            await answer_alone(interaction, part)

    async def _tokens(self, guild_id: int, *, created_by: int | None) -> Sequence[ApiToken]:
        tokens = await self._stores.tokens.list(guild_id=guild_id, include_revoked=True)
        return [token for token in tokens if created_by in (None, token.created_by)]

    async def _picture(self, report: UsageReport) -> discord.File | None:
        """Draw the report; None when that fails, since the text says it all."""
        labels = chart_words.usage_labels()
        try:
            data = await self._charts.draw_usage(
                report.series, days=report.days, labels=labels, plain_labels=chart_words.plain_usage_labels()
            )
        except ChartError as error:
            logger.warning("the picture of usage was not drawn: %s", error)
            return None
        return discord.File(BytesIO(data), filename="usage.png", description=report.describe_picture(labels))
