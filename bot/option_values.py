"""The options of `/settings set`: which there are, what Discord is told about them, what a value has to be.

Owns: the narrower bounds of Discord use, and how values are checked, kept and written. The ranges themselves are read
from the API's contract, so that they stand in one place.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from api.contract import MAX_STOPS, MIN_CONTEXT_TOKENS, SamplingFields
from bot.profile_errors import BadOptionError, BadStopError
from bot.profiles import MODEL
from bot.speakers import clean_text

STOP = "stop"

STOP_SEPARATOR = "|"
MAX_STOP_CHARACTERS = 400
"""All stop texts together, as they are typed."""

MAX_MODEL_CHARACTERS = 200

MAX_REPLY_TOKENS = 4096
"""About 16,000 characters: more than anybody reads in a channel, and minutes of the model's time."""

MAX_DISCORD_INTEGER = 2**53 - 1
"""Discord's own bound of an integer option, in both directions.

Source: https://discord.com/developers/docs/interactions/application-commands#application-command-object-application-command-option-type
"""

MIROSTAT_CHOICES = {"Off": 0, "Mirostat": 1, "Mirostat 2.0": 2}

DESCRIPTIONS = {
    "temperature": "How freely words are chosen; 0 always takes the likeliest",
    "top_k": "Choose among so many of the likeliest tokens; 0 is off",
    "top_p": "Choose among the likeliest tokens that together have this probability; 1 is off",
    "min_p": "Leave out tokens less likely than this share of the likeliest; 0 is off",
    "typical_p": "Prefer tokens about as surprising as expected; 1 is off",
    "tfs_z": "Cut the tail of unlikely tokens; 1 and above is off",
    "repeat_penalty": "Make tokens that were used lately less likely; 1 is off",
    "repeat_last_n": "How many tokens the repeat penalty looks back; 0 is off, -1 is all of them",
    "presence_penalty": "Make tokens that were used at all less likely; 0 is off",
    "frequency_penalty": "Make tokens less likely each time they are used; 0 is off",
    "mirostat": "Keep the surprise of the reply steady, in place of the cuts above",
    "mirostat_tau": "Mirostat's target surprise",
    "mirostat_eta": "Mirostat's learning rate",
    "seed": "The same number gives the same reply to the same conversation; 0 or below is random",
    "num_predict": "Tokens of a reply at most; a token is about four letters",
    "num_ctx": "Tokens of the conversation the model reads",
    STOP: "A text that ends the reply, or several separated by |; \\n is a line break",
    MODEL: "Which model answers",
}
"""What Discord shows below each option, at most 100 characters; the order is that of the command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The smallest and largest number an option takes, None where there is no such bound; `kind` is int or float."""

    kind: type[int] | type[float]
    minimum: float | None = None
    maximum: float | None = None

    def hold(self, value: object) -> bool:
        """Say whether a number is within the bounds; false for what is no number."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return (self.minimum is None or value >= self.minimum) and (self.maximum is None or value <= self.maximum)


def contract_bounds(name: str) -> Bounds:
    """Return what the API's contract says about a numeric option."""
    field = SamplingFields.model_fields[name]
    bounds = Bounds(kind=float if field.annotation is float else int)
    for constraint in field.metadata:
        bounds = replace(
            bounds,
            minimum=getattr(constraint, "ge", bounds.minimum),
            maximum=getattr(constraint, "le", bounds.maximum),
        )
    return bounds


def number_bounds(*, context_tokens: int) -> dict[str, Bounds]:
    """Return the bounds of every numeric option in Discord, within those of the contract."""
    bounds = {name: contract_bounds(name) for name in DESCRIPTIONS if name not in (STOP, MODEL)}
    bounds["num_predict"] = Bounds(kind=int, minimum=1, maximum=MAX_REPLY_TOKENS)
    bounds["num_ctx"] = Bounds(kind=int, minimum=MIN_CONTEXT_TOKENS, maximum=context_tokens)
    bounds["seed"] = Bounds(kind=int, minimum=-MAX_DISCORD_INTEGER, maximum=MAX_DISCORD_INTEGER)
    return bounds


def checked(given: Mapping[str, Any], bounds: Mapping[str, Bounds]) -> dict[str, Any]:
    """Return options as they are kept; raises `BadOptionError` or `BadStopError`.

    Discord has checked them already, but an interaction can be forged.
    """
    return {name: _checked(name, value, bounds) for name, value in given.items()}


def _checked(name: str, value: Any, bounds: Mapping[str, Bounds]) -> Any:
    if name == STOP:
        return _stops(value)
    limits = bounds[name]
    try:
        fields = SamplingFields.model_validate({name: value})
    except ValidationError:
        fields = None
    if fields is None or not limits.hold(value):
        raise BadOptionError(
            option=name, minimum=_bound(limits, limits.minimum), maximum=_bound(limits, limits.maximum)
        )
    return getattr(fields, name)


def _stops(typed: object) -> list[str]:
    """Read the stop texts: separated by |, without the blanks around them; a backslash and n are a line break."""
    parts = [clean_text(part) for part in str(typed).split(STOP_SEPARATOR)]
    stops = [part.replace("\\n", "\n") for part in parts if part]
    if not 1 <= len(stops) <= MAX_STOPS or sum(map(len, stops)) > MAX_STOP_CHARACTERS:
        raise BadStopError(limit=MAX_STOPS, characters=MAX_STOP_CHARACTERS)
    return stops


def _bound(limits: Bounds, value: float | None) -> str | None:
    return None if value is None else written(limits.kind(value))


def written(value: object) -> str:
    """Write a value so that it can stand in a code block: numbers plainly, stop texts as they may be typed."""
    if value is None:
        return "–"
    if isinstance(value, list):
        # A backtick could end the code block; this one only looks like it.
        typed = f" {STOP_SEPARATOR} ".join(map(str, value))
        return typed.replace("\n", "\\n").replace("`", "\N{MODIFIER LETTER GRAVE ACCENT}")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
