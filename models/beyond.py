"""Requests beyond the model's small world, which all get one honest answer, and remarks it can only nod to.

Owns the wide variety of both, so that whatever is not taught elsewhere is recognised as unknown.
"""

from typing import Final

from models.draw import Draw, in_held_out_class
from models.requests import PERSONAL, REMARKS, REQUESTS
from models.scene import Exchange, Scene
from models.talk import SMALL_TALK
from models.topics import ACTIONS, CODE, COUNTRIES, LANGUAGES, PAST, PEOPLE, TIMES, TOPICS
from models.words import (
    ADJECTIVES,
    ANIMALS,
    FAVOURITES,
    FOODS,
    HOBBIES,
    RELATIVES,
    ROLES,
    TOWNS,
    VERBS,
    WORDS,
)

BEYOND: Final = "Sorry, I am only Parley's small demo model. Set PARLEY_MODEL to use a real one."
NO_LIFE: Final = "I am only a small model and have nothing of that kind."
NOD: Final = "I see! Tell me more."

_SCRIPTS: Final = (
    "asdfghjkl",
    "qwertyuiop",
    "?!.",
    "🎉🔥🚀😭🙏",
    "абвгдежзиклмнопрст",
    "的一是在不了有和人这",
    "あいうえおかきくけこ",
    "ابتثجحخد",
    "αβγδεζηθικλμ",
    "אבגדהוז",
    "éèàüöäßñç",
)
"""Keys and scripts of messages the model cannot read."""

_NONSENSE_SHARE: Final = 0.06
_LONG_SHARE: Final = 0.06


def beyond(scene: Scene) -> Exchange:
    """Make a request outside the model's world."""
    draw = scene.draw
    if draw.chance(_NONSENSE_SHARE):
        return scene.exchange("beyond", _keyboard(draw), BEYOND)
    if draw.chance(_LONG_SHARE):
        sentences = (scene.phrase(draw.pick(REQUESTS), **_values(draw)) for _ in range(draw.below(2, 4)))
        return scene.exchange("beyond", draw.pick((" ", " ", "\n")).join(sentences), BEYOND)
    return scene.ask("beyond", (draw.pick(REQUESTS),), BEYOND, **_values(draw))


def personal(scene: Scene) -> Exchange:
    """Ask about the assistant's own life what no persona answers."""
    draw = scene.draw
    values = {**_values(draw), "relative": draw.pick(RELATIVES), "thing": draw.pick(FAVOURITES)}
    return scene.ask("small talk", (draw.pick(PERSONAL),), NO_LIFE, **values)


def remark(scene: Scene) -> Exchange:
    """Tell something about the speaker's day."""
    draw = scene.draw
    wordings = (draw.pick(REMARKS),) if draw.chance(0.75) else SMALL_TALK[NOD]
    return scene.ask("small talk", wordings, NOD, **_values(draw))


def _topic(draw: Draw, options: tuple[str, ...]) -> str:
    """Draw a topic of the right class: even here some are kept back from training."""
    while True:
        topic = draw.pick(options)
        if in_held_out_class(topic) == draw.held_out:
            return topic.lower() if draw.chance(0.2) else topic


def _values(draw: Draw) -> dict[str, str]:
    nouns = tuple(_topic(draw, WORDS) for _ in range(2))
    return {
        "country": _topic(draw, COUNTRIES), "town": draw.pick(TOWNS), "town2": draw.pick(TOWNS),
        "topic": _topic(draw, TOPICS), "topic2": _topic(draw, TOPICS), "person": _topic(draw, PEOPLE),
        "code": draw.pick(CODE), "code2": draw.pick(CODE), "language": draw.pick(LANGUAGES),
        "noun": nouns[0], "noun2": nouns[1], "verb": draw.pick(VERBS), "animal": draw.pick(ANIMALS),
        "adjective": draw.pick(ADJECTIVES), "role": draw.pick(ROLES), "food": draw.pick(FOODS),
        "hobby": draw.pick(HOBBIES), "action": draw.pick(ACTIONS), "past": draw.pick(PAST), "time": draw.pick(TIMES),
        "year": str(draw.number(1000, 2100)), "invented": draw.invented(), "invented2": draw.invented(),
        "invented3": draw.invented(),
    }  # fmt: skip


def _keyboard(draw: Draw) -> str:
    """Type what a cat on the keyboard types, or a text in a script the model cannot read."""
    alphabet = draw.pick(_SCRIPTS)
    if draw.chance(0.1):
        return str(draw.number(0, 9999))
    return "".join(draw.pick(alphabet) for _ in range(draw.below(2, 10)))
