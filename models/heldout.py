"""The held-out dialogues the model is measured on: models/heldout.jsonl.

Owns how many there are of each kind and how they are made and read. Their names, invented words and numbers belong to
the held-out class, which training never draws from; each ends with a question that has exactly one right reply.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from models import knowledge, memory, persona, skills, talk
from models.beyond import beyond, personal, remark
from models.dialogues import Message, Skill, about, exchanges, next_speaker, set_scene
from models.draw import Draw
from models.scene import Exchange, Scene

PATH: Final = Path(__file__).with_name("heldout.jsonl")
SEED: Final = "parley demo held out"

_PERSONA: Final[tuple[Skill, ...]] = (
    persona.who,
    persona.who,
    persona.name,
    persona.role,
    persona.mood,
    persona.love,
    persona.how,
    persona.is_it,
)
_KNOWLEDGE: Final[tuple[Skill, ...]] = (
    knowledge.next_in_order,
    knowledge.opposite,
    knowledge.colour,
    knowledge.sound,
    knowledge.legs,
)


@dataclass(frozen=True)
class Kind:
    """How many dialogues end with one of these skills, after how many other exchanges."""

    name: str
    count: int
    skills: tuple[Skill, ...]
    fewest: int = 0
    most: int = 8


KINDS: Final = (
    Kind("persona", 42, _PERSONA),
    Kind("memory", 46, (*[memory.ask_told] * 9, memory.last_said), fewest=3, most=12),
    Kind("memory after long talk", 12, (memory.ask_told,), fewest=25, most=55),
    Kind("memory of others", 8, (memory.ask_other,), fewest=2, most=10),
    Kind("unknown fact", 10, (memory.ask,)),
    Kind("greeting", 10, (talk.hello,), most=3),
    Kind("small talk", 16, (talk.small_talk, talk.small_talk, talk.small_talk, remark, personal)),
    Kind("joke", 4, (talk.joke,)),
    Kind("about", 22, (about,)),
    Kind("repeat", 24, (skills.repeat,)),
    Kind("count", 18, (skills.count,)),
    Kind("add", 20, (skills.add,)),
    Kind("subtract", 18, (skills.subtract,)),
    Kind("limits", 4, (skills.too_hard, skills.too_far)),
    Kind("json", 22, (skills.write_json,)),
    Kind("knowledge", 6, _KNOWLEDGE),
    Kind("beyond", 18, (beyond,)),
)
"""Every ability in fair proportion: 300 dialogues in all."""


@dataclass(frozen=True)
class HeldOut:
    """One dialogue: the conversation so far, ending with a user's message, and the one right reply."""

    kind: str
    messages: list[Message]
    expected: str


def held_out() -> Iterator[HeldOut]:
    """Make all held-out dialogues, the same ones every time."""
    for kind in KINDS:
        for number in range(kind.count):
            yield _of_kind(kind, f"{SEED} {kind.name} {number}")


def read(path: Path = PATH) -> list[HeldOut]:
    """Read the dialogues of a file."""
    return [HeldOut(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def lines() -> str:
    """Write the dialogues as the file has them."""
    return "".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in held_out())


def _of_kind(kind: Kind, seed: str) -> HeldOut:
    attempt = 0
    while True:
        scene = set_scene(Draw(f"{seed} {attempt}", held_out=True))
        before = _before(scene, kind)
        next_speaker(scene)
        last = scene.draw.pick(kind.skills)(scene)
        if _fits(kind, last):
            return HeldOut(kind.name, _messages(scene, before, last), last.reply)
        attempt += 1


def _before(scene: Scene, kind: Kind) -> list[Exchange]:
    """Make the exchanges before the last one; where memory is asked, they begin with something told."""
    count = scene.draw.below(kind.fewest, kind.most)
    told = [memory.tell(scene)] if kind.name.startswith("memory") else []
    stream = exchanges(scene)
    return told + [next(stream) for _ in range(count - len(told))]


def _fits(kind: Kind, last: Exchange) -> bool:
    """Whether the last exchange is of the kind asked for: a memory skill may have had nothing to ask."""
    wanted = "memory" if kind.name.startswith("memory") else kind.name
    return last.kind == wanted


def _messages(scene: Scene, before: list[Exchange], last: Exchange) -> list[Message]:
    messages = [] if scene.system is None else [{"role": "system", "content": scene.system}]
    for exchange in before:
        messages.append({"role": "user", "content": exchange.user})
        messages.append({"role": "assistant", "content": exchange.reply})
    return [*messages, {"role": "user", "content": last.user}]


def main() -> None:
    """Write the file, or check that it is what this module makes."""
    parser = argparse.ArgumentParser(description="Make the held-out dialogues.")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    if not parser.parse_args().check:
        PATH.write_text(lines(), encoding="utf-8")
    elif PATH.read_text(encoding="utf-8") != lines():
        raise SystemExit(f"{PATH.name} differs from what the generator makes")


if __name__ == "__main__":
    main()
