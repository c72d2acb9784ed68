"""Drawing names, invented words and numbers, and keeping a share of them back from training.

Owns the hold-out rule: a word, a number above FREE_NUMBER or a combination of small numbers belongs to the held-out
class when its hash says so. Training draws only from outside that class, the held-out dialogues only from inside it.
"""

import random
import zlib
from collections.abc import Sequence
from typing import Final, TypeVar

from models.words import ADJECTIVES, FIRST_NAMES, ROLES, TOWNS, words

T = TypeVar("T")

NUMBER_WORDS: Final = words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen twenty"
)

HELD_OUT_ONE_IN: Final = 10
"""One name, number or combination in this many is kept back from training."""

FREE_NUMBER: Final = 30
"""Numbers up to this one occur in training; above it, a held-out number never does."""

_CONSONANTS: Final = "bcdfghjklmnpqrstvwxz"
_VOWELS: Final = "aeiouy"
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_COMMON_LETTERS: Final = "eeeeeeaaaaaooooiiiinnnnrrrrttttllllssssddmmuuccpphhggbbffkkvvwwyyzxjq"
_HANDLE_JOINTS: Final = ("_", ".", "-", "")


def in_held_out_class(text: str) -> bool:
    """Whether a name, number or combination is kept back from training; letter case plays no part."""
    return zlib.crc32(f"parley demo {text.lower()}".encode()) % HELD_OUT_ONE_IN == 0


def number_held_out(number: int) -> bool:
    """Whether training must never show this number."""
    return abs(number) > FREE_NUMBER and in_held_out_class(str(abs(number)))


class Draw:
    """A source of random choices that stays inside, or outside, the held-out class."""

    def __init__(self, seed: str, *, held_out: bool = False) -> None:
        self.rng = random.Random(seed)
        self.held_out = held_out

    def chance(self, probability: float) -> bool:
        """Decide with the given probability."""
        return self.rng.random() < probability

    def pick(self, options: Sequence[T]) -> T:
        """Draw one of the options, each as likely."""
        return options[int(self.rng.random() * len(options))]

    def below(self, low: int, high: int) -> int:
        """Draw a whole number from low to high, both included."""
        return low + int(self.rng.random() * (high - low + 1))

    def invented(self, shortest: int = 3, longest: int = 9) -> str:
        """Invent a lower-case word of the right class, half of them letter by letter."""
        while True:
            word = self._letters(self.below(shortest, longest)) if self.chance(0.5) else self._syllables()
            if in_held_out_class(word) == self.held_out:
                return word

    def name(self) -> str:
        """Draw a name of the right class: a common one or an invented one, mostly with a capital letter."""
        if self.chance(0.6):
            return self.cased(self.invented().capitalize())
        while True:
            name = self.pick(FIRST_NAMES)
            if in_held_out_class(name) == self.held_out:
                return self.cased(name)

    def handle(self) -> str:
        """Draw a speaker's name as chat programs show them: a name, sometimes decorated."""
        name = self.name()
        if self.chance(0.75):
            return name
        second = self.pick((self.invented(3, 6), self.name(), str(self.number(0, 999))))
        handle = name + self.pick(_HANDLE_JOINTS) + second
        return handle if in_held_out_class(handle) == self.held_out else name

    def cased(self, name: str) -> str:
        """Type the name as casual writers do: now and then in lower case or capitals."""
        roll = self.rng.random()
        if roll < 0.15:
            return name.lower()
        return name.upper() if roll < 0.18 else name

    def number(self, low: int, high: int) -> int:
        """Draw a number from low to high; a held-out source prefers held-out numbers where there are any."""
        for _ in range(60):
            number = self.below(low, high)
            if number_held_out(number) == self.held_out:
                return number
        return self.below(low, min(high, FREE_NUMBER)) if low <= FREE_NUMBER else low

    def allows(self, combination: str, numbers: Sequence[int]) -> bool:
        """Whether a combination of numbers, written for instance "3+4", is of the right class."""
        kept_back = any(number_held_out(number) for number in numbers)
        if max(abs(number) for number in numbers) <= FREE_NUMBER:
            kept_back = in_held_out_class(combination)
        return kept_back == self.held_out

    def adjective(self) -> str:
        """Draw an adjective for a persona; some are invented so that copying one is learnt, not recalled."""
        return self.invented(4, 9) if self.chance(0.25) else self.pick(ADJECTIVES)

    def role(self) -> str:
        """Draw a role for a persona; some are invented or combined."""
        roll = self.rng.random()
        if roll < 0.08:
            return self.invented(4, 9)
        before = (self.invented(4, 8), self.pick(ADJECTIVES))
        after = (f"from {self.pick(TOWNS)}", f"in {self.name()}", f"of {self.pick(TOWNS)}", f"from {self.name()}")
        role = self.pick(ROLES)
        if roll < 0.28:
            role = f"{self.pick(before)} {role}"
        return f"{role} {self.pick(after)}" if self.chance(0.12) else role

    def _letters(self, length: int) -> str:
        alphabet = _LETTERS if self.chance(0.4) else _COMMON_LETTERS
        return "".join(self.pick(alphabet) for _ in range(length))

    def _syllables(self) -> str:
        syllables = (self.pick(_CONSONANTS) + self.pick(_VOWELS) for _ in range(self.below(2, 3)))
        ending = self.pick(_CONSONANTS) if self.chance(0.5) else ""
        return "".join(syllables) + ending


def in_words(number: int) -> str:
    """Write a number up to twenty as a word, a larger one in digits."""
    return NUMBER_WORDS[number] if number < len(NUMBER_WORDS) else str(number)


def with_article(noun: str) -> str:
    """Put "a" or "an" before a noun, chosen by its first letter and a few exceptions."""
    vowel = noun[:1].lower() in "aeiou" and not noun.lower().startswith("uni")
    return ("an " if vowel or noun.lower().startswith("honest") else "a ") + noun
