"""`/developer token`: issue, list, revoke and rotate the API tokens of a Discord server, for those who manage it."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import discord
from discord import app_commands

from bot.config import BotConfig
from bot.confirming import Arguments, Confirmation, Confirming
from bot.errors import AmbiguousTokenError, BadTokenNameError, NoSuchTokenError, TooManyTokensError
from bot.permissions import may_manage_server, require_manage_server
from bot.speakers import clean_token_name
from bot.splitting import split
from bot.suggesting import fitting
from bot.texts import confirming as confirming_words
from bot.texts import tokens as words
from bot.tree import answer_alone
from storage import errors as storage_errors
from storage.errors import StorageError, TokenExpiredError, TokenNotFoundError, TokenRevokedError
from storage.tokens import ApiToken, TokenStore

logger = logging.getLogger(__name__)

MAX_DAILY_CALLS = 1_000_000
MAX_NAME_CHARACTERS = 32
MAX_TOKEN_CHARACTERS = 64

_REVOKE, _ROTATE = "revoke token", "rotate token"

_HOUR_SECONDS = 3600
_GRACE_CHOICES = [
    app_commands.Choice(name="at once", value=0),
    app_commands.Choice(name="in 1 hour", value=_HOUR_SECONDS),
    app_commands.Choice(name="in 1 day", value=24 * _HOUR_SECONDS),
    app_commands.Choice(name="in 7 days", value=7 * 24 * _HOUR_SECONDS),
]


class TokenCommands(app_commands.Group):
    """The commands about API tokens."""

    def __init__(self, config: BotConfig, tokens: TokenStore, confirming: Confirming) -> None:
        super().__init__(name="token", description="API tokens of this server")
        self._config = config
        self._tokens = tokens
        self._confirming = confirming
        confirming.register(_REVOKE, self._revoke)
        confirming.register(_ROTATE, self._rotate)

    @app_commands.command(description="Make an API token; it is shown once, to you alone")
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
        await interaction.response.defer(ephemeral=True, thinking=True)
        try:
            issued = await self._tokens.create(
                clean,
                daily_calls=daily_calls or self._config.daily_calls,
                guild_id=guild_id,
                created_by=interaction.user.id,
                mature=self._config.mature,
                limit_in_guild=self._config.tokens_per_server,
            )
        except storage_errors.TooManyTokensError as error:
            raise TooManyTokensError(limit=error.limit) from None
        logger.info("API token %s issued for server %s", issued.token.id, guild_id)
        text = words.token_created(
            name=clean,
            token_id=issued.token.id,
            secret=issued.secret,
            daily_calls=issued.token.daily_calls,
            api_url=self._config.public_url.rstrip("/"),
        )
        await answer_alone(interaction, text)

    @app_commands.command(name="list", description="Show the active API tokens of this server")
    async def list_tokens(self, interaction: discord.Interaction[Any]) -> None:
        """List the active API tokens, without their secrets."""
        guild_id = require_manage_server(interaction)
        await interaction.response.defer(ephemeral=True, thinking=True)
        lines = [_token_line(token) for token in await self._tokens.list(guild_id=guild_id)]
        for part in split("\n".join(lines) or words.no_tokens()):
            await answer_alone(interaction, part)

    @app_commands.command(description="End an API token for good")
    @app_commands.describe(token="Its id or name")  # noqa: S106 - no secret
    async def revoke(
        self,
        interaction: discord.Interaction[Any],
        token: app_commands.Range[str, 1, MAX_TOKEN_CHARACTERS],
    ) -> None:
        """Revoke an API token, once that is confirmed."""
        guild_id = require_manage_server(interaction)
        await interaction.response.defer(ephemeral=True, thinking=True)
        found = await self._find(guild_id, token)
        name = clean_token_name(found.name)
        question = Confirmation(
            text=words.revoke_question(name=name, token_id=found.id),
            yes=words.revoke_button(),
            no=confirming_words.keep_button(),
        )
        await self._confirming.ask(interaction, question, _REVOKE, {"id": found.id, "name": name})

    async def _revoke(self, press: discord.Interaction[Any], arguments: Arguments) -> str:
        guild_id, token_id = require_manage_server(press), arguments["id"]
        await self._tokens.revoke(token_id, guild_id=guild_id)
        logger.info("API token %s revoked for server %s", token_id, guild_id)
        return words.token_revoked(name=arguments["name"], token_id=token_id)

    @app_commands.command(description="Give an API token a new secret")
    @app_commands.describe(token="Its id or name", grace="When the old secret stops working")  # noqa: S106 - no secret
    @app_commands.choices(grace=_GRACE_CHOICES)
    async def rotate(
        self,
        interaction: discord.Interaction[Any],
        token: app_commands.Range[str, 1, MAX_TOKEN_CHARACTERS],
        grace: app_commands.Choice[int] | None = None,
    ) -> None:
        """Rotate an API token, once that is confirmed."""
        guild_id = require_manage_server(interaction)
        await interaction.response.defer(ephemeral=True, thinking=True)
        found = await self._find(guild_id, token)
        name = clean_token_name(found.name)
        time_left = timedelta(seconds=0 if grace is None else grace.value)
        question = Confirmation(
            text=words.rotate_question(name=name, token_id=found.id, old_until=_end_of(time_left, found)),
            yes=words.rotate_button(),
            no=confirming_words.keep_button(),
        )
        arguments = {"id": found.id, "name": name, "grace_seconds": time_left.total_seconds()}
        await self._confirming.ask(interaction, question, _ROTATE, arguments)

    async def _rotate(self, press: discord.Interaction[Any], arguments: Arguments) -> str:
        guild_id, token_id = require_manage_server(press), arguments["id"]
        time_left = timedelta(seconds=arguments["grace_seconds"])
        try:
            issued = await self._tokens.rotate(token_id, guild_id=guild_id, grace=time_left)
        except (TokenNotFoundError, TokenRevokedError, TokenExpiredError):
            raise NoSuchTokenError from None
        logger.info("API token %s rotated for server %s", token_id, guild_id)
        return words.token_rotated(
            name=arguments["name"], token_id=token_id, secret=issued.secret, old_until=_end_of(time_left, issued.token)
        )

    @revoke.autocomplete("token")
    @rotate.autocomplete("token")
    async def suggest(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        """Suggest the server's active API tokens; nothing to those who may not manage it."""
        if interaction.guild_id is None or not may_manage_server(interaction):
            return []
        try:
            tokens = await self._tokens.list(guild_id=interaction.guild_id)
        except StorageError:
            return []
        choices = (app_commands.Choice(name=f"{token.name} ({token.id})"[:100], value=token.id) for token in tokens)
        return fitting(choices, typed)

    async def _find(self, guild_id: int, wanted: str) -> ApiToken:
        """Return the server's active token with that id, else with that name."""
        active = await self._tokens.list(guild_id=guild_id)
        for token in active:
            if token.id == wanted.strip():
                return token
        named = [token for token in active if token.name.casefold() == wanted.strip().casefold()]
        if len(named) > 1:
            raise AmbiguousTokenError(name=clean_token_name(wanted))
        if not named:
            raise NoSuchTokenError
        return named[0]


def _end_of(time_left: timedelta, token: ApiToken) -> datetime | None:
    """Return when the old secret of a token that is rotated now stops working, None for at once."""
    if not time_left:
        return None
    end = datetime.now(UTC) + time_left
    return end if token.expires_at is None else min(end, token.expires_at)


def _token_line(token: ApiToken) -> str:
    return words.token_line(
        name=clean_token_name(token.name),
        token_id=token.id,
        daily_calls=token.daily_calls,
        created_by=token.created_by,
        created_at=token.created_at,
    )
