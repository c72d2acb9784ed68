"""One conversation under way: its system prompt, its speakers and what they have told so far.

Owns the state that makes every reply follow from the conversation alone, and the casual spelling of what users type.
Which exchanges there are is the business of the skill modules.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from models.draw import Draw, with_article

DEFAULT_SYSTEM: Final = "You are Parley, a friendly assistant. Answer briefly."
"""The system prompt Parley's service sends unless told otherwise."""

_PLACEHOLDER: Final = re.compile(r"(\{\w+\})")
_APOSTROPHE: Final = re.compile(r"(?<!\})'")
"""One that may be left out; after a name it shows where the name ends."""

_LEAD_INS: Final = ("hey, ", "hi, ", "ok, ", "so, ", "please, ", "well, ", "hey ", "um, ", "now ", "and ", "but ")


@dataclass(frozen=True)
class Exchange:
    """What one user says and the one right reply."""

    kind: str
    user: str
    reply: str


@dataclass(frozen=True)
class Persona:
    """Who the assistant is in this conversation; what the system prompt leaves out is None."""

    name: str | None
    adjective: str | None
    role: str | None
    love: str | None = None

    def noun(self) -> str:
        """Write the role with its adjective and article, for instance "a grumpy lighthouse keeper"."""
        return with_article(" ".join(part for part in (self.adjective, self.role) if part))

    def introduction(self) -> str:
        """Answer "who are you?"."""
        if self.role is None:
            return f"I am {self.name}."
        return f"I am {self.name}, {self.noun()}." if self.name else f"I am {self.noun()}."


PARLEY: Final = Persona("Parley", "friendly", "assistant")


@dataclass
class Speaker:
    """One person in the conversation and the facts they have told, by key, in the order told."""

    name: str | None = None
    facts: dict[str, str] = field(default_factory=dict)
    last_said: str | None = None


class Scene:
    """The state of one conversation."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.persona = PARLEY
        self.system: str | None = None
        self.speakers = [Speaker()]
        self.speaker = self.speakers[0]
        self.tagged = False
        self.jokes = 0
        self.casual = draw.pick((0.0, 0.3, 0.6, 0.9))

    def line(self, text: str) -> str:
        """Put the speaker's name before the words where names are shown."""
        return f"{self.speaker.name}: {text}" if self.tagged else text

    def phrase(self, wording: str, /, **values: str) -> str:
        """Fill a wording with its values and type it casually; the values themselves stay as they are."""
        if self.draw.chance(0.08):
            wording = self.draw.pick(_LEAD_INS) + wording
        if self.draw.chance(self.casual):
            wording = self._casual(wording)
        elif self.draw.chance(0.6) and not wording.startswith("{"):
            wording = wording[:1].upper() + wording[1:]
        return wording.format(**values)

    def ask(self, kind: str, wordings: tuple[str, ...], reply: str, /, **values: str) -> Exchange:
        """Make an exchange in one of the wordings."""
        return self.exchange(kind, self.phrase(self.draw.pick(wordings), **values), reply)

    def exchange(self, kind: str, text: str, reply: str) -> Exchange:
        """Make an exchange in exactly these words and remember them as what the speaker said last."""
        self.speaker.last_said = text
        return Exchange(kind, self.line(text), reply)

    def _casual(self, wording: str) -> str:
        draw = self.draw
        wording = wording.rstrip(".?!") if draw.chance(0.7) else wording
        if draw.chance(0.6):
            wording = _APOSTROPHE.sub("", wording)
        if draw.chance(0.15) and not wording.endswith("}"):
            wording += draw.pick(("!", "??", "...", " please", " :)", "?", " pls", ".", "!!"))
        parts = _PLACEHOLDER.split(wording)
        parts[0::2] = [self._typed(part) for part in parts[0::2]]
        return "".join(parts)

    def _typed(self, text: str) -> str:
        roll = self.draw.rng.random()
        if roll < 0.03:
            return text.upper()
        text = text.lower() if roll < 0.7 else text
        return self._typo(text) if self.draw.chance(0.05) else text

    def _typo(self, text: str) -> str:
        """Drop or double a letter inside a longer word, or swap it with the next."""
        words = list(re.finditer(r"[A-Za-z]{5,}", text))
        if not words:
            return text
        word = self.draw.pick(words)
        at = self.draw.below(word.start() + 1, word.end() - 3)
        kept = self.draw.pick((text[at + 1], text[at] * 2 + text[at + 1], text[at + 1] + text[at]))
        return text[:at] + kept + text[at + 2 :]
