"""Discord is told about the commands when they changed, not on every start: it counts such calls per day.

Of several processes that start together one tells it, and the others wait for that.
"""

import asyncio
import hashlib
import json
import logging
from typing import Any

import discord
from discord import app_commands

from bot.faults import describe
from storage.claims import Claims
from storage.notes import Notes

logger = logging.getLogger(__name__)

NOTE_KEY = "discord.commands"

_CLAIM_SECONDS = 30.0
"""Longer than it takes to tell Discord; so long others wait for a process that died meanwhile."""

_LOOK_SECONDS = 0.5

_Command = app_commands.Command[Any, ..., Any] | app_commands.Group | app_commands.ContextMenu


async def digest_of(tree: app_commands.CommandTree[Any], application_id: int) -> str:
    """Return a digest of everything Discord would be told, translations included, for this application."""
    payloads = [await _payload(tree, command) for command in tree.get_commands()]
    commands = sorted(payloads, key=lambda each: (each["name"], each.get("type", 1)))
    told = json.dumps([application_id, commands], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(told.encode()).hexdigest()


async def sync_if_changed(
    tree: app_commands.CommandTree[Any], application_id: int, notes: Notes, claims: Claims
) -> bool:
    """Tell Discord about the commands unless it knows them; says whether it was told.

    A failure is logged and tried again at the next start: the commands known so far go on working.
    """
    try:
        digest = await digest_of(tree, application_id)
        while await notes.get(NOTE_KEY) != digest:
            wait_seconds = await claims.claim(NOTE_KEY, seconds=_CLAIM_SECONDS)
            if not wait_seconds:
                return await _sync_unless_told(tree, digest, notes, claims)
            await asyncio.sleep(min(wait_seconds, _LOOK_SECONDS))
    except (discord.HTTPException, app_commands.AppCommandError) as error:
        logger.warning("Discord did not take the commands, trying at the next start: %s", describe(error))
    return False


async def _sync_unless_told(tree: app_commands.CommandTree[Any], digest: str, notes: Notes, claims: Claims) -> bool:
    try:
        # Another process may have told Discord, and let go, between the look at the note and the claim.
        if await notes.get(NOTE_KEY) == digest:
            return False
        await tree.sync()
        await notes.put(NOTE_KEY, digest)
    finally:
        await claims.release(NOTE_KEY)
    return True


async def _payload(tree: app_commands.CommandTree[Any], command: _Command) -> dict[str, Any]:
    if tree.translator is None:
        return command.to_dict(tree)
    return await command.get_translated_payload(tree, tree.translator)
