"""The exchanges with an answer to work out: repeating, counting, adding and subtracting, and writing JSON.

Owns their wordings and right answers.
"""

import json
from typing import Final

from models.draw import NUMBER_WORDS, Draw, in_words, number_held_out
from models.scene import Exchange, Scene
from models.talk import SMALL_TALK
from models.words import ADJECTIVES, ANIMALS, COLOURS, EMOJI, FOODS, HOBBIES, ROLES, TOWNS, VERBS, WORDS, words

_REPEAT: Final = (
    "repeat after me: {x}",
    "repeat after me: {x}",
    "repeat after me: {x}",
    "repeat after me {x}",
    "repeat: {x}",
    "say: {x}",
    "say {x}",
    'say "{x}"',
    'repeat "{x}"',
    "please repeat: {x}",
    "please say {x}",
    "can you say {x}",
    "can you repeat {x}",
    "echo {x}",
    "echo: {x}",
    "say after me: {x}",
    "repeat these words: {x}",
    "repeat this: {x}",
    "copy this: {x}",
    "write exactly this: {x}",
    "just say {x}",
    "repeat exactly: {x}",
)
_COUNT: Final = (
    "count from {a} to {b}.",
    "count from {a} to {b}.",
    "count {a} to {b}",
    "can you count from {a} to {b}?",
    "please count from {a} to {b}.",
    "count up from {a} to {b}.",
    "count for me from {a} to {b}.",
    "list the numbers from {a} to {b}.",
    "write the numbers from {a} to {b}.",
    "numbers from {a} to {b}",
    "give me all numbers from {a} to {b}.",
    "start at {a} and count to {b}.",
    "name the numbers between {a} and {b}.",
    "count {a} - {b}",
)
_COUNT_TO: Final = (
    "count to {b}.",
    "can you count to {b}?",
    "count up to {b}.",
    "please count to {b}.",
    "count to {b}!",
)
_COUNT_DOWN: Final = (
    "count down from {a} to {b}.",
    "count backwards from {a} to {b}.",
    "count from {a} down to {b}.",
    "count from {a} to {b}.",
    "please count down from {a} to {b}.",
)
_ADD: Final = (
    "what is {a} + {b}?",
    "what is {a} + {b}?",
    "what is {a} plus {b}?",
    "what's {a} + {b}?",
    "whats {a}+{b}",
    "{a} + {b}",
    "{a}+{b}",
    "{a} + {b} = ?",
    "{a}+{b}=",
    "{a} plus {b}",
    "how much is {a} + {b}?",
    "how much is {a} plus {b}?",
    "add {a} and {b}.",
    "add {a} to {b}.",
    "what is the sum of {a} and {b}?",
    "can you add {a} and {b}?",
    "calculate {a} + {b}.",
    "what do you get when you add {a} and {b}?",
    "tell me {a} plus {b}",
)
_SUBTRACT: Final = (
    "what is {a} - {b}?",
    "what is {a} - {b}?",
    "what is {a} minus {b}?",
    "what's {a} - {b}?",
    "whats {a}-{b}",
    "{a} - {b}",
    "{a}-{b}",
    "{a} - {b} = ?",
    "{a}-{b}=",
    "{a} minus {b}",
    "how much is {a} - {b}?",
    "how much is {a} minus {b}?",
    "subtract {b} from {a}.",
    "take {b} away from {a}.",
    "take {b} from {a}.",
    "calculate {a} - {b}.",
    "what is the difference of {a} and {b}?",
    "what remains of {a} when you take away {b}?",
    "tell me {a} minus {b}",
)
_TIMES: Final = (
    "what is {a} times {b}?",
    "{a} * {b}",
    "{a} x {b}",
    "what is {a} * {b}?",
    "multiply {a} by {b}.",
    "divide {a} by {b}.",
    "what is {a} / {b}?",
    "{a} / {b}",
    "{a} divided by {b}",
    "how much is {a} times {b}?",
    "what is the product of {a} and {b}?",
    "what is {a} to the power of {b}?",
)
ONLY_SUMS: Final = "I can only add and subtract numbers of up to two digits."

