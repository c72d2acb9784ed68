"""What tests of a question's whole way share: waiting for a reply to stand, and what the database holds then."""

import asyncio
from collections.abc import Sequence

from bot.splitting import split
from storage.conversations import Conversations
from storage.posted import PostedReply
from tests.bot.scripted_api import ScriptedApi, Stream
from tests.doubles.discord_model import Channel, Message, User
from tests.doubles.discord_server import DiscordServer
from tests.waiting import PATIENCE_SECONDS

LONG_TEXT = "".join(f"Sentence number {number} of a long reply. " for number in range(150))
"""Three messages."""

CUT = Stream(pieces=["Once upon a time"], done_reason="length")


async def replied(
    server: DiscordServer, api: ScriptedApi, channel: Channel, user: User, reply: str | Stream = "First try"
) -> Message:
    """Ask and wait for the whole reply; returns the message with its buttons."""
    api.script.append(reply)
    text = reply if isinstance(reply, str) else reply.text
    count = len(channel.own_messages(server.bot)) + len(split(text))
    await server.user_says(channel, user, "Tell me", mentions_bot=True)
    return await finished(server, channel, count)


async def stand(server: DiscordServer, channel: Channel, text: str) -> None:
    """Wait until the bot's messages in a channel are those of one text."""
    await server.changes.until(
        lambda: [each.content for each in channel.own_messages(server.bot)] == split(text), "the reply stands"
    )


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


async def comes_to_say(conversations: Conversations, channel: Channel, expected: Sequence[str]) -> None:
    """Wait until the conversation of a channel holds just this; fails with what it holds instead."""
    ends_at = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while (held := await said(conversations, channel)) != list(expected):
        assert asyncio.get_running_loop().time() < ends_at, f"{held} instead of {expected}"
        await asyncio.sleep(0.01)


async def stands(conversations: Conversations, message: Message) -> PostedReply:
    """Wait until it is written down that a reply stands in a message; returns the reply."""
    ends_at = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while True:
        posted = await conversations.find_posted(message.id)
        if posted is not None:
            return posted
        assert asyncio.get_running_loop().time() < ends_at, "no reply stands there"
        await asyncio.sleep(0.01)


def with_buttons(messages: Sequence[Message]) -> list[Message]:
    """Return those of the messages that carry buttons."""
    return [message for message in messages if message.buttons and not message.is_deleted]
