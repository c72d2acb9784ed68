"""How words reach people: as the answer to a command, or as messages in a channel. Nobody is ever pinged.

Owns: deferring, typing, the order of the parts of a long reply, and the way out when an interaction is too old. Does
not own: what is said, or when.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import discord

from bot.screens import NETWORK_ERRORS, NO_MENTIONS
from bot.splitting import split

__all__ = ["NETWORK_ERRORS", "NO_MENTIONS", "Delivery", "InteractionDelivery", "MessageDelivery", "may_speak"]

logger = logging.getLogger(__name__)

TYPING_SECONDS = 8.0
"""Discord shows typing for 10 s: https://discord.com/developers/docs/resources/channel#trigger-typing-indicator"""

_UNKNOWN_MESSAGE = 10008


class Delivery(Protocol):
    """The way back to whoever asked."""

    def thinking(self) -> AbstractAsyncContextManager[None]:
        """Show a sign of life before the block begins, and as long as it runs."""

    async def deliver(self, text: str) -> None:
        """Show a reply of any length that is not blank."""

    async def refuse(self, sentence: str) -> None:
        """Show a short sentence of the bot's own in place of a reply."""


class InteractionDelivery:
    """Answers a command. `is_private`: only the asker sees the answer."""

    def __init__(self, interaction: discord.Interaction[Any], *, is_private: bool) -> None:
        self._interaction = interaction
        self._is_private = is_private

    @asynccontextmanager
    async def thinking(self) -> AsyncIterator[None]:
        """Defer, which must reach Discord within 3 s of the command; the person sees that the bot thinks."""
        await self._interaction.response.defer(ephemeral=self._is_private, thinking=True)
        yield

    async def deliver(self, text: str) -> None:
        """Put the first part in the place of "thinking", the rest below it."""
        for index, part in enumerate(split(text)):
            await self._post(part, is_first=index == 0)

    async def refuse(self, sentence: str) -> None:
        """Say it to the asker alone where nothing was shown yet, else in the place of "thinking"."""
        if not self._interaction.response.is_done():
            await self._interaction.response.send_message(sentence, ephemeral=True, allowed_mentions=NO_MENTIONS)
            return
        await self._post(sentence, is_first=True)

    async def _post(self, part: str, *, is_first: bool) -> None:
        try:
            await self._answer(part, is_first=is_first)
        except discord.HTTPException as error:
            # 15 minutes after the command its token is worth nothing: 401 or 404, whatever is asked of it.
            if error.status not in (401, 404):
                raise
            await self._post_without_token(part)

    async def _answer(self, part: str, *, is_first: bool) -> None:
        if is_first:
            try:
                await self._interaction.edit_original_response(content=part, allowed_mentions=NO_MENTIONS)
            except discord.NotFound as error:
                if error.code != _UNKNOWN_MESSAGE:
                    raise
                # Somebody deleted "thinking" meanwhile; the reply is wanted all the same.
            else:
                return
        await self._interaction.followup.send(part, ephemeral=self._is_private, allowed_mentions=NO_MENTIONS)

    async def _post_without_token(self, part: str) -> None:
        """Post an ordinary message: in the channel, or where the question was private, to the asker alone."""
        channel = self._interaction.user if self._is_private else self._interaction.channel
        if not isinstance(channel, discord.abc.Messageable):
            logger.warning("interaction %s is too old and has no channel to post in", self._interaction.id)
            return
        await channel.send(part, allowed_mentions=NO_MENTIONS)


class MessageDelivery:
    """Answers a message: the first part as a reply to it, the rest below."""

    def __init__(self, message: discord.Message) -> None:
        self._message = message

    @asynccontextmanager
    async def thinking(self) -> AsyncIterator[None]:
        """Show typing. A failure to do so is no reason not to answer."""
        typing = asyncio.create_task(_type(self._message.channel))
        try:
            yield
        finally:
            typing.cancel()
            await asyncio.wait([typing])

    async def deliver(self, text: str) -> None:
        """Post the parts in order."""
        for index, part in enumerate(split(text)):
            await self._post(part, is_first=index == 0)

    async def refuse(self, sentence: str) -> None:
        """Reply with the sentence."""
        await self._post(sentence, is_first=True)

    async def _post(self, part: str, *, is_first: bool) -> None:
        if is_first and _may_read_history(self._message):
            reference = self._message.to_reference(fail_if_not_exists=False)
            await self._message.channel.send(part, reference=reference, allowed_mentions=NO_MENTIONS)
        else:
            await self._message.channel.send(part, allowed_mentions=NO_MENTIONS)


def may_speak(message: discord.Message) -> bool:
    """Say whether the bot may post where a message stands."""
    permissions = _own_permissions(message)
    if permissions is None:
        return True
    is_thread = isinstance(message.channel, discord.Thread)
    return permissions.send_messages_in_threads if is_thread else permissions.send_messages


def _may_read_history(message: discord.Message) -> bool:
    """Say whether the bot may reply to a message; Discord refuses (160002) without Read Message History."""
    permissions = _own_permissions(message)
    return permissions is None or permissions.read_message_history


def _own_permissions(message: discord.Message) -> discord.Permissions | None:
    """Return the bot's permissions there; None in a DM and where they are unknown."""
    if message.guild is None or isinstance(message.channel, discord.PartialMessageable):
        return None
    try:
        return message.channel.permissions_for(message.guild.me)
    except discord.ClientException:
        # A thread whose parent channel is not known.
        return None


async def _type(channel: discord.abc.Messageable) -> None:
    """Keep the typing indicator on until cancelled."""
    with contextlib.suppress(*NETWORK_ERRORS):
        while True:
            await channel.typing()
            await asyncio.sleep(TYPING_SECONDS)