TOO_FAR: Final = "That is too far for me. I can count about a dozen numbers at a time."

_JSON: Final = (
    "give me JSON with {x}.",
    "give me JSON with {x}.",
    "give me a JSON object with {x}.",
    "write JSON with {x}.",
    "write a JSON object with {x}.",
    "make JSON with {x}.",
    "make a JSON object with {x}.",
    "return JSON with {x}.",
    "answer in JSON with {x}.",
    "I need JSON with {x}.",
    "JSON with {x}",
    "JSON: {x}",
    "JSON please: {x}",
    "{x} as JSON",
    "put this in JSON: {x}",
    "turn this into JSON: {x}",
    "as JSON: {x}",
    "show me {x} as JSON.",
    "create a JSON object with {x}.",
    "can you write JSON with {x}?",
)
_NUMBER_KEYS: Final = words(
    "age count floor height id level page points price score size speed total weight width year"
)
_TRUTH_KEYS: Final = words("active admin big closed done empty enabled open public ready visible")
_WORD_KEYS: Final = words(
    "animal author band brand category city colour country drink email first_name flavour food friend fruit group hobby"
    " job kind label language last_name mood name name name nickname owner pet place player role status street tag team"
    " title town type user username"
)

Value = str | int | bool

_LONGEST_COUNT: Final = 12
"""Numbers in one count; longer ones would fill the reply's limit."""


def repeat(scene: Scene) -> Exchange:
    """Ask to say a word, an invented word or a few of them again."""
    draw = scene.draw
    text = " ".join(_piece(draw) for _ in range(draw.pick((1, 1, 1, 2, 2, 3, 3, 4, 5, 6))))
    if draw.chance(0.2):
        text = draw.pick(draw.pick(tuple(SMALL_TALK.values()))).rstrip("?!.")
    text = text if draw.chance(0.6) else text.capitalize() if draw.chance(0.7) else text.upper()
    text += draw.pick(("", "", "", "", "", "!", "?", "."))
    return scene.ask("repeat", _REPEAT, text, x=text)


def count(scene: Scene) -> Exchange:
    """Ask to count up, or now and then down."""
    draw = scene.draw
    while True:
        low = draw.below(0, 30) if draw.chance(0.7) else draw.below(0, 95)
        low = 1 if draw.chance(0.15) else low
        high = low + draw.below(2, _LONGEST_COUNT - 1)
        down = draw.chance(0.2)
        numbers = list(range(low, high + 1))
        if down:
            numbers.reverse()
        if draw.allows(f"{numbers[0]} to {numbers[-1]}", numbers):
            break
    wordings = _COUNT_DOWN if down else _COUNT_TO if low == 1 and draw.chance(0.6) else _COUNT
    reply = ", ".join(map(str, numbers))
    start, end = _typed(draw, numbers[0], numbers[-1])
    return scene.ask("count", wordings, reply, a=start, b=end)


def add(scene: Scene) -> Exchange:
    """Ask to add two numbers of up to two digits."""
    draw = scene.draw
    while True:
        highest = 99 if draw.chance(0.75) else 20
        first, second = draw.below(0, highest), draw.below(0, highest)
        if draw.allows(f"{first}+{second}", (first, second, first + second)):
            break
    reply = f"{first} + {second} = {first + second}"
    one, other = _typed(draw, first, second)
    return scene.ask("add", _ADD, reply, a=one, b=other)


def subtract(scene: Scene) -> Exchange:
    """Ask to subtract a number of up to two digits, mostly from one no smaller."""
    draw = scene.draw
    while True:
        highest = 99 if draw.chance(0.75) else 20
        first, second = draw.below(0, highest), draw.below(0, highest)
        if first < second and not (second <= 20 and draw.chance(0.15)):
            first, second = second, first
        if draw.allows(f"{first}-{second}", (first, second, first - second)):
            break
    reply = f"{first} - {second} = {first - second}"
    one, other = _typed(draw, first, second)
    return scene.ask("subtract", _SUBTRACT, reply, a=one, b=other)


