"""What is said when somebody has posted a live API token."""

from bot.language import tr


def message_deleted() -> str:
    """Tell a channel what happened to a message."""
    return tr("A message here showed a live API token of mine, so I have revoked the token and deleted the message.")


def message_stays() -> str:
    """Tell a channel what happened, where the bot may not delete messages."""
    return tr(
        "A message here shows an API token of mine: I have revoked the token, so it opens nothing any more, "
        "but please delete the message all the same."
    )


def owner_unreached(*, person: str, name: str, token_id: str) -> str:
    """Tell in the channel what the owner of a token could not be told in a DM."""
    return tr(
        "{person}: it was your API token **{name}** (id `{id}`), and your DMs are closed to me. "
        "`/developer token create` makes a new one.",
        person=person,
        name=name,
        id=token_id,
    )


def owner_told(*, name: str, token_id: str, place: str) -> str:
    """Tell the owner of a token in a DM."""
    return tr(
        "Your API token **{name}** (id `{id}`) was posted in {place}, so I have revoked it: programs that use it are "
        "refused from now on. `/developer token create` in your server makes a new one.",
        name=name,
        id=token_id,
        place=place,
    )


def place_in_server(*, channel: str, server: str) -> str:
    """Name a channel to somebody who may not be in its server."""
    return tr("{channel} of **{server}**", channel=channel, server=server)


def place_in_dm() -> str:
    """Name a DM with the bot."""
    return tr("a DM with me")
