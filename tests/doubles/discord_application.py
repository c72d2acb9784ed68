"""The routes of the stand-in Discord server that are about the bot itself, its commands and its servers.

Sources: https://discord.com/developers/docs/resources/application,
https://discord.com/developers/docs/interactions/application-commands#bulk-overwrite-global-application-commands,
https://discord.com/developers/docs/resources/user#create-dm and
https://discord.com/developers/docs/resources/audit-log.
"""

from tests.doubles.discord_ask import (
    MISSING_PERMISSIONS,
    UNKNOWN_GUILD,
    UNKNOWN_MEMBER,
    UNKNOWN_USER,
    Ask,
    Problem,
    Route,
)
from tests.doubles.discord_basics import VIEW_AUDIT_LOG, Json
from tests.doubles.discord_gateway import Gateway
from tests.doubles.discord_limits import check_commands
from tests.doubles.discord_places import Channel, Guild
from tests.doubles.discord_state import DiscordState

_AUDIT_LOG_PARTS = (
    "application_commands",
    "auto_moderation_rules",
    "guild_scheduled_events",
    "integrations",
    "threads",
    "webhooks",
)


class ApplicationRoutes:
    """What a bot asks about itself. `gateway_url` is where it is told to connect."""

    def __init__(self, state: DiscordState, gateway: Gateway) -> None:
        self._state = state
        self._limits = gateway
        self.gateway_url = ""

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("GET", "/users/@me", self._me),
            Route("GET", "/oauth2/applications/@me", self._application),
            Route("GET", "/gateway/bot", self._gateway),
            Route("GET", "/users/{user}", self._user),
            Route("POST", "/users/@me/channels", self._open_dm),
            Route("GET", "/applications/{application}/commands", self._list_commands),
            Route("PUT", "/applications/{application}/commands", self._put_commands),
            Route("GET", "/guilds/{guild}", self._guild_object),
            Route("GET", "/guilds/{guild}/members/{user}", self._member),
            Route("GET", "/guilds/{guild}/audit-logs", self._audit_log),
        ]

    async def _me(self, _ask: Ask) -> Json:
        private = {"mfa_enabled": True, "locale": "en-US", "verified": True, "email": None}
        return {**self._state.bot.json(), **private}

    async def _application(self, _ask: Ask) -> Json:
        return {
            "id": str(self._state.bot.id),
            "name": self._state.bot.name,
            "icon": None,
            "description": "",
            "type": None,
            "bot_public": True,
            "bot_require_code_grant": False,
            "verify_key": "0" * 64,
            "flags": 0,
            "flags_new": "0",
            "redirect_uris": [],
            "role_connections_verification_url": None,
            "approximate_guild_count": len(self._state.guilds),
            "approximate_user_install_count": 0,
            "approximate_user_authorization_count": 0,
            "explicit_content_filter": 0,
            "eligible_oauth2_scopes": ["bot", "applications.commands"],
            "owner": {**self._state.bot.json(), "id": "1", "bot": False},
            "team": None,
            "interactions_endpoint_url": None,
        }

    async def _gateway(self, _ask: Ask) -> Json:
        most = self._limits.max_concurrency
        start_limit = {"total": 1000, "remaining": 999, "reset_after": 86_400_000, "max_concurrency": most}
        return {"url": self.gateway_url, "shards": self._state.recommended_shards, "session_start_limit": start_limit}

    async def _user(self, ask: Ask) -> Json | Problem:
        user = self._state.people.get(int(ask.params["user"]))
        return UNKNOWN_USER if user is None else user.json()

    async def _guild_object(self, ask: Ask) -> Json | Problem:
        guild = self._guild(ask)
        return UNKNOWN_GUILD if guild is None or not guild.has_bot else guild.json(self._state.bot)

    async def _member(self, ask: Ask) -> Json | Problem:
        guild, user = self._guild(ask), self._state.people.get(int(ask.params["user"]))
        if guild is None:
            return UNKNOWN_GUILD
        return UNKNOWN_MEMBER if user is None else {"user": user.json(), **user.member_json(guild)}

    def _guild(self, ask: Ask) -> Guild | None:
        return next((each for each in self._state.guilds if str(each.id) == ask.params["guild"]), None)

    async def _open_dm(self, ask: Ask) -> Json | Problem:
        """Open a DM, which succeeds with everybody; whether they take messages shows on sending."""
        user = self._state.people.get(int(ask.body["recipient_id"]))
        if user is None or user is self._state.bot:
            return UNKNOWN_USER
        for channel in self._state.channels.values():
            if channel.recipient is user:
                return channel.json()
        opened = Channel("dm", recipient=user)
        self._state.channels[opened.id] = opened
        return opened.json()

    async def _list_commands(self, _ask: Ask) -> list[Json]:
        return self._state.commands

    async def _put_commands(self, ask: Ask) -> list[Json] | Problem:
        problems = check_commands(ask.body["list"])
        if problems:
            self._state.noted_breaches += problems
            return Problem(400, 50035, "Invalid Form Body")
        application = ask.params["application"]
        self._state.commands = [
            {
                **command,
                "id": str(index),
                "application_id": application,
                "version": "1",
                "type": command.get("type", 1),
                "description": command.get("description", ""),
                "default_member_permissions": _as_text(command.get("default_member_permissions")),
            }
            for index, command in enumerate(ask.body["list"], start=1)
        ]
        self._state.command_syncs += 1
        return self._state.commands

    async def _audit_log(self, ask: Ask) -> Json | Problem:
        guild = self._guild(ask)
        if guild is None:
            return UNKNOWN_GUILD
        if not guild.bot_permissions & VIEW_AUDIT_LOG:
            return MISSING_PERMISSIONS
        wanted = ask.query.get("action_type")
        entries = [each for each in guild.audit_log if wanted in (None, str(each["action_type"]))]
        entries = entries[: int(ask.query.get("limit", 50))]
        named = {each[key] for each in entries for key in ("user_id", "target_id")}
        people = [user for user in self._state.people.values() if str(user.id) in named]
        empty: Json = {part: [] for part in _AUDIT_LOG_PARTS}
        return {**empty, "audit_log_entries": entries, "users": [user.json() for user in people]}


def _as_text(permissions: int | str | None) -> str | None:
    """Write permissions as Discord does; it takes a number, too."""
    return None if permissions is None else str(permissions)
