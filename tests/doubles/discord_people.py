"""People, bots and roles of the stand-in Discord server, and how Discord writes them as JSON.

Sources: https://discord.com/developers/docs/resources/user and https://discord.com/developers/docs/topics/permissions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.doubles.discord_basics import MEMBER_PERMISSIONS, Json, new_snowflake

if TYPE_CHECKING:
    from tests.doubles.discord_places import Guild


@dataclass(eq=False)
class Role:
    """A role of one Discord server; give it to people by appending it to their `roles`."""

    name: str
    guild: Guild
    permissions: int = 0
    id: int = field(default_factory=new_snowflake)

    @property
    def mention(self) -> str:
        """Return what mentions this role."""
        return f"<@&{self.id}>"

    def json(self) -> Json:
        """Render a role object."""
        return role_json(self.id, self.name, permissions=self.permissions)


def role_json(role_id: int, name: str, *, permissions: int) -> Json:
    """Render a role object; the role with the id of its server is @everyone."""
    return {
        "id": str(role_id),
        "name": name,
        "permissions": str(permissions),
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "position": 0,
        "icon": None,
        "unicode_emoji": None,
        "managed": False,
        "mentionable": False,
        "flags": 0,
    }


@dataclass(eq=False)
class User:
    """A person or a bot; `permissions` hold in every server, those of `roles` in the role's own.

    `locale` is the language of their client. `dms_closed`: messages to them are refused with 403/50007.
    `has_mature_commands_in_dms`: they are of age and have switched age-restricted commands on for DMs, see
    https://support.discord.com/hc/en-us/articles/10123937946007.
    """

    name: str
    display_name: str
    is_bot: bool = False
    permissions: int = MEMBER_PERMISSIONS
    id: int = field(default_factory=new_snowflake)
    roles: list[Role] = field(default_factory=list)
    locale: str = "en-US"
    dms_closed: bool = False
    has_mature_commands_in_dms: bool = False

    @property
    def mention(self) -> str:
        """Return what mentions this user."""
        return f"<@{self.id}>"

    def roles_in(self, guild: Guild) -> list[Role]:
        """Return the roles the user has in a server."""
        return [role for role in self.roles if role.guild is guild]

    def permissions_in(self, guild: Guild) -> int:
        """Return what the user may do in a server."""
        permissions = self.permissions
        for role in self.roles_in(guild):
            permissions |= role.permissions
        return permissions

    def json(self) -> Json:
        """Render a user object."""
        return {
            "id": str(self.id),
            "username": self.name,
            "global_name": self.display_name,
            "discriminator": "0",
            "avatar": None,
            "bot": self.is_bot,
            "system": False,
            "public_flags": 0,
            "flags": 0,
            "primary_guild": None,
        }

    def member_json(self, guild: Guild | None = None) -> Json:
        """Render a guild member object, without its user."""
        return {
            "roles": [] if guild is None else [str(role.id) for role in self.roles_in(guild)],
            "nick": None,
            "avatar": None,
            "banner": None,
            "joined_at": "2026-01-01T00:00:00+00:00",
            "premium_since": None,
            "communication_disabled_until": None,
            "deaf": False,
            "mute": False,
            "pending": False,
            "flags": 0,
        }
