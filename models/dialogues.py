"""Whole dialogues: a cast, its speakers and as many exchanges as are asked for.

Owns how often each kind of exchange occurs and how dialogues become messages. The exchanges themselves are made by
the skill modules.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from models import knowledge, memory, persona, skills, talk
from models.about import ABOUT
from models.beyond import beyond, personal, remark
from models.draw import Draw
from models.scene import Exchange, Scene, Speaker

Message = dict[str, str]
Skill = Callable[[Scene], Exchange]

TAGGED_SHARE: Final = 0.3
"""Share of dialogues whose user messages begin with the speaker's name, as Discord conversations do."""

TWO_SPEAKERS_SHARE: Final = 0.5
"""Share of those in which two speakers take turns."""


def about(scene: Scene) -> Exchange:
    """Ask about Parley or the model."""
    reply = scene.draw.pick(tuple(ABOUT))
    return scene.ask("about", ABOUT[reply], reply)


SKILLS: Final[dict[Skill, float]] = {
    memory.tell: 15,
    memory.tell_two: 2,
    memory.ask: 20,
    memory.last_said: 1,
    memory.ask_other: 4,
    memory.everything: 1,
    persona.who: 3,
    persona.name: 1.5,
    persona.role: 1.5,
    persona.mood: 1.5,
    persona.love: 1,
    persona.how: 2.5,
    persona.is_it: 1,
    talk.hello: 4,
    talk.joke: 1.5,
    talk.small_talk: 7,
    about: 7,
    remark: 2,
    personal: 1.5,
    skills.repeat: 8,
    skills.count: 6,
    skills.add: 8,
    skills.subtract: 8,
    skills.too_hard: 1,
    skills.too_far: 0.7,
    skills.write_json: 7,
    knowledge.next_in_order: 1.4,
    knowledge.opposite: 0.8,
    knowledge.colour: 0.6,
    knowledge.sound: 0.6,
    knowledge.legs: 0.6,
    beyond: 12,
}
"""Every skill with its weight among the exchanges of a dialogue."""

_OPENERS: Final[dict[Skill, float]] = {talk.hello: 4, persona.who: 4, persona.how: 1, memory.tell: 4, beyond: 1}
"""What a dialogue more often begins with than its other exchanges would suggest."""

_OPENER_SHARE: Final = 0.5
"""Share of dialogues that begin with an opener; the rest begin with anything."""


@dataclass(frozen=True)
class Dialogue:
    """A system prompt, where there is one, and the exchanges after it."""

    system: str | None
    exchanges: tuple[Exchange, ...]

    def messages(self) -> list[Message]:
        """Write the dialogue as chat messages."""
        messages = [{"role": "system", "content": self.system}] if self.system is not None else []
        for exchange in self.exchanges:
            messages.append({"role": "user", "content": exchange.user})
            messages.append({"role": "assistant", "content": exchange.reply})
        return messages


class Stage:
    """Draws the exchanges of one dialogue after another from a source of choices."""

    def __init__(self, skills: dict[Skill, float]) -> None:
        self._skills = tuple(skills)
        self._weights = tuple(skills.values())

    def next(self, scene: Scene) -> Exchange:
        """Make one exchange of a kind drawn by weight."""
        (skill,) = scene.draw.rng.choices(self._skills, self._weights)
        return skill(scene)


_ANY: Final = Stage(SKILLS)
_OPENING: Final = Stage(_OPENERS)


def set_scene(draw: Draw) -> Scene:
    """Begin a conversation: its system prompt and its speakers."""
    scene = Scene(draw)
    persona.cast(scene)
    if draw.chance(TAGGED_SHARE):
        count = 2 if draw.chance(TWO_SPEAKERS_SHARE) else 1
        names = [draw.handle() for _ in range(count)]
        scene.speakers = [Speaker(name, {"name/": name}) for name in dict.fromkeys(names)]
        scene.tagged = True
        scene.speaker = scene.speakers[0]
    return scene


def next_speaker(scene: Scene) -> None:
    """Let any of the speakers go on."""
    scene.speaker = scene.draw.pick(scene.speakers)


def exchanges(scene: Scene) -> Iterator[Exchange]:
    """Give the endless exchanges of a conversation."""
    if scene.draw.chance(_OPENER_SHARE):
        yield _OPENING.next(scene)
    while True:
        next_speaker(scene)
        yield _ANY.next(scene)


def dialogue(seed: str, length: int) -> Dialogue:
    """Make a training dialogue of so many exchanges."""
    scene = set_scene(Draw(seed))
    stream = exchanges(scene)
    made = tuple(next(stream) for _ in range(length))
    return Dialogue(scene.system, made)
