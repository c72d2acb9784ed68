"""Live API tokens in what people write: revoked at once, and whoever must know is told.

Owns: finding them in any text, and what follows. Does not own: which messages are looked at (`cogs/leaks.py`), or what
the person reads whose command held one (`errors.LeakedTokenError`).
"""

import asyncio
import logging
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import discord

from bot.faults import describe
from bot.language import speaking
from bot.peoples_locales import PeoplesLocales
from bot.screens import NETWORK_ERRORS, NO_MENTIONS
from bot.speakers import clean_token_name
from bot.texts import leaks as words
from storage.tokens import SECRET_PREFIX, ApiToken, TokenStore, generate_secret

logger = logging.getLogger(__name__)

_LOOKALIKE = re.compile(rf"(?=({re.escape(SECRET_PREFIX)}[A-Za-z0-9_-]{{32,128}}))")
"""Looks ahead, so that one that begins within another is found too."""

_SECRET_CHARACTERS = len(generate_secret())

_REMEMBERED_MESSAGES = 256

DRAIN_SECONDS = 5.0


class Leaks:
    """Watches texts for live API tokens.

    It speaks to a channel in the language of its server, and to an owner in their own as far as that is known.
    """

    def __init__(self, client: discord.Client, tokens: TokenStore, locales: PeoplesLocales) -> None:
        self._client = client
        self._tokens = tokens
        self._locales = locales
        self._one_at_a_time = asyncio.Lock()
        self._caught: deque[int] = deque(maxlen=_REMEMBERED_MESSAGES)
        self._running: set[asyncio.Task[bool]] = set()

    async def handle_message(self, message: discord.Message) -> bool:
        """Revoke the live tokens in a message; True when it held one, so that it must not be answered or kept.

        The message is deleted where that is permitted; the channel and the owners are told. May be called by several
        for the same message, at once or one after the other: all of them get the same answer, and people are told
        once. Raises `StorageError`; failures of Discord are logged.
        """
        if self._client.user is not None and message.author.id == self._client.user.id:
            return False
        secrets = lookalikes(_texts(message))
        return bool(secrets) and await self._to_the_end(secrets, message.author, message.channel, message)

    async def is_live_in(self, message: discord.Message) -> bool:
        """Say whether a message holds a live token, and do nothing about it yet. Raises `StorageError`."""
        secrets = lookalikes(_texts(message))
        return bool(secrets) and bool(await self._tokens.find_live(secrets))

    async def handle_text(
        self, text: str, *, user: discord.abc.User, channel: object, message: discord.Message | None = None
    ) -> bool:
        """Revoke the live tokens in a command's, a form's or a file's text; True when it held one.

        The owners are told by DM; `user`, who wrote it, by the caller, who raises `LeakedTokenError`. With the message
        that a file hangs on it is as if the message held the token. Raises `StorageError`; failures of Discord are
        logged.
        """
        secrets = lookalikes([text])
        return bool(secrets) and await self._to_the_end(secrets, user, channel, message)

    async def drain(self) -> None:
        """Wait, for a while, until everybody is told; for the end of the bot."""
        if self._running:
            await asyncio.wait(self._running, timeout=DRAIN_SECONDS)

    async def _to_the_end(
        self, secrets: Sequence[str], author: discord.abc.User, channel: object, message: discord.Message | None
    ) -> bool:
        """Handle what may be tokens whatever becomes of the caller: that a message is deleted here may end it."""
        task = asyncio.create_task(self._handle(secrets, author, channel, message))
        self._running.add(task)
        task.add_done_callback(self._note_end)
        return await asyncio.shield(task)

    def _note_end(self, task: asyncio.Task[bool]) -> None:
        """Look at how it ended, in place of a caller that was cancelled meanwhile."""
        self._running.discard(task)
        if not task.cancelled():
            task.exception()

    async def _handle(
        self, secrets: Sequence[str], author: discord.abc.User, channel: object, message: discord.Message | None
    ) -> bool:
        async with self._one_at_a_time:
            revoked = await self._revoke(secrets, author_id=author.id, channel=channel)
            if revoked and message is not None:
                self._caught.append(message.id)
        if revoked and message is not None:
            await self._follow_up(message, revoked)
        else:
            await self._tell_owners(revoked, channel)
        return bool(revoked) or (message is not None and message.id in self._caught)

    async def _revoke(self, secrets: Sequence[str], *, author_id: int, channel: object) -> list[ApiToken]:
        live = await self._tokens.find_live(secrets)
        for token in live:
            await self._tokens.revoke(token.id)
            where = _id_of(channel)
            logger.warning("API token %s was posted by %s in channel %s and is revoked", token.id, author_id, where)
        return live

    async def _follow_up(self, message: discord.Message, revoked: Sequence[ApiToken]) -> None:
        is_deleted = await _delete(message)
        unreached = await self._tell_owners(revoked, message.channel)
        if message.guild is None and message.author.id in {token.created_by for token in revoked}:
            # The DM with the owner is where this was said just now.
            return
        with speaking(
            self._locales.of(message.author, None) if message.guild is None else message.guild.preferred_locale
        ):
            text = _news(message, unreached, is_deleted=is_deleted)
        try:
            await message.channel.send(text, allowed_mentions=NO_MENTIONS)
        except NETWORK_ERRORS as error:
            logger.info("channel %s was not told about a token: %s", message.channel.id, describe(error))

    async def _tell_owners(self, revoked: Iterable[ApiToken], channel: object) -> list[ApiToken]:
        """Tell each owner by DM; returns the tokens whose owner could not be told."""
        return [token for token in revoked if token.created_by is not None and not await self._is_told(token, channel)]

    async def _is_told(self, token: ApiToken, channel: object) -> bool:
        assert token.created_by is not None
        guild = None if token.guild_id is None else self._client.get_guild(token.guild_id)
        try:
            dm = await self._client.create_dm(discord.Object(token.created_by))
            with speaking(None if dm.recipient is None else self._locales.of(dm.recipient, guild)):
                name = clean_token_name(token.name)
                text = words.owner_told(name=name, token_id=token.id, place=_place(channel))
            await dm.send(text, allowed_mentions=NO_MENTIONS)
        except NETWORK_ERRORS as error:
            logger.info("the owner of API token %s was not told: %s", token.id, describe(error))
            return False
        return True


