"""Telling facts and asking for them later, by the person they belong to or by somebody else.

Owns which fact is told or asked for in a conversation. A fact told again replaces the first. The wordings are
models.facts'.
"""

from dataclasses import dataclass
from typing import Final

from models.fact import Fact
from models.facts import COMMON, FACTS, FAVOURITE_FACTS
from models.scene import Exchange, Scene, Speaker

_EVERYTHING: Final = (
    "what do you know about me?",
    "what have I told you about me?",
    "tell me what you know about me.",
    "what do you remember about me?",
    "list what you know about me.",
    "what did I tell you so far?",
    "do you remember anything about me?",
    "tell me everything you know about me.",
    "what have you learnt about me?",
    "so what do you know about me?",
)
_LAST_SAID: Final = (
    "what did I just say?",
    "what did I say?",
    "what was my last message?",
    "what did I say last?",
    "repeat what I just said.",
    "what was the last thing I said?",
    "what did I just write?",
    "can you repeat what I said?",
    "what have I just said?",
    "say again what I said.",
    "quote my last message.",
)
_LONGEST_QUOTED: Final = 60
"""Characters of the longest message quoted back."""

_MOST_LISTED: Final = 4
"""The most facts one reply lists."""


@dataclass(frozen=True)
class _Chosen:
    """A kind of fact made definite: its key within the speaker's facts and, for a pet or relative, which one."""

    key: str
    fact: Fact
    which: str


def tell(scene: Scene) -> Exchange:
    """Let a speaker tell a fact."""
    return _told(scene, _choose(scene, fresh=scene.draw.chance(0.85)))


def tell_two(scene: Scene) -> Exchange:
    """Let a speaker tell two facts at once, or tell one and ask for it at once."""
    if scene.draw.chance(0.2):
        return _tell_and_ask(scene)
    while True:
        first, second = _choose(scene, fresh=True), _choose(scene, fresh=True)
        if first.key != second.key and not first.which == second.which != "":
            break
    if second.fact is FACTS["name"]:
        first, second = second, first
    texts, replies = zip(*(_tell(scene, chosen) for chosen in (first, second)), strict=True)
    joint = scene.draw.pick((" and ", " and ", ", ", ". ", " and also "))
    return scene.exchange("tell", texts[0].rstrip(".!") + joint + texts[1], " ".join(replies))


def _tell_and_ask(scene: Scene) -> Exchange:
    chosen = _choose(scene, fresh=True)
    told, _ = _tell(scene, chosen)
    asked = scene.phrase(scene.draw.pick(chosen.fact.ask), k=chosen.which)
    joint = scene.draw.pick((". ", ". ", ", ", " "))
    return scene.exchange("memory", told.rstrip(".!") + joint + asked, _answer(chosen, scene.speaker))


def last_said(scene: Scene) -> Exchange:
    """Let a speaker ask what they said last."""
    said = scene.speaker.last_said
    reply = "You have not said anything yet." if said is None else f"You said: {said}"
    if said is not None and len(said) > _LONGEST_QUOTED:
        return ask(scene)
    return scene.ask("memory", _LAST_SAID, reply)


def ask(scene: Scene) -> Exchange:
    """Let a speaker ask for a fact they told, or now and then for one they did not."""
    known = list(scene.speaker.facts)
    if known and scene.draw.chance(0.85):
        return _asked(scene, scene.draw.pick(known))
    return _asked_unknown(scene)


def ask_told(scene: Scene) -> Exchange:
    """Let a speaker ask for a fact they told; where there is none, they tell one instead."""
    known = list(scene.speaker.facts)
    return _asked(scene, scene.draw.pick(known)) if known else tell(scene)


def ask_other(scene: Scene) -> Exchange:
    """Let one speaker ask for a fact another speaker told."""
    others = [(other, key) for other in scene.speakers if other is not scene.speaker for key in other.facts]
    usable = [(other, key) for other, key in others if _find(key).fact.others]
    if not usable:
        return tell(scene)
    other, key = scene.draw.pick(usable)
    chosen = _find(key)
    values = {"n": str(other.name), "k": chosen.which, "v": other.facts[key]}
    reply = str(chosen.fact.others).format(**values)
    return scene.ask("memory", chosen.fact.ask_others, reply, **values)


def everything(scene: Scene) -> Exchange:
    """Let a speaker ask for all that is known about them."""
    if len(scene.speaker.facts) > _MOST_LISTED:
        return ask_told(scene)
    answers = [_answer(_find(key), scene.speaker) for key in scene.speaker.facts]
    return scene.ask("memory", _EVERYTHING, " ".join(answers) or "You have not told me anything about you yet.")


def _choose(scene: Scene, *, fresh: bool) -> _Chosen:
    draw = scene.draw
    while True:
        roll = draw.rng.random()
        if roll < 0.2:
            name = draw.pick(tuple(FAVOURITE_FACTS))
        else:
            name = draw.pick(COMMON) if roll < 0.7 else draw.pick(tuple(FACTS))
        fact = FACTS.get(name) or FAVOURITE_FACTS[name]
        which = fact.key(draw) if fact.key else ""
        chosen = _Chosen(f"{name}/{which}", fact, which)
        rare_name = name == "name" and scene.tagged and not draw.chance(0.1)
        if not rare_name and not (fresh and _known(scene, chosen)):
            return chosen


def _known(scene: Scene, chosen: _Chosen) -> bool:
    """Whether the speaker told this already; a pet and a relative of one kind count as the same."""
    return any(key == chosen.key or key.split("/")[1] == chosen.which != "" for key in scene.speaker.facts)


def _find(key: str) -> _Chosen:
    name, which = key.split("/")
    return _Chosen(key, FACTS[name] if name in FACTS else FAVOURITE_FACTS[name], which)


def _told(scene: Scene, chosen: _Chosen) -> Exchange:
    text, reply = _tell(scene, chosen)
    return scene.exchange("tell", text, reply)


def _tell(scene: Scene, chosen: _Chosen) -> tuple[str, str]:
    """Words that tell a new value, now known, and the reply to them."""
    value = chosen.fact.value(scene.draw)
    if not chosen.which and scene.draw.chance(0.12):
        value = value.lower()
    facts = scene.speaker.facts
    facts.pop(chosen.key, None)
    facts[chosen.key] = value
    if chosen.fact is FACTS["name"]:
        facts.pop(chosen.key)
        scene.speaker.facts = {chosen.key: value, **facts}
    reply = chosen.fact.noted.format(k=chosen.which, v=value)
    return scene.phrase(scene.draw.pick(chosen.fact.tell), k=chosen.which, v=value), reply


def _answer(chosen: _Chosen, speaker: Speaker) -> str:
    return chosen.fact.answer.format(k=chosen.which, v=speaker.facts[chosen.key])


def _asked(scene: Scene, key: str) -> Exchange:
    chosen = _find(key)
    pets = [known for known in scene.speaker.facts if known.startswith("pet/")]
    only_pet = pets == [key] and scene.draw.chance(0.25)
    which = "pet" if only_pet else chosen.which
    return scene.ask("memory", chosen.fact.ask, _answer(chosen, scene.speaker), k=which)


def _asked_unknown(scene: Scene) -> Exchange:
    while True:
        chosen = _choose(scene, fresh=True)
        if not (scene.tagged and chosen.fact is FACTS["name"]):
            reply = chosen.fact.unknown.format(k=chosen.which)
            return scene.ask("unknown fact", chosen.fact.ask, reply, k=chosen.which)
