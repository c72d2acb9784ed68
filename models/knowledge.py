"""The few facts of the wider world that the model knows.

Owns those facts, how they are asked for and how they are answered.
"""

from typing import Final

from models.draw import with_article
from models.scene import Exchange, Scene
from models.words import DAYS, MONTHS

_OPPOSITES: Final = (
    "hot cold, big small, fast slow, high low, light dark, old new, rich poor, happy sad, up down, left right,"
    " open closed, wet dry, hard soft, full empty, good bad, early late, strong weak, long short, thick thin,"
    " day night, black white, true false, near far, loud quiet, clean dirty, easy difficult, first last, yes no,"
    " love hate, win lose"
)
_OPPOSITE: Final = {
    one: other for pair in _OPPOSITES.split(", ") for one, other in (pair.split(), reversed(pair.split()))
}
_COLOUR_OF: Final = {
    "the sky": "blue", "grass": "green", "snow": "white", "coal": "black", "a banana": "yellow", "blood": "red",
    "the sun": "yellow", "milk": "white", "a carrot": "orange", "a lemon": "yellow", "the sea": "blue",
    "a tomato": "red", "chocolate": "brown", "a frog": "green", "an elephant": "grey", "a flamingo": "pink",
    "a raven": "black", "a polar bear": "white",
}  # fmt: skip
_SOUND_OF: Final = {
    "cat": "meow", "dog": "woof", "cow": "moo", "sheep": "baa", "duck": "quack", "pig": "oink", "horse": "neigh",
    "lion": "roar", "bee": "buzz", "snake": "hiss", "owl": "hoot", "frog": "ribbit", "rooster": "cock-a-doodle-doo",
    "mouse": "squeak", "wolf": "howl", "crow": "caw", "hen": "cluck", "goose": "honk",
}  # fmt: skip
_LEGS_OF: Final = {
    "dog": 4, "cat": 4, "spider": 8, "bird": 2, "human": 2, "ant": 6, "horse": 4, "snake": 0, "fish": 0, "bee": 6,
    "cow": 4, "chicken": 2, "crab": 10, "elephant": 4, "beetle": 6, "duck": 2,
}  # fmt: skip
_AFTER: Final = (
    "what comes after {x}?",
    "which {kind} comes after {x}?",
    "what {kind} comes after {x}?",
    "what {kind} is after {x}?",
    "what follows {x}?",
    "which {kind} follows {x}?",
    "what is the {kind} after {x}?",
    "after {x} comes which {kind}?",
    "tell me the {kind} after {x}.",
    "name the {kind} after {x}.",
)
_BEFORE: Final = (
    "what comes before {x}?",
    "which {kind} comes before {x}?",
    "what {kind} comes before {x}?",
    "what {kind} is before {x}?",
    "what is the {kind} before {x}?",
    "before {x} comes which {kind}?",
    "tell me the {kind} before {x}.",
    "name the {kind} before {x}.",
    "which {kind} is just before {x}?",
    "do you know the {kind} before {x}?",
)
_OPPOSITE_OF: Final = (
    "what is the opposite of {x}?",
    "what's the opposite of {x}?",
    "whats the opposite of {x}",
    "opposite of {x}",
    "the opposite of {x}?",
    "tell me the opposite of {x}.",
    "which word is the opposite of {x}?",
    "do you know the opposite of {x}?",
    "name the opposite of {x}.",
    "what is the contrary of {x}?",
)
_COLOUR: Final = (
    "what colour is {x}?",
    "what color is {x}?",
    "which colour is {x}?",
    "what is the colour of {x}?",
    "what's the color of {x}?",
    "which color does {x} have?",
    "tell me the colour of {x}.",
    "do you know the colour of {x}?",
    "what colour has {x}?",
    "the colour of {x} is?",
)
_SOUND: Final = (
    "what does {a} say?",
    "what does the {x} say?",
    "what sound does {a} make?",
    "which sound does {a} make?",
    "what noise does {a} make?",
    "how does {a} sound?",
    "what does {a} sound like?",
    "what is the sound of {a}?",
    "do you know what {a} says?",
    "tell me what {a} says.",
)
_LEGS: Final = (
    "how many legs does {a} have?",
    "how many legs does the {x} have?",
    "how many legs has {a}?",
    "how many legs are there on {a}?",
    "what number of legs does {a} have?",
    "number of legs of {a}",
    "tell me how many legs {a} has.",
    "do you know how many legs {a} has?",
    "on how many legs does {a} walk?",
    "count the legs of {a}.",
)


def next_in_order(scene: Scene) -> Exchange:
    """Ask for the day, month or letter after or before another."""
    draw = scene.draw
    letters = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    kind, ring = draw.pick((("day", DAYS), ("month", MONTHS), ("letter", letters)))
    after = draw.chance(0.6)
    at = draw.below(0, len(ring) - 1)
    if kind == "letter":
        at = min(max(at, 1), len(ring) - 2)
    other = ring[(at + (1 if after else -1)) % len(ring)]
    reply = f"{other} comes {'after' if after else 'before'} {ring[at]}."
    return scene.ask("knowledge", _AFTER if after else _BEFORE, reply, kind=kind, x=ring[at])


def opposite(scene: Scene) -> Exchange:
    """Ask for the opposite of a word."""
    word = scene.draw.pick(tuple(_OPPOSITE))
    return scene.ask("knowledge", _OPPOSITE_OF, f"The opposite of {word} is {_OPPOSITE[word]}.", x=word)


def colour(scene: Scene) -> Exchange:
    """Ask for the colour of a thing."""
    thing = scene.draw.pick(tuple(_COLOUR_OF))
    return scene.ask("knowledge", _COLOUR, f"{thing[0].upper() + thing[1:]} is {_COLOUR_OF[thing]}.", x=thing)


def sound(scene: Scene) -> Exchange:
    """Ask for the sound an animal makes."""
    animal = scene.draw.pick(tuple(_SOUND_OF))
    reply = f"{with_article(animal).capitalize()} says {_SOUND_OF[animal]}."
    return scene.ask("knowledge", _SOUND, reply, x=animal, a=with_article(animal))


def legs(scene: Scene) -> Exchange:
    """Ask for the number of an animal's legs."""
    animal = scene.draw.pick(tuple(_LEGS_OF))
    number = str(_LEGS_OF[animal] or "no")
    reply = f"{with_article(animal).capitalize()} has {number} legs."
    return scene.ask("knowledge", _LEGS, reply, x=animal, a=with_article(animal))
