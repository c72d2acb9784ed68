"""Screens that answer an interaction: a command, a form, the press of a button on a reply.

Owns: what an interaction's token is used for, and what takes its place when it has become too old: ordinary messages in
the channel or, where the answer is private, in the asker's DM. An answer that everybody sees is a message of the bot's
like any other, and can be changed with the bot's own token for ever; a private one only with the interaction's token.

Sources: https://discord.com/developers/docs/interactions/receiving-and-responding,
https://github.com/discord/discord-api-docs/issues/3090.
"""

import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import discord

from bot.pacing import channel_edits, interaction_edits
from bot.screens.base import (
    NETWORK_ERRORS,
    NO_MENTIONS,
    UNKNOWN_MESSAGE,
    MessageGoneError,
    MessageOutOfReachError,
    Part,
    editing,
    sending,
)
from bot.screens.messages import ChannelPosts

TOKEN_LIFE = timedelta(minutes=15)
"""How long Discord takes an interaction's token."""

SPARE = timedelta(seconds=30)
"""How long before its end a token is given up, so that nothing on the way meets the end."""

_DEAD_TOKEN = frozenset({10015, 50027})
"""Unknown Webhook and Invalid Webhook Token: https://discord.com/developers/docs/topics/opcodes-and-status-codes"""


class _TokenScreen:
    """What the screens of interactions share. `is_private`: only the asker sees what is shown.

    `now` tells the time, aware; interactions know when they were made.
    """

    def __init__(self, interaction: discord.Interaction[Any], *, is_private: bool, now: Callable[[], datetime]) -> None:
        self._interaction = interaction
        self._is_private = is_private
        self._now = now
        self._is_thinking = False
        self._has_switched = False
        self._posts: ChannelPosts | None = None
        self._posted: set[int] = set()

    @property
    def channel_id(self) -> int:
        """Return the id of the interaction's channel, or of the asker's DM once a private answer goes on there."""
        if self._posts is not None:
            return self._posts.channel_id
        assert self._interaction.channel_id is not None, "commands and buttons have a channel"
        return self._interaction.channel_id

    @property
    def pacing_key(self) -> str:
        """Return the key of the token while it is used, then that of the channel."""
        if self._uses_token():
            return interaction_edits(self._interaction.token)
        return channel_edits(self.channel_id)

    async def end(self) -> None:
        """Do nothing: there is no sign of life that would have to be taken away."""

    async def send(self, part: Part) -> int:
        """Show a new message, with the token while that is good."""
        if self._uses_token():
            try:
                return await self._answer(part)
            except discord.HTTPException as error:
                self._switch_or_raise(error)
        return await self._post(part)

    async def edit(self, message_id: int, part: Part) -> None:
        """Change a message. Raises `MessageGoneError`; `MessageOutOfReachError` where only a dead token could."""
        if message_id not in self._posted and self._uses_token():
            try:
                await self._interaction.followup.edit_message(message_id, **editing(part))
            except discord.HTTPException as error:
                if error.code == UNKNOWN_MESSAGE:
                    raise self._missing(message_id) from None
                self._switch_or_raise(error)
            else:
                return
        await (await self._reach(message_id)).edit(message_id, part)

    async def delete(self, message_id: int) -> None:
        """Take a message away, if it can still be reached."""
        if message_id not in self._posted and self._uses_token():
            try:
                await self._interaction.followup.delete_message(message_id)
            except discord.HTTPException as error:
                if error.code == UNKNOWN_MESSAGE:
                    return
                self._switch_or_raise(error)
            else:
                return
        try:
            posts = await self._reach(message_id)
        except MessageOutOfReachError:
            return
        await posts.delete(message_id)

    async def tell_asker(self, sentence: str) -> None:
        """Say it to the asker alone; where the answer was to be public and has not begun, in its place."""
        response = self._interaction.response
        if not response.is_done():
            await response.send_message(sentence, ephemeral=True, allowed_mentions=NO_MENTIONS)
        elif self._is_thinking or self._is_old():
            await self.send(Part(content=sentence))
        else:
            await self._tell_below(sentence)

    async def _tell_below(self, sentence: str) -> None:
        try:
            await self._interaction.followup.send(sentence, ephemeral=True, allowed_mentions=NO_MENTIONS)
        except discord.HTTPException as error:
            self._switch_or_raise(error)
            await self._post(Part(content=sentence))

    async def _answer(self, part: Part) -> int:
        """Show a message with the token."""
        message = await self._interaction.followup.send(
            part.content, ephemeral=self._is_private, wait=True, **sending(part)
        )
        return message.id

    async def _post(self, part: Part) -> int:
        """Show an ordinary message."""
        message_id = await (await self._open_posts()).send(part)
        self._posted.add(message_id)
        return message_id

    async def _reach(self, message_id: int) -> ChannelPosts:
        """Return what changes a message without the token. Raises `MessageOutOfReachError`."""
        if self._is_private and message_id not in self._posted:
            raise MessageOutOfReachError
        return await self._open_posts()

    async def _open_posts(self) -> ChannelPosts:
        if self._posts is None:
            if self._is_private:
                self._posts = ChannelPosts(await self._interaction.user.create_dm())
            else:
                self._posts = ChannelPosts(self._interaction.client.get_partial_messageable(self.channel_id))
        return self._posts

    def _missing(self, _message_id: int) -> MessageGoneError | MessageOutOfReachError:
        """Return what it means that the token knows no such message."""
        return MessageGoneError()

    def _uses_token(self) -> bool:
        """Say whether the token is still used; once it is given up, it stays so."""
        self._has_switched = self._has_switched or self._is_old()
        return not self._has_switched

    def _is_old(self) -> bool:
        return self._now() >= self._interaction.created_at + TOKEN_LIFE - SPARE

    def _switch_or_raise(self, error: discord.HTTPException) -> None:
        """Give the token up if that is what an error is about, else raise it again."""
        if error.status != 401 and error.code not in _DEAD_TOKEN:
            raise error
        self._has_switched = True