def _news(message: discord.Message, unreached: Iterable[ApiToken], *, is_deleted: bool) -> str:
    """Return what a channel is told; whose token it was only in that token's own server."""
    here = [token for token in unreached if message.guild is not None and token.guild_id == message.guild.id]
    lines = [
        words.owner_unreached(person=f"<@{token.created_by}>", name=clean_token_name(token.name), token_id=token.id)
        for token in here
    ]
    return "\n".join([words.message_deleted() if is_deleted else words.message_stays(), *lines])


def lookalikes(texts: Iterable[str]) -> list[str]:
    """Return everything in the texts that may be an API token, each once, however it is wrapped in markup.

    Underscores and hyphens belong to tokens and to markup: of each run, its whole, its beginning as long as a token,
    and what is left without them at its end are returned.
    """
    found: dict[str, None] = {}
    for text in texts:
        for match in _LOOKALIKE.finditer(text):
            run = match[1]
            found |= dict.fromkeys((run, run[:_SECRET_CHARACTERS], run.rstrip("_-")))
    return list(found)


def _texts(message: discord.Message) -> Iterator[str]:
    """Yield the texts of a message: its own, those of forwarded messages, and of embeds."""
    yield message.content
    for embed in message.embeds:
        yield from _embed_texts(embed)
    for snapshot in message.message_snapshots:
        yield snapshot.content
        for embed in snapshot.embeds:
            yield from _embed_texts(embed)


def _embed_texts(embed: discord.Embed) -> Iterator[str]:
    values = [embed.title, embed.description, embed.url, embed.footer.text, embed.author.name]
    for field in embed.fields:
        values += [field.name, field.value]
    yield from filter(None, values)


async def _delete(message: discord.Message) -> bool:
    """Delete a message where the bot may; in a DM nobody may delete another's."""
    if message.guild is None:
        return False
    try:
        if not message.channel.permissions_for(message.guild.me).manage_messages:
            return False
        await message.delete()
    except discord.NotFound:
        # Its author was faster.
        return True
    except (discord.ClientException, *NETWORK_ERRORS) as error:
        logger.info("a message with a token in channel %s stays: %s", message.channel.id, describe(error))
        return False
    return True


def _place(channel: object) -> str:
    guild = getattr(channel, "guild", None)
    if guild is None:
        return words.place_in_dm()
    server = clean_token_name(getattr(guild, "name", "")) or str(guild.id)
    return words.place_in_server(channel=f"<#{_id_of(channel)}>", server=server)


def _id_of(channel: object) -> int | None:
    return getattr(channel, "id", None)
