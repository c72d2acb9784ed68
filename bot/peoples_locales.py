"""The language of people who write messages: Discord tells a person's locale with commands and buttons only."""

from collections import OrderedDict

import discord

_REMEMBERED_PEOPLE = 10_000


class PeoplesLocales:
    """The locales people used last, in memory alone; else the server's own."""

    def __init__(self) -> None:
        self._locales: OrderedDict[int, str] = OrderedDict()

    def remember(self, user_id: int, locale: discord.Locale) -> None:
        """Keep what an interaction said."""
        self._locales.pop(user_id, None)
        self._locales[user_id] = str(locale)
        if len(self._locales) > _REMEMBERED_PEOPLE:
            self._locales.popitem(last=False)

    def of(self, user: discord.abc.Snowflake, guild: discord.Guild | None) -> str | None:
        """Return a person's locale, or the preferred one of the server; None in a DM with somebody unknown."""
        known = self._locales.get(user.id)
        if known is None and guild is not None:
            return str(guild.preferred_locale)
        return known