class InteractionScreen(_TokenScreen):
    """Answers a command or a form; the first part takes the place of "thinking"."""

    def __init__(
        self,
        interaction: discord.Interaction[Any],
        *,
        is_private: bool,
        now: Callable[[], datetime] = discord.utils.utcnow,
    ) -> None:
        super().__init__(interaction, is_private=is_private, now=now)

    async def begin(self) -> None:
        """Defer, so that the person sees that the bot thinks; what was deferred already is taken as it is."""
        response = self._interaction.response
        if not response.is_done():
            await response.defer(ephemeral=self._is_private, thinking=True)
        self._is_thinking = response.type is discord.InteractionResponseType.deferred_channel_message

    async def end(self) -> None:
        """Take "thinking" away where nothing has come in its place."""
        if self._is_thinking:
            self._is_thinking = False
            with contextlib.suppress(*NETWORK_ERRORS):
                await self._interaction.delete_original_response()

    async def _answer(self, part: Part) -> int:
        if not self._is_thinking:
            return await super()._answer(part)
        try:
            message = await self._interaction.edit_original_response(**editing(part))
        except discord.NotFound as error:
            if error.code != UNKNOWN_MESSAGE:
                raise
            # Somebody deleted "thinking" meanwhile; the reply is wanted all the same.
            self._is_thinking = False
            return await super()._answer(part)
        self._is_thinking = False
        return message.id

    def _is_old(self) -> bool:
        """Leave "thinking" alone as late as possible: only the token can put something in its place."""
        if self._is_thinking:
            return self._now() >= self._interaction.created_at + TOKEN_LIFE
        return super()._is_old()


class ButtonScreen(_TokenScreen):
    """Goes on from the press of a button on a reply, in the messages of that reply and below them.

    A private reply stays private. Of its messages the token of a press is sure to reach the pressed one only.
    """

    def __init__(
        self, interaction: discord.Interaction[Any], *, now: Callable[[], datetime] = discord.utils.utcnow
    ) -> None:
        assert interaction.message is not None, "a button stands on a message"
        super().__init__(interaction, is_private=interaction.message.flags.ephemeral, now=now)
        # Everybody's messages need no token at all.
        self._has_switched = not self._is_private
        self._in_reach = {interaction.message.id}

    async def begin(self) -> None:
        """Take note of the press, which shows nothing; one that was answered already is taken as it is."""
        if not self._interaction.response.is_done():
            await self._interaction.response.defer()

    async def send(self, part: Part) -> int:
        """Show a new message; with the token of the press where the bot itself may not speak."""
        try:
            return await super().send(part)
        except discord.Forbidden:
            if self._is_private or self._is_old():
                raise
        return await self._answer(part)

    async def _answer(self, part: Part) -> int:
        message_id = await super()._answer(part)
        self._in_reach.add(message_id)
        return message_id

    def _missing(self, message_id: int) -> MessageGoneError | MessageOutOfReachError:
        return MessageGoneError() if message_id in self._in_reach else MessageOutOfReachError()
