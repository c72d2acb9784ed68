"""`/history` and `/forget`: what is kept of conversations, shown to who may read it and deleted for who wrote it."""

import io
from typing import Any, Literal

import discord
from discord import app_commands
from discord.ext import commands

from bot.confirming import Arguments, Confirmation, Confirming
from bot.dialogue import channel_key, private_key
from bot.errors import NotPermittedError
from bot.forgetting import Forgetting
from bot.history import file_name, history_file
from bot.lanes import Lanes
from bot.retiring import Retiring
from bot.screens import NO_MENTIONS
from bot.texts import privacy as words
from bot.tree import answer_alone
from storage.conversations import Conversations

READ_HISTORY = "Read Message History"

_FORGET_HERE, _FORGET_EVERYWHERE = "forget here", "forget everywhere"


class Privacy(commands.Cog):
    """Shows conversations and forgets people."""

    def __init__(
        self,
        conversations: Conversations,
        forgetting: Forgetting,
        *,
        confirming: Confirming,
        lanes: Lanes,
        retiring: Retiring,
    ) -> None:
        self._conversations = conversations
        self._forgetting = forgetting
        self._confirming = confirming
        self._lanes = lanes
        self._retiring = retiring
        confirming.register(_FORGET_HERE, self._forget_here)
        confirming.register(_FORGET_EVERYWHERE, self._forget_everywhere)

    @app_commands.command(description="Show this channel's conversation as a file, to you alone")
    @app_commands.describe(private="Your own private conversation instead")
    @app_commands.allowed_installs(guilds=True, users=False)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    async def history(
        self,
        interaction: discord.Interaction[Any],
        private: bool = False,  # noqa: FBT001, FBT002 - discord.py reads the command's options from here
    ) -> None:
        """Show a conversation."""
        if not private:
            _require_history(interaction)
        await interaction.response.defer(ephemeral=True, thinking=True)
        channel_id = _channel_id(interaction)
        key = private_key(channel_id, interaction.user.id) if private else channel_key(channel_id)
        messages = await self._conversations.read(key)
        if not messages:
            await answer_alone(interaction, words.history_empty())
            return
        place = _place(interaction.channel)
        data = history_file(
            messages,
            title=words.own_history_title(place=place) if private else words.history_title(place=place),
            model_name=_own_name(interaction),
            max_bytes=interaction.filesize_limit,
        )
        await interaction.edit_original_response(
            content=words.history_ready(messages=len(messages)),
            attachments=[discord.File(io.BytesIO(data), filename=file_name(place))],
            allowed_mentions=NO_MENTIONS,
        )

    @app_commands.command(description="Delete what you wrote to me, and my replies to it")
    @app_commands.describe(where="In this channel, or everywhere")
    @app_commands.allowed_installs(guilds=True, users=False)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    async def forget(self, interaction: discord.Interaction[Any], where: Literal["here", "everywhere"]) -> None:
        """Ask, and then forget a person."""
        is_here = where == "here"
        confirmation = Confirmation(
            text=words.forget_here_question() if is_here else words.forget_everywhere_question(),
            yes=words.forget_yes(),
            no=words.forget_no(),
        )
        await self._confirming.ask(interaction, confirmation, _FORGET_HERE if is_here else _FORGET_EVERYWHERE)

    async def _forget_here(self, press: discord.Interaction[Any], _: Arguments) -> str:
        """Forget a person in one channel, behind what was asked there before."""
        channel_id, author_id = _channel_id(press), press.user.id
        keys = channel_key(channel_id), private_key(channel_id, author_id)
        with self._lanes.place(keys[0]) as shared, self._lanes.place(keys[1]) as own:
            async with shared.turn(), own.turn():
                last = [reply for key in keys if (reply := await self._conversations.last_reply(key)) is not None]
                forgotten = await self._forgetting.forget(author_id, keys=keys)
                for reply in last:
                    if await self._conversations.find_posted(reply.parts[-1].discord_message_id) is None:
                        self._retiring.retire(reply)
        return _outcome(forgotten)

    async def _forget_everywhere(self, press: discord.Interaction[Any], _: Arguments) -> str:
        """Forget a person at once; a reply being written for them is not kept."""
        return _outcome(await self._forgetting.forget(press.user.id, keys=None))


def _outcome(messages: int) -> str:
    return words.forgotten(messages=messages) if messages else words.nothing_to_forget()


def _require_history(interaction: discord.Interaction[Any]) -> None:
    """Raise `NotPermittedError` where the person may not read what was said before; the file would show it."""
    permissions = interaction.permissions
    if interaction.guild_id is not None and not (permissions.administrator or permissions.read_message_history):
        raise NotPermittedError(permission=READ_HISTORY)


def _channel_id(interaction: discord.Interaction[Any]) -> int:
    """Return where the command was used; Discord always says so."""
    assert interaction.channel_id is not None
    return interaction.channel_id


def _place(channel: object) -> str:
    """Return what people call a channel; a DM has no name."""
    name = getattr(channel, "name", None)
    if not isinstance(name, str):
        return words.direct_messages()
    return name if isinstance(channel, discord.Thread) else f"#{name}"


def _own_name(interaction: discord.Interaction[Any]) -> str:
    """Return what people there call the bot."""
    user = interaction.client.user if interaction.guild is None else interaction.guild.me
    assert user is not None, "nothing arrives before the login"
    name: str = user.display_name
    return name
