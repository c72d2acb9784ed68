"""`/developer`: API tokens of a Discord server, and what they and the server have used.

Discord can hide a command group as a whole but not a part of it, and `/developer usage` is for everyone; so the group
is visible to all and every token command checks Manage Server here. All answers are for the asker alone.
"""

import logging
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot import texts
from bot.config import BotConfig, BotStores
from bot.errors import (
    AmbiguousTokenError,
    BadTokenNameError,
    NoSuchTokenError,
    TooManyTokensError,
)
from bot.permissions import may_manage_server, require_manage_server, require_server
from bot.speakers import clean_token_name
from bot.splitting import split
from bot.tree import answer_alone
from bot.usage import usage_report
from storage.errors import StorageError, TokenExpiredError, TokenNotFoundError, TokenRevokedError
from storage.tokens import ApiToken, TokenStore

logger = logging.getLogger(__name__)

MAX_TOKENS_PER_SERVER = 25
"""As many as Discord shows in one autocomplete, too."""

MAX_DAILY_CALLS = 1_000_000
MAX_NAME_CHARACTERS = 32
MAX_TOKEN_CHARACTERS = 64


class Developer(commands.Cog):
    """Issue, list, revoke and rotate API tokens; report their use."""

    developer = app_commands.Group(
        name="developer",
        description="API tokens of this server and their use",
        allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=False, private_channel=False),
        allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
    )
    token = app_commands.Group(name="token", description="API tokens of this server", parent=developer)

    def __init__(self, config: BotConfig, stores: BotStores) -> None:
        self._config = config
        self._stores = stores

    @token.command(description="Make an API token; it is shown once, to you alone")
    @app_commands.describe(name="What it is for", daily_calls="Calls it may make per day")
    async def create(
        self,
        interaction: discord.Interaction[Any],
        name: app_commands.Range[str, 1, MAX_NAME_CHARACTERS],
        daily_calls: app_commands.Range[int, 1, MAX_DAILY_CALLS] | None = None,
    ) -> None:
        """Issue an API token."""
        guild_id = require_manage_server(interaction)
        clean = clean_token_name(name)
        if not clean:
            raise BadTokenNameError
        await _think_alone(interaction)
        if len(await self._stores.tokens.list(guild_id=guild_id)) >= MAX_TOKENS_PER_SERVER:
            raise TooManyTokensError(limit=MAX_TOKENS_PER_SERVER)
        issued = await self._stores.tokens.create(
            clean,
            daily_calls=daily_calls or self._config.daily_calls,
            guild_id=guild_id,
            created_by=interaction.user.id,
            mature=self._config.mature,
        )
        logger.info("API token %s issued for server %s", issued.token.id, guild_id)
        text = texts.token_created(
            name=clean,
            token_id=issued.token.id,
            secret=issued.secret,
            daily_calls=issued.token.daily_calls,
            api_url=self._config.public_url.rstrip("/"),
        )
        await answer_alone(interaction, text)

    @token.command(name="list", description="Show the active API tokens of this server")
    async def list_tokens(self, interaction: discord.Interaction[Any]) -> None:
        """List the active API tokens, without their secrets."""
        guild_id = require_manage_server(interaction)
        await _think_alone(interaction)
        lines = [_token_line(token) for token in await self._stores.tokens.list(guild_id=guild_id)]
        await _answer_long(interaction, "\n".join(lines) or texts.no_tokens())

    @token.command(description="End an API token for good")
    @app_commands.describe(token="Its id or name")  # noqa: S106 - no secret
    async def revoke(
        self,
        interaction: discord.Interaction[Any],
        token: app_commands.Range[str, 1, MAX_TOKEN_CHARACTERS],
    ) -> None:
        """Revoke an API token."""
        guild_id = require_manage_server(interaction)
        await _think_alone(interaction)
        found = await _find(self._stores.tokens, guild_id, token)
        await self._stores.tokens.revoke(found.id, guild_id=guild_id)
        logger.info("API token %s revoked for server %s", found.id, guild_id)
        await answer_alone(interaction, texts.token_revoked(name=clean_token_name(found.name), token_id=found.id))

    @token.command(description="Give an API token a new secret; the old one stops working at once")
    @app_commands.describe(token="Its id or name")  # noqa: S106 - no secret
    async def rotate(
        self,
        interaction: discord.Interaction[Any],
        token: app_commands.Range[str, 1, MAX_TOKEN_CHARACTERS],
    ) -> None:
        """Rotate an API token."""
        guild_id = require_manage_server(interaction)
        await _think_alone(interaction)
        found = await _find(self._stores.tokens, guild_id, token)
        try:
            issued = await self._stores.tokens.rotate(found.id, guild_id=guild_id)
        except (TokenNotFoundError, TokenRevokedError, TokenExpiredError):
            raise NoSuchTokenError from None
        logger.info("API token %s rotated for server %s", found.id, guild_id)
        text = texts.token_rotated(name=clean_token_name(found.name), token_id=found.id, secret=issued.secret)
        await answer_alone(interaction, text)

    @revoke.autocomplete("token")
    @rotate.autocomplete("token")
    async def suggest(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        """Suggest the server's active API tokens; nothing to those who may not manage it."""
        if interaction.guild_id is None or not may_manage_server(interaction):
            return []
        try:
            tokens = await self._stores.tokens.list(guild_id=interaction.guild_id)
        except StorageError:
            return []
        fitting = [token for token in tokens if typed.casefold() in f"{token.name} {token.id}".casefold()]
        return [app_commands.Choice(name=f"{token.name} ({token.id})"[:100], value=token.id) for token in fitting][
            :MAX_TOKENS_PER_SERVER
        ]

    @developer.command(description="Show what was used today and in the last 30 days")
    async def usage(self, interaction: discord.Interaction[Any]) -> None:
        """Report use: of the whole server to those who manage it, of their own API tokens to others."""
        guild_id = require_server(interaction)
        await _think_alone(interaction)
        tokens = await self._stores.tokens.list(guild_id=guild_id)
        sees_all = may_manage_server(interaction)
        shown = [token for token in tokens if sees_all or token.created_by == interaction.user.id]
        report = await usage_report(
            self._stores.ledger,
            shown,
            guild_id=guild_id if sees_all else None,
            guild_daily_calls=self._config.daily_calls,
        )
        await _answer_long(interaction, report)


async def _think_alone(interaction: discord.Interaction[Any]) -> None:
    """Defer: the database may be busy for longer than the 3 s that Discord waits."""
    await interaction.response.defer(ephemeral=True, thinking=True)


async def _answer_long(interaction: discord.Interaction[Any], text: str) -> None:
    for part in split(text):
        await answer_alone(interaction, part)


async def _find(tokens: TokenStore, guild_id: int, wanted: str) -> ApiToken:
    """Return the server's active token with that id, else with that name."""
    active = await tokens.list(guild_id=guild_id)
    for token in active:
        if token.id == wanted.strip():
            return token
    named = [token for token in active if token.name.casefold() == wanted.strip().casefold()]
    if len(named) > 1:
        raise AmbiguousTokenError(name=clean_token_name(wanted))
    if not named:
        raise NoSuchTokenError
    return named[0]


def _token_line(token: ApiToken) -> str:
    return texts.token_line(
        name=clean_token_name(token.name),
        token_id=token.id,
        daily_calls=token.daily_calls,
        created_by=token.created_by,
        created_at=token.created_at,
    )
