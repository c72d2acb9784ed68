"""What Discord suggests for an option while somebody types it.

Owns: which of the choices fit, and how many Discord takes. Does not own: what there is to choose from (the cogs).
"""

from collections.abc import Iterable
from itertools import islice

from discord import app_commands

MAX_SUGGESTIONS = 25
"""https://discord.com/developers/docs/interactions/receiving-and-responding#interaction-response-object-autocomplete"""


def fitting(choices: Iterable[app_commands.Choice[str]], typed: str) -> list[app_commands.Choice[str]]:
    """Return the choices whose names hold what was typed, in whatever case; the first ones, where there are more."""
    wanted = typed.casefold()
    return list(islice((choice for choice in choices if wanted in choice.name.casefold()), MAX_SUGGESTIONS))
