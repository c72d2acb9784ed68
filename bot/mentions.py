"""The names behind mentions, as far as Discord has told them; nothing is asked for."""

from collections.abc import Callable, Iterable, Mapping

import discord


def mention_names(
    guild: discord.Guild | None, mentioned: Iterable[discord.User | discord.Member] = ()
) -> Mapping[str, Callable[[int], str | None]]:
    """Return look-ups for `speakers.name_mentions`: users by `@`, roles by `@&`, channels by `#`.

    `mentioned` are the people a message brought along; a command brings none.
    """
    people = {user.id: user.display_name for user in mentioned}

    def user_name(user_id: int) -> str | None:
        member = guild.get_member(user_id) if guild is not None else None
        return people.get(user_id) or (None if member is None else member.display_name)

    def role_name(role_id: int) -> str | None:
        role = guild.get_role(role_id) if guild is not None else None
        return None if role is None else role.name

    def channel_name(channel_id: int) -> str | None:
        channel = guild.get_channel_or_thread(channel_id) if guild is not None else None
        return None if channel is None else channel.name

    return {"@": user_name, "@&": role_name, "#": channel_name}
