"""Discord is told about the commands when they changed, not on every start: it counts such calls per day."""

import hashlib
import json
import logging
from typing import Any

import discord
from discord import app_commands

from bot.faults import describe
from storage.notes import Notes

logger = logging.getLogger(__name__)

NOTE_KEY = "discord.commands"

_Command = app_commands.Command[Any, ..., Any] | app_commands.Group | app_commands.ContextMenu


async def digest_of(tree: app_commands.CommandTree[Any], application_id: int) -> str:
    """Return a digest of everything Discord would be told, translations included, for this application."""
    payloads = [await _payload(tree, command) for command in tree.get_commands()]
    commands = sorted(payloads, key=lambda each: (each["name"], each.get("type", 1)))
    told = json.dumps([application_id, commands], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(told.encode()).hexdigest()


async def sync_if_changed(tree: app_commands.CommandTree[Any], application_id: int, notes: Notes) -> bool:
    """Tell Discord about the commands unless it knows them; says whether it was told.

    A failure is logged and tried again at the next start: the commands known so far go on working.
    """
    try:
        digest = await digest_of(tree, application_id)
        if await notes.get(NOTE_KEY) == digest:
            return False
        await tree.sync()
    except (discord.HTTPException, app_commands.AppCommandError) as error:
        logger.warning("Discord did not take the commands, trying at the next start: %s", describe(error))
        return False
    await notes.put(NOTE_KEY, digest)
    return True


async def _payload(tree: app_commands.CommandTree[Any], command: _Command) -> dict[str, Any]:
    if tree.translator is None:
        return command.to_dict(tree)
    return await command.get_translated_payload(tree, tree.translator)
