"""What tests of a question's whole way share: waiting for a reply to stand, and what a conversation holds then."""

from collections.abc import Sequence

from storage.conversations import Conversations
from tests.doubles.discord_model import Channel, Message
from tests.doubles.discord_server import DiscordServer

PATCH_MESSAGE = "PATCH /channels/{channel}/messages/{message}"
POST_MESSAGE = "POST /channels/{channel}/messages"


async def has_buttons(server: DiscordServer, message: Message, *labels: str) -> None:
    """Wait until a message carries these buttons and no others."""
    await server.changes.until(
        lambda: sorted(message.buttons) == sorted(labels), f"{message.content[:40]!r} carries {labels}"
    )


async def shows(server: DiscordServer, message: Message, text: str) -> None:
    """Wait until a message says something."""
    await server.changes.until(lambda: message.content == text, f"{message.content[:80]!r} becomes {text[:80]!r}")


async def finished(server: DiscordServer, channel: Channel, count: int = 1) -> Message:
    """Wait until the bot has posted so many messages and the last one is a finished reply; returns that."""
    await server.posted(channel, count)
    await server.changes.until(
        lambda: "Regenerate" in channel.own_messages(server.bot)[-1].buttons, "the reply is finished"
    )
    return channel.own_messages(server.bot)[-1]


async def said(conversations: Conversations, channel: Channel) -> list[str]:
    """Return what the conversation of a channel holds."""
    return [message.content for message in await conversations.read(f"channel:{channel.id}")]


def with_buttons(messages: Sequence[Message]) -> list[Message]:
    """Return those of the messages that carry buttons."""
    return [message for message in messages if message.buttons and not message.is_deleted]
