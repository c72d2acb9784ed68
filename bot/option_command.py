"""`/settings set` as Discord is told about it: one typed option, with its bounds, for each row of a table.

The command's signature is made here and not written out, because its bounds are those of the API's contract and of this
bot's context, which a written signature could only repeat. Does not own: what the values do (`cogs/settings.py`).
"""

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import discord
from discord import app_commands

from bot.option_values import (
    DESCRIPTIONS,
    MAX_MODEL_CHARACTERS,
    MAX_STOP_CHARACTERS,
    MIROSTAT_CHOICES,
    STOP,
    Bounds,
)
from bot.profiles import MODEL

Change = Callable[[discord.Interaction[Any], Mapping[str, Any]], Awaitable[None]]
Suggest = Callable[[discord.Interaction[Any], str], Coroutine[Any, Any, list[app_commands.Choice[str]]]]

_KINDS = {int: discord.AppCommandOptionType.integer, float: discord.AppCommandOptionType.number}


class TypedOption(app_commands.Transformer[Any]):
    """Tells Discord the type and the bounds of an option; its value arrives as Discord sends it.

    `bounds` is None for a text of at most `max_characters`. Choices take the place of bounds.
    """

    def __init__(
        self, bounds: Bounds | None, *, max_characters: int | None = None, choices: Mapping[str, int] | None = None
    ) -> None:
        self._bounds = None if choices else bounds
        self._kind = discord.AppCommandOptionType.string if bounds is None else _KINDS[bounds.kind]
        self._max_characters = max_characters
        self._choices = choices

    @property
    def type(self) -> discord.AppCommandOptionType:
        """Return Discord's type."""
        return self._kind

    @property
    def min_value(self) -> int | float | None:
        """Return the smallest number, or the fewest characters."""
        if self._max_characters is not None:
            return 1
        return None if self._bounds is None else self._bounds.minimum

    @property
    def max_value(self) -> int | float | None:
        """Return the largest number, or the most characters."""
        return self._max_characters if self._bounds is None else self._bounds.maximum

    @property
    def choices(self) -> list[app_commands.Choice[int | float | str]] | None:
        """Return the values to choose from, where there are only a few."""
        if self._choices is None:
            return None
        return [app_commands.Choice(name=name, value=value) for name, value in self._choices.items()]

    async def transform(self, _interaction: discord.Interaction[Any], value: Any, /) -> Any:
        """Return the value as it came."""
        return value


def set_command(
    bounds: Mapping[str, Bounds], *, change: Change, suggest_models: Suggest
) -> app_commands.Command[Any, ..., None]:
    """Make the command; `change` is given the options that somebody filled in, as Discord sends them."""

    async def callback(interaction: discord.Interaction[Any], **values: Any) -> None:
        await change(interaction, {name: value for name, value in values.items() if value is not None})

    interaction = inspect.Parameter("interaction", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    options = [_parameter(name, bounds.get(name)) for name in DESCRIPTIONS]
    callback.__signature__ = inspect.Signature([interaction, *options])  # type: ignore[attr-defined]
    command: app_commands.Command[Any, ..., None] = app_commands.Command(
        name="set",
        description="Change how I choose my words in this channel",
        callback=app_commands.describe(**DESCRIPTIONS)(callback),
    )
    command.autocomplete(MODEL)(suggest_models)
    return command


def _parameter(name: str, bounds: Bounds | None) -> inspect.Parameter:
    characters = {STOP: MAX_STOP_CHARACTERS, MODEL: MAX_MODEL_CHARACTERS}
    choices = MIROSTAT_CHOICES if name == "mirostat" else None
    option = TypedOption(bounds, max_characters=characters.get(name), choices=choices)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