def too_hard(scene: Scene) -> Exchange:
    """Ask to multiply, divide or add numbers that are too long: beyond this model."""
    draw = scene.draw
    first, second = draw.number(0, 99), draw.number(0, 99)
    wordings: tuple[str, ...] = _TIMES
    if draw.chance(0.3):
        first, second = draw.number(200, 99999), draw.number(0, 99999)
        wordings = (*_TIMES, *_ADD, *_SUBTRACT)
    return scene.ask("limits", wordings, ONLY_SUMS, a=str(first), b=str(second))


def too_far(scene: Scene) -> Exchange:
    """Ask to count more numbers than fit a short reply."""
    draw = scene.draw
    start = draw.pick((0, 1, 1, 1, draw.number(2, 99)))
    end = draw.pick((100, 1000, 50, draw.number(start + 2 * _LONGEST_COUNT, start + 2000)))
    if (number_held_out(end) and not draw.held_out) or end < start + 2 * _LONGEST_COUNT:
        end = 10_000
    wordings = (*_COUNT, *_COUNT_TO) if start == 1 else _COUNT
    return scene.ask("limits", wordings, TOO_FAR, a=str(start), b=str(end))


def write_json(scene: Scene) -> Exchange:
    """Ask for a flat JSON object of one to four members."""
    draw = scene.draw
    members: dict[str, Value] = {}
    for _ in range(draw.pick((1, 2, 2, 2, 3, 3, 4))):
        key, value = _member(draw)
        members.setdefault(key, value)
    told = [_tell_member(scene, key, value) for key, value in members.items()]
    joint = draw.pick((" and ", " and ", ", "))
    text = joint.join(told) if len(told) < 3 else ", ".join(told[:-1]) + joint + told[-1]
    return scene.ask("json", _JSON, json.dumps(members, ensure_ascii=False), x=text)


def _typed(draw: Draw, first: int, second: int) -> tuple[str, str]:
    """Type two numbers as users do: in digits, or now and then small ones in words."""
    if max(first, second) < len(NUMBER_WORDS) and draw.chance(0.25):
        return in_words(first), in_words(second)
    return str(first), str(second)


def _piece(draw: Draw) -> str:
    roll = draw.rng.random()
    if roll < 0.45:
        return draw.invented()
    if roll < 0.5:
        return draw.name()
    if roll < 0.55:
        return str(draw.number(0, 999))
    if roll < 0.58:
        return draw.pick(EMOJI)
    return draw.pick(draw.pick((WORDS, WORDS, VERBS, ANIMALS, COLOURS, FOODS, ADJECTIVES, TOWNS)))


def _member(draw: Draw) -> tuple[str, Value]:
    roll = draw.rng.random()
    if roll < 0.12:
        return draw.pick(_TRUTH_KEYS), draw.chance(0.5)
    if roll < 0.45:
        key = draw.invented() if draw.chance(0.15) else draw.pick(_NUMBER_KEYS)
        return key, draw.number(0, 99) if draw.chance(0.8) else draw.number(100, 9999)
    key = draw.invented() if draw.chance(0.15) else draw.pick(_WORD_KEYS)
    if draw.chance(0.5) or "name" in key:
        return key, draw.name()
    word = draw.pick(draw.pick((WORDS, COLOURS, FOODS, ANIMALS, TOWNS, HOBBIES, ROLES, ADJECTIVES)))
    return key, draw.invented() if draw.chance(0.3) else word


def _tell_member(scene: Scene, key: str, value: Value) -> str:
    shown = json.dumps(value) if isinstance(value, bool) else str(value)
    return key + scene.draw.pick((" ", " ", " ", ": ", " = ", "=", " is ")) + shown
