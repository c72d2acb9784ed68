"""Refusing what the loaded engine cannot do, and telling people beforehand.

Owns: the wire's names for the engine's options, and the sentences. Does not own: what an engine can do
(`generation/abilities.py`).
"""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import fields, replace
from typing import Any

from pydantic import BaseModel

from api.contract import FieldProblem
from api.errors import invalid
from api.job import UNTIL_CONTEXT_IS_FULL
from generation.abilities import NEUTRAL, WITHOUT, Abilities, Unable, find_unable
from generation.engine import SamplingOptions

WIRE_NAMES = {"json_schema": "format", "max_tokens": "num_predict", "adapter": "PARLEY_LORA"}
"""Where the contract has another name than the engine."""

AT_START = frozenset({"adapter"})
"""What is refused when Parley starts, before any request can ask for it."""

NOT_ON_THE_WIRE = frozenset({"ignore_eos", "logprobs", "shown_tokens", "conversation"})
"""Options of other dialects than the native one, and what is no option of a caller's."""


def within_abilities(sampling: SamplingOptions, abilities: Abilities, *, asked: BaseModel) -> SamplingOptions:
    """Return the options as the engine can honour them; `asked` is the body, or the part of it, that they came from.

    What the caller wrote is honoured or refused, never ignored: raises the 400 that names every such option. What
    nobody wrote, and is there because the contract has a default, is switched off where the engine cannot do it.
    """
    # OpenAI's penalties have no window, so nobody can have asked for one.
    unwritten = (type(asked).model_fields.keys() | {"repeat_last_n"}) - asked.model_fields_set
    problems: list[FieldProblem] = []
    changes: dict[str, Any] = {}
    for unable in find_unable(sampling, abilities):
        if unable.option in unwritten and not unable.beside:
            changes[unable.option] = WITHOUT[unable.option]
        else:
            problems.append(_problem(unable, abilities))
    if "ignore_eos" not in abilities.options and getattr(asked, "num_predict", None) == UNTIL_CONTEXT_IS_FULL:
        problems.append(FieldProblem(field="num_predict", problem=f"the engine {abilities.engine} cannot do -2"))
    if problems:
        raise invalid(f"{problems[0].field}: {problems[0].problem}", details=problems)
    return replace(sampling, **changes) if changes else sampling


def _problem(unable: Unable, abilities: Abilities) -> FieldProblem:
    field = _wire_name(unable.option)
    if unable.beside:
        others = " and ".join(sorted(map(_wire_name, unable.beside)))
        return FieldProblem(field=field, problem=f"cannot be combined with {others} on {abilities.engine}")
    neutral = WITHOUT[unable.option]
    return FieldProblem(field=field, problem=f"the engine {abilities.engine} cannot do this; leave it at {neutral!r}")


def _wire_name(option: str) -> str:
    return WIRE_NAMES.get(option, option)


def describe(abilities: Abilities) -> Iterator[str]:
    """Say, a sentence each, what the loaded engine cannot do and what is particular about it."""
    for option in NEUTRAL:
        if option not in abilities.options and option not in NOT_ON_THE_WIRE:
            yield f"`{_wire_name(option)}` is not supported by {abilities.engine}."
    for group in abilities.apart:
        if group & NOT_ON_THE_WIRE:
            continue
        names = " and ".join(f"`{_wire_name(option)}`" for option in sorted(group))
        yield f"{names} cannot be combined on {abilities.engine}."
    yield from _describe_notes(abilities)


def _describe_notes(abilities: Abilities) -> Iterator[str]:
    for option, note in abilities.notes.items():
        yield f"`{_wire_name(option)}` on {abilities.engine}: {note}."


def table(engines: Iterable[Abilities], *, hides: AbstractSet[str] = frozenset(), tells_lacks: bool = True) -> str:
    """Render Markdown: a row per option, a column per engine, and what is particular below.

    `hides` are options without a row; `tells_lacks` says in sentences, too, what the rows show as refused.
    """
    engines = list(engines)
    names = [field.name for field in fields(SamplingOptions) if field.name not in NOT_ON_THE_WIRE | hides]
    lines = ["| option | " + " | ".join(each.engine for each in engines) + " |", "|---" * (len(engines) + 1) + "|"]
    for name in names:
        refusal = "refused at the start" if name in AT_START else "400"
        marks = ("yes" if name in each.options else refusal for each in engines)
        lines.append(f"| `{_wire_name(name)}` | " + " | ".join(marks) + " |")
    say = describe if tells_lacks else _describe_notes
    notes = [f"- {sentence}" for each in engines for sentence in say(each)]
    return "\n".join([*lines, "", *notes]) + "\n"
